"""The losses of other libraries, where they are installed.

A loss that gives the number of one of ours is called as `lossodyssey.guide.peers` writes it. Only the loss modules of
nnU-Net and segmentation-models-pytorch are imported, so that an installation without their dependencies will do:

    pip install --no-deps --target PEERS nnunetv2 segmentation-models-pytorch kornia kornia_rs
    PYTHONPATH=PEERS make bench
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from benchmarks.peers.entry import EVERY_SIZE, Call, Entry
from benchmarks.peers.plain import SCIPY_LIMIT, SKELETON_LIMIT
from torch import Tensor

from lossodyssey.guide.peers import PEERS, Peer

MODULES = {
    "MONAI": ["monai.losses"],
    "nnU-Net": [f"nnunetv2.training.loss.{name}" for name in ("dice", "compound_losses", "robust_ce_loss")],
    "segmentation-models-pytorch": ["segmentation_models_pytorch.losses"],
    "kornia": ["kornia.losses"],
}
MONAI_OPTIONS = "include_background=False, softmax=True, to_onehot_y=True"
CHANNEL, LABELS = "logits (N, C, *S), labels (N, 1, *S)", "logits (N, C, *S), labels (N, *S)"
PROBABILITIES = "probabilities (N, C, *S), labels (N, 1, *S)"
ERODED = "HausdorffErosion(renormalize=True, background=True)"

OTHERS = [
    # library, our row, call, what it takes, our loss that gives its number
    ("MONAI", "DiceFocal", f"DiceFocalLoss({MONAI_OPTIONS})", CHANNEL, None),
    ("MONAI", "GeneralizedDice + Focal", f"GeneralizedDiceFocalLoss({MONAI_OPTIONS})", CHANNEL, None),
    ("MONAI", "CenterlineDice", f"SoftclDiceLoss({MONAI_OPTIONS}, iter_=10)", CHANNEL, None),
    ("MONAI", "DiceCenterline", f"SoftDiceclDiceLoss({MONAI_OPTIONS}, iter_=10)", CHANNEL, None),
    ("segmentation-models-pytorch", "Focal", 'FocalLoss("multiclass")', LABELS, None),
    ("kornia", "HausdorffErosion", "HausdorffERLoss()", PROBABILITIES, ERODED),
    ("kornia", "HausdorffErosion", "HausdorffERLoss3D()", PROBABILITIES, ERODED),
]


def library_entries(mapped: set[str], only: list[str]) -> dict[str, Entry]:
    """List the losses of all libraries that import, or of those of the rows in `only`.

    Peers of the `mapped` losses make their map in every call, and so stand beside our row that does.
    """
    rows: dict[str, Entry] = {}
    for library in MODULES:
        if only and not any(name.startswith(_short(library)) for name in only):
            continue
        try:
            rows |= _entries_of(library, mapped)
        except ImportError as problem:
            print(f"left out: {library} ({problem})", file=sys.stderr)
    return rows


def _entries_of(library: str, mapped: set[str]) -> dict[str, Entry]:
    names, rows = _names(MODULES[library]), dict[str, Entry]()
    for peer in _peers(library):
        beside = f"{peer.loss}, map made" if peer.loss in mapped else peer.loss
        name = f"{_short(library)} {_head(peer.call)}"
        name = name if name not in rows else f"{name} as {peer.loss}"
        # `eval`, so that the table times exactly the text that the page of the loss prints.
        call = _fed(eval(peer.call, names), peer.takes)
        rows[name] = Entry(beside, call, peer.ours or None, peer.relation, limit=_limit(beside))
    return rows


def _short(library: str) -> str:
    return "SMP" if library == "segmentation-models-pytorch" else library


def _names(modules: list[str]) -> dict[str, Any]:
    """Import the names that a user of a library has."""
    if modules[0].startswith("segmentation_models_pytorch"):
        _import_without_encoders("segmentation_models_pytorch")
    found = [importlib.import_module(module) for module in modules]
    return {name: value for module in found for name, value in vars(module).items()} | {"torch": torch}


def _import_without_encoders(name: str) -> None:
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ImportError(f"No module named '{name}'")
    # An empty package of that name: its own __init__ imports the encoders, and with them timm.
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = list(spec.submodule_search_locations or ())


def _peers(library: str) -> Iterator[Peer]:
    """Yield one call per loss of a library and of ours: those that take labels, then those without an equal."""
    seen = set()
    for peer in PEERS:
        key = (_head(peer.call), peer.loss)
        if peer.library == library and "labels" in peer.takes and key not in seen:
            seen.add(key)
            yield peer
    for other, loss, call, takes, ours in OTHERS:
        if other == library:
            yield Peer(loss, call, ours or "", library=library, takes=takes)


def _head(call: str) -> str:
    found = re.match(r"(?:\w+\.)*(\w+)", call)
    assert found is not None
    return found[1]


def _limit(beside: str) -> int:
    if beside in ("CenterlineDice", "DiceCenterline"):
        return SKELETON_LIMIT
    return SCIPY_LIMIT if beside.endswith("map made") else EVERY_SIZE


def _fed(loss: Callable[..., Any], takes: str) -> Call:
    """Wrap the loss so that it gets logits and labels in the forms that the text `takes` lists."""
    first, channel, two = takes.split(" ")[0], "labels (N, 1," in takes, "(N, 2," in takes

    def call(logits: Tensor, labels: Tensor) -> Tensor:
        if two and logits.shape[1] != 2:
            raise ValueError(f"for two classes, not {logits.shape[1]}")
        # Inside the call: the softmax is part of the work of a user of that loss.
        scores = logits.softmax(1) if first == "probabilities" else logits
        value: Tensor = loss(scores, labels[:, None] if channel else labels)
        return value

    return call

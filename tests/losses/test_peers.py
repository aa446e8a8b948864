"""The equalities with other libraries, each run where the library imports; with repositories, by recorded values."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import sys
import warnings
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.atlas import CARDS
from lossodyssey.guide.peers import PEERS, Peer, peers

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import check

MODULES = {
    "PyTorch": ["torch"],
    "MONAI": ["monai.losses"],
    "nnU-Net": [f"nnunetv2.training.loss.{name}" for name in ("dice", "compound_losses", "robust_ce_loss")],
    "kornia": ["kornia.losses"],
}
INSTALLED = [peer for peer in PEERS if "/" not in peer.library]
REPOSITORIES = [peer for peer in PEERS if "/" in peer.library]

# What computes in float32 whatever it is given, and so agrees to fewer digits.
SINGLE_LIBRARIES = ("nnU-Net", "Keras")
SINGLE_MONAI = ("Focal", "DiceFocal", "GeneralizedDice", "Hausdorff", "Boundary", "squared_pred", "weight=")


@cache
def names(library: str) -> dict[str, Any]:
    """What a user of the library has imported; skips where it does not import."""
    if library == "segmentation-models-pytorch":
        modules = [smp_losses()]
    elif library == "Keras":
        modules = [keras_losses()]
    else:
        modules = [pytest.importorskip(name, exc_type=ImportError) for name in MODULES[library]]
    return {name: value for module in modules for name, value in vars(module).items()} | {"torch": torch}


def smp_losses() -> Any:
    """The losses alone: their package imports encoders, which need more than the losses do."""
    package = importlib.util.find_spec("segmentation_models_pytorch")
    if package is None or package.origin is None:
        pytest.skip("segmentation-models-pytorch is not installed")
    origin = Path(package.origin).parent / "losses" / "__init__.py"
    spec = importlib.util.spec_from_file_location("smp_losses", origin)
    assert spec is not None and spec.loader is not None
    sys.modules["smp_losses"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["smp_losses"])
    return sys.modules["smp_losses"]


def keras_losses() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        return pytest.importorskip("keras.losses", exc_type=ImportError)


class Inputs:
    """One random input, in every form that a peer may take; its last class may be `absent` from samples."""

    def __init__(self, peer: Peer, shape: tuple[int, ...], seed: int, absent: tuple[int, ...] = ()) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.classes = 2 if "(N, 2" in peer.takes else 3
        dtype = torch.float32 if "LovaszLoss" in peer.call else torch.float64
        channels = (2, self.classes, *shape)
        self.logits = (2 * torch.randn(channels, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()
        self.labels = torch.randint(self.classes, (2, *shape), generator=generator)
        self.regions = torch.randint(2, channels, generator=generator).double()
        for sample in absent:
            self.labels[sample].masked_fill_(self.labels[sample] == self.classes - 1, 0)
            self.regions[sample, -1] = 0

    def form(self, text: str) -> Tensor:
        """The tensor that a part of `Peer.takes` describes."""
        kind, last = text.split(" ")[0], text.endswith("C)")
        if kind == "labels":
            return self.labels[:, None] if "N, 1," in text else self.labels
        one_hot = torch.nn.functional.one_hot(self.labels, self.classes).movedim(-1, 1).to(self.logits.dtype)
        forms = {"regions": self.regions, "one-hot": one_hot, "probabilities": self.logits.softmax(1)}
        found = forms.get(kind, self.logits)
        return found.movedim(1, -1) if last else found

    def theirs(self, peer: Peer) -> Tensor:
        parts = [self.form(text) for text in re.findall(r"[\w-]+ \([^)]*\)", peer.takes)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value: Tensor = eval(peer.call, names(peer.library))(*parts)
        return value

    def ours(self, peer: Peer) -> Tensor:
        return related(peer, self.logits, self.regions if peer.link == "sigmoid" else self.labels)


def related(peer: Peer, logits: Tensor, target: Tensor) -> Tensor:
    """What the relation says that the peer gives."""
    loss, classes = lo.parse(peer.ours), logits.shape[1]
    if "samples" in peer.relation:
        return torch.stack([loss(z[None], y[None], link=peer.link) for z, y in zip(logits, target, strict=True)]).mean()
    ours = loss(logits, target, link=peer.link)
    if peer.relation == "same":
        return ours
    first = int("P" in peer.relation and not loss.background)  # type: ignore[operator]
    present = sum(bool((target == label).any()) for label in range(first, classes)) if "P" in peer.relation else 0
    value: Tensor = eval(peer.relation, {"ours": ours, "C": classes - first, "P": present})
    return value


def tolerance(peer: Peer) -> float:
    rounded = peer.library == "MONAI" and any(part in peer.call for part in SINGLE_MONAI)
    return 1e-5 if rounded or peer.library in SINGLE_LIBRARIES or "LovaszLoss" in peer.call else 1e-8


WHERE_STATED = [
    (peer, shape) for peer in INSTALLED for shape in ((5, 6), (4, 5, 3)) if len(shape) == 2 or "W" not in peer.takes
]


@pytest.mark.parametrize(("seed", "absent"), [(0, ()), (1, ()), (2, (0,)), (3, (1,)), (4, (0, 1))])
@pytest.mark.parametrize(("peer", "shape"), WHERE_STATED, ids=lambda item: getattr(item, "call", f"{np.size(item)}d"))
def test_library_gives_our_value_and_gradient(
    peer: Peer, shape: tuple[int, ...], seed: int, absent: tuple[int, ...]
) -> None:
    names(peer.library)
    with check.double_precision():
        inputs = Inputs(peer, shape, seed, absent)
        theirs, ours = inputs.theirs(peer), inputs.ours(peer)
    assert theirs.item() == pytest.approx(ours.item(), rel=tolerance(peer))
    gradients = [torch.autograd.grad(value, inputs.logits)[0] for value in (theirs, ours)]
    largest = gradients[1].abs().max().item()
    assert largest > 0
    assert (gradients[0] - gradients[1]).abs().max().item() <= tolerance(peer) * largest


def golden() -> Path:
    data = os.environ.get("LOSSODYSSEY_DATA")
    return (Path(data).parent if data else Path(__file__).parents[3] / "shared") / "golden"


@cache
def recorded() -> tuple[list[dict[str, Any]], dict[str, check.Case]]:
    records = json.loads((golden() / "core.json").read_text())
    with np.load(golden() / "inputs.npz") as arrays:
        return records, {name: check.read_case(arrays, name) for name in {record["case"] for record in records}}


@pytest.mark.skipif(not golden().is_dir(), reason="the reference values are not part of the repository")
@pytest.mark.parametrize("peer", REPOSITORIES, ids=lambda peer: f"{peer.library} {peer.call}")
def test_repository_gave_our_value(peer: Peer) -> None:
    """With the arguments that the call states, every recorded value is ours, but for inputs with a written reason."""
    records, cases = recorded()
    name = re.match(r"\w+", peer.call)
    assert name is not None
    of_name = [r for r in records if r["reference"].startswith(peer.library) and name[0] in r["reference"].split()]
    fitting = [r for r in of_name if stated(peer).items() <= (stated(peer) | r["params"]).items()]
    fitting.sort(key=settings)
    assert any(same_everywhere(peer, list(group), cases) for _, group in groupby(fitting, key=settings))


def stated(peer: Peer) -> dict[str, Any]:
    """The arguments in the text of a call, under the names that the records have for them."""
    found = re.findall(r"""(\w+)"?\s*[=:]\s*(True|False|[\d.e-]+|'\w+')""", peer.call)
    return {"include_background" if key == "do_bg" else key: ast.literal_eval(value) for key, value in found}


def settings(record: dict[str, Any]) -> str:
    return json.dumps(record["params"], sort_keys=True)


def same_everywhere(peer: Peer, records: list[dict[str, Any]], cases: dict[str, check.Case]) -> bool:
    verdicts = [same(peer, record, cases[record["case"]]) for record in records]
    excused = [bool(check.reason(record, cases[record["case"]])) for record in records]
    return any(verdicts) and all(found or known for found, known in zip(verdicts, excused, strict=True))


def same(peer: Peer, record: dict[str, Any], case: check.Case) -> bool:
    if record["value"] is None:
        return False
    try:
        with check.double_precision():
            ours = related(peer, case.logits, case.labels)
    except ValueError:  # class weights for another number of classes
        return False
    theirs: float = record["value"]
    return ours.item() == pytest.approx(theirs, rel=check.tolerance_of(record))


def test_peers_are_filed_under_losses_of_the_atlas_and_parse() -> None:
    for peer in PEERS:
        assert peer.loss in CARDS and peer in peers(peer.loss)
        assert lo.parse(peer.ours) is not None
    assert peers("no such loss") == ()
    assert len({(peer.library, peer.call, peer.takes) for peer in PEERS}) == len(PEERS)


def test_monai_focal_part_of_dice_focal_is_a_sigmoid_under_softmax() -> None:
    losses = pytest.importorskip("monai.losses")
    inputs = Inputs(peers("DiceFocal")[0], (5, 6), seed=0)
    logits, labels = inputs.logits.detach(), inputs.labels[:, None]
    theirs = losses.DiceFocalLoss(softmax=True, to_onehot_y=True)(logits, labels)
    region = lo.Dice(background=True)(logits, labels)
    one_hot = inputs.form("one-hot (N, C, *S)")
    sigmoid = lo.Focal()(logits, one_hot, link="sigmoid")
    assert theirs.item() == pytest.approx((region + sigmoid).item(), rel=1e-5)
    assert theirs.item() != pytest.approx((region + lo.Focal()(logits, labels)).item(), rel=1e-2)
    focal = losses.FocalLoss(use_softmax=True, to_onehot_y=True)(logits, labels)
    dice = losses.DiceLoss(softmax=True, to_onehot_y=True)(logits, labels)
    assert (dice + 3 * focal).item() == pytest.approx((region + lo.Focal()(logits, labels)).item(), rel=1e-5)

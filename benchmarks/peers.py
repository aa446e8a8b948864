"""The calls that the losses are timed against: other libraries where they are installed, else plain PyTorch.

A call takes logits (N, C, *S) and integer labels (N, *S) and returns a scalar. Peers that are not installed are
left out. Only the loss modules of nnU-Net and segmentation-models-pytorch are imported, so that an installation
without their dependencies (`pip install --no-deps`) will do.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Call = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels)


def floor(logits: Tensor, labels: Tensor) -> Tensor:
    """Reads the logits once and writes one fresh gradient: no loss can do less."""
    value: Tensor = Floor.apply(logits)  # type: ignore[no-untyped-call]
    return value


class Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        return logits.new_zeros(())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (logits,) = ctx.saved_tensors
        return torch.mul(logits, 2.0)


def naive_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Dice as tutorials write it: softmax, one-hot, products."""
    s = torch.softmax(logits, 1).flatten(2)
    g = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float().flatten(2)
    return 1 - ((2 * (s * g).sum(2) + 1e-5) / (s.sum(2) + g.sum(2) + 1e-5)).mean()


def naive_dice_ce(logits: Tensor, labels: Tensor) -> Tensor:
    return naive_dice(logits, labels) + F.cross_entropy(logits, labels)


def berman(logits: Tensor, labels: Tensor) -> Tensor:
    """Lovasz-softmax in the form of Berman 2018: one torch.sort with indices per class."""
    s, flat, values = torch.softmax(logits, 1).movedim(1, -1).flatten(0, -2), labels.flatten(), []
    for label in range(s.shape[1]):
        truth = (flat == label).float()
        ordered, order = torch.sort((truth - s[:, label]).abs(), descending=True)
        g = truth[order]
        jaccard = 1 - (g.sum() - g.cumsum(0)) / (g.sum() + (1 - g).cumsum(0))
        values.append(torch.dot(ordered, torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])))
    return torch.stack(values).mean()


def topk(logits: Tensor, labels: Tensor) -> Tensor:
    values = F.cross_entropy(logits, labels, reduction="none").flatten()
    return values.topk(len(values) // 10, sorted=False).values.mean()


def all_peers() -> dict[str, tuple[str, Call]]:
    """Every peer that can be called here by name, with the loss of the atlas that it stands beside."""
    peers: dict[str, tuple[str, Call]] = {
        "F.cross_entropy": ("CrossEntropy", cross_entropy),
        "plain Dice": ("Dice", naive_dice),
        "plain Dice + CE": ("DiceCE", naive_dice_ce),
        "plain Lovasz (Berman)": ("Lovasz", berman),
        "plain TopK": ("TopK", topk),
    }
    for library in (_monai, _nnunet, _smp):
        try:
            peers.update(library())
        except ImportError as problem:
            print(f"left out: {library.__name__.strip('_')} ({problem})", file=sys.stderr)
    return peers


def _monai() -> Iterator[tuple[str, tuple[str, Call]]]:
    losses = importlib.import_module("monai.losses")
    names = {
        "DiceLoss": "Dice",
        "GeneralizedDiceLoss": "GeneralizedDice",
        "TverskyLoss": "Tversky",
        "DiceCELoss": "DiceCE",
        "DiceFocalLoss": "DiceFocal",
        "SoftclDiceLoss": "CenterlineDice",
        "HausdorffDTLoss": "HausdorffDT",
    }
    for name, ours in names.items():
        options: dict[str, Any] = {"softmax": True, "to_onehot_y": True}
        options |= {"iter_": 10} if name == "SoftclDiceLoss" else {}
        options |= {"include_background": False} if name in ("SoftclDiceLoss", "HausdorffDTLoss") else {}
        yield f"MONAI {name}", (ours, _with_channel(getattr(losses, name)(**options)))
    focal = losses.FocalLoss(use_softmax=True, to_onehot_y=True)
    yield "MONAI FocalLoss", ("Focal", _with_channel(focal))


def _nnunet() -> Iterator[tuple[str, tuple[str, Call]]]:
    compound = importlib.import_module("nnunetv2.training.loss.compound_losses")
    dice = importlib.import_module("nnunetv2.training.loss.dice").MemoryEfficientSoftDiceLoss
    options = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    both = compound.DC_and_CE_loss(options, {}, dice_class=dice)
    yield "nnU-Net DC+CE", ("DiceCE", _with_channel(both))
    alone = dice(apply_nonlin=lambda x: torch.softmax(x, 1), **options)
    yield "nnU-Net MemoryEfficientSoftDice", ("Dice", _with_channel(alone))
    hardest = compound.DC_and_topk_loss(options, {"k": 10})
    yield "nnU-Net DC+topk", ("DiceTopK", _with_channel(hardest))


def _smp() -> Iterator[tuple[str, tuple[str, Call]]]:
    name = "segmentation_models_pytorch"
    spec = find_spec(name)
    if spec is None:
        raise ImportError(f"{name} is not installed")
    package = types.ModuleType(name)  # its losses, without the encoders that importing it asks for
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package
    losses = importlib.import_module(f"{name}.losses")
    for kind, ours in {"Dice": "Dice", "Jaccard": "Jaccard", "Tversky": "Tversky", "Focal": "Focal"}.items():
        yield f"SMP {kind}Loss", (ours, getattr(losses, f"{kind}Loss")("multiclass"))


def _with_channel(loss: Callable[[Tensor, Tensor], Any]) -> Call:
    return lambda logits, labels: loss(logits, labels[:, None])

"""An input, and a call of this library that must give a record's numbers on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import lossodyssey as lo

Head = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Case:
    """One input: logits (N, C, *S) float64, labels (N, *S), spacing in mm."""

    logits: Tensor
    labels: Tensor
    spacing: tuple[float, ...]

    @property
    def classes(self) -> int:
        return self.logits.shape[1]

    @property
    def one_hot(self) -> Tensor:
        return torch.nn.functional.one_hot(self.labels, self.classes).movedim(-1, 1).double()


@dataclass(frozen=True)
class Call:
    """A loss of this library and how to call it so that value + `offset` is the reference's raw value.

    `head` turns the case's logits and labels into what the loss is given; `apart` averages over samples given one by
    one, for references that reduce each image on its own; `millimetres` gives it the spacing.
    """

    loss: lo.Loss
    offset: float = 0.0
    link: str = "softmax"
    ignore: int | None = None
    head: Head = lambda logits, labels: (logits, labels)
    apart: bool = False
    image: Tensor | None = None
    millimetres: bool = False


Builder = Callable[..., Call]


def evaluate(call: Call, case: Case, *, millimetres: bool) -> tuple[Tensor, Tensor]:
    """Value and gradient with respect to the logits, in double precision, distances included."""
    leaf = case.logits.clone().requires_grad_()
    logits, target = call.head(leaf, case.labels)
    context: dict[str, Any] = {
        "link": call.link,
        "ignore": call.ignore,
        "spacing": case.spacing if millimetres or call.millimetres else None,
        "image": call.image,
    }
    if call.apart:
        values = [call.loss(z[None], y[None], **context) for z, y in zip(logits, target, strict=True)]
        value = torch.stack(values).mean()
    else:
        value = call.loss(logits, target, **context)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach() + call.offset, gradient


# Code that returns -score, where this library returns 1 - score.
RETURNS_NEGATIVE_SCORE = (
    "dice_loss.py SoftDiceLoss",
    "dice_loss.py IoULoss",
    "dice_loss.py TverskyLoss",
    "dice_loss.py AsymLoss",
    "dice_loss.py DC_and_",
    "nnUNet nnunetv2/training/loss/dice.py",
    "nnUNet nnunetv2/training/loss/compound_losses.py",
)


def offset(source: str) -> float:
    return -1.0 if any(name in source for name in RETURNS_NEGATIVE_SCORE) else 0.0


def counting(batch_dice: bool = False, include_background: bool = True, smooth: float = 0.0) -> dict[str, Any]:
    """The fields of region losses in this library's names."""
    return {"batch": batch_dice, "background": include_background, "smooth": smooth}

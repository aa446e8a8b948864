"""The one operator that makes auxiliaries: compiled graphs hold it whole, function transforms fold their axis away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossodyssey.auxiliary.keys import from_key

if TYPE_CHECKING:
    from lossodyssey.auxiliary.auxiliary import Auxiliary


@torch.library.custom_op("lossodyssey::auxiliary", mutates_args=())
def auxiliary(truth: Tensor, classes: int, spacing: Tensor | None, key: str) -> Tensor:
    """Make the auxiliary that `key` defines; samples of equal spacing are made together."""
    which = from_key(key)
    shape = which.shape(truth, classes)
    if truth.numel() == 0:  # a batch without samples, or images without voxels
        return truth.new_zeros(shape, dtype=which.dtype)
    if spacing is None or spacing.ndim == 1:
        return _made(which, truth, classes, None if spacing is None else spacing.tolist())
    steps, group = torch.unique(spacing, dim=0, return_inverse=True)
    if len(steps) == 1:
        return _made(which, truth, classes, steps[0].tolist())
    made = truth.new_empty(shape, dtype=which.dtype)
    for number, step in enumerate(steps.tolist()):
        samples = (group == number).nonzero()[:, 0].to(truth.device)
        made[samples] = _made(which, truth[samples], classes, step)
    return made


def _made(which: Auxiliary, truth: Tensor, classes: int, spacing: list[float] | None) -> Tensor:
    made = which.make(truth, classes, spacing).to(which.dtype)
    return made.contiguous()  # compiled graphs rely on it


@auxiliary.register_fake
def _(truth: Tensor, classes: int, spacing: Tensor | None, key: str) -> Tensor:
    which = from_key(key)
    return truth.new_empty(which.shape(truth, classes), dtype=which.dtype)


def _mapped(
    info: Any, dims: tuple[int | None, ...], truth: Tensor, classes: int, spacing: Tensor | None, key: str
) -> tuple[Tensor, int]:
    """Make a batch of batches as one batch."""
    many = info.batch_size
    truth = truth.movedim(dims[0], 0) if dims[0] is not None else truth.expand(many, *truth.shape)
    each = truth.shape[1]
    if spacing is not None and (dims[2] is not None or spacing.ndim == 2):
        spacing = spacing.movedim(dims[2], 0) if dims[2] is not None else spacing.expand(many, *spacing.shape)
        rows = spacing if spacing.ndim == 3 else spacing[:, None].expand(-1, each, -1)
        spacing = rows.flatten(0, 1)
    return auxiliary(truth.flatten(0, 1), classes, spacing, key).unflatten(0, (many, each)), 0


if hasattr(auxiliary, "register_vmap"):  # PyTorch 2.4 calls the operator once for each element instead
    auxiliary.register_vmap(_mapped)

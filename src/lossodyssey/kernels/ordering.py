"""The order of voxels: increments of the Jaccard loss along the falling errors, and the k-th smallest value.

Two ways each, which agree to the last bit: PyTorch's operations for any input, and compiled code for float32 on the
CPU. That code sorts by bits in place, bucket after bucket, so that little memory serves any number of voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import compiles, transformed

BUCKETS = 8192
"""As many as in `native/order.c`, where the upper half counts voxels that do not count."""


def jaccard_increments_(errors: Tensor, truth: Tensor, room: int) -> Tensor:
    """Return the increments of the Jaccard loss as the voxels turn wrong in the order of their falling errors.

    They are written over the `errors` (U, V) of one unit of samples, for `truth` (U, V) of any dtype, soft or not.
    Equal errors keep the order of their voxels; voxels with a negative error do not count, their increment is 0.
    Compiled code sorts about `room` voxels at a time, and keeps 8 bytes of each.
    """
    if compiles(errors) and errors.stride(1) == 1 and _span(errors) < 1 << 31 and _hard(truth):
        return _compiled_increments_(errors, truth.bool().contiguous(), room)
    flat = errors.reshape(1, -1)
    return errors.copy_(_by_sorting(flat, truth.reshape(1, -1)).view_as(errors))


def smallest(values: Tensor, k: Tensor, most: int) -> Tensor:
    """Return the k-th smallest of `values` (V,), without axes and without sorting them; k is 1 to `most`."""
    if compiles(values):
        found = values.new_empty(())
        native.call("lo_smallest", values.contiguous(), len(values), int(k), found)
        return found
    if not transformed():
        return values.kthvalue(int(k)).values
    return values.topk(most, largest=False).values.gather(0, k[None] - 1)[0]


def sum_of_smallest(values: Tensor, k: Tensor, most: int) -> Tensor:
    """Return the sum of the k smallest of `values` (V,), k from 0 to `most`; equals of the last share a gradient."""
    if values.numel() == 0:
        return values.sum()
    level = smallest(values.detach(), k.clamp(min=1), most)
    if transformed():
        return (values * _shares(values < level, values == level, k, values.dtype)).sum()
    function = _CompiledSumOfSmallest if compiles(values) else _SumOfSmallest
    total: Tensor = function.apply(values, level, k)  # type: ignore[no-untyped-call]
    return total


class _SumOfSmallest(torch.autograd.Function):
    """Keeps two bytes per value, where autograd would keep a number; the compiled one keeps one."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, level: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(values < level, values == level, k)
        # Written with the k-th smallest L as k L + sum min(x - L, 0): equals of L need not be counted.
        return k * level + (values - level).clamp_(max=0).sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        below, equal, k = ctx.saved_tensors
        return _shares(below, equal, k, upstream.dtype).mul_(upstream), None, None


class _CompiledSumOfSmallest(torch.autograd.Function):
    """Keeps one byte per value."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, level: Tensor, k: Tensor) -> Tensor:
        side, sums = torch.empty(len(values), dtype=torch.uint8), torch.zeros(3, dtype=torch.float64)
        native.call("lo_sides", values.contiguous(), len(values), float(level), side, sums)
        missing, below, equal = sums.tolist()
        ctx.save_for_backward(side)
        ctx.share = (int(k) - below) / max(equal, 1)
        total: Tensor = (k * level.double() - missing).to(values.dtype)
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (side,) = ctx.saved_tensors
        found = torch.empty(len(side))
        # A second derivative follows the upstream gradient; else it is multiplied along.
        factor = 1.0 if torch.is_grad_enabled() else float(upstream)
        native.call("lo_by_side", side, len(side), factor, ctx.share * factor, found)
        return found * upstream if torch.is_grad_enabled() else found, None, None


def _shares(below: Tensor, equal: Tensor, k: Tensor, dtype: torch.dtype) -> Tensor:
    """Return how much each value counts: 1 below the level, the rest of k divided among its equals."""
    left = (k - below.count_nonzero()).double() / equal.count_nonzero().clamp(min=1)
    return torch.where(equal, left.to(dtype), below)


def _by_sorting(errors: Tensor, truth: Tensor) -> Tensor:
    """Return the increments of each row (R, V) by sorting it whole."""
    counted = ~(errors < 0)
    g = truth * counted.to(errors.dtype)
    order = errors.sort(dim=-1, descending=True, stable=True).indices
    steps = _increments(g.gather(-1, order), g.sum(-1, dtype=torch.float64, keepdim=True))
    return torch.zeros_like(errors).scatter_(-1, order, steps) * counted


def _increments(g: Tensor, total: Tensor) -> Tensor:
    """Return the increments of the Jaccard loss when the voxels, of truth g (..., V), turn wrong one after another."""
    # With t true and f false voxels wrong, the loss is 1 - (G - t) / (G + f) (Berman 2018, Algorithm 1). Its increments
    # are 1 / (G + f) for a true voxel and (G - t) / ((G + f) (G + f + 1)) for a false one: differences would cancel.
    before = g.cumsum(-1, dtype=total.dtype).sub_(g)
    union = torch.arange(g.shape[-1], device=g.device).sub(before).add_(total).to(g.dtype)
    hits, misses = (total - before).to(g.dtype), 1 - g
    steps = hits.mul_(misses).addcmul_(g, union).div_(misses.add_(union).mul_(union).clamp_(min=1e-30))
    return steps.where(union > 0, 1)


def _compiled_increments_(errors: Tensor, truth: Tensor, room: int) -> Tensor:
    rows = (errors, len(errors), errors.stride(0), errors.shape[1], truth)
    counts = torch.zeros((2, BUCKETS), dtype=torch.int64)
    native.call("lo_count_errors", *rows, counts)
    sizes = counts[:, : BUCKETS // 2].sum(0).tolist()
    parts = list(_parts(sizes[: _last(counts) + 1], room))
    entries = torch.empty(1 + max((sum(sizes[slice(*part)]) for part in parts), default=0), dtype=torch.int64)
    spare = torch.empty(max(sizes), dtype=torch.int64)
    for part in parts:
        native.call("lo_settle_errors", *rows, counts, *part, entries, spare)
    return errors.clamp_(max=0).neg_()


def _last(counts: Tensor) -> int:
    """Return the bucket of the smallest true error: after it the loss is 1 and grows no more, nothing needs sorting.

    Without true voxels it is the bucket of the largest error, which alone counts then; -1 where no voxel counts.
    """
    true, false = (row[: BUCKETS // 2].nonzero()[:, 0].tolist() for row in counts.flip(0))
    return int(true[-1] if true else false[0] if false else -1)


def _parts(sizes: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of buckets that together hold at most `room` entries, or of one bucket that alone holds more."""
    first = held = 0
    for bucket, size in enumerate(sizes):
        if held and held + size > room:
            yield first, bucket
            first, held = bucket, 0
        held += size
    if held:
        yield first, len(sizes)


def _span(errors: Tensor) -> int:
    return len(errors) * max(errors.stride(0), errors.shape[1])


def _hard(truth: Tensor) -> bool:
    return not truth.is_floating_point() or bool(((truth == 0) | (truth == 1)).all())

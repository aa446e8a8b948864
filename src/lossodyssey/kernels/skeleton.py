"""Soft skeletons by repeated opening (Shit 2021), with a backward pass that keeps only the input.

Level by level x_{k+1} = E x_k, delta_k = relu(x_k - D x_{k+1}), S <- S + relu(delta_k - S delta_k), with the erosion E
(the least of a voxel and its face neighbours) and the dilation D (the greatest of its 3^d box). The image's outside
decides neither. Backward recomputes the levels of one volume at a time and sends each gradient to the voxel that
decided the minimum or maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.kernels import transformed

Offset = tuple[int, int]
"""An axis and a step of -1, 0 or 1 along it."""

MOST = 50
"""The most openings where their number follows from the objects: one that fills the image never vanishes."""


def soft_skeleton(x: Tensor, iterations: int) -> Tensor:
    """Return the soft skeletons of volumes x (B, *S) with values in 0..1, after 1 + `iterations` openings."""
    if x.numel() == 0:
        return x
    if torch.compiler.is_compiling():
        opaque: Tensor = compiled_skeleton(x, iterations)
        return opaque
    if transformed():
        return pooled(x, iterations)
    skeleton: Tensor = _SoftSkeleton.apply(x, iterations)  # type: ignore[no-untyped-call]
    return skeleton


def pooled(x: Tensor, iterations: int) -> Tensor:
    """Return the same by PyTorch's pooling: differentiable any number of times, slow, and greedy for memory."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 2]
    x, skeleton = x[:, None], torch.zeros_like(x[:, None])
    for _ in range(iterations + 1):
        eroded = _pooled_erosion(x, pool)
        delta = torch.relu(x - pool(eroded, 3, 1, 1))
        skeleton = skeleton + torch.relu(delta - skeleton * delta)
        x = eroded
    return skeleton[:, 0]


def _pooled_erosion(x: Tensor, pool: Callable[..., Tensor]) -> Tensor:
    axes, eroded = x.ndim - 2, x
    for axis in range(axes):
        window = [3 if k == axis else 1 for k in range(axes)]
        eroded = torch.minimum(eroded, -pool(-x, window, 1, [size // 2 for size in window]))
    return eroded


class _SoftSkeleton(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, iterations: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.iterations = iterations
        return _skeletons(x, iterations)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            skeleton = pooled(x, ctx.iterations)
            return torch.autograd.grad(skeleton, x, gradient, create_graph=True)[0], None
        return torch.stack([_pull_back(v, g, ctx.iterations) for v, g in zip(x, gradient, strict=True)]), None


@torch.library.custom_op("lossodyssey::soft_skeleton", mutates_args=())
def compiled_skeleton(x: Tensor, iterations: int) -> Tensor:
    """Compute soft skeletons (B, *S) as one opaque operator: compiled graphs hold it whole, with its own gradient."""
    return _skeletons(x, iterations)


@torch.library.custom_op("lossodyssey::soft_skeleton_gradient", mutates_args=())
def compiled_gradient(x: Tensor, gradient: Tensor, iterations: int) -> Tensor:
    """Compute dL/dx (B, *S), given the gradient dL/d(skeleton)."""
    pulled = torch.empty_like(x)
    for volume, g, out in zip(x, gradient, pulled, strict=True):
        out.copy_(_pull_back(volume, g, iterations))
    return pulled


@compiled_skeleton.register_fake
def _(x: Tensor, iterations: int) -> Tensor:
    return torch.empty_like(x)


@compiled_gradient.register_fake
def _(x: Tensor, gradient: Tensor, iterations: int) -> Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.iterations = inputs[1]


def _through_graph(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    return compiled_gradient(ctx.saved_tensors[0], gradient, ctx.iterations), None


compiled_skeleton.register_autograd(_through_graph, setup_context=_keep)


@torch.no_grad()
def _skeletons(x: Tensor, iterations: int) -> Tensor:
    skeletons = torch.zeros_like(x)
    for volume, skeleton in zip(x, skeletons, strict=True):
        for _ in range(iterations + 1):
            eroded = erode(volume)
            delta = torch.relu_(volume - dilations(eroded)[-1])
            skeleton.add_(torch.relu_(delta - skeleton * delta))
            volume = eroded
    return skeletons


def openings(x: Tensor, most: int) -> int:
    """Return after how many openings besides the first nothing is left of volumes x (B, *S) of bools: 0 to `most`."""
    return max((_erosions(volume, most + 1) for volume in x.to(torch.uint8)), default=1) - 1


def _erosions(volume: Tensor, most: int) -> int:
    """Return how many erosions it takes until a volume (*S) is empty: 1 to `most`."""
    for count in range(1, most):
        volume = erode(volume)
        if not volume.any():
            return count
    return most


def erode(x: Tensor) -> Tensor:
    """Return the least of every voxel of a volume (*S) and its face neighbours."""
    least = x.clone()
    for axis in range(x.ndim):
        _take_neighbours(torch.minimum, least, x, axis)
    return least


def dilations(x: Tensor) -> list[Tensor]:
    """Return a volume (*S) and its running maximum along one axis after another: the last is over the 3^d box."""
    stages = [x]
    for axis in range(x.ndim):
        stages.append(stages[-1].clone())
        _take_neighbours(torch.maximum, stages[-1], stages[-2], axis)
    return stages


def _take_neighbours(choose: Callable[..., Tensor], best: Tensor, x: Tensor, axis: int) -> None:
    for step in (-1, 1):
        here, there = _windows(best, axis, step), _windows(x, axis, -step)
        choose(here, there, out=here)


def _windows(x: Tensor, axis: int, step: int) -> Tensor:
    """Return the voxels that have a neighbour `step` further along the axis."""
    return x.narrow(axis, max(-step, 0), x.shape[axis] - abs(step))


def _pull_back(x: Tensor, gradient: Tensor, iterations: int) -> Tensor:
    """Return dL/dx of one volume, given the gradient dL/d(skeleton)."""
    # The levels are made again: the forward pass kept the input alone.
    volumes, skeletons = [x], [torch.zeros_like(x)]
    for _ in range(iterations + 1):
        volumes.append(erode(volumes[-1]))
        delta = torch.relu_(volumes[-2] - dilations(volumes[-1])[-1])
        skeletons.append(skeletons[-1] + torch.relu_(delta - skeletons[-1] * delta))
    skeletons.pop()

    d_skeleton, d_eroded = gradient, torch.zeros_like(x)
    while skeletons:
        eroded, skeleton = volumes.pop(), skeletons.pop()
        stages = dilations(eroded)
        delta = torch.relu_(volumes[-1] - stages[-1])
        # S_{k+1} = S_k + relu(delta - S_k delta): where the relu passes, the derivative for delta is 1 - S_k, and that
        # for S_k is 1 - delta.
        passing = _as_numbers(torch.gt, delta, skeleton * delta).mul_(d_skeleton)
        d_delta = passing * (1 - skeleton)
        d_skeleton = d_skeleton - passing * delta
        # delta = relu(x_k - D x_{k+1}): with the opposite sign back through the dilation, then through the erosion.
        d_eroded += _through_dilation(-d_delta, stages)
        d_eroded = d_delta + _send(d_eroded, volumes[-1], eroded, _cross(x.ndim))
    return d_eroded


def _as_numbers(compare: Callable[..., Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return a comparison as 0 and 1 in the dtype of x: a product with truth values takes thirty times as long."""
    found: Tensor = compare(x, y, out=torch.empty_like(x, memory_format=torch.contiguous_format))
    return found


def _through_dilation(gradient: Tensor, stages: list[Tensor]) -> Tensor:
    for axis in reversed(range(len(stages) - 1)):
        line = [(axis, -1), (axis, 0), (axis, 1)]
        gradient = _send(gradient, stages[axis], stages[axis + 1], line)
    return gradient


def _cross(axes: int) -> list[Offset]:
    return [(0, 0)] + [(axis, step) for axis in range(axes) for step in (-1, 1)]


def _send(gradient: Tensor, source: Tensor, chosen: Tensor, offsets: list[Offset]) -> Tensor:
    """Pass each voxel's gradient to the first of its neighbours in `source` whose value was `chosen`."""
    sent, left = torch.zeros_like(gradient), gradient.clone()
    for axis, step in offsets:
        remaining = _windows(left, axis, step)
        share = _as_numbers(torch.eq, _windows(source, axis, -step), _windows(chosen, axis, step)).mul_(remaining)
        _windows(sent, axis, -step).add_(share)
        remaining.sub_(share)
    return sent

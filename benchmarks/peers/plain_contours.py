"""Plain forms of the losses of contours and shapes, as a paper's reader would write them."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.peers.plain_maps import per_class
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor


def pair(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return torch.softmax(logits, 1)[:, 1:], F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()[:, 1:]


def active_contour(logits: Tensor, labels: Tensor) -> Tensor:
    # Chen et al. 2019; forward differences of every mirror image.
    s, g = pair(logits, labels)
    lengths = []
    for ahead in product((True, False), repeat=s.ndim - 2):
        squares = torch.full_like(s, 1e-8)
        for axis, forward in enumerate(ahead, 2):
            steps, border = s.diff(dim=axis), torch.zeros_like(s.narrow(axis, 0, 1))
            squares = squares + torch.cat([steps, border] if forward else [border, steps], axis) ** 2
        lengths.append(squares.sqrt().mean())
    return torch.stack(lengths).mean() + (s * (1 - g) ** 2 + (1 - s) * g**2).mean()


def elastic_interaction(logits: Tensor, labels: Tensor) -> Tensor:
    # Lan et al. 2020: the frequency times the power of alpha s - g.
    s, g = pair(logits, labels)
    lines = [torch.fft.fftfreq(n, device=s.device) for n in s.shape[2:]]
    size = sum(line**2 for line in torch.meshgrid(*lines, indexing="ij")).sqrt()  # type: ignore[union-attr]
    power = torch.fft.fftn(0.35 * s - g, dim=tuple(range(2, s.ndim)), norm="ortho").abs() ** 2
    return (size * power).mean()


def _to_edge(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    return np.asarray(distance_transform_edt(~(mask & ~binary_erosion(mask, border_value=1))))


def to_edge(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _to_edge)


def _edge(mask: Tensor) -> Tensor:
    core = mask.clone()
    for axis in range(2, mask.ndim):
        n = mask.shape[axis] - 1
        core.narrow(axis, 0, n).logical_and_(mask.narrow(axis, 1, n))
        core.narrow(axis, 1, n).logical_and_(mask.narrow(axis, 0, n))
    return mask & ~core


def shape_aware(logits: Tensor, labels: Tensor, distance: Tensor) -> Tensor:
    # Al Arif et al. 2017, as described elsewhere: one mean distance per contour weighs the voxels that differ.
    one_hot = [F.one_hot(each, logits.shape[1]).movedim(-1, 1).bool()[:, 1:] for each in (logits.argmax(1), labels)]
    curve = _edge(one_hot[0]).flatten(2)
    apart = (curve * distance[:, 1:]).sum(2) / curve.sum(2).clamp(min=1)
    factor = 1 + (apart[..., None] * (one_hot[0] ^ one_hot[1]).flatten(2)).sum(1)
    return (factor * F.cross_entropy(logits, labels, reduction="none").flatten(1)).mean()


def _barrier(z: Tensor) -> Tensor:
    return torch.where(z <= -1, -torch.log((-z).clamp(min=1)), z + 1)


def _descriptors(x: Tensor) -> list[Tensor]:
    places = torch.meshgrid(*[torch.arange(n, device=x.device) for n in x.shape[2:]], indexing="ij")
    size, centres, spreads = x.flatten(2).sum(2).double(), [], []
    for place in places:
        centre = (x * place).flatten(2).sum(2).double() / size
        centres.append(centre)
        away = (place - centre.float().reshape(*size.shape, *[1] * place.ndim)) ** 2
        spreads.append(((x * away).flatten(2).sum(2).double() / size + 1e-8).sqrt())
    length = torch.zeros_like(size)
    for way in product((-1, 0, 1), repeat=len(places)):
        if way > (0,) * len(way):
            here, there = x, x
            for axis, step in enumerate(way, 2):
                n = x.shape[axis] - abs(step)
                here, there = here.narrow(axis, max(-step, 0), n), there.narrow(axis, max(step, 0), n)
            length = length + ((here - there) ** 2).flatten(2).sum(2)
    return [size, length, *centres, *spreads]


def shape_descriptors(logits: Tensor, labels: Tensor) -> Tensor:
    # Kervadec et al. 2021 with t = 1: a tenth around size and length, 20 voxels around centroid and spread.
    s, g = pair(logits, labels)
    total, there = torch.zeros((), dtype=torch.float64, device=s.device), g.flatten(2).sum(2) > 0
    for k, (found, true) in enumerate(zip(_descriptors(s), _descriptors(g), strict=True)):
        true = true.nan_to_num()
        width = 0.1 * true if k < 2 else torch.full_like(true, 20.0)
        costs = _barrier(found - true - width) + _barrier(true - found - width)
        total = total + (costs if k < 2 else costs * there).mean()
    return (total / labels[0].numel()).to(s.dtype)

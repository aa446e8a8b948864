"""Losses of contours as training scripts write them: pooling, dense neighbours, scipy's transform per sample."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.peers.plain_maps import centerline, per_class
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor


def _pools(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the contours of x and their dilations: by 1 voxel along each axis, and by a box of 5."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    contour = x + pool(-x, 3, 1, 1)
    axes = range(x.ndim - 2)
    windows = [[3 if axis == k else 1 for k in axes] for axis in axes]
    lines = [pool(contour, window, 1, [size // 2 for size in window]) for window in windows]
    return contour, torch.stack(lines).amax(0), pool(contour, 5, 1, 2)


def _foreground(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    g = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(logits.dtype)
    return torch.softmax(logits, 1)[:, 1:], g


def _mean_of_present(values: Tensor, contour: Tensor) -> Tensor:
    there = contour.flatten(2).sum(2) > 0
    return (values * there).sum() / there.sum()


def contour_dice(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = _foreground(logits, labels)
    (ds, bs, _), (dg, bg, _) = _pools(s), _pools(g)
    matched = (dg * bs + ds * bg).flatten(2).sum(2)
    return _mean_of_present(1 - matched / (dg + ds).flatten(2).sum(2), dg)


def surface_dice(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = _foreground(logits, labels)
    (_, _, bs), (dg, _, bg) = _pools(s), _pools(g)
    return _mean_of_present(1 - 2 * (bs * bg).flatten(2).sum(2) / (bs + bg).flatten(2).sum(2), dg)


def _region(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = torch.softmax(logits, 1).flatten(2), F.one_hot(labels, logits.shape[1]).movedim(-1, 1).flatten(2)
    squared = ((s - g) ** 2).sum(2) / ((s**2).sum(2) + g.sum(2) + 1e-6)
    return 0.5 * F.cross_entropy(logits, labels) + 0.5 * squared.mean()


def volumetric_sddl(logits: Tensor, labels: Tensor) -> Tensor:
    return 0.5 * _region(logits, labels) + 0.5 * surface_dice(logits, labels)


def vessel_sddl(logits: Tensor, labels: Tensor) -> Tensor:
    tubes = 0.5 * _region(logits, labels) + 0.5 * centerline(logits, labels)
    return 0.5 * tubes + 0.5 * surface_dice(logits, labels)


def edge(labels: Tensor, classes: int) -> Tensor:
    # Outside the image is outside the object: scipy's erosion takes it for background.
    return per_class(labels, classes, lambda mask: mask & ~binary_erosion(mask))


def boundary_dou(logits: Tensor, labels: Tensor, edges: Tensor) -> Tensor:
    s = torch.softmax(logits, 1).flatten(2)[:, 1:]
    g = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).flatten(2)[:, 1:].to(s.dtype)
    c, size, overlap = edges[:, 1:].sum(2), g.sum(2), (s * g).sum(2)
    alpha = (2 * (1 - (c + 1e-5) / (size + 1e-5)) - 1).clamp(max=0.8)
    errors = (s**2).sum(2) + size - 2 * overlap
    return _mean_of_present(errors / (errors + (1 - alpha) * overlap + 1e-5), g)


def edge_distance(labels: Tensor, classes: int) -> Tensor:
    maps = [distance_transform_edt(~_meeting(sample)) for sample in labels.cpu().numpy()]
    return torch.from_numpy(np.stack(maps)).float()[:, None].flatten(2).to(labels.device)


def _meeting(labels: np.ndarray) -> np.ndarray:
    border = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        differ = np.diff(labels, axis=axis) != 0
        for edges in ((0, 1), (1, 0)):
            border |= np.pad(differ, [edges if k == axis else (0, 0) for k in range(labels.ndim)])
    return border


def active_boundary(logits: Tensor, labels: Tensor, distance: Tensor) -> Tensor:
    log_p, space = torch.log_softmax(logits, 1), labels.shape[1:]
    steps = [step for step in itertools.product((-1, 0, 1), repeat=len(space)) if any(step)]
    p, d = log_p.detach(), distance.reshape(labels.shape)
    towards = [(p.exp() * (p - _moved(p, step))).sum(1) for step in steps]
    faces = torch.stack([kl for step, kl in zip(steps, towards, strict=True) if sum(map(abs, step)) == 1]).amax(0)
    contrast = torch.where(d > 0, faces, 0).flatten(1)
    number = -(-contrast.shape[1] // 100)
    strongest, chosen = contrast.topk(number, 1)

    divergence = torch.stack([(_moved(log_p, step).exp() * (_moved(log_p, step) - log_p)).sum(1) for step in steps])
    around = torch.stack([_moved(d[:, None], step, torch.inf)[:, 0] for step in steps])
    true = (around == around.amin(0)).float()
    target = 0.8 * true / true.sum(0) + 0.2 * (1 - true / true.sum(0)) / (len(steps) - 1)
    values = -(target * divergence.log_softmax(0)).sum(0) * d.clamp(max=20) / 20
    counted = (strongest > 1e-5).float()
    return (values.flatten(1).gather(1, chosen) * counted).sum() / counted.sum().clamp(min=1)


def _moved(x: Tensor, step: tuple[int, ...], outside: float | None = None) -> Tensor:
    """Return the value of each voxel's neighbour, (N, C, *S); outside the image the nearest, or a number."""
    pads = [1, 1] * len(step)
    padded = F.pad(x, pads, value=outside) if outside is not None else F.pad(x, pads, mode="replicate")
    for axis, move in enumerate(step, start=2):
        padded = padded.narrow(axis, 1 + move, x.shape[axis])
    return padded

"""Losses of distances to boundaries as training scripts would write them: scipy's transform, direct convolutions."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.peers.plain_maps import per_class
from benchmarks.peers.plain_regions import pair
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor


def generalized_surface(logits: Tensor, labels: Tensor, d: Tensor) -> Tensor:
    # Celaya et al. 2023: the share of the squared distances that is right, classes weighted by 1 / (size^2 + 1).
    s, g = pair(logits, labels)
    weight = 1 / (g.sum(2) ** 2 + 1)
    right = (weight * ((d * (1 - (s + g))) ** 2).sum(2)).sum(1)
    return (1 - right / (weight * (d**2).sum(2)).sum(1)).mean()


def _signed_share(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return np.full(mask.shape, -1.0 if mask.any() else 1.0)
    distance = distance_transform_edt(~(mask & ~binary_erosion(mask, border_value=1)))
    inside, outside = distance * mask, distance * ~mask
    return np.asarray(outside / outside.max() - inside / max(inside.max(), 1))


def signed_shares(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _signed_share)


def signed_distance_regression(logits: Tensor, labels: Tensor, y: Tensor) -> Tensor:
    # Xue et al. 2020, with the log-odds in place of an output of its own.
    s, y = torch.softmax(logits, 1).flatten(2)[:, 1:], y[:, 1:]
    f = (1 - 2 * s) / (s**2 + (1 - s) ** 2)
    fy = (f * y).sum(2)
    return (1 / 3 - fy / (fy + (f**2).sum(2) + (y**2).sum(2) + 1e-5) + (f - y).abs().mean(2)).mean()


def hausdorff_convolution(logits: Tensor, labels: Tensor) -> Tensor:
    # Karimi and Salcudean 2019: means over balls of each radius, by convolution with a kernel of the ball.
    s, g = (x[:, 1:].reshape(-1, 1, *labels.shape[1:]) for x in pair(logits, labels))
    axes, false, missed = labels.ndim - 1, torch.zeros_like(s), torch.zeros_like(s)
    convolve = (F.conv2d, F.conv3d)[axes - 2]
    for r in (3, 6, 9, 12, 15, 18):
        offsets = torch.meshgrid(*[torch.arange(-r, r + 1)] * axes, indexing="ij")
        ball = (sum(offset**2 for offset in offsets) <= r**2).to(s)[None, None]
        size = convolve(torch.ones_like(s[:1]), ball, padding=r)
        near_s, near_g = (convolve(x, ball, padding=r) / size for x in (s, g))
        false = false + r**2 * (F.relu(0.5 - near_g) + F.relu(near_s - 0.5))
        missed = missed + r**2 * (F.relu(near_g - 0.5) + F.relu(0.5 - near_s))
    return ((s - g) ** 2 * (false * s + missed * g)).mean()

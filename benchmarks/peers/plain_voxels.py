"""Losses of every voxel's true class as training scripts write them: a map of cross entropies and its powers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def voxels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return cross entropy and probability of the true class of every voxel."""
    ce = F.cross_entropy(logits, labels, reduction="none")
    return ce, torch.exp(-ce)


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    ce, p = voxels(logits, labels)
    return ((1 - p) ** 2 * ce).mean()


def topk(logits: Tensor, labels: Tensor) -> Tensor:
    values = voxels(logits, labels)[0].flatten()
    return values.topk(max(1, len(values) // 10), sorted=False).values.mean()


def topk_threshold(logits: Tensor, labels: Tensor) -> Tensor:
    ce, p = voxels(logits, labels)
    return ce[p < 0.3].mean()


def exponential_ce(logits: Tensor, labels: Tensor) -> Tensor:
    return (voxels(logits, labels)[0].clamp(min=1e-8) ** 0.3).mean()


def symmetric_focal(logits: Tensor, labels: Tensor, delta: float = 0.7, gamma: float = 2.0) -> Tensor:
    ce, p = voxels(logits, labels)
    return (torch.where(labels > 0, delta, 1 - delta) * (1 - p) ** gamma * ce).mean()


def asymmetric_focal(logits: Tensor, labels: Tensor, delta: float = 0.7, gamma: float = 2.0) -> Tensor:
    ce, p = voxels(logits, labels)
    return torch.where(labels > 0, delta * ce, (1 - delta) * (1 - p).clamp(min=1e-8) ** gamma * ce).mean()

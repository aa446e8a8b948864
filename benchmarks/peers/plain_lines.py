"""Losses of centre lines as training scripts write them: pooled soft skeletons, scikit-image and scipy per sample."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.peers.plain_maps import soft_skeleton
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize
from torch import Tensor


def soft_lines(labels: Tensor, classes: int) -> Tensor:
    one_hot = F.one_hot(labels, classes).movedim(-1, 1)[:, 1:].float()
    return soft_skeleton(one_hot, 3)


def centerline_ce(logits: Tensor, labels: Tensor, line: Tensor) -> Tensor:
    # Acebes et al. 2024: the cross entropy along both lines, each divided by the size of its line.
    costs, own = F.cross_entropy(logits, labels, reduction="none")[:, None], soft_skeleton(logits.softmax(1)[:, 1:], 3)
    terms = [(x * costs).flatten(2).sum(2) / x.flatten(2).sum(2).clamp(min=1e-12) for x in (line, own)]
    return (terms[0] + terms[1]).mean()


def lines_and_depths(labels: Tensor, classes: int = 2) -> Tensor:
    """Return the centre line and the depth of the foreground, (N, 2, *S)."""
    bodies = (labels > 0).cpu().numpy()
    parts = [np.stack([skeletonize(body).astype(bool), distance_transform_edt(body)]) for body in bodies]
    return torch.from_numpy(np.stack(parts)).float().to(labels.device)


def _tube(parts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    line, depth = parts.flatten(2).unbind(1)
    radius = line * depth
    largest = radius.amax(1, keepdim=True).clamp(min=1)
    least = torch.where(line > 0, radius, torch.inf).amin(1, keepdim=True)
    weight = torch.where(line > 0, ((largest - radius + least) / largest) ** (parts.ndim - 3), 0)
    return depth.minimum(largest) / largest, radius / largest, weight


def centerline_boundary(logits: Tensor, labels: Tensor, parts: Tensor) -> Tensor:
    # Shi et al. 2024, of all foreground, with hard skeletons of both masks.
    p = 1 - logits.softmax(1)[:, 0]
    found = tuple(p.flatten(1) * part for part in _tube(lines_and_depths(p.detach() > 0.5)))
    truth, scores = _tube(parts), []
    for (_, own, weight), (share, other, _) in ((found, truth), (truth, found)):
        expected = torch.where(other > 0, other, own)
        scores.append(((weight * share).sum(1) + 1) / ((weight * expected).sum(1) + 1))
    return (1 - 2 * scores[0] * scores[1] / (scores[0] + scores[1])).mean()

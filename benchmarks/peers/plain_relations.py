"""Plain forms of the losses of relations between classes and neighbourhoods, as a paper's reader would write them."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from benchmarks.peers.entry import cross_entropy
from torch import Tensor


def pair(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return torch.softmax(logits, 1), F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)


def adjacency(x: Tensor) -> Tensor:
    mean = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.ndim - 3](x, 3, 1, 1)
    return torch.einsum("niv,njv->nij", x.flatten(2), mean.flatten(2)) / x[0, 0].numel()


def forbidden(g: Tensor) -> Tensor:
    return adjacency(g) == 0


def without_diagonal(table: Tensor) -> Tensor:
    return table & ~torch.eye(table.shape[1], dtype=torch.bool, device=table.device)


def non_adjacency(logits: Tensor, labels: Tensor) -> Tensor:
    # Ganaye et al. 2019; forbidden is what does not touch in the sample's labels.
    s, g = pair(logits, labels)
    return (adjacency(s) * without_diagonal(forbidden(g))).sum((1, 2)).mean()


def topological_interaction(logits: Tensor, labels: Tensor) -> Tensor:
    # Gupta et al. 2022, box of three; the same rule for what is forbidden.
    _, g = pair(logits, labels)
    hard = F.one_hot(logits.argmax(1), logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    around = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[hard.ndim - 3](hard, 3, 1, 1)
    apart = without_diagonal(forbidden(g)).to(hard.dtype)
    critical = ((apart @ around.flatten(2)).reshape(hard.shape) * hard).sum(1) > 0
    return (critical * F.cross_entropy(logits, labels, reduction="none")).sum() / len(logits)


def wasserstein_dice(logits: Tensor, labels: Tensor) -> Tensor:
    # Fidon et al. 2017 with distances of 0 and 1.
    s, g = (x.flatten(2) for x in pair(logits, labels))
    matrix = 1 - torch.eye(s.shape[1], device=s.device)
    w = (g * (matrix @ s)).sum(1)
    tp = ((1 - w) * (1 - g[:, 0])).sum(1)
    return (1 - (2 * tp + 1e-5) / (2 * tp + w.sum(1) + 1e-5)).mean()


def _regions(x: Tensor) -> Tensor:
    sizes = [3 if n >= 9 else 1 for n in x.shape[2:]]
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    x = pool(x, sizes, sizes, [size // 2 for size in sizes]).double()
    shifts = [range(min(3, n)) for n in x.shape[2:]]
    parts = []
    for way in product(*shifts):
        part = x
        for axis, (start, span) in enumerate(zip(way, shifts, strict=True), 2):
            part = part.narrow(axis, start, x.shape[axis] - len(span) + 1)
        parts.append(part.flatten(2))
    found = torch.stack(parts, 2)
    return found - found.mean(3, keepdim=True)


def region_mutual_information(logits: Tensor, labels: Tensor) -> Tensor:
    # Zhao et al. 2019, less its lower bound.
    s, g = (_regions(x) for x in pair(logits, labels))
    r = g.shape[2]
    noise = 5e-4 * torch.eye(r, dtype=torch.float64, device=g.device)
    gs = g @ s.transpose(2, 3)
    m = g @ g.transpose(2, 3) - gs @ torch.linalg.solve(s @ s.transpose(2, 3) + noise, gs.transpose(2, 3))
    values = torch.logdet(m + noise) / (2 * r) - math.log(5e-4) / 2
    return values.mean().to(logits.dtype)


def ce_region_mutual_information(logits: Tensor, labels: Tensor) -> Tensor:
    return 0.5 * cross_entropy(logits, labels) + 0.5 * region_mutual_information(logits, labels)


def _window(x: Tensor) -> Tensor:
    side = math.exp(-0.5 / 1.5**2)
    for axis in range(2, x.ndim):
        edge = torch.zeros_like(x.narrow(axis, 0, 1))
        n = x.shape[axis] - 1
        back, ahead = (torch.cat(parts, axis) for parts in ((edge, x.narrow(axis, 0, n)), (x.narrow(axis, 1, n), edge)))
        x = x + side * (back + ahead)
    return x


def _structure(x: Tensor) -> Tensor:
    x = x.double()
    weight = _window(torch.ones_like(x[:1, :1]))
    mean = _window(x) / weight
    deviation = (_window(x * x) / weight - mean**2).clamp(min=1e-12).sqrt()
    return (x - mean + 0.01) / (deviation + 0.01)


def structural_similarity(logits: Tensor, labels: Tensor) -> Tensor:
    # Zhao et al. 2019, with the error of the true class.
    s, g = pair(logits, labels)
    e = (_structure(g) - _structure(s)).abs()
    kept = e > 0.1 * e.flatten(2).amax(2).reshape(*e.shape[:2], *[1] * (e.ndim - 2))
    values = F.cross_entropy(logits, labels, reduction="none").double()
    hard = ((g * kept * e).sum(1) * values).sum() / (g * kept).sum()
    return (0.5 * values.mean() + 0.5 * hard).to(logits.dtype)

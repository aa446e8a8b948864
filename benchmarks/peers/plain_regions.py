"""Losses of overlap as training scripts write them: softmax, one-hot, products, sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pair(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities and one-hot truth, (N, C, V)."""
    one_hot = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
    return torch.softmax(logits, 1).flatten(2), one_hot.flatten(2)


def counts(logits: Tensor, labels: Tensor, first: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Count soft true positives, false positives and false negatives (N, C) of the classes from `first` on."""
    s, g = (x[:, first:] for x in pair(logits, labels))
    return (s * g).sum(2), (s * (1 - g)).sum(2), ((1 - s) * g).sum(2)


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    return 1 - ((2 * (s * g).sum(2) + 1e-5) / (s.sum(2) + g.sum(2) + 1e-5)).mean()


def batch_dice(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    return 1 - ((2 * (s * g).sum((0, 2)) + 1) / (s.sum((0, 2)) + g.sum((0, 2)) + 1)).mean()


def jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    tp, fp, fn = counts(logits, labels)
    return 1 - ((tp + 1e-5) / (tp + fp + fn + 1e-5)).mean()


def matthews(logits: Tensor, labels: Tensor, smooth: float = 1e-5) -> Tensor:
    tp, fp, fn = (x.double() for x in counts(logits, labels))
    tp, tn = tp + smooth, labels[0].numel() - tp - fp - fn + smooth
    return (1 - (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)).sqrt()).mean().float()


def tversky_terms(
    logits: Tensor, labels: Tensor, alpha: float, beta: float, smooth: float = 1e-5, first: int = 1
) -> Tensor:
    tp, fp, fn = counts(logits, labels, first)
    return 1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)


def tversky(logits: Tensor, labels: Tensor) -> Tensor:
    return tversky_terms(logits, labels, 0.3, 0.7).mean()


def focal_tversky(logits: Tensor, labels: Tensor) -> Tensor:
    return (tversky_terms(logits, labels, 0.3, 0.7) ** 0.75).mean()


def asymmetric_similarity(logits: Tensor, labels: Tensor) -> Tensor:
    return tversky_terms(logits, labels, 1 / (1 + 1.5**2), 1.5**2 / (1 + 1.5**2)).mean()


def symmetric_focal_tversky(logits: Tensor, labels: Tensor, delta: float = 0.7, gamma: float = 0.75) -> Tensor:
    return (tversky_terms(logits, labels, 1 - delta, delta, 1e-7, first=0) ** (1 - gamma)).mean()


def asymmetric_focal_tversky(logits: Tensor, labels: Tensor, delta: float = 0.7, gamma: float = 0.75) -> Tensor:
    terms = tversky_terms(logits, labels, 1 - delta, delta, 1e-7, first=0)
    # Yeung et al. 2021: the power lifts foreground classes alone.
    return torch.cat([terms[:, :1], terms[:, 1:] ** (1 - gamma)], 1).mean()


def logarithmic_dice(logits: Tensor, labels: Tensor) -> Tensor:
    tp, fp, fn = counts(logits, labels, first=0)
    # Wong et al. 2018: (-ln Dice)^0.3 of every class.
    return ((-torch.log((2 * tp + 1) / (2 * tp + fp + fn + 1))) ** 0.3).mean()


def generalized_dice_terms(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = pair(logits, labels)
    size = g.sum(2)
    w = 1 / size**2
    # Sudre et al. 2017: w = 1 / size^2; an absent class takes the largest weight, since 1 / 0 is infinite.
    w = torch.where(size > 0, w, w.masked_fill(size == 0, 0).amax(1, keepdim=True))
    return 1 - 2 * (w * (s * g).sum(2)).sum(1) / (w * (s + g).sum(2)).sum(1)


def generalized_dice(logits: Tensor, labels: Tensor) -> Tensor:
    return generalized_dice_terms(logits, labels).mean()


def penalty_generalized_dice(logits: Tensor, labels: Tensor) -> Tensor:
    x = generalized_dice_terms(logits, labels)
    # Yang et al. 2019: PGDL = 1 - GD / (1 + k (1 - GD)) with k = 2.5.
    return (1 - (1 - x) / (1 + 2.5 * x)).mean()


def sensitivity_specificity(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    # Brosch et al. 2015: squared errors, within the object and outside it.
    error = (g - s) ** 2
    missed = (error * g).sum(2) / (g.sum(2) + 1e-5)
    false_alarm = (error * (1 - g)).sum(2) / ((1 - g).sum(2) + 1e-5)
    return (0.05 * missed + 0.95 * false_alarm).mean()


def lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute Lovasz-softmax in the form of Berman 2018: one torch.sort with indices per class."""
    s, flat, values = torch.softmax(logits, 1).movedim(1, -1).flatten(0, -2), labels.flatten(), []
    for label in range(s.shape[1]):
        truth = (flat == label).float()
        if truth.sum() == 0:
            continue
        ordered, order = torch.sort((truth - s[:, label]).abs(), descending=True)
        g = truth[order]
        # The Jaccard loss after each further error; its increments are the gradient along the falling errors.
        slopes = 1 - (g.sum() - g.cumsum(0)) / (g.sum() + (1 - g).cumsum(0))
        values.append(torch.dot(ordered, torch.cat([slopes[:1], slopes[1:] - slopes[:-1]]).to(ordered.dtype)))
    return torch.stack(values).mean()

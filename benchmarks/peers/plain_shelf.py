"""Losses of hard, smoothed, calibrated and noisy labels, and of single objects, as training scripts write them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from benchmarks.peers.entry import Call, cross_entropy
from benchmarks.peers.plain_regions import dice, pair
from benchmarks.peers.plain_voxels import voxels
from torch import Tensor

from lossodyssey.auxiliary import Cells, Components, InverseSize


def poly_ce(logits: Tensor, labels: Tensor) -> Tensor:
    ce, p = voxels(logits, labels)
    return (ce + 1 - p).mean()


def poly_focal(logits: Tensor, labels: Tensor) -> Tensor:
    ce, p = voxels(logits, labels)
    return ((1 - p) ** 2 * ce + (1 - p) ** 3).mean()


def ohem(logits: Tensor, labels: Tensor) -> Tensor:
    ce = voxels(logits, labels)[0].flatten().sort(descending=True).values
    kept = max(int((ce > -math.log(0.7)).sum()), len(ce) // 10, 1)
    return ce[:kept].mean()


def tilted(logits: Tensor, labels: Tensor) -> Tensor:
    ce = voxels(logits, labels)[0]
    means = torch.stack([ce[labels == c].mean() for c in labels.unique()])
    return means.exp().mean().log()


def margin_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Take a margin of 1 from the true logit of every foreground voxel."""
    return logits - F.one_hot(labels, logits.shape[1]).movedim(-1, 1) * (labels > 0)[:, None]


def large_margin(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(margin_logits(logits, labels), labels)


def asymmetric_margin(logits: Tensor, labels: Tensor) -> Tensor:
    ce, p = voxels(margin_logits(logits, labels), labels)
    return torch.where(labels > 0, ce, (1 - p) ** 4 * ce).mean()


def focal_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Return plain Dice: all foreground is rare at the defaults, so that no missed voxel has a focal weight."""
    return dice(logits, labels)


def margin_dice(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(margin_logits(logits, labels), labels))
    return 1 - ((2 * (s * g).sum((0, 2)) + 1e-5) / (s.sum((0, 2)) + g.sum((0, 2)) + 1e-5)).mean()


def calibration(logits: Tensor, labels: Tensor, bins: int = 20) -> Tensor:
    """Average over samples, classes and bins in a loop."""
    values = []
    for s, g in zip(*(x.flatten(0, 1) for x in pair(logits, labels)), strict=True):
        place = (s.detach() * bins).ceil().clamp(min=1)
        inside = [place == k for k in range(1, bins + 1)]
        gaps = [(s[k].mean() - g[k].mean()).abs() for k in inside if k.any()]
        values.append(torch.stack(gaps).mean())
    return torch.stack(values).mean()


def dice_plus_plus(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    tp, errors = (s * g).sum(2), ((s * (1 - g)) ** 2).sum(2) + (((1 - s) * g) ** 2).sum(2)
    return 1 - ((2 * tp + 1e-5) / (2 * tp + errors + 1e-5)).mean()


def tversky_plus_plus(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    tp, fp, fn = (s * g).sum(2), ((s * (1 - g)) ** 2).sum(2), (((1 - s) * g) ** 2).sum(2)
    return 1 - ((tp + 1e-5) / (tp + 0.3 * fp + 0.7 * fn + 1e-5)).mean()


def noise_robust(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    return (((s - g).abs() ** 1.5).sum(2) / ((s**2).sum(2) + (g**2).sum(2) + 1e-5)).mean()


def log_cosh(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.log(torch.cosh(dice(logits, labels)))


def tvmf(logits: Tensor, labels: Tensor, kappa: float = 32.0) -> Tensor:
    s, g = (x[:, 1:] for x in pair(logits, labels))
    cosine = (F.normalize(s, dim=2) * F.normalize(g, dim=2)).sum(2)
    return ((1 - ((1 + cosine) / (1 + kappa * (1 - cosine)) - 1)) ** 2).mean()


def robust_t(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the T-loss with nu = 1, which is not trained here."""
    s, g = (x[:, 1:] for x in pair(logits, labels))
    voxels = s.shape[2]
    constant = math.lgamma(0.5) - math.lgamma((1 + voxels) / 2) + voxels / 2 * math.log(math.pi)
    return (constant + (1 + voxels) / 2 * torch.log1p(((s - g) ** 2).sum(2))).mean() / voxels


def label_smoothing(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    return F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()


def spatial_smoothing(logits: Tensor, labels: Tensor) -> Tensor:
    """Convert labels by the kernel of Islam 2021, whose centre weighs as much as all its neighbours."""
    axes = labels.ndim - 1
    line = torch.tensor([math.exp(-0.5), 1.0, math.exp(-0.5)])
    kernel = line
    for _ in range(axes - 1):
        kernel = kernel[..., None] * line
    kernel[(1,) * axes] = kernel.sum() - 1
    kernel = (kernel / kernel.sum()).expand(logits.shape[1], 1, *kernel.shape)
    padded = F.pad(one_hot(logits, labels), [1] * 2 * axes, mode="replicate")
    soft = (F.conv2d if axes == 2 else F.conv3d)(padded, kernel, groups=logits.shape[1])
    return F.cross_entropy(logits, soft)


def margin_penalty(logits: Tensor, labels: Tensor) -> Tensor:
    gaps = logits.amax(1, keepdim=True) - logits - 10
    return cross_entropy(logits, labels) + 0.1 * gaps.clamp(min=0).mean()


def neighbour_aware(logits: Tensor, labels: Tensor) -> Tensor:
    pool = F.avg_pool2d if labels.ndim == 3 else F.avg_pool3d
    shares = pool(one_hot(logits, labels), 3, 1, 1, count_include_pad=False)
    return cross_entropy(logits, labels) + 0.1 * (logits - shares).abs().mean()


def same_class_neighbours(logits: Tensor, labels: Tensor) -> Tensor:
    pool, g = F.max_pool2d if labels.ndim == 3 else F.max_pool3d, one_hot(logits, labels)
    least = -pool(-(logits * g + 9999 * (1 - g)), 3, 1, 1)
    largest = pool(logits * (1 - g) - 9999 * g, 3, 1, 1)
    worst = least * g + largest * (1 - g)
    return dice(worst, labels) + cross_entropy(worst, labels)


def shares(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    s, g = pair(logits, labels)
    return s.mean(2), g.mean(2)


def marginal_kl(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = shares(logits, labels)
    return (g * ((g + 1e-10) / (s + 1e-10)).log()).sum(1).mean()


def marginal_l1(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = shares(logits, labels)
    return (s - g).abs().mean()


def margin_calibration(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss without margins, as at the defaults."""
    g, best = one_hot(logits, labels), logits.topk(2, 1).values
    lead = logits - torch.where(logits == best[:, :1], best[:, 1:], best[:, :1])
    return (logits.shape[1] * g * F.softplus(-lead) + (1 - g) * F.softplus(lead)).mean()


def inverse_sizes(labels: Tensor, classes: int) -> Tensor:
    return InverseSize()(labels, classes)


def inverse_weighted(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    w = weight.flatten(2)
    s, g = (x[:, 1:] for x in pair(logits, labels))
    region = 1 - ((2 * (w * s * g).sum(2) + 1e-5) / ((w * s).sum(2) + (w * g).sum(2) + 1e-5)).mean()
    return region + (voxels(logits, labels)[0] * weight[:, 0]).sum() / weight.sum()


def cells(labels: Tensor, classes: int) -> Tensor:
    return Cells()(labels, classes)


def by_cells(logits: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
    """Average over samples, classes and components in a loop."""
    totals = []
    for n in range(len(logits)):
        for c in range(1, logits.shape[1]):
            s, g = torch.softmax(logits[n], 0)[c], (labels[n] == c).float()
            rest = logits[n, [k for k in range(logits.shape[1]) if k != c]].logsumexp(0)
            ce = F.binary_cross_entropy_with_logits(logits[n, c] - rest, g, reduction="none")
            values = []
            for k in range(1, int(numbers[n, c].max()) + 1):
                inside = (numbers[n, c] == k).float()
                tp, size = (inside * s * g).sum(), (inside * (s + g)).sum()
                values.append(1 - (2 * tp + 1e-5) / (size + 1e-5) + (inside * ce).sum() / inside.sum())
            totals.append(torch.stack(values).mean())
    return torch.stack(totals).mean()


def objects(labels: Tensor, classes: int) -> Tensor:
    return Components()(labels, classes)


def by_objects(logits: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
    """Average Dice and cross entropy over the objects of a sample in a loop, without the voxels of all others."""
    totals = []
    for n in range(len(logits)):
        values = []
        for c in range(1, logits.shape[1]):
            s, g = torch.softmax(logits[n], 0)[c], (labels[n] == c).float()
            rest = logits[n, [k for k in range(logits.shape[1]) if k != c]].logsumexp(0)
            ce = F.binary_cross_entropy_with_logits(logits[n, c] - rest, g, reduction="none")
            for k in range(1, int(numbers[n, c].max()) + 1):
                seen = ((numbers[n, c] == 0) | (numbers[n, c] == k)).float()
                tp, size = (seen * s * g).sum(), (seen * (s + g)).sum()
                values.append(1 - (2 * tp + 1e-5) / (size + 1e-5) + (seen * ce).sum() / seen.sum())
        totals.append(torch.stack(values).mean())
    return torch.stack(totals).mean()


def beside(penalty: Call) -> Call:
    return lambda logits, labels: cross_entropy(logits, labels) + penalty(logits, labels)


SIMPLE: dict[str, Call] = {
    "PolyCE": poly_ce,
    "PolyFocal": poly_focal,
    "OhemCE": ohem,
    "TiltedCE": tilted,
    "LargeMargin": large_margin,
    "AsymmetricLargeMargin": asymmetric_margin,
    "AsymmetricFocalDice": focal_dice,
    "AsymmetricLargeMarginDice": margin_dice,
    "AverageCalibrationError": calibration,
    "DicePlusPlus": dice_plus_plus,
    "TverskyPlusPlus": tversky_plus_plus,
    "NoiseRobustDice": noise_robust,
    "LogCosh": log_cosh,
    "TvMFDice": tvmf,
    "RobustT": robust_t,
    "LabelSmoothing": label_smoothing,
    "SpatialLabelSmoothing": spatial_smoothing,
    "MarginLogits": margin_penalty,
    "NeighbourAware": neighbour_aware,
    "SCNP": same_class_neighbours,
    "MarginalKL": marginal_kl,
    "MarginalL1": marginal_l1,
    "CrossEntropyMarginalKL": beside(marginal_kl),
    "CrossEntropyMarginalL1": beside(marginal_l1),
    "MarginCalibration": margin_calibration,
    "Exclusion": lambda logits, labels: dice(logits, labels) + cross_entropy(logits, labels),
}

MAPPED = {
    "InverseWeighting": (inverse_weighted, inverse_sizes, "InverseWeighting()"),
    "ConnectedComponents": (by_cells, cells, "ConnectedComponents()"),
    "Blobs of DiceCE": (by_objects, objects, "Blobs(loss=DiceCE())"),
}

"""Records of losses of single voxels and of calibration, in terms of this library."""

from __future__ import annotations

from typing import Any

import torch
from calls import Builder, Call, Case, counting
from torch import Tensor

import lossodyssey as lo
from lossodyssey.kernels.boxes import blurred
from lossodyssey.losses.distribution.margin import below_margin


def poly_ce(source: str, case: Case, *, epsilon: float) -> Call:
    return Call(lo.PolyCE(epsilon=epsilon))


def poly_focal(source: str, case: Case, *, epsilon: float, alpha: float, gamma: float) -> Call:
    """The reference weighs foreground and background in the focal term alone."""
    poly = lo.PolyFocal(epsilon=epsilon, gamma=gamma) + -1 * lo.Focal(gamma=gamma)
    return Call(poly + lo.SymmetricFocal(delta=alpha, gamma=gamma), link="sigmoid")


def ohem(source: str, case: Case, *, threshold: float, min_kept: int, rule: str) -> Call:
    """Other rules keep one voxel less or more where `min_kept` decides, and divide by all voxels (PaddleSeg)."""
    if rule == "union":
        return Call(lo.OhemCE(threshold=threshold, min_kept=min_kept))
    p = case.logits.softmax(1).gather(1, case.labels[:, None]).flatten()
    kept = min_kept - 1 if rule == "paddle" else min_kept
    below = int((p < threshold).sum())
    if rule == "paddle" and min_kept >= len(p):
        return Call(lo.CrossEntropy())
    factor = max(below, kept) / (max(below, kept) + 1e-5 * len(p)) if rule == "paddle" else 1.0
    return Call(factor * lo.OhemCE(threshold=threshold, min_kept=min(kept, len(p) - 1)))


class WithEpsilon(lo.VoxelLoss, abstract=True):
    """The asymmetric large-margin focal loss of the rare classes, with the 1e-6 that the reference adds to p."""

    margin: float = 1.0
    gamma: float = 4.0
    rare: tuple[int, ...] = ()
    focused: tuple[int, ...] = ()

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        rare, focused = (sum(labels == c for c in classes) > 0 for classes in (self.rare, self.focused))
        q = torch.where(rare, (-below_margin(log_p, self.margin)).exp(), log_p.exp())
        return torch.where(focused, (1 - q + 1e-6) ** self.gamma, 1) * -(q + 1e-6).log()


def asymmetric_margin(
    source: str, case: Case, *, asy: int, margin: float, gamma: float, weights: float, rare_classes: str
) -> Call:
    known = range(case.classes)
    rare = [known, range(1, case.classes), [2]][asy]
    focused = known if asy == 0 else [c for c in known if c not in rare]
    return Call(WithEpsilon(margin=margin, gamma=gamma, rare=tuple(rare), focused=tuple(focused)))


def asymmetric_margin_dice(
    source: str, case: Case, *, asy: int, margin: float, gamma: float, batch_dice: bool, smooth: float, do_bg: bool
) -> Call:
    assert batch_dice and not do_bg and asy in (1, 2)
    loss = lo.AsymmetricLargeMarginDice(margin=margin, gamma=gamma, rare=(2,) if asy == 2 else ())
    return Call(loss.but(smooth=smooth))


def margin_calibration(source: str, case: Case, *, tau: float, upsilon: float, class_counts: str) -> Call:
    assert class_counts == "of this input"
    counts = tuple(case.one_hot.transpose(0, 1).flatten(1).sum(1).tolist())
    return Call(lo.MarginCalibration(class_counts=counts, tau=tau, upsilon=upsilon))


def average_calibration(
    source: str,
    case: Case,
    *,
    binning: str,
    bins: int,
    include_background: bool,
    absent: str,
    empty_weight: float = 0.01,
) -> Call:
    """Where absent classes count as 0, the loss counts the share of classes that are present."""
    loss = lo.AverageCalibrationError(
        binning=binning, bins=bins, background=include_background, absent="count" if absent == "count" else "skip"
    )
    present = case.one_hot[:, 0 if include_background else 1 :].flatten(2).sum(2) > 0
    return Call(float(present.double().mean()) * loss if absent == "zero" else loss)


def label_smoothing(source: str, case: Case, *, smoothing: float) -> Call:
    return Call(lo.LabelSmoothing(smoothing=smoothing))


def spatial_smoothing(source: str, case: Case, *, sigma: float, kernel: int, padding: str) -> Call:
    assert kernel == 3 and padding == "replicate"
    return Call(lo.SpatialLabelSmoothing(sigma=sigma))


def margin_logits(source: str, case: Case, *, margin: float, alpha: float) -> Call:
    return Call(lo.MarginLogits(margin=margin, penalty=alpha))


class Padded(lo.NeighbourAware, abstract=True):
    """The loss with shares over whole boxes, where voxels outside the image are of no class, or of class 0."""

    outside: str = "nothing"

    def shares(self, pair: Any) -> Tensor:
        g = pair.g.unflatten(2, pair.shape)
        sides = 3 ** len(pair.shape)
        counts = blurred(g, 1.0, replicate=False)
        if self.outside == "class 0":
            counts[:, 0] += sides - blurred(torch.ones_like(g[:, 0:1]), 1.0, replicate=False)[:, 0]
        return (counts / sides).flatten(2)


def neighbour_aware(
    source: str,
    case: Case,
    *,
    kernel_size: int,
    kernel_ops: str,
    distance_type: str,
    alpha: float,
    classes: int = 0,
    dim: int = 0,
) -> Call:
    assert (kernel_size, kernel_ops, distance_type) == (3, "mean", "l1")
    return Call(Padded(penalty=alpha, outside="nothing" if "monai" in source else "class 0"))


def same_class_neighbours(
    source: str, case: Case, *, base: str, size: int, plain_weight: float = 0.0, **counts: Any
) -> Call:
    """The reference's sum of Dice and cross entropy counts minus the Dice score."""
    region = lo.Dice(**counting(**counts))
    inner = {"CE": lo.CrossEntropy(), "Dice": region, "DiceCE": region + lo.CrossEntropy()}[base]
    loss = lo.SCNP(loss=inner, size=size)
    return Call(loss + plain_weight * inner if plain_weight else loss, -1.0 if base == "DiceCE" else 0.0)


def label_marginal(name: str) -> Builder:
    def build(
        source: str, case: Case, *, mode: str, alpha: float, temp: float = 1.0, head: str = "one per class"
    ) -> Call:
        assert temp == 1
        loss = getattr(lo, name)(alpha=alpha)
        return Call(loss, head=lambda z, y: (z[:, 1:] - z[:, :1] if head == "one channel" else z, y))

    return build


BUILDERS: dict[str, Builder] = {
    "asymmetric_large_margin_focal_ce": asymmetric_margin,
    "asymmetric_large_margin_focal_dice": asymmetric_margin_dice,
    "ce_kl_marginal": label_marginal("CrossEntropyMarginalKL"),
    "ce_l1_marginal": label_marginal("CrossEntropyMarginalL1"),
    "label_smoothing_ce": label_smoothing,
    "margin_calibration": margin_calibration,
    "mbls": margin_logits,
    "ml1_ace": average_calibration,
    "nacl": neighbour_aware,
    "ohem_ce": ohem,
    "poly1_ce": poly_ce,
    "poly1_focal": poly_focal,
    "scnp_ce": same_class_neighbours,
    "scnp_dice": same_class_neighbours,
    "scnp_dicece": same_class_neighbours,
    "svls_ce": spatial_smoothing,
}

"""What a record's fields mean in terms of this library: the loss, how it is called, and what its raw value adds.

One function per family of losses. Each takes the record's reference, the input and, as keyword arguments, the params;
a param that a function does not know raises a TypeError, which the check reports as a miss.
"""

from __future__ import annotations

import inspect
from typing import Any

import centerline_builders as centerlines
import contour_builders as contours
import distance_builders as distances
import overlap_builders as overlaps
import partial_builders as partials
import region_builders as region_losses
import relation_builders as relations
import room_builders as rooms
import topology_builders as topology
import voxel_builders as voxels
from calls import Builder, Call, Case, counting, offset
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.schedules import Ratio

Numbers = list[float] | None

# Texts that describe a formula and choose nothing: the reference's name already says which formula it is.
DESCRIPTIONS = set(
    """absent_class activation all_equal balance_index border_term class_filling_volume class_filling_sample clip ddp
    denominator denominator_floor dice_class distance empty eps eps_denominator epsilon focal_smooth instances logit
    map normalisation partial_labels pooling pred_mask reduction selection skeleton smooth_placement units
    w_c""".split()  # noqa: SIM905
)


def cross_entropy(source: str, case: Case, *, ignore_index: int | None = None, label_smoothing: float = 0.0) -> Call:
    def smoothed(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return logits, (1 - label_smoothing) * case.one_hot + label_smoothing / case.classes

    if label_smoothing:
        return Call(lo.CrossEntropy(), head=smoothed)
    return Call(lo.CrossEntropy(), ignore=ignore_index)


def weighted_cross_entropy(source: str, case: Case, *, weight: list[float], normalization: str) -> Call:
    kind = "voxels" if normalization == "N" else "weights"
    return Call(lo.CrossEntropy(class_weights=weight, normalization=kind))


def topk(source: str, case: Case, *, k: float, label_smoothing: float = 0.0) -> Call:
    if label_smoothing:
        raise TypeError("label_smoothing is not known for TopK")
    return Call(lo.TopK(percent=k))


def topk_threshold(source: str, case: Case, *, threshold: float) -> Call:
    kind = lo.ReleasedTopKThreshold if "SegLoss" in source else lo.TopKThreshold
    return Call(kind(threshold=threshold))


def focal(
    source: str, case: Case, *, gamma: float, alpha: float | list[float] | None = None, smooth: float | None = None
) -> Call:
    if "SegLoss" in source:
        return Call(released_focal(case, gamma, alpha, smooth or 0.0))
    if isinstance(alpha, (int, float)):
        return Call(alpha * lo.Focal(gamma=gamma))
    return Call(lo.Focal(gamma=gamma, class_weights=alpha))


def released_focal(case: Case, gamma: float, alpha: float | list[float] | None, smooth: float) -> lo.Loss:
    """A number weighs class 0, and one minus it all others; a list is divided by its sum."""
    if isinstance(alpha, list):
        alpha = [a / sum(alpha) for a in alpha]
    elif alpha is not None:
        alpha = [alpha] + [1 - alpha] * (case.classes - 1)
    return lo.ReleasedFocal(gamma=gamma, class_weights=alpha, label_smoothing=smooth)


def penalised(source: str, case: Case) -> Call:
    kind = lo.ReleasedDistancePenalisedCE if "DistPenalizedCE" in source else lo.DistancePenalisedCE
    return Call(kind())


def unet(source: str, case: Case, *, w0: float, sigma: float) -> Call:
    return Call(lo.UNetWeightMapCE(w0=w0, sigma=sigma))


def unified(name: str) -> Builder:
    """A part of the Unified Focal family, or (with a weight) one of its sums; `smooth` and epsilon stay 1e-7."""

    def build(source: str, case: Case, *, smooth: float = 1e-7, **params: Any) -> Call:
        if "weight" in params:
            params["region_weight"] = params.pop("weight")
        loss = getattr(lo, name)(**params)
        return Call(loss if smooth == 1e-7 else loss.but(smooth=smooth))

    return build


def combo(
    source: str,
    case: Case,
    *,
    alpha: float | None,
    beta: float | None,
    smooth: float = 1.0,
    batch_dice: bool = True,
    include_background: bool = False,
) -> Call:
    if "mlyg" in source:  # beta goes to channel 0; Dice over all classes, smooth 1e-6 in the Tversky form
        ce = lo.CrossEntropy(class_weights=None if beta is None else (beta, 1 - beta))
        region = lo.Dice(background=True, smooth=2e-6)
        if alpha is None:
            return Call(ce + region, -1.0)
        return Call(alpha * ce + (1 - alpha) * region, alpha - 1)
    assert alpha is not None and beta is not None
    region = lo.Dice(batch=batch_dice, background=include_background, smooth=smooth)
    return Call(alpha * lo.SymmetricFocal(delta=beta, gamma=0) + (1 - alpha) * region)


def dice_ce(source: str, case: Case, *, weights: str = "1,1", ignore_label: int | None = None, **counts: Any) -> Call:
    region, ce = (float(weight) for weight in weights.split(","))
    loss = region * lo.Dice(**counting(**counts)) + ce * lo.CrossEntropy()
    return Call(loss, region * offset(source), ignore=ignore_label)


def dice_bce(source: str, case: Case, **counts: Any) -> Call:
    loss = lo.Dice(**counting(**counts)) + lo.CrossEntropy()
    return Call(loss, offset(source), link="sigmoid", head=lambda z, y: (z[:, 1:], case.one_hot[:, 1:]))


def dice_topk(source: str, case: Case, *, k: float, **counts: Any) -> Call:
    return Call(lo.Dice(**counting(**counts)) + lo.TopK(percent=k), offset(source))


def dice_focal(
    source: str,
    case: Case,
    *,
    gamma: float,
    alpha: float | list[float] | None = None,
    focal_smooth: float = 1e-5,
    **counts: Any,
) -> Call:
    return Call(lo.Dice(**counting(**counts)) + released_focal(case, gamma, alpha, focal_smooth), offset(source))


def exponential_logarithmic(
    source: str,
    case: Case,
    *,
    w_dice: float,
    w_ce: float,
    weight: Numbers = None,
    class_weight: Numbers = None,
    gamma: float | None = None,
    gamma_dice: float = 0.3,
    gamma_ce: float = 0.3,
    **counts: Any,
) -> Call:
    if gamma is not None:  # SegLoss
        region = lo.ReleasedLogarithmicDice(exponent=gamma, **counting(**counts))
        return Call(w_dice * region + w_ce * lo.CrossEntropy(class_weights=weight, normalization="weights"))
    region = lo.LogarithmicDice(exponent=gamma_dice, **counting(**counts))
    return Call(w_dice * region + w_ce * lo.ExponentialCE(exponent=gamma_ce, class_weights=class_weight))


def region_wise(source: str, case: Case, *, include_background: bool = True) -> Call:
    return Call(lo.RegionWise(background=include_background))


def boundary(
    source: str,
    case: Case,
    *,
    include_background: bool = False,
    zero_based: bool = False,
    map: str = "kervadec",
) -> Call:
    if "SegLoss" in source or map == "segloss":
        return Call(lo.ReleasedBoundary(background=include_background))
    zero = "none" if "RegionWise" in source or map == "symmetric" else "voxel-shift"
    return Call(lo.Boundary(zero=zero, background=include_background, offset=zero_based))


def map_compound(name: str) -> Builder:
    """Region-wise or boundary map loss with Dice or cross entropy, as jmlipman/RegionWiseLoss adds them."""

    def build(source: str, case: Case, *, epoch: float | None = None, alpha: float | None = None) -> Call:
        partner = lo.Dice(background=True, smooth=0.0) if name.endswith("Dice") else lo.CrossEntropy()
        maps = lo.RegionWise() if name.startswith("RRW") else lo.Boundary(zero="none", background=True)
        if "Equal" in name:
            return Call(partner + maps)
        if alpha is None:
            assert epoch is not None
            alpha = max((100 - epoch) / 100, 0.01)
        return Call(alpha * partner + (1 - alpha) * maps)

    return build


def dice_boundary(source: str, case: Case, *, alpha: float, **counts: Any) -> Call:
    return Call(alpha * lo.Dice(**counting(**counts)) + (1 - alpha) * lo.ReleasedBoundary())


def hausdorff(
    source: str,
    case: Case,
    *,
    alpha: float = 2.0,
    include_background: bool = False,
    pred_mask: str = "argmax",
    map: str = "",
    idc: str = "",
) -> Call:
    kind = lo.ReleasedHausdorffDT if "inside the mask only" in map else lo.HausdorffDT
    rule = "argmax" if pred_mask == "argmax" else "threshold"
    return Call(kind(alpha=alpha, prediction=rule, background=include_background))


def hausdorff_erosion(
    source: str, case: Case, *, alpha: float = 2.0, erosions: int = 10, normalisation: str = ""
) -> Call:
    return Call(lo.HausdorffErosion(alpha=alpha, erosions=erosions, renormalize=True))


def dice_hausdorff(source: str, case: Case, *, alpha: str, map: str = "", **counts: Any) -> Call:
    region = lo.Dice(**counting(**counts))
    if "1e-5" in alpha:  # the guard against Dice = 0 that the schedule has, too
        return Call(Ratio("batch") * region + lo.ReleasedHausdorffDT())
    distances = lo.HausdorffDT()
    weight = float(distances(case.logits, case.labels) / region(case.logits, case.labels))
    return Call(weight * region + distances)


BUILDERS: dict[str, Builder] = {
    "Asym": region_losses.asym,
    "BD": boundary,
    "CE": cross_entropy,
    "Combo": combo,
    "DPCE": penalised,
    "Dice": region_losses.dice,
    "DiceBCE": dice_bce,
    "DiceBD": dice_boundary,
    "DiceCE": dice_ce,
    "DiceFocal": dice_focal,
    "DiceHD": dice_hausdorff,
    "DiceSegLossSquare": region_losses.dice,
    "DiceSquared": region_losses.dice_squared,
    "DiceTopK": dice_topk,
    "ELL": exponential_logarithmic,
    "Focal": focal,
    "FocalTversky": region_losses.focal_tversky,
    "GDice": region_losses.generalised_dice,
    "HD": hausdorff,
    "HDErosion": hausdorff_erosion,
    "IoU": region_losses.iou,
    "Lovasz": region_losses.lovasz,
    "LovaszHinge": region_losses.lovasz_hinge,
    "RRW": region_wise,
    "SS": region_losses.sensitivity_specificity,
    "TopK": topk,
    "TopKThreshold": topk_threshold,
    "Tversky": region_losses.tversky,
    "UNetWeightedCE": unet,
    "WCE": weighted_cross_entropy,
    "pGDice": region_losses.generalised_dice,
    **centerlines.BUILDERS,
    **contours.BUILDERS,
    **rooms.BUILDERS,
    **distances.BUILDERS,
    **relations.BUILDERS,
    **topology.BUILDERS,
    **overlaps.BUILDERS,
    **partials.BUILDERS,
    **voxels.BUILDERS,
    "SymFocal": unified("SymmetricFocal"),
    "AsymFocal": unified("AsymmetricFocal"),
    "SymFocalTversky": unified("SymmetricFocalTversky"),
    "AsymFocalTversky": unified("AsymmetricFocalTversky"),
    "SymUnifiedFocal": unified("SymmetricUnifiedFocal"),
    "AsymUnifiedFocal": unified("AsymmetricUnifiedFocal"),
    **{
        name: map_compound(name)
        for name in (
            f"{maps}{mode}{partner}"
            for maps in ("RRW", "BD")
            for mode in ("Equal", "Gradual")
            for partner in ("Dice", "CE")
        )
    },
}


def call_for(record: dict[str, Any], case: Case) -> Call:
    """The call that a record describes.

    Raises:
        LookupError: an unknown loss name. TypeError, ValueError: params that the loss does not have.
    """
    builder = BUILDERS.get(record["loss"])
    if builder is None:
        raise LookupError(f"unknown loss {record['loss']!r}")
    known = inspect.signature(builder).parameters
    params = {k: v for k, v in record["params"].items() if k not in DESCRIPTIONS or k in known}
    return builder(record["reference"], case, **params)

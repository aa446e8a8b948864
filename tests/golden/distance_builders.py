"""Records of losses of distances to boundaries, in terms of this library."""

from __future__ import annotations

from typing import Any

from calls import Builder, Call, Case

import lossodyssey as lo


def boundary(
    source: str,
    case: Case,
    *,
    include_background: bool = False,
    classes: str = "",
    resolution: str | None = None,
    dtm: str = "",
    **texts: Any,
) -> Call:
    known(texts, "alpha", "channels", "class_weights", "dtype", "phi", "smooth", "softmax", "to_onehot_y")
    zero = "none" if dtm else "voxel-shift"
    loss = lo.Boundary(zero=zero, background=include_background or everything(classes))
    return Call(loss, millimetres=bool(resolution) or "spacing" in dtm)


def hausdorff(source: str, case: Case, *, alpha: float, include_background: bool = False, **texts: Any) -> Call:
    """The mask of the prediction is that of p > 0.5 per class in all of them but LIVIAETS's."""
    known(texts, "batch", "channels", "field", "resolution", "softmax", "threshold", "to_onehot_y")
    rule = "argmax" if "LIVIAETS" in source else "threshold"
    return Call(lo.HausdorffDT(alpha=alpha, prediction=rule, background=include_background))


def log_hausdorff(source: str, case: Case, **params: Any) -> Call:
    return Call(hausdorff(source, case, **params).loss.but(log=True))


def hausdorff_erosion(
    source: str, case: Case, *, alpha: float, erosions: int = 0, k: int = 0, activation: str = "", target: str = ""
) -> Call:
    background = everything(activation)
    return Call(lo.HausdorffErosion(alpha=alpha, erosions=erosions or k, renormalize=True, background=background))


def one_sided(source: str, case: Case, *, classes: str, dtm: str, **texts: Any) -> Call:
    known(texts, "alpha", "class_weights", "smooth")
    loss = lo.HausdorffDT(one_sided=True, background=everything(classes))
    return Call(loss, millimetres="spacing" in dtm)


def generalized_surface(
    source: str,
    case: Case,
    *,
    alpha: float,
    classes: str,
    class_weights: str | list[float],
    dtm: str,
    smooth: float,
) -> Call:
    """The reference adds `smooth` to the denominator alone, so that a perfect prediction misses 0 by its share."""
    assert alpha == 0 and everything(classes)
    given = class_weights if isinstance(class_weights, list) else None
    loss = lo.GeneralizedSurface(class_weights=given, smooth=smooth)
    spacing = case.spacing if "spacing" in dtm else None
    # What `smooth` takes from 1 at the worst prediction is what the reference keeps at the best one.
    wrong = 100 - 200 * case.one_hot
    missing = 1 - float(loss(wrong, case.one_hot, spacing=spacing, link="sigmoid"))
    return Call(loss, missing, millimetres=spacing is not None)


def weighted_hausdorff(source: str, case: Case, *, p: float, points: str, orig_sizes: str) -> Call:
    """Every voxel or the centroid; `most` is above any number of voxels."""
    assert orig_sizes == "map size"
    marks = "centroid" if "centroid" in points else "voxels"
    return Call(lo.WeightedHausdorff(q=-p, marks=marks, most=case.labels.numel()))


def signed_distance_regression(
    source: str, case: Case, *, output: str, smooth: float, sdf: str = "", reduction: str = ""
) -> Call:
    """The reference's output is negative where ours is a likely class; it sums over everything, and reaches -1/3."""
    loss = lo.SignedDistanceRegression(batch=True, pooled=True, zero="jump", smooth=smooth)
    if "logits[:,1:]" in output:
        return Call(loss, -1 / 3, link="sigmoid", head=lambda z, y: (-z[:, 1:], case.one_hot[:, 1:]))
    assert output == "tanh(l1-l0)"
    return Call(loss, -1 / 3, head=lambda z, y: (-z, y))


def penalised(source: str, case: Case, *, weight: str) -> Call:
    return Call(lo.ReleasedDistancePenalisedCE() if "SegLoss" in source else lo.DistancePenalisedCE())


def penalty_dice(source: str, case: Case, *, k: float, smooth: float, classes: str) -> Call:
    assert everything(classes)
    return Call(lo.PenaltyGeneralizedDice(k=k))


def everything(classes: str) -> bool:
    """Does a text say that the background is one of the classes?"""
    return "all" in classes and "background" in classes


def known(texts: dict[str, Any], *names: str) -> None:
    """Raise TypeError for params that say something else than the reference's name does."""
    if unknown := set(texts) - set(names):
        raise TypeError(f"unknown params {sorted(unknown)}")


BUILDERS: dict[str, Builder] = {
    "boundary_loss": boundary,
    "distance_map_ce": penalised,
    "generalized_surface_loss": generalized_surface,
    "hausdorff_dt_loss": hausdorff,
    "hausdorff_er_loss": hausdorff_erosion,
    "hausdorff_one_sided": one_sided,
    "log_hausdorff_dt_loss": log_hausdorff,
    "penalty_gdice": penalty_dice,
    "sdm_regression": signed_distance_regression,
    "weighted_hausdorff": weighted_hausdorff,
}

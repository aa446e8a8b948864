"""Records of losses of contours, in terms of this library."""

from __future__ import annotations

from typing import Any

from calls import Builder, Call, Case

import lossodyssey as lo


def with_contour(case: Case) -> float:
    """The share of samples and foreground classes that have a contour; where there is none MIST counts 1."""
    shares = case.one_hot[:, 1:].flatten(2).mean(2)
    return float(((shares > 0) & (shares < 1)).double().mean())


def surface_dice(
    source: str, case: Case, *, tolerance: float | str, smooth_denominator: float, box: int, factor: float = 1.25
) -> Call:
    assert box == 3 and factor == 1.25
    share = with_contour(case)
    return Call(share * lo.SurfaceDiceDilation(tolerance=tolerance), 1 - share)


def sddl(preset: str) -> Builder:
    """A preset whose last term is the one over contours: it counts their share, and a constant for the others."""

    def build(source: str, case: Case, *, alpha: float, skeleton_iterations: int = 10, **params: Any) -> Call:
        given: dict[str, Any] = {"alpha": alpha, "tolerance": params["tolerance"]}
        if preset == "VesselSDDL":
            given["iterations"] = skeleton_iterations
        assert params["include_background"] and params.get("smooth", 1.0) == 1
        *region, (weight, contours) = getattr(lo, preset)(**given).terms
        share = with_contour(case)
        loss = sum(number * term for number, term in region) + share * weight * contours
        return Call(loss, weight * (1 - share))

    return build


def boundary_dou(source: str, case: Case, *, classes: str, alpha_max: float, smooth: float) -> Call:
    assert classes == "all incl. background"
    return Call(lo.BoundaryDoU(batch=True, background=True, alpha_max=alpha_max, smooth=smooth))


def active_boundary(
    source: str,
    case: Case,
    *,
    label_smoothing: float,
    max_N_ratio: float,
    isdetach: bool,
    max_clip_dist: float,
    ignore_label: int,
    input: str,
) -> Call:
    """The reference's own label smoothing comes from another repository: only records without it are known."""
    assert label_smoothing == 0 and input == "logits"
    loss = lo.ReleasedActiveBoundary(share=max_N_ratio, reach=max_clip_dist, detach=isdetach, label_smoothing=0.0)
    return Call(loss, ignore=ignore_label)


BUILDERS: dict[str, Builder] = {
    "active_boundary_loss": active_boundary,
    "boundary_dou": boundary_dou,
    "surface_dice_dilation": surface_dice,
    "volumetric_sddl": sddl("VolumetricSDDL"),
    "vessel_sddl": sddl("VesselSDDL"),
}

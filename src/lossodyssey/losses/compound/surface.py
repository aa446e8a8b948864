"""Region losses beside the Dice overlap of widened contours, as MIST 2 releases them."""

from __future__ import annotations

from lossodyssey.core.fields import Fraction
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.losses.boundary.contour_dice import SurfaceDiceDilation, Tolerance
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy
from lossodyssey.losses.region.dice import Dice
from lossodyssey.losses.structure.centerline import CenterlineDice, Iterations


@preset(paper="mist2025")
def VolumetricSDDL(alpha: Fraction = 0.5, tolerance: Tolerance = "auto") -> Sum:
    """Squared Dice and cross entropy, half each, beside `SurfaceDiceDilation`, which has the weight 1 - alpha.

    For organs and tumours whose surfaces need to be right up to a tolerance.
    """
    region = 0.5 * CrossEntropy() + 0.5 * Dice(square=True, background=True, smooth=1e-6)
    return alpha * region + (1 - alpha) * SurfaceDiceDilation(tolerance=tolerance)


@preset(paper="mist2025")
def VesselSDDL(alpha: Fraction = 0.5, tolerance: Tolerance = "auto", iterations: Iterations = 10) -> Sum:
    """Squared Dice and cross entropy, centreline Dice, and `SurfaceDiceDilation`, which has the weight 1 - alpha.

    For vessels and other tubes; the centreline has half of `alpha`.
    """
    region = 0.5 * CrossEntropy() + 0.5 * Dice(square=True, background=True, smooth=1e-6)
    tubes = 0.5 * region + 0.5 * CenterlineDice(iterations=iterations)
    return alpha * tubes + (1 - alpha) * SurfaceDiceDilation(tolerance=tolerance)

"""The cases behind the dots of a figure, handed to the page so that it can name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.report.figures.distributions import heights

POINTS_PER_INCH = 72


@dataclass(frozen=True, eq=False)
class Points:
    """Dots of a figure: a row per loss, a dot per case, `values` (losses, cases) in the order they were drawn."""

    metric: str
    losses: Sequence[str]
    cases: Sequence[str]
    values: NDArray[np.float64]

    def placed(self, figure: Figure) -> str:
        """Write the dots as JSON with the scales that lead from values and rows to the units of the drawn SVG."""
        axes = figure.axes[0]
        inches = axes.transData.transform([(0.0, 0.0), (1.0, 1.0)]) / figure.dpi
        # The axes are linear, so two points fix the scale; SVG counts y from the top, in points.
        (x0, y0), (x1, y1) = inches * POINTS_PER_INCH
        height = figure.get_figheight() * POINTS_PER_INCH

        return json.dumps(
            {
                "metric": self.metric,
                "losses": list(self.losses),
                "cases": list(self.cases),
                "values": [[float(f"{value:.4g}") for value in row] for row in self.values],
                "heights": [round(float(place), 3) for place in heights(0, len(self.cases))],
                "x": [float(f"{x0:.6g}"), float(f"{x1 - x0:.6g}")],
                "y": [round(height - y0, 2), round(y0 - y1, 3)],
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )

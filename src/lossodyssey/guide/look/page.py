"""The page on which one drags the probability of a voxel or a disc: all numbers are computed before, none in it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from lossodyssey.guide.look.scenes import LARGEST_SHIFT, SIDE, shifted_disc
from lossodyssey.guide.look.sight import PROBABILITIES, Look, Pull, pulled
from lossodyssey.report.figures.style import svg
from lossodyssey.report.render import asset

FULL = 127
"""The byte of the largest pull."""


def page(title: str, drawn: Figure, caption: str, data: dict[str, Any] | None = None) -> str:
    """Return a page that asks nothing of the network: a figure, and what can be dragged where there are data."""
    environment = Environment(
        loader=PackageLoader("lossodyssey.guide.look", "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("look.html").render(
        title=title,
        caption=caption,
        drawn=Markup(svg(drawn, "look", caption)),
        largest=LARGEST_SHIFT,
        data=data and Markup(_script(data)),
        page_css=asset("page.css"),
        look_css=_own("look.css"),
        look_js=_own("look.js"),
    )


def dragged(looks: Sequence[Look]) -> dict[str, Any]:
    """Return the numbers that are dragged through: the responses, and the pulls on a disc at every shift."""
    scenes = [shifted_disc(shift) for shift in range(LARGEST_SHIFT + 1)]
    return {
        "probabilities": PROBABILITIES,
        "side": SIDE,
        "truth": _bytes(scenes[0].truth.numpy()),
        "losses": [
            {
                "text": look.text,
                "values": [_known(number) for number in look.values],
                "gradients": [_known(number) for number in look.gradients],
                "shifts": [_of_shift(pulled(look.loss, scene)) for scene in scenes],
            }
            for look in looks
        ],
    }


def _of_shift(pull: Pull) -> dict[str, Any]:
    share = np.nan_to_num(pull.pull) / (pull.most or 1.0)
    return {"value": _known(pull.value), "most": pull.most, "pull": _bytes((FULL * share).round())}


def _known(number: float) -> float | None:
    """Return a number with six digits, or None for one that JSON does not know."""
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(np.int8).tobytes()).decode()


def _script(data: dict[str, Any]) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _own(name: str) -> Markup:
    return Markup((files("lossodyssey.guide.look") / "template" / name).read_text(encoding="utf-8"))

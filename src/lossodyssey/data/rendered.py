"""Data sets that are rendered from a seed, written in the MSD layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray

from lossodyssey.data.grids import write_array

Render = Callable[[Generator], tuple[NDArray[Any], NDArray[Any]]]
"""A function that draws one image and its class numbers."""


def write_rendered(
    folder: str | Path,
    file: str,
    render: Render,
    facts: Mapping[str, Any],
    affine: NDArray[numpy.float64],
    *,
    cases: int,
    seed: int,
) -> None:
    """Write `cases` rendered cases and their `dataset.json`; equal arguments give equal files.

    `file` is the name of a case's files, such as "vessels_{:03d}.png"; `facts` go into `dataset.json`.
    """
    folder = Path(folder)
    training = []
    for index in range(cases):
        # A generator per case: more cases leave the first ones as they are.
        arrays = render(numpy.random.default_rng([seed, index]))
        item = {role: f"{role}sTr/{file.format(index)}" for role in ("image", "label")}
        for name, array in zip(item.values(), arrays, strict=True):
            write_array(folder / name, array, affine)
        training.append(item)
    settings = {**facts, "numTraining": len(training), "training": training}
    (folder / "dataset.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

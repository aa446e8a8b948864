"""A small long table with names that are hard on a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.report import Curve, Overlay, RunSummary, write
from lossodyssey.table import Row

LOSSES = ("Dice() + CrossEntropy()", "Tversky(alpha=0.3, beta=0.7)", "<script>alert('loss')</script> & $x_1$")


def rows_of(cases: int = 12) -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for case in range(cases):
        for name in ("organ", "lesion"):
            for i, loss in enumerate(LOSSES):
                share = float(np.clip(0.8 - 0.05 * i + rng.normal(scale=0.03), 0, 1))
                title = "<script>alert(1)</script>" if case == 0 else f"case {case}"
                rows.append(Row(loss, "data <b>&", 0, 0, title, name, "DSC", share))
                rows.append(Row(loss, "data <b>&", 0, 0, title, name, "HD95", 10 * (1 - share)))
    rows[3] = replace(rows[3], value=float("nan"), status="pred_empty")
    return rows


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """Two metrics, two classes, three losses, twelve cases, one empty prediction."""
    return rows_of()


@pytest.fixture(scope="session")
def runs() -> list[RunSummary]:
    """A run per loss, the last one diverged."""
    curve = Curve(tuple(range(100)), tuple(float(v) for v in np.linspace(2, 0.1, 100)), (0.01,) * 100)
    failed = RunSummary(LOSSES[2], "data", 0, status="diverged", reason="loss is NaN at step 7 <i>")
    done = [
        RunSummary(loss, "data", 0, 60.0 + i, 2**28, curve=curve, settings={"steps": 100}, command=f"train '{loss}'")
        for i, loss in enumerate(LOSSES[:2])
    ]
    return [*done, failed]


@pytest.fixture(scope="session")
def overlays() -> list[Overlay]:
    """One picture of a square."""
    square = np.zeros((24, 32), dtype=np.int64)
    square[8:16, 8:20] = 1
    return [Overlay("best <case>", square + 0.1, square, np.roll(square, 2, axis=1), (1.0, 0.8))]


@pytest.fixture(scope="session")
def page(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], runs: list[RunSummary], overlays: list[Overlay]
) -> Path:
    """The report of all this; its figures lie beside it in `figures`."""
    folder = tmp_path_factory.mktemp("report")
    write(
        rows,
        folder / "report.html",
        runs=runs,
        overlays=overlays,
        figures=folder / "figures",
        draws=50,
        command="make it",
    )
    return folder / "report.html"

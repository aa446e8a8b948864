"""The short runs of all boundary losses: their plan, and the table that says which of them trained."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossodyssey as lo
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.record import Record, write_record
from lossodyssey.table import Row
from lossodyssey.table.row import write_rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT))
    import benchmarks.boundary_runs as module

    yield module
    sys.modules.pop("benchmarks.boundary_runs")


def test_every_boundary_loss_of_the_atlas_is_planned(runs: Any) -> None:
    names = runs.boundary_losses()
    assert {"Boundary", "ContourDice", "BoundaryDoU", "ActiveBoundary"} <= set(names) and set(runs.COMPOUNDS) <= set(
        names
    )
    plan = parse_plan(runs.plan_text(names, ["phantom"], 5), "boundary.yaml")
    assert [loss.name for loss in plan.losses] == [*(f"run of {name}" for name in names), "untrained"]
    for name in names:
        found = lo.parse(runs.compound(name))
        assert name in {type(leaf).__name__ for _, leaf in found.terms}
        # A loss that needs a partner has one.
        assert lo.card(name).alone or len(found.terms) > 1
    with pytest.raises(ValueError, match=r"--losses has 'Dice', expected names among ActiveBoundary"):
        runs.compound("Dice")


TRAINED = {"run of Perimeter": "Dice() + 0.01 * Perimeter()", "run of RegionWise": "Dice() + RegionWise()"}


def study(folder: Path, scores: dict[str, float], status: str = "finished") -> Path:
    """A study of runs on one data set, as `lossodyssey bench` leaves it."""
    rows = [Row(name, "phantom", 0, 0, case, "a", "DSC", score) for name, score in scores.items() for case in "xy"]
    write_rows(folder / "cases.csv", rows)
    for name in scores:
        known = {
            "expression": TRAINED.get(name, "Dice()"),
            "dataset": "phantom",
            "seed": 0,
            "held_out": 2,
            "digest": "",
            "engine": "light",
        }
        more = {"settings": {}, "classes": (), "channels": (), "device": "cpu", "versions": {}, "name": name}
        end = {"status": "finished" if name == "untrained" else status, "reason": "" if status == "finished" else "NaN"}
        (folder / "runs" / name).mkdir(parents=True)
        write_record(folder / "runs" / name, Record(**known, **more, **end))  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize(
    ("score", "status", "line", "sound"),
    [
        (
            0.5,
            "finished",
            "| phantom | Perimeter | `Dice() + 0.01 * Perimeter()` | without NaN | 0.500 | 0.100 | yes |",
            True,
        ),
        (
            0.05,
            "finished",
            "| phantom | Perimeter | `Dice() + 0.01 * Perimeter()` | without NaN | 0.050 | 0.100 | no |",
            False,
        ),
        (
            math.nan,
            "diverged",
            "| phantom | Perimeter | `Dice() + 0.01 * Perimeter()` | diverged: NaN | nan | 0.100 | no |",
            False,
        ),
    ],
    ids=["above", "below", "diverged"],
)
def test_the_table_says_which_runs_trained(
    runs: Any, tmp_path: Path, score: float, status: str, line: str, sound: bool
) -> None:
    folder = study(tmp_path, {"run of Perimeter": score, "untrained": 0.1}, status)
    text, found = runs.table(folder, ["Perimeter"], 1)
    assert text.splitlines()[2:] == [line] and found == sound
    with pytest.raises(ValueError, match="2 runs, expected 3: give the command again"):
        runs.table(folder, ["Perimeter", "Boundary"], 1)


def test_runs_of_other_losses_in_the_folder_are_left_out(runs: Any, tmp_path: Path) -> None:
    scores = {"run of Perimeter": 0.5, "run of RegionWise": 0.6, "run of Boundary": 0.7, "untrained": 0.1}
    folder = study(tmp_path, scores)
    text, _ = runs.table(folder, ["RegionWise"], 1)
    assert text.splitlines()[2:] == [
        "| phantom | RegionWise | `Dice() + RegionWise()` | without NaN | 0.600 | 0.100 | yes |"
    ]
    with pytest.raises(ValueError, match="1 runs, expected 2"):
        runs.table(folder, ["Boundary"], 1)  # trained in another compound


def test_rows_of_losses_that_were_not_asked_for_stay(runs: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{runs.START}\nshort\n\n| a |\n|---|\n| d | A | 1 |\n| d | C | 1 |\n{runs.END}", encoding="utf-8")
    new = "| a |\n|---|\n| d | B | 2 |\n| d | C | 2 |"
    assert runs.together(page, "short", new).splitlines()[2:] == ["| d | A | 1 |", "| d | B | 2 |", "| d | C | 2 |"]
    assert runs.together(page, "longer", new) == new


def test_the_table_stands_between_the_marks_of_the_page(runs: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(runs.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for _ in range(2):
        runs.write_between(page, "| a |")
    assert page.read_text(encoding="utf-8").count("| a |") == 1
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="expected the marks"):
        runs.write_between(page, "| a |")

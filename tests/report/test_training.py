"""The tables of trainings: settings that all runs share or not, and each loss's own learning rate."""

from __future__ import annotations

from typing import Any

from lossodyssey.ranking import rank
from lossodyssey.report import RunSummary
from lossodyssey.report.training import shared_settings, spending
from lossodyssey.table import Row


def run(loss: str, dataset: str = "A", **settings: Any) -> RunSummary:
    return RunSummary(loss, dataset, 0, seconds=5.0, peak_memory_bytes=2**20, settings=settings)


def test_settings_in_which_runs_differ_show_how() -> None:
    runs = [
        run("Dice()", steps=1000, learning_rate=0.01, optimizer="adam", augmentation=True),
        run("Focal()", steps=1000, learning_rate=0.003, optimizer="sgd", augmentation=False),
        run("Focal()", steps=1000, learning_rate=0.01, optimizer="adam", augmentation=True, wrong_labels=0.2),
    ]
    assert shared_settings(runs) == [
        ("steps", "1000"),
        ("learning_rate", "0.003 to 0.01, by run"),
        ("optimizer", "adam; sgd"),
        ("augmentation", "True; False"),
        ("wrong_labels", "0.2"),
    ]
    assert shared_settings([]) == []


def test_rates_stand_beside_the_losses_where_they_differ() -> None:
    rows = [
        Row(loss, "A", 0, 0, f"case {case}", "organ", "DSC", 0.8 + 0.01 * ((case + i) % 3))
        for i, loss in enumerate(("Dice()", "Focal()"))
        for case in range(8)
    ]
    ranking = rank(rows)
    runs = [
        run("Dice()", learning_rate=0.01),
        run("Dice()", "B", learning_rate=0.03),
        run("Focal()", learning_rate=0.01),
    ]
    found = spending(ranking, runs)
    assert found is not None
    column = next(column for column in found.columns if column.title == "Learning rate")
    names = [cell.text for cell in found.columns[0].cells]
    assert dict(zip(names, [cell.text for cell in column.cells], strict=True)) == {
        "Dice()": "0.01 to 0.03",
        "Focal()": "0.01",
    }
    shared = spending(ranking, [run("Dice()", learning_rate=0.01), run("Focal()", learning_rate=0.01)])
    assert shared is not None and "Learning rate" not in [column.title for column in shared.columns]

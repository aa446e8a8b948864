from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lossodyssey.report.runs import RunSummary, costs, read_runs


def run_folder(folder: Path, name: str, **facts: object) -> Path:
    path = folder / "runs" / name
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"expression": "Dice()", "status": "finished", **facts}))
    (path / "curve.csv").write_text("step,loss,learning_rate\n0,1.5,0.01\n10,0.5,\n")
    return path


def test_runs_are_read_in_order_with_their_curves(tmp_path: Path) -> None:
    run_folder(tmp_path, "b", expression="CE()", seconds=12.5, unknown={"key": 1}, device="cpu", seed=2)
    run_folder(tmp_path, "a", peak_memory_bytes=None, reason=None)
    first, second = read_runs(tmp_path)
    assert (first.loss, second.loss, second.seconds, second.seed) == ("Dice()", "CE()", 12.5, 2)
    assert math.isnan(first.peak_memory_bytes) and first.reason == ""
    assert second.curve.steps == (0, 10) and second.curve.losses == (1.5, 0.5)
    assert math.isnan(second.curve.learning_rates[1])


def test_a_run_without_curve_is_still_a_run(tmp_path: Path) -> None:
    (run_folder(tmp_path, "a") / "curve.csv").unlink()
    assert read_runs(tmp_path)[0].curve.steps == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"expression": "Dice()", "seconds": "long"}'])
def test_a_broken_record_is_named(tmp_path: Path, text: str) -> None:
    (run_folder(tmp_path, "a") / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json"):
        read_runs(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_runs(tmp_path / "nowhere")


def test_costs_average_finished_runs() -> None:
    runs = [
        RunSummary("a", "x", 0, 10.0, 100.0),
        RunSummary("a", "x", 1, 20.0, 300.0),
        RunSummary("a", "x", 2, 1.0, status="diverged"),
        RunSummary("b", "x", 0, status="failed"),
    ]
    found = costs(runs)
    assert set(found) == {"a"}
    assert (found["a"].seconds, found["a"].peak_memory_bytes) == (15.0, 200.0)

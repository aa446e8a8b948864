"""The calibration judges simulated tables as `rank` does, and its page says what its results say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lossodyssey.ranking import rank

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


calibration = load("ranking_calibration")


@pytest.mark.parametrize(
    "setting",
    [("1", 5, 3, 20, "normal", 0.012), ("3", 2, 2, 20, "heavy", 0.006), ("3 unequal", 5, 2, 20, "skewed", 0.012)],
)
def test_tables_are_judged_as_rank_judges_their_rows(setting: tuple[str, int, int, int, str, float]) -> None:
    own = calibration.Setting(*setting)
    rng = np.random.default_rng(0)
    cells = [calibration.simulate(own, rng) for _ in range(4)]
    lead = np.r_[0.03, np.zeros(own.losses - 1)]
    tables = calibration.Tables.of([calibration.compare(table) for table in cells], cells, lead)
    apart = ~np.eye(own.losses, dtype=bool)
    for k, table in enumerate(cells):
        moved = [calibration.cell(c.task, c.by_run + lead[:, None, None]) for c in table]
        overall = rank(calibration.rows(moved)).overall
        assert np.array_equal(tables.better_retrained[k], overall.better_retrained[apart])
        assert np.array_equal(tables.networks[k] < 0.05, overall.better[apart])
        assert np.array_equal(tables.best_set[k], overall.best_set)
        assert np.array_equal(tables.judged[k], overall.judged)
        assert tables.difference[k] == pytest.approx(overall.pairs.difference[apart])
        half = calibration.half_width(0.025, tables.parts)[k]
        assert half == pytest.approx((overall.pairs.limits()[1] - overall.pairs.difference)[apart])


def test_one_seed_is_judged_by_the_tests_over_cases() -> None:
    own = calibration.Setting("1", 5, 1, 20, "normal", 0.0)
    cells = [calibration.simulate(own, np.random.default_rng(1))]
    lead = np.r_[0.05, np.zeros(4)]
    tables = calibration.Tables.of([calibration.compare(cells[0])], cells, lead)
    overall = rank(calibration.rows([calibration.cell("A", cells[0][0].by_run + lead[:, None, None])])).overall
    assert np.array_equal(tables.best_set[0], overall.best_set)
    assert np.array_equal(tables.judged[0], overall.judged) and overall.judged.any()


def test_kept_results_keep_the_promise() -> None:
    """At most 5 % false statements about retrained losses, up to four standard errors, where losses train alike."""
    lines = [line for line in calibration.kept() if line["noise"] != "unsteady" and int(line["seeds"]) > 1]
    assert len(lines) > 30
    for line in lines:
        error = 4 * np.sqrt(0.05 * 0.95 / int(line["tables"]))
        assert float(line["false"]) <= 0.05 + error, line
        for name in ("ranks_right", "best_kept"):
            assert float(line[name]) >= 0.95 - error, line


def test_a_finished_setting_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "RESULTS", tmp_path / "results.csv")
    chosen = [calibration.Setting("1", 2, 2, 20, "normal", sd) for sd in (0.0, 0.006)]
    monkeypatch.setattr(calibration, "settings", lambda: chosen)
    for _ in range(2):
        calibration.extend(tables=5, minutes=5, share="1/1")
    assert len(calibration.kept()) == 4
    calibration.extend(tables=6, minutes=5, share="2/2")
    assert [line["tables"] for line in calibration.kept()] == ["5"] * 4 + ["6"] * 2


def test_the_page_is_fresh() -> None:
    page = load("calibration_page")
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "python benchmarks/ranking_calibration.py --write"

"""The study of the light engine's defaults, and the table of its speed: their rules, on made results."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.defaults import DATASETS, LOSSES, Trial

from benchmarks import defaults, engine


def trials(rate: float, score: float, warmup: int = 0, steps: int = 300) -> dict[Trial, float]:
    """Trials of every loss on every data set whose mean is `score`."""
    tasks = list(product(DATASETS, LOSSES))
    return {
        Trial(name, loss, rate, warmup, steps): score + 0.01 * (k % 2 - 0.5) for k, (name, loss) in enumerate(tasks)
    }


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({(0.003, 0): 0.7, (0.01, 0): 0.8, (0.03, 0): 0.79}, (0.01, 0)),
        ({(0.003, 0): 0.7, (0.01, 0): 0.799, (0.03, 0): 0.8}, (0.01, 0)),
        ({(0.03, 0): 0.8, (0.03, 30): 0.801}, (0.03, 0)),
        ({(0.003, 30): 0.8, (0.03, 0): 0.799}, (0.03, 0)),
        ({(0.03, 0): 0.8, (0.03, 30): 0.81}, (0.03, 30)),
    ],
    ids=["best", "smallest of equals", "no warm-up among equals", "rather a rate than a warm-up", "warm-up"],
)
def test_the_rule(scores: dict[tuple[float, int], float], expected: tuple[float, int]) -> None:
    done = {key: value for (rate, warmup), mean in scores.items() for key, value in trials(rate, mean, warmup).items()}
    found = defaults.means(done, list(done))
    assert {key[:2]: pytest.approx(value) for key, value in found.items()} == scores
    assert defaults.chosen(found)[:2] == expected


def test_a_rate_that_lacks_a_run_is_not_chosen() -> None:
    whole, cut = trials(0.01, 0.7), trials(0.03, 0.9)
    cut.popitem()
    assert [key[0] for key in defaults.means(whole | cut, [*whole, *cut])] == [0.01]
    assert "| 300 | 0 | 0.03 |" in (page := defaults.page(whole | cut)) and "the rule takes 0.01." in page


def test_what_is_done_is_kept(tmp_path: Path) -> None:
    done = trials(0.01, 0.7) | trials(0.03, 0.8, warmup=30, steps=1000)
    defaults.keep(tmp_path / "kept.csv", done)
    assert defaults.kept(tmp_path / "kept.csv") == {trial: pytest.approx(value) for trial, value in done.items()}
    assert defaults.kept(tmp_path / "absent.csv") == {}


def test_the_table_of_the_engine_names_what_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RESULTS", tmp_path / "engine.csv")
    found = {
        "Fast": {"steps per second": 20.0, "data": 0.01, "network": 0.95, "loss": 0.04, "auxiliaries": 0.0},
        "Slow": {"steps per second": 2.0, "data": 0.5, "network": 0.3, "loss": 0.2, "auxiliaries": 0.06},
    }
    engine.keep(found)
    assert engine.kept() == found
    page = engine.page(engine.kept(), "a machine")
    assert page.index("| Fast | 20.0 | 1% | 95% | 4% | 0% |") < page.index("| Slow | 2.0 | 50% | 30% | 20% | 6% |")
    assert "**The value of the loss**, 1 of 2 losses: Slow (20%)." in page
    assert "**Auxiliary values**, 1 of 2 losses: Slow (6%)." in page

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from lossodyssey.ranking import rank
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.ranking.means import bca, corrected_leader, mean_intervals
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def test_one_seed_gives_the_bca_interval_over_cases(table: Table) -> None:
    ranking = rank(table([0.8, 0.7], cases=40))
    own = mean_intervals(ranking, draws=4000)[0]
    values = ranking.overall.cell.values
    percentile = [stats.bootstrap((row,), np.mean, n_resamples=4000, rng=1).confidence_interval for row in values]
    assert not own.retrained
    assert own.low == pytest.approx([p.low for p in percentile], abs=2e-3)
    assert own.high == pytest.approx([p.high for p in percentile], abs=2e-3)


def test_seeds_widen_the_interval_by_the_training_noise_as_a_square(table: Table) -> None:
    rows = table([0.8, 0.7, 0.75], cases=40, seeds=(0, 1, 2))
    ranking = rank(rows)
    own, alone = mean_intervals(ranking, draws=300)[0], bca(ranking.overall.cell.values, 300, 0, 0.95)
    runs = np.nanmean(ranking.overall.cell.by_run, axis=2)
    assert own.retrained
    assert (own.mean - own.low > own.mean - alone[0]).all()
    extra = np.sqrt((own.high - own.mean) ** 2 - (alone[1] - own.mean) ** 2)
    shortest = stats.t.isf(0.025, 3 * 2) * runs.std(axis=1, ddof=1).min() / np.sqrt(3)
    assert (extra > 0.5 * shortest).all()


def test_a_constant_loss_is_its_own_interval(table: Table) -> None:
    rows = table([0.8], cases=10)
    rows += [Row("flat", r.dataset, r.fold, r.seed, r.case, r.class_name, r.metric, 0.5) for r in rows]
    own = mean_intervals(rank(rows), draws=50)[0]
    assert (own.low[1], own.high[1]) == (0.5, 0.5)


@pytest.mark.parametrize("run_noise, seeds", [(0.0, 1), (0.01, 4)])
def test_intervals_cover_the_true_mean(table: Table, run_noise: float, seeds: int) -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(150):
        truth = np.array([0.8, 0.7, 0.75])
        run = truth[:, None] + run_noise * rng.normal(size=(3, seeds))
        values = run[:, :, None] + 0.05 * rng.normal(size=30) + 0.03 * rng.normal(size=(3, seeds, 30))
        rows = [Row(f"loss{i}", "A", 0, s, f"case{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]
        own = mean_intervals(rank(rows), draws=200)[0]
        hits.append((own.low <= truth) & (truth <= own.high))
    assert np.mean(hits) > 0.91


def test_the_leader_of_equal_losses_owes_its_lead_to_luck() -> None:
    rng = np.random.default_rng(2)
    excess, corrected = [], []
    for _ in range(40):
        values = 0.7 + 0.05 * rng.normal(size=(8, 40))
        rows = [Row(f"loss{i}", "A", 0, 0, f"case{c}", "x", "DSC", float(v)) for (i, c), v in np.ndenumerate(values)]
        ranking = rank(rows, method="mean")
        leader = ranking.overall.order[0]
        excess.append(ranking.overall.cell.values[leader].mean() - 0.7)
        corrected.append(corrected_leader(ranking, bootstrap(ranking, 200))[0] - 0.7)
    assert np.mean(excess) > 0.008
    assert abs(np.mean(corrected)) < 0.5 * np.mean(excess)


def test_a_corrected_mean_is_one_that_the_measure_can_take() -> None:
    runs = 0.01 + 0.04 * (np.random.default_rng(5).random((12, 2)) < 0.3)
    rows = [
        Row(f"loss{loss}", "A", 0, seed, f"case{case}", "x", "DSC", float(value))
        for (loss, seed), value in np.ndenumerate(runs)
        for case in range(3)
    ]
    ranking = rank(rows, method="mean")
    assert corrected_leader(ranking, bootstrap(ranking, 100)) == [0.0], "less its luck it would be below"


def test_without_draws_the_limits_are_students(table: Table) -> None:
    ranking = rank(table([0.8, 0.7], cases=12))
    own, values = mean_intervals(ranking, draws=0)[0], ranking.overall.cell.values
    expected = [stats.ttest_1samp(row, 0).confidence_interval() for row in values]
    assert own.low == pytest.approx([e.low for e in expected]) and own.high == pytest.approx([e.high for e in expected])

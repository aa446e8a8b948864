"""Pairs of losses by themselves: no third loss, no second unit enters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import ttest_rel, wilcoxon

from lossodyssey.ranking import rank
from lossodyssey.ranking.cells import collect
from lossodyssey.ranking.limits import Part, half_width
from lossodyssey.ranking.pairs import Pairs, compare, signed_ranks
from lossodyssey.table import Row

METRICS = {"shares": ("DSC", "NSD"), "one": ("DSC",), "mixed": ("DSC", "HD95")}


def table(
    seed: int,
    *,
    losses: int = 5,
    seeds: int = 2,
    cases: int = 12,
    tasks: int = 1,
    metrics: Sequence[str] = ("DSC",),
    tied: bool = False,
    patients: bool = False,
) -> list[Row]:
    """A random table; tied ones have scores in steps of 0.05, many of them equal."""
    rng = np.random.default_rng(seed)
    rows = []
    for task, metric in np.ndindex(tasks, len(metrics)):
        share = 0.7 + 0.05 * rng.normal(size=(losses, seeds, cases + task)) + 0.02 * rng.normal(size=(losses, seeds, 1))
        share = np.round(20 * share) / 20 if tied else share
        for (i, run, j), value in np.ndenumerate(share):
            score = float(20 * (1 - value) if metrics[metric].startswith("HD") else value)
            group = f"patient{j // 3}" if patients else ""
            place = f"loss{i}", f"task{task}", 0, run, f"case{j}", "object", metrics[metric]
            rows.append(Row(*place, score, group=group))
    return rows


@pytest.mark.parametrize("metrics", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("tied, patients", [(False, False), (True, False), (False, True), (True, True)])
def test_leaving_other_losses_out_changes_no_bit_of_a_pair(
    metrics: tuple[str, ...], tasks: int, tied: bool, patients: bool
) -> None:
    for seed in range(2):
        rows = table(seed, metrics=metrics, tasks=tasks, tied=tied, patients=patients, cases=24 if patients else 12)
        whole = rank(rows)
        for kept in (("loss0", "loss1"), ("loss0", "loss1", "loss4"), ("loss1", "loss3")):
            part = rank([row for row in rows if row.loss in kept])
            at = np.ix_(*2 * [[whole.losses.index(loss) for loss in part.losses]])
            for long, short in zip((*whole.standings, whole.overall), (*part.standings, part.overall), strict=True):
                assert np.array_equal(long.p[at], short.p)
                assert np.array_equal(long.pairs.difference[at], short.pairs.difference)
                assert np.array_equal(long.pairs.cases.variance[at], short.pairs.cases.variance)
                assert np.array_equal(long.pairs.cases.df[at], short.pairs.cases.df)


def test_the_noise_of_trainings_is_pooled_and_says_on_how_much_it_rests() -> None:
    rows = table(0)
    assert rank(rows).overall.pairs.training.df[0, 1] == 4
    assert rank([row for row in rows if row.loss in ("loss0", "loss1")]).overall.pairs.training.df[0, 1] == 1


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_gives_the_paired_t_test(seed: int) -> None:
    standing = rank(table(seed, losses=3, seeds=1, cases=25)).overall
    pairs, values = standing.pairs, standing.cell.values
    low, high = pairs.limits()
    for i, j in ((0, 1), (1, 0), (2, 1)):
        test = ttest_rel(values[i], values[j])
        assert (low[i, j], high[i, j]) == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-9)
        one_sided = ttest_rel(values[i], values[j], alternative="greater").pvalue
        assert pairs.chance_false()[i, j] == pytest.approx(one_sided, rel=1e-6)
        assert standing.p[i, j] == wilcoxon(values[i], values[j], alternative="greater").pvalue
        assert np.isnan(standing.p_retrained[i, j])


def test_one_seed_gives_the_probability_of_the_bayesian_t_test() -> None:
    """baycomp 1.0.3 gave 0.0127317808 for these scores, 0.0473088437 with its widening for overlapping training sets.

    That widening, a factor of 1 + n / (n - 1) on the variance, was taken out by shrinking the differences' deviations
    from their mean by its root.
    """
    first = np.array([0.81, 0.77, 0.92, 0.64, 0.88, 0.79, 0.70, 0.85])
    second = np.array([0.78, 0.78, 0.90, 0.60, 0.85, 0.80, 0.66, 0.83])
    chance = compare_scores(first, second).chance_false()
    assert (chance[0, 1], chance[1, 0]) == pytest.approx((0.012731780841619633, 0.9872682191583804), rel=1e-7)


def compare_scores(first: NDArray[np.float64], second: NDArray[np.float64]) -> Pairs:
    rows = [
        Row(loss, "A", 0, 0, f"case{j}", "object", "DSC", float(value))
        for loss, values in (("loss0", first), ("loss1", second))
        for j, value in enumerate(values)
    ]
    return compare(collect(rows).cells)


def test_several_metrics_are_tested_as_the_mean_of_their_signed_ranks() -> None:
    ranking = rank(table(1, losses=3, metrics=("DSC", "NSD"), cases=20))
    ranks = signed_ranks([standing.cell for standing in ranking.standings])
    assert ranks.shape == (3, 20)
    for k, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        first = [standing.cell.values for standing in ranking.standings]
        signed = []
        for values in first:
            difference = values[i] - values[j]
            signed.append(np.sign(difference) * (1 + np.argsort(np.argsort(np.abs(difference)))) / 20)
        assert ranks[k] == pytest.approx(np.mean(signed, axis=0))
        expected = wilcoxon(np.round(ranks[k], 12), alternative="greater", method="auto").pvalue
        assert ranking.overall.p[i, j] == pytest.approx(expected)


def test_a_difference_over_metrics_and_tasks_is_the_mean() -> None:
    ranking = rank(table(2, tasks=2, metrics=("DSC", "NSD")))
    means = [standing.pairs.difference for standing in ranking.standings]
    assert ranking.overall.pairs.difference == pytest.approx(np.mean(means, axis=0))
    assert ranking.overall.pairs.unit == "DSC and NSD"


def test_metrics_of_different_kinds_are_compared_in_deviations() -> None:
    ranking = rank(table(2, metrics=("DSC", "HD95")), metrics=["DSC", "HD95"])
    cells = [standing.cell.oriented for standing in ranking.standings]
    scaled = [(c[0] - c[1]).mean() / (c[0] - c[1]).std(ddof=1) for c in cells]
    assert ranking.overall.pairs.difference[0, 1] == pytest.approx(np.mean(scaled))
    assert "deviations" in ranking.overall.pairs.unit


@pytest.mark.parametrize("tasks, metrics, seeds", [(1, "one", 1), (1, "shares", 2), (3, "shares", 1), (2, "mixed", 1)])
def test_a_statement_flips_at_its_tipping_point(tasks: int, metrics: str, seeds: int) -> None:
    rows = table(3, seeds=seeds, tasks=tasks, metrics=METRICS[metrics], cases=30)
    better = {"DSC": 0.2, "NSD": 0.2, "HD95": -4.0}
    rows = [replace(row, value=row.value + better[row.metric]) if row.loss == "loss0" else row for row in rows]
    pairs = rank(rows, metrics=METRICS[metrics]).overall.pairs
    level = 0.05 / 20
    tip = pairs.tipping_point(0.05)[0, 1:]
    assert (tip > 0).all()
    for factor, holds in ((1 - 1e-6, True), (1 + 1e-6, False)):
        known = Part(pairs.training_weight[0, 1:] * (factor * tip) ** 2, np.full(4, np.inf))
        width = half_width(level, [Part(pairs.cases.variance[0, 1:], pairs.cases.df[0, 1:]), known])
        assert ((np.abs(pairs.difference[0, 1:]) > width) == holds).all()


def test_a_statement_that_does_not_hold_has_no_room() -> None:
    pairs = rank(table(4, seeds=1)).overall.pairs
    assert pairs.tipping_point(0.05)[~(np.abs(pairs.difference) > half_width(0.05 / 20, [pairs.cases]))].max() == 0


def test_p_values_of_both_directions_add_up() -> None:
    pairs = rank(table(5, seeds=3)).overall.pairs
    p, apart = pairs.p_retrained(), ~np.eye(5, dtype=bool)
    assert (p + p.T)[apart] == pytest.approx(1)
    assert (np.diag(p) == 1).all()


def test_without_noise_of_trainings_the_case_part_decides() -> None:
    """Two seeds with the same means: the p-value is that of the paired t test."""
    scores = np.random.default_rng(6).normal(0.7, 0.05, size=(2, 15))
    rows = [
        Row(f"loss{i}", "A", 0, run, f"case{j}", "object", "DSC", float(value))
        for (i, j), value in np.ndenumerate(scores)
        for run in range(2)
    ]
    difference = scores[0] - scores[1]
    statistic = difference.mean() / (difference.std(ddof=1) / np.sqrt(15))
    assert rank(rows).overall.p_retrained[0, 1] == pytest.approx(stdtr(14, -statistic), rel=1e-6)

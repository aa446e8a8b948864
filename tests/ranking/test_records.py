from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy.stats import wilcoxon

from lossodyssey.ranking import rank
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.ranking.means import mean_intervals
from lossodyssey.ranking.records import pair_records, records
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def test_every_pair_has_a_line_per_scope(table: Table) -> None:
    found = pair_records(rank(table([0.8, 0.7, 0.75], tasks=("A", "B"), metrics=("DSC", "NSD"), seeds=(0, 1))))
    scopes = [(r["scope"], r["metric"]) for r in found]
    assert [scopes.count(s) for s in dict.fromkeys(scopes)] == [3] * 5
    assert ("overall", "all") in scopes
    assert all(r["difference"] >= 0 and r["low"] <= r["difference"] <= r["high"] for r in found)


def test_a_pair_is_tested_as_scipy_tests_it(table: Table) -> None:
    rows = table([0.8, 0.79, 0.7], cases=30, seeds=(0, 1))
    ranking = rank(rows)
    values = dict(zip(ranking.losses, ranking.overall.cell.values, strict=True))
    for record in pair_records(ranking):
        first, second = values[record["loss"]], values[record["other"]]
        assert record["p_cases"] == pytest.approx(wilcoxon(first, second).pvalue)
        assert record["difference"] == pytest.approx((first - second).mean())
        assert record["p_retrained"] <= record["holm_retrained"] and record["p_cases"] <= record["holm_cases"]


def test_one_seed_leaves_retrained_numbers_empty(table: Table) -> None:
    ranking = rank(table([0.8, 0.7]))
    assert all(r["p_retrained"] is None and r["holm_retrained"] is None for r in pair_records(ranking))
    assert all(r["rank_low_retrained"] is None for r in records(ranking))
    assert pair_records(ranking)[0]["tipping_point"] > 0


def test_one_scope_is_told_as_the_task_and_as_overall(table: Table) -> None:
    found = pair_records(rank(table([0.8, 0.7])))
    assert [r["scope"] for r in found] == ["A", "overall"]
    assert {k: v for k, v in found[0].items() if k != "scope"} == {k: v for k, v in found[1].items() if k != "scope"}


def test_records_hold_means_with_limits_and_the_best_set(table: Table) -> None:
    ranking = rank(table([0.8, 0.6, 0.7], cases=30, seeds=(0, 1, 2)))
    best = records(ranking, bootstrap(ranking, 50), mean_intervals(ranking, 50))[0]
    assert best["mean_low"] < best["mean"] < best["mean_high"]
    assert best["in_best_set"] and best["rank_low_retrained"] == best["rank_high_retrained"] == 1


def test_dropping_a_loss_changes_no_number_about_these_networks(table: Table) -> None:
    rows = table([0.8, 0.79, 0.7, 0.795], cases=25, tasks=("A", "B"), metrics=("DSC", "NSD"))
    keys = ("loss", "other", "scope", "metric", "difference", "low", "high", "p_cases")
    fewer = pair_records(rank([r for r in rows if r.loss != "loss2"]))
    known = {tuple(r[k] for k in keys) for r in pair_records(rank(rows))}
    assert {tuple(r[k] for k in keys) for r in fewer} <= known


def test_mixed_metrics_are_compared_in_standard_deviations(table: Table) -> None:
    rows = table([0.8, 0.7, 0.75], cases=30, metrics=("DSC", "HD95"), seeds=(0, 1))
    ranking = rank(rows, metrics=["DSC", "HD95"])
    overall = [r for r in pair_records(ranking) if r["scope"] == "overall"]
    assert {r["unit"] for r in overall} == {"standard deviations of the paired differences"}
    wider = [replace(r, value=10 * r.value) if r.metric == "HD95" else r for r in rows]
    again = [r for r in pair_records(rank(wider, metrics=["DSC", "HD95"])) if r["scope"] == "overall"]
    assert [r["difference"] for r in again] == pytest.approx([r["difference"] for r in overall])

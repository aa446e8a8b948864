from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from lossodyssey.ranking import rank
from lossodyssey.ranking.agreement import agreements, size_strata, tau_b
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def test_tau_equals_scipy_with_ties() -> None:
    scores = np.random.default_rng(0).integers(0, 5, size=(4, 9)).astype(float)
    found = tau_b(scores)
    for i in range(4):
        for j in range(4):
            assert found[i, j] == pytest.approx(kendalltau(scores[i], scores[j]).statistic)


def test_a_view_without_differences_has_no_tau() -> None:
    assert np.isnan(tau_b(np.array([[1.0, 1.0], [1.0, 2.0]]))[0]).all()


def test_all_topics_of_a_rich_table(table: Table) -> None:
    rows = table([0.5, 0.8, 0.65], tasks=("A", "B"), metrics=("DSC", "HD95"), classes=("x", "y"))
    rows = [replace(row, size=float(row.case.removeprefix("case"))) for row in rows]
    topics = {topic.topic: topic for topic in agreements(rows, rank(rows))}
    assert set(topics) == {"metrics", "ranking methods", "tasks", "one task left out", "classes", "lesion sizes"}
    assert topics["one task left out"].views == ("all tasks", "without A", "without B")
    assert topics["lesion sizes"].views == ("small", "medium", "large")
    for topic in topics.values():
        assert topic.tau == pytest.approx(np.ones_like(topic.tau))


def test_a_task_without_headline_metric_is_no_view(table: Table) -> None:
    rows = [*table([0.5, 0.8]), *table([0.5, 0.8], tasks=("B",), metrics=("HD95",))]
    topics = {topic.topic: topic.views for topic in agreements(rows, rank(rows))}
    assert topics == {"metrics": ("DSC", "HD95"), "ranking methods": topics["ranking methods"]} | {
        "one task left out": ("all tasks", "without B")
    }


def test_a_plain_table_has_the_methods_only(table: Table) -> None:
    rows = table([0.5, 0.8])
    assert [topic.topic for topic in agreements(rows, rank(rows))] == ["ranking methods"]


def test_missing_values_are_ranked_under_every_policy(table: Table) -> None:
    rows = [
        replace(row, value=float("nan"), status="pred_empty")
        if row.case in ("case1", "case2") and row.loss == "loss1"
        else row
        for row in table([0.5, 0.8, 0.65])
    ]
    topic = next(topic for topic in agreements(rows, rank(rows)) if topic.topic == "policies for missing values")
    assert topic.views == ("worst", "drop", "last")
    assert topic.tau == pytest.approx(np.ones((3, 3)))


def test_classes_that_disagree_show_it(table: Table) -> None:
    rows = [*table([0.5, 0.8], classes=("x",)), *table([0.8, 0.5], classes=("y",))]
    topic = next(topic for topic in agreements(rows, rank(rows)) if topic.topic == "classes")
    assert topic.tau[0, 1] == -1


def test_sizes_are_split_in_thirds_per_class() -> None:
    rows = [
        Row("a", "A", 0, 0, str(case), name, "DSC", 0.5, size=scale * case)
        for name, scale in (("big", 100.0), ("small", 1.0))
        for case in range(1, 10)
    ]
    strata = size_strata(rows)
    for name in ("big", "small"):
        assert [strata["A", str(case), name] for case in (1, 5, 9)] == ["small", "medium", "large"]

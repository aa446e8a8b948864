from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import rankdata, wilcoxon

from lossodyssey.ranking import METHODS, rank
from lossodyssey.ranking.methods import holm
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def values(rows: list[Row], metric: str = "DSC", task: str = "A") -> np.ndarray:
    losses = sorted({r.loss for r in rows})
    return np.array(
        [[r.value for r in rows if (r.loss, r.metric, r.dataset) == (loss, metric, task)] for loss in losses]
    )


def test_the_significance_score_counts_losses_beaten(table: Table) -> None:
    rows = table([0.8, 0.79, 0.7, 0.78])
    cube = values(rows)
    beaten = [
        sum(wilcoxon(own, other, alternative="greater").pvalue < 0.05 for j, other in enumerate(cube) if j != i)
        for i, own in enumerate(cube)
    ]
    standing = rank(rows).overall
    assert standing.significance_score.tolist() == beaten
    assert standing.mean_rank == pytest.approx(rankdata(-cube, axis=0).mean(axis=1))


def test_distances_rank_the_other_way(table: Table) -> None:
    ranking = rank(table([0.8, 0.5], metrics=("DSC", "HD95")), metrics=["HD95"])
    assert ranking.overall.order == [0, 1]
    assert ranking.overall.significance_score.tolist() == [1, 0]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_clear_order(table: Table, method: str) -> None:
    rows = table([0.5, 0.8, 0.65], cases=30, tasks=("A", "B"), metrics=("DSC", "NSD", "HD95"))
    ranking = rank(rows, method=method)
    assert ranking.overall.position.tolist() == [3, 1, 2]
    assert ranking.overall.rank_low.tolist() == ranking.overall.rank_high.tolist() == [3, 1, 2]


def test_the_overall_score_averages_tasks_and_headline_metrics(table: Table) -> None:
    ranking = rank(table([0.80, 0.79, 0.78], cases=15, tasks=("A", "B"), metrics=("DSC", "NSD", "HD95")))
    assert ranking.headline == ("DSC", "NSD")
    chosen = [s.significance_score for s in ranking.standings if s.cell.metric != "HD95"]
    assert len(ranking.standings) == 6
    assert ranking.overall.significance_score == pytest.approx(np.mean(chosen, axis=0))
    assert len(ranking.overall.cell.cases) == 30


def test_named_metrics_are_the_headline(table: Table) -> None:
    ranking = rank(table([0.8, 0.7], metrics=("DSC", "HD95", "IoU")), metrics=["HD95", "IoU"])
    assert ranking.headline == ("HD95", "IoU") == ranking.metrics


def test_the_headline_metrics_go_by_other_names_too(table: Table) -> None:
    ranking = rank(table([0.8, 0.7], metrics=("Dice", "HD95", "Surface Dice")))
    assert ranking.headline == ("Dice", "Surface Dice")


def test_holm_equals_the_step_down_procedure() -> None:
    p = np.random.default_rng(0).uniform(0, 0.05, size=(4, 4))
    adjusted = holm(p)
    flat = sorted((p[i, j], i, j) for i in range(4) for j in range(4) if i != j)
    largest = 0.0
    for step, (value, i, j) in enumerate(flat):
        largest = max(largest, min(1, (12 - step) * value))
        assert adjusted[i, j] == pytest.approx(largest)
    assert np.diag(adjusted).tolist() == [1] * 4


def test_equal_losses_share_their_rank(table: Table) -> None:
    rows = table([0.7], cases=10)
    twin = [Row("twin", r.dataset, r.fold, r.seed, r.case, r.class_name, r.metric, r.value) for r in rows]
    standing = rank([*rows, *twin]).overall
    assert standing.position.tolist() == [1.5, 1.5]
    assert standing.rank_low.tolist() == [1, 1] and standing.rank_high.tolist() == [2, 2]


def test_the_order_of_rows_does_not_matter(table: Table) -> None:
    rows = table([0.8, 0.7, 0.75])
    shuffled = list(rows)
    np.random.default_rng(0).shuffle(shuffled)  # type: ignore[arg-type]
    first, second = rank(rows), rank(shuffled)
    for loss in first.losses:
        i, j = first.losses.index(loss), second.losses.index(loss)
        assert first.overall.significance_score[i] == second.overall.significance_score[j]
        assert first.overall.mean_rank[i] == pytest.approx(second.overall.mean_rank[j])


@pytest.mark.parametrize("options, message", [({"method": "best"}, "method 'best'"), ({"alpha": 5.0}, "alpha 5.0")])
def test_wrong_options_are_named(table: Table, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank(table([0.8, 0.7]), **options)  # type: ignore[arg-type]

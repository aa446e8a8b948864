from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.bootstrap import bootstrap, case_weights, top_frequency
from lossodyssey.ranking.effects import effects
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def test_draws_repeat_for_a_seed_and_are_joint_over_metrics(table: Table) -> None:
    ranking = rank(table([0.8, 0.79, 0.75], metrics=("DSC", "NSD")), method="mean")
    first, again, other = (bootstrap(ranking, 50, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.overall, again.overall)
    assert not np.array_equal(first.overall, other.overall)
    assert np.array_equal(first.ranks[0], first.ranks[1])


def test_a_draw_is_the_ranking_of_the_table_with_repeated_cases(table: Table) -> None:
    rows = table([0.80, 0.79, 0.785], cases=16)
    ranking = rank(rows)
    weights = case_weights(ranking, 5, 0)["A"]
    drawn = bootstrap(ranking, 5, 0)
    for draw, found in zip(weights, drawn.overall, strict=True):
        copies = [
            Row(r.loss, r.dataset, r.fold, r.seed, f"{r.case}-{k}", r.class_name, r.metric, r.value)
            for r in rows
            for k in range(draw[ranking.overall.cell.cases.index(r.case)])
        ]
        assert rank(copies).overall.position.tolist() == found.tolist()


def test_clear_differences_keep_their_ranks(table: Table) -> None:
    drawn = bootstrap(rank(table([0.5, 0.8, 0.65], tasks=("A", "B"))), 100)
    assert top_frequency(drawn.overall, 1).tolist() == [0, 1, 0]
    assert drawn.tau.tolist() == pytest.approx([1.0] * 100)


def test_top_frequencies_add_up_and_ties_share() -> None:
    ranks = np.array([[1.5, 1.5, 3.0, 4.0], [1.0, 3.0, 3.0, 3.0]])
    assert top_frequency(ranks, 1).tolist() == pytest.approx([0.75, 0.25, 0, 0])
    assert top_frequency(ranks, 3).tolist() == pytest.approx([1, (1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1 / 3])


def test_no_draws_is_an_error(table: Table) -> None:
    with pytest.raises(ValueError, match="draws 0"):
        bootstrap(rank(table([0.5, 0.6])), 0)


def test_effects_are_median_paired_differences(table: Table) -> None:
    rows = table([0.8, 0.7, 0.8], cases=40)
    ranking = rank(rows)
    found = effects(ranking, reference="loss0", margin=0.02, draws=300)[0]
    cube = ranking.overall.cell.values
    assert found.difference == pytest.approx(np.median(cube[0] - cube, axis=1))
    assert (found.low <= found.difference).all() and (found.difference <= found.high).all()
    assert found.won == pytest.approx([0.5, np.mean(cube[0] > cube[1]), np.mean(cube[0] > cube[2])])
    assert found.conclusion == ("equivalent", "worse", "equivalent")


def test_a_distance_is_worse_where_it_is_larger(table: Table) -> None:
    ranking = rank(table([0.8, 0.5], metrics=("HD95",)))
    assert effects(ranking, reference="loss1", draws=50)[0].conclusion == ("better", "equivalent")


def test_the_reference_must_be_ranked(table: Table) -> None:
    with pytest.raises(ValueError, match="'nobody'"):
        effects(rank(table([0.5, 0.6])), reference="nobody")


def test_draws_hold_training_noise_where_there_are_seeds(table: Table) -> None:
    rng = np.random.default_rng(0)
    luck = 0.03 * rng.normal(size=(3, 4))
    rows = [
        replace(r, value=r.value + luck[int(r.loss[4:]), r.seed])
        for r in table([0.70, 0.69, 0.68], cases=60, seeds=(0, 1, 2, 3))
    ]
    ranking = rank(rows, method="mean")
    again = bootstrap(ranking, 400)
    fixed = bootstrap(rank([replace(r, seed=0) for r in rows if r.seed == 0], method="mean"), 400)
    assert again.retrained and not fixed.retrained
    sure = [top_frequency(found.overall, 1).max() for found in (again, fixed)]
    assert sure[0] < 0.95
    spread = again.means[0].std(axis=0)
    assert (spread > 0.5 * luck.std() / np.sqrt(4)).all()


def test_training_noise_is_joint_over_the_metrics_of_a_run(table: Table) -> None:
    rows = table([0.8, 0.79, 0.75], metrics=("DSC", "NSD"), seeds=(0, 1, 2))
    drawn = bootstrap(rank(rows, method="mean"), 50)
    assert drawn.means[0] == pytest.approx(drawn.means[1])


def test_half_of_the_noise_is_not_drawn(table: Table) -> None:
    rows = table([0.8, 0.7], seeds=(0, 1)) + table([0.8, 0.7], tasks=("B",))
    assert not bootstrap(rank(rows), 10).retrained

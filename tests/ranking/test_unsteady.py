"""Losses whose training noise differs: the pool must neither hide the steady nor make the unsteady look sure."""

from __future__ import annotations

import numpy as np

from lossodyssey.ranking import rank
from lossodyssey.ranking.bootstrap import training_shifts
from lossodyssey.ranking.trainings import training_noise
from lossodyssey.table import Row

UNSTEADY = (0.05, 0.002, 0.002, 0.002, 0.002)


def simulate(truth: tuple[float, ...], run_sds: tuple[float, ...], seeds: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    shape = len(truth), seeds, 60
    luck = np.array(run_sds)[:, None, None] * rng.normal(size=(*shape[:2], 1))
    values = 0.7 + np.array(truth)[:, None, None] + 0.05 * rng.normal(size=60) + luck + 0.015 * rng.normal(size=shape)
    return [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]


def test_an_unsteady_loss_is_found_said_and_left_out_of_the_pool() -> None:
    ranking = rank(simulate((0, 0, 0, 0, 0), UNSTEADY, 5, 0))
    noise = training_noise([ranking.overall.cell])
    assert noise.pooled.tolist() == [False, True, True, True, True]
    assert noise.own_df.tolist() == [4, 12, 12, 12, 12]
    assert noise.own[0, 0, 0] > 50 * noise.interaction[0, 0]
    assert any(note.startswith("A: loss0: more training noise than the other losses") for note in ranking.notes)


def test_steady_losses_are_told_apart_beside_an_unsteady_one() -> None:
    tables = [simulate((0, 0.02, 0, 0, 0), UNSTEADY, 5, seed) for seed in range(20)]
    found = [rank(rows).overall.better_retrained for rows in tables]
    assert np.mean([better[1, 2:].all() for better in found]) > 0.8
    assert np.mean([better[1, 0] for better in found]) < 0.2


def test_an_unsteady_loss_is_no_better_or_worse_by_luck() -> None:
    tables = [simulate((0, 0, 0, 0, 0), UNSTEADY, 5, seed) for seed in range(80)]
    assert np.mean([rank(rows).overall.better_retrained.any() for rows in tables]) < 0.1


def test_alike_losses_are_pooled() -> None:
    pooled = [
        training_noise([rank(simulate((0,) * 5, (0.01,) * 5, 4, seed)).overall.cell]).pooled.all() for seed in range(60)
    ]
    assert np.mean(pooled) > 0.9


def test_two_losses_and_one_seed_have_nothing_to_compare() -> None:
    assert training_noise([rank(simulate((0, 0), (0.05, 0.001), 5, 0)).overall.cell]).pooled.all()
    assert training_noise([rank(simulate((0,) * 4, (0.01,) * 4, 1, 0)).overall.cell]).pooled.all()


def test_draws_give_each_loss_its_own_noise() -> None:
    ranking = rank(simulate((0, 0, 0, 0, 0), UNSTEADY, 5, 0))
    shift = training_shifts(ranking, 2000, 0)["A", "DSC"]
    assert np.median(np.abs(shift), axis=0)[0] > 5 * np.median(np.abs(shift), axis=0)[1:].max()

"""How much one training differs from the next: mean squares against figures worked out by hand and by statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lossodyssey.ranking import rank
from lossodyssey.ranking.cells import Cell, collect
from lossodyssey.ranking.pairs import compare
from lossodyssey.ranking.trainings import training_noise
from lossodyssey.table import Row

Floats = NDArray[np.float64]


def rows(scores: Floats, metric: str = "DSC", fold: int = 0, first_case: int = 0) -> list[Row]:
    """Rows of (losses, seeds, cases) scores; NaN is a run that is not there."""
    return [
        Row(f"loss{i}", "A", fold, seed, f"case{first_case + j:03}", "object", metric, float(value))
        for (i, seed, j), value in np.ndenumerate(scores)
        if np.isfinite(value)
    ]


def cells(*tables: list[Row]) -> list[Cell]:
    return list(collect([row for table in tables for row in table]).cells)


def of_means(means: list[list[float]]) -> Floats:
    """Scores of two cases whose mean is the given (losses, seeds) mean."""
    return np.stack([np.array(means) - 0.1, np.array(means) + 0.1], axis=2)


BALANCED = [[0.1, 0.2, 0.6], [0.2, 0.4, 0.3]]
"""Means 0.3 and 0.3; of the seeds 0.15, 0.3, 0.45; residuals -0.05, -0.1, 0.15 and their opposites."""


def test_mean_squares_of_a_balanced_table() -> None:
    noise = training_noise(cells(rows(of_means(BALANCED))))
    assert noise.df == 2 and noise.seed_df == 2
    assert noise.interaction == pytest.approx(2 * (0.05**2 + 0.1**2 + 0.15**2) / 2)
    assert noise.seeds == pytest.approx(2 * (0.15**2 + 0.15**2) / 2)
    assert noise.weights == pytest.approx([1 / 3, 1 / 3])


def test_what_all_losses_share_is_no_noise_of_a_comparison() -> None:
    shift = np.array([0.0, 0.1, 0.3])
    moved = training_noise(cells(rows(of_means((np.array(BALANCED) + shift).tolist()))))
    assert moved.interaction == pytest.approx(training_noise(cells(rows(of_means(BALANCED)))).interaction)
    assert moved.seeds > 0.05


def test_a_constant_lead_of_a_loss_changes_nothing() -> None:
    lead = [[mean + 0.3 for mean in BALANCED[0]], BALANCED[1]]
    assert training_noise(cells(rows(of_means(lead)))).interaction == pytest.approx(0.035)


def test_one_seed_says_nothing() -> None:
    noise = training_noise(cells(rows(of_means([[0.1], [0.4], [0.2]]))))
    assert noise.df == 0 and np.isnan(noise.interaction).all()
    assert not compare(cells(rows(of_means([[0.1], [0.4], [0.2]])))).retrained


def test_folds_add_their_squares_and_degrees() -> None:
    """Each fold has cases of its own; its seeds are compared among themselves."""
    other = [[0.5, 0.5, 0.8], [0.6, 0.6, 0.6]]
    both = training_noise(cells(rows(of_means(BALANCED)), rows(of_means(other), fold=1, first_case=2)))
    alone = [training_noise(cells(rows(of_means(means)))) for means in (BALANCED, other)]
    assert both.df == 4
    assert both.interaction == pytest.approx((2 * alone[0].interaction + 2 * alone[1].interaction) / 4)
    assert both.weights == pytest.approx([1 / 6, 1 / 6])


def test_folds_with_one_seed_have_no_degrees() -> None:
    found = training_noise(cells(rows(of_means([[0.1], [0.4]])), rows(of_means([[0.2], [0.3]]), fold=1, first_case=2)))
    assert found.df == 0


def test_a_missing_run_counts_all_that_differs_within_a_loss() -> None:
    """Means 0.1, 0.2, 0.6 of one loss and 0.2, 0.4 of the other: squares 0.14 and 0.02, degrees 2 and 1."""
    means = of_means(BALANCED)
    means[1, 2] = np.nan
    noise = training_noise(cells(rows(means)))
    assert noise.df == 3 and noise.seed_df == 0
    assert noise.interaction == pytest.approx((0.14 + 0.02) / 3)
    assert noise.weights == pytest.approx([1 / 3, 1 / 2])


def test_a_table_with_a_missing_run_is_judged_with_its_own_weights() -> None:
    means = of_means(BALANCED)
    means[1, 2] = np.nan
    pairs = compare(cells(rows(means)))
    assert pairs.training.variance[0, 1] == pytest.approx((0.14 + 0.02) / 3 * (1 / 3 + 1 / 2))
    assert pairs.training.df[0, 1] == 3


def test_metrics_vary_together() -> None:
    """The matrix holds mean products; a distance is turned so that larger is better."""
    scores = of_means(BALANCED)
    noise = training_noise(cells(rows(scores), rows(20 * (1 - scores), metric="HD95")))
    assert noise.interaction == pytest.approx(0.035 * np.array([[1, 20], [20, 400]]))


def test_the_noise_of_one_mean_has_both_parts() -> None:
    part = training_noise(cells(rows(of_means(BALANCED)))).of_mean(0)
    assert part.variance == pytest.approx((0.045 / 2 + 0.035 / 2) / 3 * np.ones(2))
    shares = 0.045 / 6, 0.035 / 6
    assert part.df == pytest.approx(sum(shares) ** 2 / sum(share**2 / 2 for share in shares) * np.ones(2))


def balanced(seed: int, losses: int = 3, seeds: int = 4, cases: int = 12) -> Floats:
    """Scores with noise of every kind; that of the seeds is large, so that no component is estimated as zero."""
    rng = np.random.default_rng(seed)
    scores = 70 + 5 * rng.normal(size=cases) + 8 * rng.normal(size=(1, seeds, 1))
    scores = scores + 2 * rng.normal(size=(losses, seeds, 1)) + 3 * rng.normal(size=(losses, 1, cases))
    return np.asarray(scores + 2 * rng.normal(size=(losses, seeds, cases)))


def indicators(*factors: NDArray[np.intp]) -> Floats:
    """One column for each combination of the factors' levels."""
    _, level = np.unique(np.stack([factor.ravel() for factor in factors], axis=1), axis=0, return_inverse=True)
    return np.eye(level.max() + 1)[level.ravel()]


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
@pytest.mark.parametrize("seed", [3, 7])
def test_the_mean_square_is_the_residual_of_a_mixed_model(seed: int) -> None:
    """statsmodels: loss fixed, seed random, on the means of the runs; REML is ANOVA up to its last step."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    scores = balanced(seed)
    table = cells(rows(scores, metric="HD95"))
    loss, run = np.indices(scores.shape[:2])
    fit = MixedLM(scores.mean(axis=2).ravel(), indicators(loss), groups=run.ravel()).fit(reml=True)
    noise = training_noise(table)
    assert noise.interaction.item() == pytest.approx(fit.scale, rel=1e-3)
    error = fit.t_test(np.array([[1.0, -1.0, 0.0]])).sd.item()
    assert noise.interaction.item() * noise.weights[:2].sum() == pytest.approx(error**2, rel=1e-3)
    assert compare(table).training.variance[0, 1] >= error**2 * (1 - 1e-3)


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
@pytest.mark.parametrize("seed", [3, 7])
def test_both_parts_are_those_of_the_whole_mixed_model(seed: int) -> None:
    """statsmodels: seed, loss x seed, case and loss x case random, on every score.

    The limits count the noise of single scores in both parts, once more than the model does: they are never too narrow.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    scores = balanced(seed)
    loss, run, case = np.indices(scores.shape)
    parts = [indicators(run), indicators(loss, run), indicators(case), indicators(loss, case)]
    columns = [[[f"level{k}" for k in range(part.shape[1])]] for part in parts]
    model = VCSpec(["seed", "run", "case", "loss x case"], columns, [[part] for part in parts])
    fit = MixedLM(scores.ravel(), indicators(loss), groups=np.zeros(scores.size), exog_vc=model).fit(reml=True)
    error = fit.t_test(np.array([[1.0, -1.0, 0.0]])).sd.item()
    table = cells(rows(scores, metric="HD95"))
    pairs, noise = compare(table), training_noise(table)
    own = pairs.cases.variance[np.triu_indices(3, 1)].mean() + 2 * noise.interaction.item() / scores.shape[1]
    assert own == pytest.approx(error**2 + 2 * fit.scale / scores[0].size, rel=2e-3)


def test_no_loss_is_judged_by_less_than_its_own_noise() -> None:
    """The pool takes what is missing from the steadier losses, never from the others."""
    scores = balanced(3)
    noise = training_noise(cells(rows(scores, metric="HD95")))
    means = scores.mean(axis=2)
    apart = [means[i] - np.delete(means, i, axis=0).mean(axis=0) for i in range(3)]
    own = np.array([gap.var(ddof=1) / 1.5 for gap in apart])
    assert noise.pooled.all()
    assert noise.own[:, 0, 0] == pytest.approx(np.maximum(own, noise.interaction.item()))


def test_ranked_tables_say_whether_losses_were_trained_again() -> None:
    scores = balanced(1) / 100
    assert rank(rows(scores)).overall.retrained
    assert not rank(rows(scores[:, :1])).overall.retrained
    assert np.isnan(rank(rows(scores[:, :1])).overall.p_holm_retrained[~np.eye(3, dtype=bool)]).all()

"""What a study can show: against simulated studies, limits worked out by hand, and the tables of a pilot."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, t

from lossodyssey.ranking import rank
from lossodyssey.ranking.limits import Part, p_value
from lossodyssey.ranking.power import Deviations, detectable, needed, pilots, power_line, shown
from lossodyssey.table import Row

Floats = NDArray[np.float64]
STUDY = {"cases": 40, "seeds": 3, "losses": 8}


def studies(
    own: Deviations, difference: float, count: int, *, cases: int, seeds: int, losses: int
) -> tuple[Floats, list[Part]]:
    """Draw whole studies of normal scores, and return the lead of loss 0 over loss 1 with the parts of its variance."""
    rng = np.random.default_rng(0)
    assert own.runs is not None
    lead = np.r_[difference, np.zeros(losses - 1)]
    by_case = lead[:, None] + own.cases / math.sqrt(2) * rng.normal(size=(count, losses, cases))
    by_run = own.runs * rng.normal(size=(count, losses, seeds))
    paired = by_case[:, 0] - by_case[:, 1]
    rest = by_run - by_run.mean(axis=2, keepdims=True)
    rest -= rest.mean(axis=1, keepdims=True)
    df = (losses - 1) * (seeds - 1)
    square = np.square(rest).sum(axis=(1, 2)) / df if df else np.zeros(count)
    found = paired.mean(axis=1) + by_run[:, 0].mean(axis=1) - by_run[:, 1].mean(axis=1)
    over_cases = Part(paired.var(axis=1, ddof=1) / cases, np.full(count, cases - 1.0))
    return found, [over_cases, Part(2 * square / seeds, np.full(count, float(df)))]


@pytest.mark.parametrize(
    "cases, seeds, losses, runs", [(40, 3, 8, 0.006), (40, 2, 2, 0.003), (20, 2, 3, 0.01), (100, 5, 5, 0.012)]
)
@pytest.mark.parametrize("power", [0.8, 0.5])
def test_simulated_studies_state_the_detectable_difference_as_often_as_promised(
    cases: int, seeds: int, losses: int, runs: float, power: float
) -> None:
    """Share of 4,000 studies whose p-value falls below Holm's first level; its error is 0.008 at most."""
    own, study = Deviations(0.03, runs), {"cases": cases, "seeds": seeds, "losses": losses}
    difference = detectable(own, power=power, **study)
    found, parts = studies(own, difference, 4000, **study)
    stated = p_value(found, parts) * losses * (losses - 1) < 0.05
    assert stated.mean() == pytest.approx(power, abs=0.03)


def test_ranked_tables_state_the_detectable_difference_as_often_as_promised() -> None:
    """The whole way through `rank`: 150 tables of four losses; one pair is that far apart, the others half as far."""
    own, study = Deviations(0.03, 0.006), {"cases": 30, "seeds": 4, "losses": 4}
    difference = detectable(own, **study)
    rng = np.random.default_rng(5)
    stated = []
    for _ in range(150):
        means = 0.6 + np.array([difference, difference / 2, difference / 2, 0])[:, None, None]
        scores = means + own.cases / math.sqrt(2) * rng.normal(size=(4, 1, 30)) + 0.006 * rng.normal(size=(4, 4, 1))
        overall = rank(rows(scores)).overall
        stated.append(overall.p_retrained[0, 3] * 12 < 0.05)
        assert stated[-1] <= overall.better_retrained[0, 3]
    assert np.mean(stated) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("power", [0.8, 0.95])
def test_known_variances_give_the_textbook_formula(power: float) -> None:
    parts = [Part(np.array(4e-4), np.array(np.inf)), Part(np.array(5e-4), np.array(np.inf))]
    expected = 0.03 * (norm.isf(0.05 / 6) + norm.ppf(power))
    assert shown(parts, 3, 0.05, power) == pytest.approx(expected, rel=0.01)


def test_many_cases_leave_the_noise_of_trainings() -> None:
    many = {"cases": 100_000, "seeds": 50, "losses": 20}
    width = 0.006 * math.sqrt(2 / 50)
    expected = width * (t.isf(0.05 / 380, 19 * 49) + norm.ppf(0.8))
    assert detectable(Deviations(0.03, 0.006), **many) == pytest.approx(expected, rel=0.02)


def test_one_seed_leaves_the_noise_of_cases() -> None:
    study = {"cases": 2000, "seeds": 1, "losses": 2}
    expected = 0.03 / math.sqrt(2000) * (t.isf(0.025, 1999) + norm.ppf(0.8))
    for runs in (None, 0.006, 1.0):
        assert detectable(Deviations(0.03, runs), **study) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name, values", [("cases", (6, 10, 20, 40, 100, 1000)), ("seeds", (2, 3, 4, 6, 10, 30))])
def test_more_cases_and_more_seeds_show_smaller_differences(name: str, values: tuple[int, ...]) -> None:
    found = [detectable(Deviations(0.03, 0.006), **{**STUDY, name: value}) for value in values]
    assert found == sorted(found, reverse=True) and len(set(found)) == len(found)


@pytest.mark.parametrize(
    "own, seeds", [(Deviations(0.03), 1), (Deviations(0.03, 0.0), 3), (Deviations(0.03, 0.006), 30)]
)
def test_more_losses_are_more_comparisons(own: Deviations, seeds: int) -> None:
    found = [detectable(own, cases=40, seeds=seeds, losses=losses) for losses in (2, 3, 5, 8, 20)]
    assert found == sorted(found) and len(set(found)) == len(found)


def test_a_third_loss_helps_where_two_seeds_leave_one_degree_of_freedom() -> None:
    """The training noise is pooled over the losses: the gain outweighs the four further comparisons."""
    two, three = (detectable(Deviations(0.03, 0.006), cases=40, seeds=2, losses=losses) for losses in (2, 3))
    assert three < 0.7 * two


@pytest.mark.parametrize("option, smaller", [({"power": 0.5}, True), ({"alpha": 0.2}, True), ({"alpha": 0.01}, False)])
def test_power_and_level_matter(option: dict[str, float], smaller: bool) -> None:
    own = Deviations(0.03, 0.006)
    assert (detectable(own, **STUDY, **option) < detectable(own, **STUDY)) is smaller


@pytest.mark.parametrize("seeds, losses", [(4, 8), (6, 8), (10, 3), (1, 8)])
def test_the_cases_that_are_needed_are_just_enough(seeds: int, losses: int) -> None:
    own = Deviations(0.03, 0.006)
    cases = needed(own, 0.025, seeds=seeds, losses=losses)
    assert cases is not None
    study = {"seeds": seeds, "losses": losses}
    assert detectable(own, cases=cases, **study) <= 0.025 < detectable(own, cases=cases - 1, **study)


def test_no_number_of_cases_outweighs_the_noise_of_trainings() -> None:
    assert needed(Deviations(0.03, 0.006), 0.01, seeds=2, losses=8) is None
    assert needed(Deviations(0.0, 0.006), 0.001, seeds=5, losses=3) is None
    assert needed(Deviations(0.03, 0.0), 0.01, seeds=2, losses=8) is not None


def test_a_judged_table_needs_six_cases() -> None:
    assert needed(Deviations(0.001, 0.0), 0.5, seeds=2, losses=3) == 6


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"cases": 5}, "cases 5 is too few; expected at least 6"),
        ({"seeds": 0}, "seeds 0"),
        ({"losses": 1}, "losses 1"),
        ({"power": 1.0}, r"power 1\.0"),
        ({"alpha": 0.0}, r"alpha 0\.0"),
    ],
)
def test_studies_that_cannot_be_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detectable(Deviations(0.03, 0.006), **{**STUDY, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [(-0.1, 0.1), (0.1, -0.1), (math.nan, 0.1), (0.1, math.inf)])
def test_deviations_that_are_none_are_refused(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="not a standard deviation"):
        Deviations(*values)


@pytest.mark.parametrize("difference", [0.0, -0.01, math.nan])
def test_a_difference_must_be_one(difference: float) -> None:
    with pytest.raises(ValueError, match="difference"):
        needed(Deviations(0.03), difference, seeds=1, losses=2)


def rows(scores: Floats, metric: str = "DSC", task: str = "A", fold: int = 0) -> list[Row]:
    """Rows of (losses, seeds, cases) scores."""
    return [
        Row(f"loss{i}", task, fold, seed, f"{fold}-{j}", "object", metric, float(value))
        for (i, seed, j), value in np.ndenumerate(scores)
    ]


def noisy(losses: int = 6, seeds: int = 4, cases: int = 60, seed: int = 0) -> Floats:
    """Scores whose deviations are 0.02 per loss and case, 0.01 per training and 0.03 per score."""
    rng = np.random.default_rng(seed)
    scores = 0.7 + 0.1 * rng.normal(size=cases) + 0.02 * rng.normal(size=(losses, 1, cases))
    return np.asarray(
        scores + 0.01 * rng.normal(size=(losses, seeds, 1)) + 0.03 * rng.normal(size=(losses, seeds, cases))
    )


def test_a_pilot_gives_its_deviations_and_what_they_rest_on() -> None:
    scores = noisy()
    (pilot,) = pilots(rank(rows(scores)))
    means = scores.mean(axis=1)
    squares = [(means[i] - means[j]).var(ddof=1) for i in range(6) for j in range(i)]
    assert pilot.deviations.cases == pytest.approx(math.sqrt(np.mean(squares)))
    runs = scores.mean(axis=2)
    rest = runs - runs.mean(axis=0) - runs.mean(axis=1, keepdims=True) + runs.mean()
    assert pilot.deviations.runs == pytest.approx(math.sqrt((rest**2).sum() / 15))
    assert (pilot.task, pilot.metric, pilot.losses, pilot.cases_df, pilot.runs_df) == ("A", "DSC", 6, 59, 15)
    assert pilot.deviations.scores == pytest.approx(0.03, rel=0.05)


def test_deviations_are_carried_over_to_other_sizes() -> None:
    """Averaged over more seeds, cases vary less; averaged over more cases, trainings do."""
    own = pilots(rank(rows(noisy(seeds=2, losses=20, cases=200))))[0].deviations
    wide = pilots(rank(rows(noisy(seeds=12, losses=20, cases=20, seed=1))))[0].deviations
    assert own.at(20, 12).cases == pytest.approx(wide.cases, rel=0.1)
    assert own.at(20, 12).runs == pytest.approx(wide.runs, rel=0.15)
    assert own.at(200, 2) == own


def test_a_pilot_of_one_seed_leaves_trainings_unknown() -> None:
    (pilot,) = pilots(rank(rows(noisy(seeds=1))))
    assert pilot.deviations.runs is None and pilot.runs_df == 0


def test_folds_are_trainings_of_their_own() -> None:
    table = [row for fold in range(3) for row in rows(noisy(cases=20, seed=fold), fold=fold)]
    (pilot,) = pilots(rank(table))
    assert (pilot.deviations.folds, pilot.runs_df) == (3, 45)
    one, three = (detectable(Deviations(0.0, 0.01, folds=folds), cases=60, seeds=4, losses=6) for folds in (1, 3))
    assert three < one / math.sqrt(2.9)


def test_several_metrics_have_a_mean_and_several_tasks_have_none() -> None:
    scores = noisy()
    both = [*rows(scores), *rows(scores**2, "NSD")]
    assert [pilot.metric for pilot in pilots(rank(both))] == ["DSC", "NSD", "mean of DSC and NSD"]
    tasks = [*rows(scores), *rows(noisy(seed=1), task="B")]
    assert [(pilot.task, pilot.metric) for pilot in pilots(rank(tasks))] == [("A", "DSC"), ("B", "DSC")]


def test_the_line_names_the_difference_of_the_table() -> None:
    ranking = rank(rows(noisy()))
    amount = detectable(pilots(ranking)[0].deviations, cases=60, seeds=4, losses=6)
    said = re.fullmatch(
        r"With these 60 cases and 4 seeds this study could have shown a difference of (.*) DSC with 80 % probability\.",
        power_line(ranking),
    )
    assert said is not None and float(said[1]) == pytest.approx(amount, rel=0.1)


def test_the_line_of_one_seed_speaks_of_trained_networks() -> None:
    said = power_line(rank(rows(noisy(seeds=1))))
    assert "one training per loss" in said and "between these trained networks with 80 % probability." in said


def test_the_line_speaks_of_every_metric_and_task() -> None:
    scores = noisy()
    assert " NSD and " in power_line(rank([*rows(scores), *rows(scores**2, "NSD")]))
    assert " in their mean with" in power_line(rank([*rows(scores), *rows(scores**2, "NSD")]))
    tasks = power_line(rank([*rows(scores), *rows(noisy(seed=1, cases=40), task="B")]))
    assert "these 40 to 60 cases" in tasks and "DSC in a single task and" in tasks and "over all tasks" in tasks


def test_the_line_of_one_case_says_that_it_cannot_tell() -> None:
    assert "cannot tell" in power_line(rank(rows(noisy(cases=1))))


def test_no_study_shows_more_than_a_metric_can_differ() -> None:
    rng = np.random.default_rng(0)
    values = np.clip(0.8 + 0.05 * rng.normal(size=(2, 3, 20)), 0, 1)
    values[0, 2] = 0
    rows = [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]
    assert "could not have shown any difference of DSC" in power_line(rank(rows))
    more = [replace(r, dataset="B", value=0.8 + 0.001 * int(rng.integers(9))) for r in rows]
    assert "DSC in a single task or more" in power_line(rank([*rows, *more]))


def test_nothing_can_be_told_from_equal_values_or_one_case() -> None:
    rows = [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", 0.8) for i in range(2) for s in range(2) for c in range(9)]
    assert "cannot tell how small a difference" in power_line(rank(rows))
    assert power_line(rank([r for r in rows if r.case == "c0"])).startswith("With one case this study cannot tell")


@pytest.mark.parametrize("cases, losses", [(4, 3), (7, 6)])
def test_what_the_tests_cannot_support_is_not_promised(cases: int, losses: int) -> None:
    values = 0.8 + 0.03 * np.random.default_rng(0).normal(size=(losses, cases))
    rows = [Row(f"loss{i}", "A", 0, 0, f"c{c}", "x", "DSC", float(v)) for (i, c), v in np.ndenumerate(values)]
    assert "could have shown a difference" not in power_line(rank(rows))
    assert "could have shown a difference" in power_line(
        rank([replace(r, case=f"{r.case} {k}") for k in (1, 2, 3) for r in rows])
    )

"""What the files of a comparison tell of its trainings: searched rates, unfinished trainings, earlier orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.report import RunSummary, along, searched
from lossodyssey.report.doubts import doubts, trained
from lossodyssey.report.evidence import Evidence, Search, read_evidence, read_searches
from lossodyssey.report.runs import Look
from lossodyssey.table import Row, write_rows

HEAD = "dataset,fold,loss,learning_rate,score,chosen,steps,cases\n"
RATES = (0.001, 0.01, 0.1)


def search(loss: str, *scores: float, chosen: float = 0.01, dataset: str = "A", fold: int = 0) -> Search:
    return Search(dataset, fold, loss, dict(zip(RATES, scores, strict=True)), chosen, steps=500, cases=12)


def run(loss: str, means: Sequence[float], noise: float = 0.002, cases: int = 8, seed: int = 0) -> RunSummary:
    """A run of 400 steps whose validation score has these means after each quarter."""
    rng = np.random.default_rng(seed)
    looks = [
        Look(100 * quarter, f"case {case}", name, mean + float(rng.normal(0, noise)))
        for quarter, mean in enumerate(means, 1)
        for case in range(cases)
        for name in ("organ", "lesion")
    ]
    return RunSummary(loss, "A", seed, settings={"steps": 1000, "learning_rate": 0.01}, watched=tuple(looks))


def rows(*shares: float) -> list[Row]:
    """Ten cases on which loss 0, 1, 2 ... have these scores."""
    rng = np.random.default_rng(1)
    return [
        Row(f"L{i}", "A", 0, 0, f"case {case}", "organ", "DSC", share + float(rng.normal(0, 0.01)))
        for i, share in enumerate(shares)
        for case in range(10)
    ]


FLAT, RISES = (0.5, 0.7, 0.8, 0.8), (0.5, 0.7, 0.8, 0.85)


@pytest.mark.parametrize(
    ("means", "noise", "cases", "rises"),
    [(RISES, 0.002, 8, True), (FLAT, 0.002, 8, False), (RISES, 0.2, 8, False), (RISES, 0.002, 2, False)],
    ids=["rises", "flat", "within noise", "too few cases"],
)
def test_a_score_rises_where_it_grows_by_more_than_noise(
    means: Sequence[float], noise: float, cases: int, rises: bool
) -> None:
    assert along.rising([run("Dice()", means, noise, cases), run("Dice()", means, noise, cases, seed=1)]) == (
        ["Dice()"] if rises else []
    )


def test_a_growth_too_small_to_matter_is_no_rise() -> None:
    assert along.rising([run("Dice()", (0.5, 0.7, 0.800, 0.804), noise=0.0001)]) == []


def test_scores_that_are_not_defined_are_left_out() -> None:
    whole = run("Dice()", RISES, noise=0)
    gaps = tuple(replace(look, value=math.nan) if look.case == "case 0" else look for look in whole.watched)
    assert along.rising([replace(whole, watched=gaps)]) == ["Dice()"]
    assert along.scores([replace(whole, watched=gaps)]) == {
        ("Dice()", "A"): {100 * k: pytest.approx(mean) for k, mean in enumerate(RISES, 1)}
    }


def test_validation_scores_speak_in_place_of_training_losses() -> None:
    found = doubts([run("Dice()", RISES), run("Focal()", FLAT)])
    assert found[0].text == "validation score still rising at the end for Dice()" and not found[0].serious
    assert doubts([run("Dice()", RISES), run("Focal()", RISES)])[0].serious
    assert [doubt.text for doubt in doubts([run("Dice()", FLAT), run("Focal()", FLAT)])] == [
        "one learning rate, 0.01, for all losses"
    ]


def test_half_of_the_training_is_set_beside_the_whole() -> None:
    runs = [
        run("Dice()", (0.5, 0.8, 0.8, 0.8)),
        run("Focal()", (0.5, 0.6, 0.8, 0.9)),
        run("DiceCE()", (0.5, 0.7, 0.78, 0.78)),
    ]
    half = along.half(runs)
    assert half is not None and (half.before, half.after) == ("Dice()", "Focal()")
    assert half.tau == pytest.approx(-1 / 3)
    assert half.told() == (
        "puts the losses in another order than the whole one (Kendall's tau -0.33; Dice() leads in place of Focal())"
    )
    assert along.half(runs[:1]) is None and along.half([replace(each, watched=()) for each in runs]) is None


def test_tables_of_shorter_budgets_are_set_beside_that_of_the_whole() -> None:
    ranking = rank(rows(0.9, 0.8, 0.7))
    runs = [RunSummary(f"L{i}", "A", 0, settings={"steps": steps}) for i in range(3) for steps in (500, 1000)]
    evidence = Evidence(budgets={500: rows(0.7, 0.8, 0.9), 1000: rows(0.1, 0.2, 0.3)})
    assert trained(ranking, runs, evidence) == [
        "In the tables of cases, a training of 500 steps puts the losses in another order than the whole one "
        "(Kendall's tau -1.00; L2 leads in place of L0)."
    ]
    assert {own.settings["steps"] for own in evidence.of_table(runs)} == {1000}
    # A table that lacks a loss orders others.
    assert trained(ranking, runs, Evidence(budgets={500: rows(0.7, 0.8)})) == []


def test_runs_of_searches_are_not_runs_of_the_table() -> None:
    short = RunSummary("Dice()", "A", 0, settings={"steps": 20}, purpose="search")
    assert doubts([short]) == [] and Evidence().of_table([short]) == []


@pytest.mark.parametrize(
    ("scores", "chosen", "edge"),
    [
        ((0.7, 0.8, 0.7), 0.01, ""),
        ((0.8, 0.7, 0.6), 0.001, "lowest"),
        ((0.6, 0.7, 0.8), 0.1, "highest"),
        ((math.nan,) * 3, 0.001, ""),
    ],
    ids=["inside", "lowest", "highest", "no score"],
)
def test_the_edge_of_a_grid(scores: Sequence[float], chosen: float, edge: str) -> None:
    assert search("Dice()", *scores, chosen=chosen).edge == edge


@pytest.mark.parametrize(
    ("scores", "chosen", "lead"),
    [
        ((0.7, 0.8, 0.75), 0.01, 0.05),
        ((0.8, 0.7, 0.6), 0.001, 0.1),
        ((0.8, math.nan, 0.9), 0.1, math.nan),
        ((0.7, 0.8, math.nan), 0.01, 0.1),
    ],
    ids=["inside", "lowest", "no score beside it", "one score beside it"],
)
def test_how_far_a_rate_leads_the_one_beside_it(scores: Sequence[float], chosen: float, lead: float) -> None:
    assert search("Dice()", *scores, chosen=chosen).lead == pytest.approx(lead, nan_ok=True)


def test_losses_at_the_edge_are_named_with_the_way_to_go_on() -> None:
    searches = [
        search("Dice()", 0.6, 0.7, 0.8, chosen=0.1),
        search("Dice()", 0.6, 0.8, 0.7, dataset="B"),
        search("Focal()", 0.8, 0.7, 0.6, chosen=0.001, dataset="B"),
        search("Lovasz()", math.nan, math.nan, math.nan, chosen=0.001),
    ]
    assert searched.warnings(searches) == [
        "The lowest rate that was tried, 0.001, was chosen for Focal() (B): extend the grid downwards, such as with "
        "0.0001.",
        "The highest rate that was tried, 0.1, was chosen for Dice() (A): extend the grid upwards, such as with 1.",
        "No rate that was tried gave a score for Lovasz(): try lower ones.",
    ]
    flat = [run("Dice()", FLAT), run("Focal()", FLAT)]
    assert [doubt.text for doubt in doubts(flat, Evidence(searches))] == [
        "best learning rate at the edge of those tried for Dice() and Focal()"
    ]


def test_whether_rates_were_searched_is_said_with_the_number_of_validation_cases() -> None:
    one, two = run("Dice()", FLAT), run("Focal()", FLAT)
    inside = [search(loss, 0.6, 0.8, 0.7) for loss in ("Dice()", "Focal()")]
    neither = "validation cases, which are neither trained on nor scored"
    assert searched.searched(inside, [one, two]) == [
        f"The learning rate of each loss was chosen among 3 on 12 {neither}."
    ]
    assert searched.searched(inside[:1], [one, two]) == [
        f"The learning rate of Dice() was chosen among 3 on 12 {neither}; Focal() had no search."
    ]
    assert searched.searched([], [one, two]) == []
    other = replace(two, settings={"steps": 1000, "learning_rate": 0.1})
    assert searched.searched([], [one, other]) == ["The learning rates were given, not searched."]


def test_files_beside_the_table_are_read(tmp_path: Path) -> None:
    assert read_evidence(tmp_path) == Evidence([], {})
    (tmp_path / "tuning.csv").write_text(
        HEAD + "A,0,Dice(),0.1,0.7,no,500,12\nA,0,Dice(),0.01,0.8,yes,500,12\nA,0,Dice(),0.001,,no,500,12\n"
    )
    write_rows(tmp_path / "cases-500.csv", rows(0.5, 0.6))
    write_rows(tmp_path / "cases-old.csv", rows(0.5, 0.6))
    (tmp_path / "runs").mkdir()
    for folder in (tmp_path, tmp_path / "runs"):
        found = read_evidence(folder)
        assert [*found.budgets] == [500] and len(found.budgets[500]) == 20
        assert found.searches[0].chosen == 0.01 and [*found.searches[0].scores] == [0.001, 0.01, 0.1]
        assert math.isnan(found.searches[0].scores[0.001]) and found.searches[0].cases == 12


@pytest.mark.parametrize(
    "content",
    ["loss,score\nDice(),1\n", HEAD + "A,0,Dice(),fast,0.7,yes,500,12\n", HEAD + "A,0,Dice(),0.1,0.7,no,500,12\n"],
    ids=["columns", "rate", "no choice"],
)
def test_a_broken_table_of_searches_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tuning.csv").write_text(content)
    with pytest.raises(ValueError, match=r"tuning\.csv: not a table of searched learning rates .*; the command"):
        read_searches(tmp_path / "tuning.csv")


@pytest.mark.parametrize("losses", [1, 3, 30], ids=lambda count: f"{count} losses")
@pytest.mark.parametrize("datasets", [("A",), ("A", "B"), tuple("ABCDEFGH")], ids=["1 set", "2 sets", "8 sets"])
def test_figures_hold_every_loss(losses: int, datasets: Sequence[str]) -> None:
    names = {f"Loss{i}()": f"Loss{i}()" for i in range(losses)}
    searches = [search(loss, 0.6, 0.8, 0.7, dataset=dataset) for loss in names for dataset in datasets]
    plate = searched.tuning(searches, names)
    assert plate is not None and len(plate.lines) == 1 + 3 * len(searches)
    drawn = [axes for axes in plate.figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in drawn] == [*names]
    for axes in drawn:
        assert sum(line.get_marker() == "None" for line in axes.lines) == len(datasets)

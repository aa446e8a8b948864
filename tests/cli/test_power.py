from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import power as verbs
from lossodyssey.cli.verbs import join
from lossodyssey.ranking.power import Deviations, detectable, needed
from lossodyssey.table import Row, read_rows, write_rows

app = typer.Typer()
app.command()(verbs.power)

STATED = ("--sd-cases", "0.03", "--sd-runs", "0.006")
STUDY = ("--cases", "40", "--seeds", "3", "--losses", "8")


@pytest.fixture
def pilot(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    scores = 0.7 + 0.02 * rng.normal(size=(4, 1, 20)) + 0.004 * rng.normal(size=(4, 3, 1))
    rows = [
        Row(f"loss{i}", "A", 0, seed, str(case), "x", metric, float(value))
        for (i, seed, case), value in np.ndenumerate(scores + 0.001 * rng.normal(size=(4, 3, 20)))
        for metric in ("DSC", "NSD")
    ]
    write_rows(tmp_path / "pilot.csv", rows)
    return tmp_path / "pilot.csv"


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def plan(*arguments: object) -> dict[str, Any]:
    return dict(json.loads(call(*arguments, "--json")))


def test_stated_deviations_tell_what_a_study_shows() -> None:
    amount = detectable(Deviations(0.03, 0.006), cases=40, seeds=3, losses=8)
    assert f"40 cases, 3 seeds, 8 losses: a difference of {amount:.2g} is shown with 80 %" in call(*STATED, *STUDY)
    assert plan(*STATED, *STUDY)["plans"][0]["detectable"] == amount


def test_power_and_level_are_passed_on() -> None:
    found = plan(*STATED, *STUDY, "--power", "0.9", "--alpha", "0.01")
    assert found["plans"][0]["detectable"] == detectable(
        Deviations(0.03, 0.006), cases=40, seeds=3, losses=8, power=0.9, alpha=0.01
    )
    assert "with 90 % probability" in call(*STATED, *STUDY, "--power", "0.9")


def test_a_wanted_difference_lists_sufficient_pairs_and_marks_the_cheapest() -> None:
    text = call(*STATED, "--losses", 8, "--difference", 0.02)
    (found,) = plan(*STATED, "--losses", 8, "--difference", 0.02)["plans"]
    for pair in found["needed"]:
        assert pair["cases"] == needed(Deviations(0.03, 0.006), 0.02, seeds=pair["seeds"], losses=8)
        assert pair["cases"] is None or f"{pair['seeds']:5} {pair['cases']:7}" in text
    enough = [pair for pair in found["needed"] if pair["cases"]]
    assert found["cheapest"] == min(enough, key=lambda pair: pair["cases"] * pair["seeds"])
    assert text.count("cheapest") == 1
    assert "No number of cases (up to 100,000) is enough for 0.02 with 2 or 3 seeds." in text


def test_a_difference_that_no_study_shows_is_said() -> None:
    text = call("--sd-cases", 0.03, "--sd-runs", 0.1, "--losses", 8, "--difference", 0.005, "--seeds", 2)
    assert "No number of cases (up to 100,000) is enough for 0.005 with 2 seeds." in text


def test_given_cases_need_so_many_seeds() -> None:
    (found,) = plan(*STATED, "--losses", 8, "--difference", 0.02, "--cases", 100)["plans"]
    seeds = found["seeds_for_cases"]
    own = Deviations(0.03, 0.006)
    before, after = (detectable(own, cases=100, seeds=number, losses=8) for number in (seeds - 1, seeds))
    assert after <= 0.02 < before
    text = call(*STATED, "--losses", 8, "--difference", 0.02, "--cases", 100)
    assert f"With 100 cases 0.02 needs at least {seeds} seeds." in text


def test_a_pilot_gives_deviations_and_sizes(pilot: Path) -> None:
    found = plan(pilot)
    assert (found["cases"], found["seeds"], found["losses"]) == (20, 3, 4)
    assert [own["metric"] for own in found["plans"]] == ["DSC", "NSD", "mean of DSC and NSD"]
    for own in found["plans"]:
        assert (own["sd_cases_df"], own["sd_runs_df"]) == (19, 6)
        assert own["sd_cases"] == pytest.approx(0.028, rel=0.3) and own["sd_runs"] == pytest.approx(0.004, rel=0.8)
    text = call(pilot)
    assert "A, DSC: paired differences vary over cases by" in text and "(6 degrees of freedom)" in text


def test_options_take_the_place_of_the_pilot(pilot: Path) -> None:
    plain = plan(pilot, "--metric", "DSC")["plans"][0]["detectable"]
    for option in (("--cases", 80), ("--seeds", 9), ("--sd-runs", 0.0), ("--sd-cases", 0.001)):
        assert plan(pilot, "--metric", "DSC", *option)["plans"][0]["detectable"] < plain, option
    assert plan(pilot, "--losses", 2)["losses"] == 2
    stated = plan(pilot, "--metric", "DSC", "--sd-runs", 0.01)["plans"][0]
    assert (stated["sd_runs"], stated["sd_runs_df"], stated["sd_cases_df"]) == (0.01, None, 19)


def test_one_seed_is_a_statement_about_trained_networks(pilot: Path) -> None:
    for arguments in ((*STATED[:2], "--cases", 40, "--seeds", 1, "--losses", 8), (pilot, "--seeds", 1)):
        assert "between these trained networks on new cases, not between the losses trained again" in call(*arguments)
    assert "trained networks" not in call(pilot)


def test_unknown_training_noise_is_said_to_be_ignored() -> None:
    text = call(*STATED[:2], *STUDY)
    assert "unknown (give --sd-runs, or a pilot with two seeds) and ignored" in text
    assert plan(*STATED[:2], *STUDY)["plans"][0]["sd_runs"] is None


def test_what_ranking_decided_about_the_pilot_is_said(pilot: Path, tmp_path: Path) -> None:
    holes = [row for row in read_rows(pilot) if (row.loss, row.seed) != ("loss2", 1)]
    write_rows(tmp_path / "holes.csv", holes)
    assert "note: A: loss2 has 2 of 3 runs" in call(tmp_path / "holes.csv")
    assert any("loss2 has 2 of 3 runs" in note for note in plan(tmp_path / "holes.csv")["notes"])
    assert "note" not in call(pilot) and plan(pilot)["notes"] == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (STUDY, "no pilot table and no --sd-cases"),
        (STATED, "--cases, --seeds, --losses: missing"),
        ((*STATED, "--cases", "40", "--seeds", "3"), "--losses: missing"),
        ((*STATED, "--difference", "0.01"), "--losses is missing"),
        ((*STATED, *STUDY, "--metric", "DSC"), "--metric says how to read a pilot table, and none is given"),
        ((*STATED, *STUDY, "--column", "loss=model"), "--column says how"),
        ((*STATED, *STUDY, "--power", "1"), "power 1"),
        ((*STATED, *STUDY, "--alpha", "0"), "alpha 0"),
        ((*STATED, *STUDY, "--difference", "0"), "difference 0"),
        ((*STATED, "--cases", "5", "--seeds", "3", "--losses", "8"), "cases 5 is too few; expected at least 6"),
        ((*STATED, "--cases", "40", "--seeds", "0", "--losses", "8"), "seeds 0"),
        ((*STATED, "--cases", "40", "--seeds", "3", "--losses", "1"), "losses 1"),
        ((*STATED, "--cases", "40", "--seeds", "1", "--losses", "8"), "--sd-runs has no effect with one seed"),
        (("--sd-cases", "-1", *STUDY), "-1.0 is not a standard deviation"),
        (("--sd-cases", "nan", *STUDY), "nan is not a standard deviation"),
        (("{pilot}", "--sd-cases", "0.03"), "add --metric"),
        (("{pilot}", "--metric", "HD95"), "HD95"),
    ],
)
def test_mistakes_are_value_errors_with_the_reason(pilot: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(*(argument.format(pilot=pilot) for argument in arguments))


def test_the_command_is_part_of_the_command_line() -> None:
    result = CliRunner().invoke(join("power"), ["power", *STATED, *STUDY])
    assert result.exit_code == 0 and "a difference of" in result.output
    shown = CliRunner().invoke(join("power"), ["power", "--help"], env={"COLUMNS": "200"}).output
    assert "lossodyssey power pilot.csv --difference 0.01" in shown

"""A study: searches on validation cases, budgets, folds, variants, stages, runs taken over."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.plan import Plan
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.status import read_state
from lossodyssey.bench.study import Study
from lossodyssey.bench.sweep import run_study
from lossodyssey.bench.tuning import choose
from lossodyssey.data import write_phantom
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

SMALL = """\
patch: [16, 16, 8]
features: [4, 8]
steps: 4
epoch: 2
overlap: 0.0
device: cpu
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=9)
    return folder


def plan(text: str, **changes: object) -> Plan:
    return replace(parse_plan(text + SMALL, "plan.yaml"), **changes)  # type: ignore[arg-type]


def silent(job: Job, event: object) -> None:
    pass


TUNED = """\
datasets: [phantom]
losses:
  - Dice()
  - {loss: CrossEntropy(), name: high, learning_rates: [1e-3, 1e+9]}
  - {name: late, stages: [Dice(), TopK()], learning_rates: [1e-3, 1e-4]}
learning_rates: [1e-2]
held_out: 2
validation: 2
seeds: 1
"""


@pytest.fixture(scope="module")
def tuned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has run: a loss at one rate, one of whose rates diverges, and one in two stages."""
    study = resolve(plan(TUNED), Light(Settings()), tmp_path_factory.mktemp("tuned"), data)
    run_study(study, executor=Local(2), on_event=silent)
    return study


def test_searches_come_first_and_see_no_scored_case(tuned: Study) -> None:
    phases = list(tuned.phases())
    assert [{job.purpose for job in jobs} for jobs in phases] == [{"search"}, {"table"}, {"search"}, {"table"}]
    assert [len(jobs) for jobs in phases] == [2, 2, 2, 1]
    assert tuned.planned == {"search": 4, "table": 3}
    state = read_state(tuned.output)
    assert state.counts["search"]["finished"] + state.counts["search"]["diverged"] == 4
    assert state.counts["table"]["finished"] == 3 and not state.surplus
    (scored,) = {job.division.scored for job in tuned.jobs}
    for jobs in phases:
        for job in jobs:
            assert read_record(job.folder).purpose == job.purpose
            assert not set(scored) & set(job.division.training)
            if job.purpose == "search":
                assert job.engine.steps == 2 and not set(scored) & set(job.division.scored)


def test_a_rate_that_diverges_is_not_chosen(tuned: Study) -> None:
    high = next(job for job in tuned.jobs if job.label == "high")
    assert high.engine.settings["learning_rate"] == 1e-3
    choice = tuned.choices()["phantom", 0, ("CrossEntropy()",)]
    assert choice.rate == 1e-3 and list(choice.scores) == [1e-3, 1e9]


def test_a_later_stage_begins_with_the_weights_of_the_first(tuned: Study) -> None:
    late = next(job for job in tuned.jobs if job.label == "late")
    dice = next(job for job in tuned.jobs if job.label == "Dice()")
    assert late.start and late.start.folder == dice.folder
    assert len({row.loss for row in read_rows(tuned.output / "cases.csv")}) == 3
    alone = replace(late, start=None)
    assert alone.digest != late.digest


def test_a_study_goes_on_where_its_files_end(tuned: Study, data: Path) -> None:
    table = (tuned.output / "cases.csv").read_bytes()
    shutil.rmtree(tuned.jobs[0].folder)
    heard: list[Job] = []
    again = resolve(plan(TUNED), Light(Settings()), tuned.output, data)
    run_study(again, executor=Local(1), on_event=lambda job, event: heard.append(job))
    assert (tuned.output / "cases.csv").read_bytes() == table
    assert json.loads((tuned.output / "plan.json").read_text())["planned"] == 7


def test_a_search_that_failed_counts_by_what_it_finds_when_it_is_tried_again(
    tuned: Study, data: Path, tmp_path: Path
) -> None:
    shutil.copytree(tuned.output, tmp_path / "out")
    (lower,) = (
        job for job in next(tuned.phases()) if job.label == "high" and job.engine.settings["learning_rate"] == 1e-3
    )
    failed = tmp_path / "out" / "runs" / lower.folder.name
    write_record(failed, replace(read_record(failed), status="failed", reason="no memory"))
    again = resolve(plan(TUNED), Light(Settings()), tmp_path / "out", data)
    assert math.isnan(again.choices()["phantom", 0, ("CrossEntropy()",)].scores[1e-3])
    run_study(again, executor=Local(1), on_event=silent)
    assert again.choices() == tuned.choices()


def test_finished_runs_are_taken_over(tuned: Study, data: Path, tmp_path: Path) -> None:
    study = resolve(plan(TUNED), Light(Settings()), tmp_path / "new", data)
    said: list[str] = []
    damaged = tuned.jobs[0].folder
    earlier = tmp_path / "earlier"
    shutil.copytree(tuned.output, earlier)
    (earlier / "runs" / damaged.name / "cases.csv").write_text("nothing")
    run_study(study, executor=Local(2), on_event=silent, earlier=earlier, say=said.append)
    assert (study.output / "cases.csv").read_bytes() == (tuned.output / "cases.csv").read_bytes()
    assert sum("taken over" in line for line in said) == 4
    assert [line for line in said if "taken over" not in line] == [
        f"{earlier / 'runs' / damaged.name}: cases.csv is not as the run left it; trained again"
    ]


SEVERAL = """\
datasets: [phantom]
losses: [seen = Dice() + 0.1 * MumfordShah()]
folds: 3
seeds: 1
variants: {usual: {}, centred: {foreground: 1.0}}
validation: 1
metrics: [dice, "NSD@2", betti error, lesion_f1, ECE]
decoding: [argmax, threshold]
"""


def test_folds_budgets_and_variants_have_rows_of_their_own(data: Path, tmp_path: Path) -> None:
    study = resolve(plan(SEVERAL, steps=(1, 2)), Light(Settings()), tmp_path / "out", data)
    run_study(study, executor=Local(2), on_event=silent)
    rows = read_rows(study.output / "cases.csv")
    assert {row.dataset for row in rows} == {"phantom, usual", "phantom, centred"}
    found = {(row.dataset, row.case, row.fold) for row in rows}
    assert len(found) == 2 * 9 and {fold for *_, fold in found} == {0, 1, 2}
    assert {read_record(job.folder).settings["steps"] for job in study.jobs} == {2}
    assert len(read_rows(study.output / "cases-1.csv")) == len(rows)
    assert {row.metric for row in rows} == {"DSC", "NSD@2", "betti_error", "lesion_F1", "ECE"}
    assert {row.loss for row in rows} == {"seen", "seen [threshold]"}, "the loss looks at the image"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets: [fantom]\nlosses: [Dice()]\n", "line 1: datasets: .*no data set 'fantom'"),
        ("datasets: [phantom, phantom]\nlosses: [Dice()]\n", "line 1: datasets: two are called 'phantom'"),
        ("datasets: [phantom]\nlosses:\n  - Dice()\n  - Dise()\n", "line 4: losses: unknown loss 'Dise'"),
        ("datasets: [phantom]\nlosses: [Dice(), a=Dice()]\n", "line 2: losses: .*computes the same"),
        (
            "datasets: [phantom]\nlosses: [Dice()]\nforeground: 2\n",
            "line 3: foreground: settings: foreground is 2; expected",
        ),
        ("datasets: [phantom]\nlosses: [Dice()]\nvariants: {a: {epoch: 0}}\n", "line 3: variants: .*epoch is 0"),
        ("datasets: [phantom]\nlosses: [Dice()]\nlearning_rates: [1, 2]\n", "line 3: learning_rates: .*no validation"),
        ("datasets: [phantom]\nlosses: [Dice()]\nsearch_steps: 9\n", "line 3: search_steps: no loss has several"),
        ("datasets: [phantom]\nlosses: [Dice()]\nheld_out: 9\n", "line 1: datasets: held_out=9 of 9 cases"),
        ("datasets: [phantom]\nlosses: [Dice()]\nfolds: 12\n", "line 1: datasets: .*12 folds of 9"),
        ("datasets: [phantom]\nlosses: [Dice()]\nfolds: none.json\n", "line 1: datasets: none.json: no such file"),
        ('datasets: [phantom]\nlosses: ["Dice(class_weights=(1, 1))"]\n', "line 1: datasets: loss Dice"),
        ("datasets: [phantom, phantom]\nlosses: [Dice()]\n", "line 1: datasets: two are called 'phantom'"),
        ("datasets: [{name: phantom, held_out: 0}]\nlosses: [Dice()]\n", "line 1: datasets: held_out=0"),
        (
            "datasets: [phantom]\nlosses: [Dice()]\nvariants:\n  a: {}\n  b: {clip: 5}\n  c: {clip: 12}\n",
            "line 6: variants: 'c' has the settings of 'a'",
        ),
        (
            "datasets: [phantom]\nlosses: [{loss: Dice(), learning_rates: 1}]\nlearning_rates: 2\n",
            "line 3: learning_rates: every loss has learning rates of its own",
        ),
        ("datasets: [phantom]\nlosses: [Dice()]\nthreads: two\n", "line 3: threads: .*whole number of at least 1"),
        ("datasets: [phantom]\nlosses: [Dice()]\nmetrics: [DSK]\n", "line 3: metrics: .*DSK.*did you mean 'DSC'"),
        ("datasets: [phantom]\nlosses: [Dice()]\ndecoding: [argmax, threshold]\n", "line 3: decoding: .*validation"),
    ],
)
def test_mistakes_show_before_anything_is_written(text: str, message: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        resolve(plan(text), Light(Settings()), tmp_path / "out", data)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        ({1e-2: 0.7, 1e-3: 0.8, 1e-4: 0.6}, 1e-3),
        ({1e-2: 0.801, 1e-3: 0.8, 1e-4: 0.6}, 1e-3),
        ({1e-2: 0.81, 1e-3: 0.8, 1e-4: 0.6}, 1e-2),
        ({1e-2: float("nan"), 1e-3: 0.3, 1e-4: 0.5}, 1e-4),
        ({1e-2: float("nan"), 1e-3: float("nan")}, 1e-3),
        ({1e-2: 0.5}, 1e-2),
    ],
    ids=["best", "equal", "highest", "lowest", "none", "one"],
)
def test_the_smallest_of_the_best_rates_is_chosen(scores: dict[float, float], rate: float) -> None:
    assert choose(scores).rate == rate


def test_a_run_that_failed_gives_no_score(tuned: Study) -> None:
    job = next(iter(tuned.phases()))[0]
    record = read_record(job.folder)
    write_record(job.folder, replace(record, status="failed"))
    try:
        from lossodyssey.bench.tuning import validation_score

        assert validation_score(job) != validation_score(job)
    finally:
        write_record(job.folder, record)

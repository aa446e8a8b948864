"""A comparison that is under way gives a table and a page of what is finished, which say what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench.damage import TABLE
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.partial import read_partial
from lossodyssey.bench.record import Status, write_record
from lossodyssey.bench.scoring import blank_rows
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import write_table
from lossodyssey.cli import run
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import hold_out
from lossodyssey.table import read_rows, write_rows
from lossodyssey.training.settings import Settings

LOSSES = ["Dice()", "CrossEntropy()", "Focal()"]


@pytest.fixture
def jobs(dataset: Dataset, quick: Settings, tmp_path: Path) -> list[Job]:
    output = tmp_path / "out"
    return compare(dataset, LOSSES, seeds=3, held_out=7, engine=Light(quick), output=output).jobs


def end(job: Job, status: Status = "finished") -> None:
    rng = np.random.default_rng(job.seed)
    if status == "finished":
        rows = [replace(row, value=float(rng.random()), status="ok") for row in blank_rows(job, job.scored, "ok")]
        write_rows(job.folder / TABLE, rows)
    write_record(job.folder, replace(job.record(), status=status, reason="" if status == "finished" else "why"))


def plan(output: Path, runs: int) -> None:
    phases = [{"name": "search", "runs": 6}, {"name": "table", "runs": runs}]
    (output / "plan.json").write_text(json.dumps({"planned": runs + 6, "phases": phases}))


@pytest.mark.parametrize("decoding", [("argmax",), ("argmax", "threshold")], ids=len)
def test_a_finished_comparison_gives_its_own_table(
    jobs: list[Job], dataset: Dataset, decoding: tuple[str, ...]
) -> None:
    jobs = [replace(job, division=hold_out(dataset, 5, validation=1), decoding=decoding) for job in jobs]
    for job in jobs:
        end(job, "diverged" if (job.seed, job.expression) == (2, "Dice()") else "finished")
    output = jobs[0].runs.parent
    plan(output, len(jobs))
    write_table(jobs, output / "cases.csv")
    found = read_partial(output)
    write_rows(output / "partial.csv", found.rows)
    assert (output / "partial.csv").read_bytes() == (output / "cases.csv").read_bytes()
    assert found.rows.notes == ("8 runs finished of 9 planned (1 diverged)",)
    assert {folder.name for folder in found.folders} == {job.folder.name for job in jobs}


def test_it_is_ranked_on_what_all_losses_have(jobs: list[Job], quick: Settings) -> None:
    output = jobs[0].runs.parent
    for job in jobs:
        if job.seed == 0 or job.expression == "Dice()":
            end(job)
    end(next(job for job in jobs if (job.expression, job.seed) == ("Focal()", 1)), "failed")
    searched = replace(jobs[0], purpose="search", engine=Light(replace(quick, learning_rate=1.0)))
    shorter = replace(jobs[0], engine=Light(replace(quick, steps=1)))
    begun = replace(jobs[0], expression="Jaccard()")
    for job in (searched, shorter):
        end(job)
    write_record(begun.folder, begun.record())
    plan(output, 12)
    found = read_partial(output)
    assert {(row.loss, row.seed) for row in found.rows} == {(loss, 0) for loss in LOSSES}
    assert found.rows.notes == (
        "this comparison is not complete: 6 runs finished of 12 planned (1 failed, 1 stopped)",
        "no result yet of Jaccard()",
        "fewer runs than the others: CrossEntropy() (1 of 3); Focal() (1 of 3)",
        "ranked on the seeds and folds that all of them have: 1",
        "runs of shorter trainings are left out: 1",
    )


def test_a_loss_without_a_seed_of_the_others_is_left_out(jobs: list[Job]) -> None:
    for job in jobs:
        if (job.expression == "Focal()") == (job.seed == 2):
            end(job)
    found = read_partial(jobs[0].runs.parent)
    assert {(row.loss, row.seed) for row in found.rows} == {(loss, seed) for loss in LOSSES[:2] for seed in (0, 1)}
    assert "left out, for they share no seed with the others: Focal()" in found.rows.notes


def test_what_cannot_be_ranked_yet_is_said(jobs: list[Job], quick: Settings) -> None:
    end(jobs[0])
    with pytest.raises(ValueError, match=r"fewer than two losses .* lossodyssey status"):
        read_partial(jobs[0].runs.parent)
    end(replace(jobs[0], engine=Light(replace(quick, learning_rate=1.0))))
    with pytest.raises(ValueError, match=r"is a run of Dice\(\) with the seed of .* other settings"):
        read_partial(jobs[0].runs.parent)


def test_the_command_writes_table_and_page(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = jobs[0].runs.parent
    for job in jobs[:-1]:
        end(job)
    plan(output, len(jobs))
    monkeypatch.setattr("sys.argv", ["lossodyssey", "report", str(output), "--bootstrap", "20"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert not ended.value.code
    said = "this comparison is not complete: 8 runs finished of 9 planned"
    assert said in capsys.readouterr().err
    assert said in (output / "report-so-far.html").read_text()
    assert {row.seed for row in read_rows(output / "cases-so-far.csv")} == {0, 1}
    monkeypatch.setattr("sys.argv", ["lossodyssey", "report", str(output), "--by", "size"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert "--by: has no effect on the folder of a comparison" in capsys.readouterr().err

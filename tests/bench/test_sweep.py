"""The comparison as a whole: reproducible, resumable, and not stopped by one bad run."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.bench.executors import Local, default_workers
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset
from lossodyssey.metrics.score import DEFAULT as METRICS
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

LOSSES = ["Dice()", "CrossEntropy()"]


def planned(dataset: Dataset, settings: Settings, output: Path, **changes: Any) -> list[Job]:
    options = {"seeds": 1, "held_out": 2, "engine": Light(settings), "output": output} | changes
    return compare(dataset, options.pop("losses", LOSSES), **options).jobs


def silent(job: Job, event: Progress | Record) -> None:
    """Hear nothing."""


def test_the_same_comparison_gives_the_same_table_and_is_not_done_twice(
    dataset: Dataset, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[str] = []
    monkeypatch.setattr(Light, "prepare", lambda engine, job: prepared.append(job.expression))
    first = planned(dataset, quick, tmp_path / "first")
    for _ in range(2):
        records = sweep(first, executor=Local(2), on_event=silent)
        assert [record.status for record in records] == ["finished", "finished"]
        assert prepared == ["Dice()"], "what runs share is prepared once, and only when one is waiting"
    write_table(first, first[0].runs.parent / "cases.csv")
    table = (tmp_path / "first" / "cases.csv").read_bytes()
    assert table.count(b"\n") == 1 + 2 * 2 * 4 * len(METRICS)

    second = planned(dataset, quick, tmp_path / "second")
    for job in second:
        execute(job, lambda progress: None)
    checkpoint = second[0].folder / "checkpoint.pt"
    written = checkpoint.stat().st_mtime_ns
    heard: list[object] = []
    sweep(second, executor=Local(1), on_event=lambda job, event: heard.append(event))
    write_table(second, second[0].runs.parent / "cases.csv")
    assert [type(event) for event in heard] == [Record, Record]
    assert checkpoint.stat().st_mtime_ns == written
    assert (tmp_path / "second" / "cases.csv").read_bytes() == table


def test_the_story_shows_this_comparison_and_no_other(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    other = planned(dataset, replace(quick, steps=1), tmp_path, losses=["Jaccard()"])
    jobs = planned(dataset, replace(quick, steps=60), tmp_path)
    for job in (*other, *jobs):
        execute(job, lambda progress: None)
    sweep(jobs, executor=Local(1), on_event=silent)
    write_table(jobs, jobs[0].runs.parent / "cases.csv")
    page = tell(jobs, "lossodyssey train").read_text()
    assert all(loss in page for loss in LOSSES)
    assert "Jaccard" not in page
    assert page.count("data:image/png") >= 2


def test_a_killed_run_goes_on_from_its_checkpoint(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (long,) = planned(dataset, replace(quick, steps=500), tmp_path, losses=["Dice()"])
    jobs = [long, *planned(dataset, quick, tmp_path, losses=["CrossEntropy()"])]
    killed: list[str] = []

    def kill_the_first(job: Job, event: Progress | Record) -> None:
        if isinstance(event, Progress) and event.done > 20 and not killed:
            killed.append(job.expression)
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with pytest.warns(UserWarning, match="its process was killed .*started again from its last checkpoint"):
        records = sweep(jobs, executor=Local(1), on_event=kill_the_first)
    write_table(jobs, jobs[0].runs.parent / "cases.csv")
    assert [record.status for record in records] == ["finished", "finished"]
    assert "ok" in {row.status for row in read_rows(tmp_path / "cases.csv") if row.loss == "Dice()"}
    assert not multiprocessing.active_children()
    assert len((jobs[0].folder / "curve.csv").read_text().splitlines()) == 501


def test_an_interruption_leaves_no_process_behind(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    jobs = planned(dataset, replace(quick, steps=100_000), tmp_path, losses=["Dice()"])

    def interrupt(job: Job, event: Progress | Record) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Local(1).run(jobs, interrupt)
    assert multiprocessing.active_children() == []
    assert read_record(jobs[0].folder).status == "running"
    assert not list(jobs[0].folder.glob(".*"))


def test_failed_runs_are_rows_without_values(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    failed, finished = planned(dataset, quick, tmp_path)
    execute(finished, lambda progress: None)
    write_record(failed.folder, replace(failed.record(), status="failed", reason="its process ended with exit code 1"))
    write_table([failed, finished], tmp_path / "cases.csv")
    rows = read_rows(tmp_path / "cases.csv")
    assert {row.status for row in rows if row.loss == "Dice()"} == {"failed"}
    assert all(math.isnan(row.value) for row in rows if row.loss == "Dice()")
    assert "ok" in {row.status for row in rows if row.loss == "CrossEntropy()"}


def test_diverged_runs_are_rows_without_values(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    wild = replace(quick, steps=20, optimizer="sgd", learning_rate=1e30)
    jobs = planned(dataset, wild, tmp_path, losses=["CrossEntropy()"])
    execute(jobs[0], lambda progress: None)
    records = sweep(jobs, executor=Local(1), on_event=silent)
    write_table(jobs, jobs[0].runs.parent / "cases.csv")
    assert records[0].status == "diverged"
    rows = read_rows(tmp_path / "cases.csv")
    assert len(rows) == 2 * 4 * len(METRICS)
    assert {row.status for row in rows} == {"diverged"}
    assert all(math.isfinite(row.greatest) == (row.metric == "HD95") for row in rows)
    assert all(math.isnan(row.value) for row in rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": []}, "0 losses"),
        ({"seeds": 0}, "0 seeds"),
        ({"losses": ["Dise()"]}, "Dise"),
        ({"losses": ["Focal(gama=2.0)"]}, "gama"),
        ({"losses": ["__import__('os')"]}, "import"),
        ({"held_out": 8}, "held_out=8"),
    ],
)
def test_mistakes_show_before_anything_is_written(
    dataset: Dataset, quick: Settings, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        planned(dataset, quick, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_mistakes_of_settings_data_and_output_show_too(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file: is a file; expected a folder"):
        planned(dataset, quick, tmp_path / "file")
    with pytest.raises(ValueError, match="expected 3 axes"):
        planned(dataset, replace(quick, patch=(16, 16)), tmp_path / "out")
    with pytest.raises(ValueError, match="no such GPU"):
        planned(dataset, replace(quick, device="cuda:77"), tmp_path / "out")
    bare = replace(dataset, cases=(*dataset.cases[:-1], replace(dataset.cases[-1], label=None)))
    with pytest.raises(ValueError, match="has no labels"):
        planned(bare, quick, tmp_path / "out")
    outside = replace(dataset, cases=(*dataset.cases[:-1], replace(dataset.cases[-1], name="../up")))
    with pytest.raises(ValueError, match=r"case '\.\./up' cannot name a file"):
        planned(outside, quick, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_engines_do_not_share_a_folder(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (job,) = planned(dataset, quick, tmp_path, losses=["Dice()"])
    write_record(job.folder, replace(job.record(), engine="another"))
    with pytest.raises(ValueError, match="holds runs of engine another; give those of light another folder"):
        planned(dataset, quick, tmp_path, losses=["CrossEntropy()"])


def test_losses_are_compared_once_each(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    jobs = planned(dataset, quick, tmp_path, losses=["DiceCE()", "DiceCE(ce=1)"], seeds=2)
    assert [(job.expression, job.seed) for job in jobs] == [("DiceCE()", 0), ("DiceCE()", 1)]
    with pytest.raises(ValueError, match="computes the same"):
        planned(dataset, quick, tmp_path, losses=["DiceCE()", "Dice() + CrossEntropy()"])


def test_workers_share_the_processors() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert default_workers(Light(Settings(device="cpu"))) == cores
    assert default_workers(Light(Settings(device="cpu", threads=10_000))) == 1

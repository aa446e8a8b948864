"""The state of a comparison is read from its files: while it runs, after it was killed, when it is done."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.bench.claims import machine_name, process_started
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import write_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.signs import NAME, SILENT, alive, read_sign
from lossodyssey.bench.status import read_plan, read_state
from lossodyssey.bench.study import compare
from lossodyssey.cli import run
from lossodyssey.data import Dataset
from lossodyssey.training.settings import Settings

PHASES = [{"name": "search", "runs": 1}, {"name": "table", "runs": 3}, {"name": "table, stage 2", "runs": 1}]
PLAN = {"planned": 5, "phases": PHASES}


@pytest.fixture
def jobs(dataset: Dataset, quick: Settings, tmp_path: Path) -> list[Job]:
    return compare(dataset, ["Dice()"], seeds=4, held_out=2, engine=Light(quick), output=tmp_path / "out").jobs


def sign(folder: Path, **changes: Any) -> None:
    """Write a sign of life of this process, now, but for the changes."""
    facts: dict[str, Any] = {"phase": "training", "done": 3, "total": 4, "loss": 0.5, "learning_rate": 1e-3}
    facts |= {"time": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
    facts |= {"machine": machine_name(), "started": process_started(os.getpid())}
    (folder / NAME).write_text(json.dumps(facts | changes))


def ignore(progress: Progress) -> None:
    """Hear nothing."""


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_every_run_is_in_one_state_and_the_rest_waits(jobs: list[Job]) -> None:
    output = jobs[0].runs.parent
    write_record(jobs[0].folder, replace(jobs[0].record(), status="finished", seconds=100.0))
    for job in jobs[1:3]:
        write_record(job.folder, job.record())
    sign(jobs[1].folder)
    sign(jobs[2].folder, pid=dead_process())
    (output / "plan.json").write_text(json.dumps(PLAN))
    state = read_state(output)
    assert state.counts["table"] == {"finished": 1, "running": 1, "stopped": 1, "waiting": 1}
    assert state.counts["search"] == {"waiting": 1}
    # A quarter of each begun run, a whole run of each waiting one, one at a time.
    assert state.seconds_left == pytest.approx(100 * (0.25 + 0.25 + 1 + 1))
    assert state.surplus == 0 and state.disk > 0 and not state.disk_is_estimate


def test_a_killed_run_is_told_from_a_running_one(jobs: list[Job], quick: Settings) -> None:
    job = replace(jobs[0], engine=Light(replace(quick, steps=100_000)))
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=execute, args=(job, ignore))
    process.start()
    states: list[str] = []
    while not states:
        states = [run.state for run in read_state(job.runs.parent).runs if run.sign] if job.runs.exists() else []
        time.sleep(0.1)
    process.kill()
    process.join()
    assert [*states, *(run.state for run in read_state(job.runs.parent).runs)] == ["running", "stopped"]


def test_a_run_leaves_no_sign_behind_when_it_ends(jobs: list[Job]) -> None:
    phases: list[str] = []

    def look(progress: Progress) -> None:
        found = read_sign(jobs[0].folder)
        assert alive(found)
        phases.append(found.phase if found else "")

    execute(jobs[0], look)
    assert phases[0] == "training" and not (jobs[0].folder / NAME).exists()
    assert [run.state for run in read_state(jobs[0].runs.parent).runs] == ["finished"]


def test_another_machine_is_believed_for_a_while(jobs: list[Job]) -> None:
    folder = jobs[0].folder
    write_record(folder, jobs[0].record())
    for age, state in ((SILENT / 2, "running"), (SILENT * 2, "stopped")):
        sign(folder, host="elsewhere", machine="another", time=time.time() - age)
        assert [run.state for run in read_state(jobs[0].runs.parent).runs] == [state]


def test_a_process_number_used_again_is_another_process(jobs: list[Job]) -> None:
    jobs[0].folder.mkdir(parents=True)
    sign(jobs[0].folder, started="1")
    assert not alive(read_sign(jobs[0].folder))


@pytest.mark.parametrize("moved", [-1e9, 1e9], ids=["past", "future"])
def test_times_of_files_tell_nothing(jobs: list[Job], moved: float) -> None:
    output = jobs[0].runs.parent
    for job in jobs[:2]:
        write_record(job.folder, replace(job.record(), status="finished" if job is jobs[0] else "running"))
    sign(jobs[1].folder)
    before = [(run.state, run.left) for run in read_state(output).runs]
    for path in output.rglob("*"):
        os.utime(path, (time.time() + moved,) * 2)
    assert [(run.state, run.left) for run in read_state(output).runs] == before
    assert jobs[0].folder.is_dir() and jobs[0].left() is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": 3}', '{"status": "odd"}', "\0\0", "[" * 5000])
def test_a_damaged_record_is_one_and_no_error(jobs: list[Job], text: str) -> None:
    jobs[0].folder.mkdir(parents=True)
    (jobs[0].folder / "run.json").write_text(text)
    assert [run.state for run in read_state(jobs[0].runs.parent).runs] == ["damaged"]
    write_record(jobs[0].folder, jobs[0].record())
    (jobs[0].folder / NAME).write_text(text)
    assert [run.state for run in read_state(jobs[0].runs.parent).runs] == ["stopped"]


@pytest.mark.parametrize("text", ["", "[]", '{"phases": 3}', '{"phases": [{"name": "table"}]}'])
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match=r"plan\.json: not a plan"):
        read_plan(tmp_path / "plan.json")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["lossodyssey", "status", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run()
    return int(end.value.code or 0)


def test_the_command_says_it(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = jobs[0].runs.parent
    write_record(jobs[0].folder, replace(jobs[0].record(), status="failed", reason="the disk [is] full"))
    write_record(jobs[1].folder, jobs[1].record())
    sign(jobs[1].folder)
    assert call(monkeypatch, output) == 0
    text = capsys.readouterr().out
    assert "no plan.json" in text and "the disk [is] full" in text and "3 of 4" in text
    assert call(monkeypatch, output, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["counts"]["failed"] == facts["counts"]["running"] == 1 and facts["planned"] is None
    assert {run["state"] for run in facts["runs"]} == {"failed", "running"}
    assert call(monkeypatch, tmp_path / "nowhere") == 2
    assert "no such folder" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path) == 2
    assert "holds neither runs nor plan.json" in capsys.readouterr().err
    assert call(monkeypatch, output, "--json", "--watch") == 2

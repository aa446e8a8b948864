"""Runs end once each, whatever dies meanwhile; faults of the machine are told from those of a run."""

from __future__ import annotations

import errno
import math
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import lossodyssey as lo
from lossodyssey.bench.claims import NAME, Timing, claimed
from lossodyssey.bench.executors import Commands, Local, choose, local
from lossodyssey.bench.executors.driver import Ending
from lossodyssey.bench.faults import disk_is_full, explain
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

pytestmark = pytest.mark.usefixtures("own_atlas")
TIMING = Timing(beat=0.2, stale=60.0, look=0.1)

COUNTED = """import os
import lossodyssey as lo


class {name}(lo.VoxelLoss):
    def formula(self, log_p, labels):
        if log_p.numel() > 64:  # a step of training, not the trial before it
            with open({log!r}, "a") as log:
                log.write("{name} %d\\n" % os.getpid())
        return -log_p
"""
FAULTY = """import os
import signal
import lossodyssey as lo
import torch


class {name}(lo.VoxelLoss):
    def formula(self, log_p, labels):
        if log_p.numel() > 64:
            {fault}
        return -log_p
"""
DRIVER = """
import pickle, sys, warnings
from pathlib import Path
from lossodyssey.bench.claims import Timing
from lossodyssey.bench.executors import Local

jobs = pickle.loads(Path(sys.argv[1]).read_bytes())
for job in jobs:
    for source in job.sources:
        source.load()

def tell(job, event):
    print(type(event).__name__, job.expression, flush=True)

if __name__ == "__main__":
    warnings.simplefilter("always")
    Local(1, timing=Timing(beat=0.2, stale=60.0, look=0.1)).run(jobs, tell)
"""

Planned = Callable[..., list[Job]]
Drivers = Callable[[list[Job]], "subprocess.Popen[str]"]


@pytest.fixture
def planned(dataset: Dataset, quick: Settings, tmp_path: Path) -> Planned:
    """Plan a run per loss, in the folder `study`."""

    def some(*losses: str, **changes: Any) -> list[Job]:
        engine = Light(replace(quick, **changes))
        return compare(dataset, list(losses), seeds=1, held_out=2, engine=engine, output=tmp_path / "study").jobs

    return some


@pytest.fixture
def drivers(tmp_path: Path) -> Drivers:
    """Start a driver in a process of its own."""

    def start(jobs: list[Job]) -> subprocess.Popen[str]:
        (tmp_path / "driver.py").write_text(DRIVER)
        (tmp_path / "jobs.pickle").write_bytes(pickle.dumps(jobs))
        command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path / "jobs.pickle")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def own_loss(path: Path, text: str, **words: str) -> None:
    path.write_text(text.format(**words))
    lo.load_losses(path)


def silent(job: Job, event: Progress | Record) -> None:
    """Hear nothing."""


def test_two_drivers_share_the_work_and_execute_each_run_once(
    planned: Planned, drivers: Drivers, tmp_path: Path
) -> None:
    names = ["CountedA", "CountedB", "CountedC"]
    for name in names:
        own_loss(tmp_path / f"{name}.py", COUNTED, name=name, log=str(tmp_path / "log"))
    jobs = planned(*(f"{name}()" for name in names), steps=4)
    (tmp_path / "log").write_text("")
    told = [driver.communicate() for driver in [drivers(jobs), drivers(jobs)]]

    steps = Counter((tmp_path / "log").read_text().splitlines())
    # A run has 4 steps, and the formula is asked as often in each of them.
    assert len(steps) == 3 and len(set(steps.values())) == 1 and min(steps.values()) % 4 == 0
    assert len({line.split()[0] for line in steps}) == 3
    assert [read_record(job.folder).status for job in jobs] == ["finished"] * 3
    for out, _ in told:
        assert sorted(line for line in out.splitlines() if line.startswith("Record")) == [
            f"Record {name}()" for name in names
        ]
    assert all(err.count("being done by another") <= 1 for _, err in told)
    assert not list((tmp_path / "study").glob(f"runs/*/{NAME}"))


def test_what_a_killed_driver_left_is_gone_on_with(planned: Planned, drivers: Drivers) -> None:
    jobs = planned("Dice()", "CrossEntropy()", steps=60, checkpoint_every=10)
    driver = drivers(jobs)
    assert driver.stdout is not None
    while driver.stdout.readline() != "Progress Dice()\n":
        pass
    driver.kill()
    driver.communicate()

    out, err = drivers(jobs).communicate()
    assert [read_record(job.folder).status for job in jobs] == ["finished", "finished"], err
    assert [len((job.folder / "curve.csv").read_text().splitlines()) for job in jobs] == [61, 61]
    assert out.count("Record") == 2
    assert not list(jobs[0].runs.glob(f"*/{NAME}"))


def test_a_killed_process_is_started_again_from_its_checkpoint(
    planned: Planned, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    flag = str(tmp_path / "flag")
    own_loss(
        tmp_path / "mine.py",
        FAULTY,
        name="Faulty",
        fault=f"os.path.exists({flag!r}) and (os.remove({flag!r}), os.kill(os.getpid(), signal.SIGKILL))",
    )
    (job,) = planned("Faulty()", steps=200, checkpoint_every=10)
    events: list[Progress | Record] = []

    def hear(job: Job, event: Progress | Record) -> None:
        events.append(event)
        if (job.folder / "checkpoint.pt").exists() and not any(event == "killed" for event in events):
            events.append("killed")  # type: ignore[arg-type]
            Path(flag).touch()

    Local(1, TIMING).run([job], hear)
    assert "started again from its last checkpoint (1 of 3)" in str(recwarn.pop(UserWarning).message)
    assert isinstance(events[-1], Record) and events[-1].status == "finished"
    assert len((job.folder / "curve.csv").read_text().splitlines()) == 201
    # The second process goes on from the checkpoint: its first step is none that the first process began with.
    again = [event.done for event in events[events.index("killed") :] if getattr(event, "phase", "") == "training"]  # type: ignore[arg-type]
    assert min(again) > 1
    assert not Path(flag).exists()


def test_runs_at_fault_fail_with_their_reasons_and_the_others_go_on(
    planned: Planned, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    faults = {
        "Killed": ("os.kill(os.getpid(), signal.SIGKILL)", "its process was killed (SIGKILL, as by a system that is"),
        "Large": ("torch.empty(2**50)", "out of memory; a smaller batch or patch, or fewer runs at a time, need less"),
    }
    for name, (fault, _) in faults.items():
        own_loss(tmp_path / f"{name}.py", FAULTY, name=name, fault=fault)
    jobs = planned(*(f"{name}()" for name in faults), "Dice()", steps=1)
    records = {record.expression: record for record in sweep(jobs, executor=Local(2, TIMING), on_event=silent)}
    write_table(jobs, tmp_path / "cases.csv")

    for name, (_, reason) in faults.items():
        assert records[f"{name}()"].status == "failed" and records[f"{name}()"].reason.startswith(reason)
    assert records["Dice()"].status == "finished"
    rows = read_rows(tmp_path / "cases.csv")
    assert {row.status for row in rows if row.loss != "Dice()"} == {"failed"}
    assert all(math.isnan(row.value) for row in rows if row.loss != "Dice()")
    assert "ok" in {row.status for row in rows if row.loss == "Dice()"}
    said = [str(each.message) for each in recwarn if "started again" in str(each.message)]
    assert len(said) == 3 and all(line.startswith("Killed() seed 0: its process was killed") for line in said)
    assert records["Killed()"].reason.endswith("after 3 restarts")


def test_a_full_disk_ends_the_sweep_and_fails_no_run(planned: Planned, tmp_path: Path) -> None:
    own_loss(tmp_path / "mine.py", FAULTY, name="Faulty", fault="open('/dev/full', 'w').write('x' * 10**6)")
    jobs = planned("Faulty()", "Dice()", steps=1)
    with pytest.raises(OSError, match=r"study: the disk is full; free some space and give the command again"):
        Local(1, TIMING).run(jobs, silent)
    assert read_record(jobs[0].folder).status == "running"
    assert not jobs[1].folder.exists()
    assert not (jobs[0].folder / NAME).exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_is_told_from_other_errors(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OSError) as refused:
        torch.save(torch.zeros(10**6), file)
    assert disk_is_full(refused.value)
    with pytest.raises(RuntimeError) as unclear:
        torch.save(torch.zeros(10**6), "/dev/full")
    assert disk_is_full(unclear.value)
    assert disk_is_full(OSError(errno.EDQUOT, "quota"))
    assert not disk_is_full(FileNotFoundError(errno.ENOENT, "no such file"))
    assert explain(torch.cuda.OutOfMemoryError("tried to allocate 2 GiB")).startswith("out of memory; a smaller batch")


def test_a_run_that_another_process_executes_is_waited_for(planned: Planned, recwarn: pytest.WarningsRecorder) -> None:
    (job,) = planned("Dice()")
    ends: list[Record] = []
    with claimed(job.folder, TIMING) as held:
        held.tell(("training", 1, 3, 0.5, 0.1))

        def finish(job: Job, event: Progress | Record) -> None:
            if isinstance(event, Record):
                ends.append(event)
            elif not job.done():
                execute(job, lambda progress: None)
                held.release()

        Local(1, TIMING).run([job], finish)
    assert [end.status for end in ends] == ["finished"]
    assert "1 run is being done by another lossodyssey on" in str(recwarn.pop(UserWarning).message)


def test_only_runs_that_are_not_done_are_printed(planned: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    done, left = planned("Dice()", "CrossEntropy()")
    execute(done, lambda progress: None)
    words = ("lossodyssey", "bench", "my plan.yaml", "-o", "out")
    executor = choose("print", words=words)
    assert isinstance(executor, Commands)
    executor.run([done, left], silent)
    assert capsys.readouterr().out == f"lossodyssey bench 'my plan.yaml' -o out --run {left.folder.name}\n"
    assert not left.folder.exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lsf", {}, "executor is 'lsf'; expected one of local, slurm, ray, print"),
        ("local", {"partition": "gpu"}, "executor local does not know the option partition; it takes workers"),
        ("local", {"workers": 0}, "executor local: workers is 0; expected a whole number, at least 1"),
        ("local", {"workers": True}, "executor local: workers is True"),
        ("slurm", {"time": "1:00:00"}, "executor slurm: time is '1:00:00'; expected a whole number"),
        ("slurm", {"gpus": -1}, "executor slurm: gpus is -1; expected a whole number, at least 0"),
        ("ray", {"gpus": "all"}, "executor ray: gpus is 'all'; expected a number"),
    ],
)
def test_mistakes_of_the_executor_are_said(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(name, **options)


@pytest.mark.parametrize(("name", "module"), [("slurm", "submitit"), ("ray", "ray")])
def test_an_executor_says_which_package_it_lacks(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf'executor {name} needs {module}: pip install "\.\[{name}\]"'):
        choose(name)


def test_options_that_are_not_given_take_their_defaults() -> None:
    assert choose("local", workers=None) == Local()
    assert choose("local", workers=3) == Local(3)


@pytest.mark.parametrize("gpu", ["5", None])
def test_a_process_sees_the_gpu_of_its_slot(
    gpu: str | None, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(local.VISIBLE, "4,5")
    monkeypatch.setattr(local, "_gpus", lambda engine: [gpu] if gpu else [])
    seen = tmp_path / "seen"
    note = f"open({str(seen)!r}, 'w').write(os.environ[{local.VISIBLE!r}])"
    own_loss(tmp_path / "mine.py", FAULTY, name="Seeing", fault=f"{note} and False")
    Local(1, TIMING).run(planned("Seeing()", steps=1), lambda job, event: None)
    assert seen.read_text() == (gpu or "4,5")


def test_signals_are_named() -> None:
    assert local._died(-signal.SIGSEGV).why == "its process was killed (SIGSEGV)"
    assert local._died(7) == Ending("failed", "its process ended with exit code 7")

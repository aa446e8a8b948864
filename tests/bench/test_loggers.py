"""Trackers hear of every run what they are to show, once, and cost no run its life."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.loggers import EVERY, LOGGERS, check_loggers
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import hold_out
from lossodyssey.training.settings import Settings
from lossodyssey.training.watching import watched_steps

STEPS = 45
EXPECTED = [*range(EVERY, STEPS, EVERY), STEPS]
INSTALLED = [name for name in LOGGERS if find_spec(name)]


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def job(dataset: Dataset, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    engine = Light(replace(quick, steps=STEPS))
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=engine, output=tmp_path / "out").jobs
    return replace(job, division=hold_out(dataset, 2, validation=1))


def die(progress: Progress) -> None:
    """End the process of the run, almost two tens of steps after its checkpoint."""
    if progress.done == 38 and progress.phase == "training":
        raise SystemExit


def interrupted(job: Job) -> None:
    """Execute a run whose first attempt is killed after a checkpoint at step 20."""
    with pytest.raises(SystemExit):
        execute(job, die)
    heard: list[int] = []
    execute(job, lambda progress: heard.append(progress.done) if progress.phase == "training" else None)
    assert heard[0] == 21 and read_record(job.folder).status == "finished"


def test_tensorboard_shows_every_logged_step_once(job: Job) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    interrupted(replace(job, loggers=("tensorboard",)))
    events = accumulator.EventAccumulator(str(job.runs.parent / "tensorboard" / job.folder.name))
    events.Reload()
    curve = dict(line.split(",")[:2] for line in (job.folder / "curve.csv").read_text().splitlines()[1:])
    shown = events.Scalars("loss")
    assert [event.step for event in shown] == EXPECTED
    assert [event.value for event in shown] == pytest.approx([float(curve[str(step)]) for step in EXPECTED])
    assert [event.step for event in events.Scalars("learning rate")] == EXPECTED
    assert [event.step for event in events.Scalars("held out/DSC/liver")] == [STEPS]
    pictures = {name: [event.step for event in events.Images(name)] for name in events.Tags()["images"]}
    # The attempt that went on from step 20 shows its own first batch, too.
    assert pictures.pop("batch") == [1, 21]
    assert {name.split(":")[0] for name in pictures} <= {"worst", "median", "best"} and len(pictures) == 2
    assert set(map(tuple, pictures.values())) == {(STEPS,)}
    along = [event.step for event in events.Scalars("along/DSC/liver")]
    assert along == sorted(watched_steps(Settings(**read_record(job.folder).settings)))


@pytest.mark.filterwarnings("default")
def test_mlflow_shows_every_logged_step_once(job: Job) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    interrupted(replace(job, loggers=("mlflow",)))
    client = mlflow.MlflowClient(f"sqlite:///{job.runs.parent / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("out").experiment_id])
    assert run.info.run_name == job.folder.name and run.info.status == "FINISHED"
    assert [each.step for each in client.get_metric_history(run.info.run_id, "loss")] == EXPECTED
    assert [each.step for each in client.get_metric_history(run.info.run_id, "held out/DSC/liver")] == [STEPS]
    pictures = sorted(each.path for each in client.list_artifacts(run.info.run_id))
    assert pictures[:2] == ["batch 1.png", "batch 21.png"] and len(pictures) == 4
    assert all(re.match(r"(worst|median|best)_ .* 45\.png", name) for name in pictures[2:])
    # In the output folder, as everything that a comparison writes, and not where the command was given.
    assert len(list((job.runs.parent / "mlflow").rglob("*.png"))) == 4


@pytest.mark.filterwarnings("default")
def test_wandb_takes_a_run_offline(job: Job) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    interrupted(replace(job, loggers=("wandb",)))
    assert list((job.runs.parent / "wandb").glob("offline-run-*/*.wandb"))
    pictures = [path.name for path in (job.runs.parent / "wandb").glob("offline-run-*/files/media/images/*.png")]
    assert (
        sorted(name.split("_")[0].split(":")[0] for name in pictures)[:2] == ["batch", "batch"] and len(pictures) == 4
    )


def test_loggers_decide_nothing(job: Job, tmp_path: Path) -> None:
    tracked = replace(job, loggers=tuple(LOGGERS))
    assert (tracked.digest, tracked.folder) == (job.digest, job.folder)


@pytest.mark.skipif("tensorboard" not in INSTALLED, reason="tensorboard is not installed")
def test_a_logger_that_fails_is_left_out_and_said(job: Job) -> None:
    job.runs.parent.mkdir(parents=True, exist_ok=True)
    (job.runs.parent / "tensorboard").write_text("a file stands where its folder should be")
    execute(replace(job, loggers=("tensorboard",)), lambda progress: None)
    record = read_record(job.folder)
    assert record.status == "finished"
    (note,) = record.notes
    assert note.startswith("logger tensorboard failed and was left out: ")


def test_loggers_are_checked_up_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"logger is 'tensorbord', did you mean 'tensorboard'"):
        check_loggers(["tensorbord"])
    absent = [name for name in LOGGERS if name not in INSTALLED]
    for name in absent:
        (tmp_path / name).mkdir()  # such as a tracker leaves behind
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ValueError, match=rf'{name} is not installed; pip install "\.\[{name}\]"'):
            check_loggers([name])
    assert check_loggers([*INSTALLED, *INSTALLED]) == tuple(INSTALLED)

"""What is damaged in a run folder is made again from what is whole, and said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lossodyssey.bench.damage import damages
from lossodyssey.bench.executors import Local
from lossodyssey.bench.executors.driver import fail
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.run import adopted, execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset, split
from lossodyssey.data.divisions import hold_out
from lossodyssey.report.runs import read_runs

from .conftest import QUICK


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Job]:
    """Two finished runs, of two seeds."""
    runs = tmp_path_factory.mktemp("finished") / "runs"
    job = Job(
        expression="DiceTopK()", dataset=dataset, division=hold_out(dataset, 2), seed=0, engine=Light(QUICK), runs=runs
    )
    for each in (job, replace(job, seed=1)):
        execute(each, lambda event: None)
    return job, replace(job, seed=1)


@pytest.fixture
def jobs(finished: tuple[Job, Job], tmp_path: Path) -> list[Job]:
    """Both runs, copied to a place where they may be damaged."""
    shutil.copytree(finished[0].runs, tmp_path / "runs")
    return [replace(job, runs=tmp_path / "runs") for job in finished]


def spoiled(kind: str, path: Path, other: Path) -> None:
    """Damage a file: `other` is one of the same kind that does not belong there."""
    whole = path.read_bytes()
    contents = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "garbage": b"\0\xff\x80 {[" * 9,
        "swapped": other.read_bytes(),
    }
    path.unlink() if kind == "missing" else path.write_bytes(contents[kind])


KINDS = ["missing", "cut", "empty", "garbage", "swapped"]


def name_of(job: Job, what: str, place: int = 0) -> str:
    return f"predictions/{split(job.dataset, 2)[1][place].name}.nii.gz" if what == "prediction" else what


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["cases.csv", "curve.csv", "prediction", "run.json"])
def test_a_damaged_result_is_made_again_without_training(jobs: list[Job], what: str, kind: str) -> None:
    job, other = jobs
    table, record = (job.folder / "cases.csv").read_bytes(), read_record(job.folder)
    foreign = job.folder / name_of(job, what, 1) if what == "prediction" else other.folder / what
    spoiled(kind, job.folder / name_of(job, what), foreign)
    assert not job.done()
    phases: set[str] = set()
    execute(job, lambda event: phases.add(event.phase))
    repaired = read_record(job.folder)
    assert phases == {"scoring"}
    assert job.done()
    assert (job.folder / "cases.csv").read_bytes() == table
    assert repaired.status == "finished" and repaired.files == record.files
    (note,) = repaired.notes
    assert note.startswith(name_of(job, what))
    if what != "run.json":
        assert (repaired.seconds, repaired.peak_memory_bytes) == (record.seconds, record.peak_memory_bytes)
    assert replace(repaired, notes=()) == replace(record, notes=(), **costs_of(repaired))


def costs_of(record: object) -> dict[str, float]:
    return {name: getattr(record, name) for name in ("seconds", "peak_memory_bytes")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_run_needs_no_checkpoint(jobs: list[Job], kind: str) -> None:
    job, other = jobs
    spoiled(kind, job.folder / "checkpoint.pt", other.folder / "checkpoint.pt")
    assert job.done()
    (job.folder / "cases.csv").write_text("loss,case\n")
    heard: set[str] = set()
    execute(job, lambda event: heard.add(event.phase))
    assert heard == {"scoring"} and job.done()
    gone = name_of(job, "prediction")
    (job.folder / gone).unlink()
    assert job.done(), "its scores are whole, and nothing can make the prediction again but another training"
    assert adopted(job).notes == (f"{gone} is missing",)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_scores_and_checkpoint_is_trained_again(jobs: list[Job], kind: str) -> None:
    job, other = jobs
    table = (job.folder / "cases.csv").read_bytes()
    spoiled(kind, job.folder / "checkpoint.pt", other.folder / "checkpoint.pt")
    for name in ("cases.csv", name_of(job, "prediction")):
        (job.folder / name).unlink()
    assert not job.done()
    heard: set[str] = set()
    execute(job, lambda event: heard.add(event.phase))
    assert heard == {"training", "scoring"} and job.done()
    assert (job.folder / "cases.csv").read_bytes() == table
    notes = read_record(job.folder).notes
    assert notes[:2] == ("cases.csv is missing; made again", f"{name_of(job, 'prediction')} is missing; made again")
    assert len(notes) == (2 if kind == "missing" else 3)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_half_finished_run_with_a_damaged_checkpoint_begins_anew(jobs: list[Job], kind: str) -> None:
    job, other = jobs
    table = (job.folder / "cases.csv").read_bytes()
    for name in ("cases.csv", "curve.csv"):
        (job.folder / name).unlink()
    write_record(job.folder, job.record())
    spoiled(kind, job.folder / "checkpoint.pt", other.folder / "checkpoint.pt")
    heard: list[int] = []
    execute(job, lambda event: heard.append(event.done))
    assert heard[:3] == [1, 2, 3], "all steps were done again"
    record = read_record(job.folder)
    assert record.status == "finished"
    (note,) = record.notes
    assert note.startswith("checkpoint.pt is not a checkpoint of this network (") and "from the beginning" in note
    assert (job.folder / "cases.csv").read_bytes() == table


# Another prediction, another curve or the beginning of one are results in their own right without a fingerprint.
TOLD_APART = [("cases.csv", kind) for kind in KINDS]
TOLD_APART += [("prediction", kind) for kind in KINDS[:4]]
TOLD_APART += [("curve.csv", kind) for kind in ("missing", "empty", "garbage")]


@pytest.mark.parametrize(("what", "kind"), TOLD_APART)
def test_damage_is_found_in_runs_that_kept_no_fingerprints(jobs: list[Job], what: str, kind: str) -> None:
    job, other = jobs
    fields = json.loads((job.folder / "run.json").read_text())
    for name in ("files", "notes", "name"):  # as earlier versions wrote it
        del fields[name]
    (job.folder / "run.json").write_text(json.dumps(fields))
    assert job.done() and damages(job, read_record(job.folder)) == {}
    spoiled(kind, job.folder / name_of(job, what), other.folder / "cases.csv")
    assert not job.done()
    execute(job, lambda event: None)
    assert job.done() and read_record(job.folder).files


def test_the_comparison_goes_on_over_a_damaged_folder(jobs: list[Job]) -> None:
    (jobs[0].folder / "cases.csv").unlink()
    (jobs[1].folder / "checkpoint.pt").unlink()
    gone = name_of(jobs[1], "prediction")
    (jobs[1].folder / gone).write_bytes(b"")
    heard: dict[int, tuple[str, ...]] = {}
    sweep(jobs, executor=Local(1), on_event=lambda job, event: heard.update({job.seed: getattr(event, "notes", ())}))
    assert heard == {0: ("cases.csv is missing; made again",), 1: (f"{gone} is not as the run left it",)}
    another = replace(jobs[0], expression="CrossEntropy()")
    execute(another, lambda event: None)
    sweep([*jobs, another], executor=Local(1), on_event=lambda job, event: None)
    write_table([*jobs, another], another.runs.parent / "cases.csv")
    assert "DiceTopK()" in tell([*jobs, another]).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_prediction_with_a_damaged_checkpoint_is_refused_in_one_line(
    jobs: list[Job], dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    job, other = jobs
    spoiled(kind, job.folder / "checkpoint.pt", other.folder / "checkpoint.pt")
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt: not a checkpoint of this network .*train it again"
    ) as refusal:
        predict(job.folder, dataset.cases[0].images[0], tmp_path / "out")
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 500
    assert not (tmp_path / "out").exists()


def test_prediction_with_the_network_of_other_settings_is_refused(jobs: list[Job], tmp_path: Path) -> None:
    job = jobs[0]
    record = read_record(job.folder)
    write_record(job.folder, replace(record, settings={**record.settings, "features": (4, 8, 16)}))
    with pytest.raises(ValueError, match=r"checkpoint\.pt: not a checkpoint of this network") as refusal:
        predict(job.folder, job.dataset.cases[0].images[0], tmp_path / "out")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["step,loss\n1,", "a,b\n1,2\n", "step,loss,learning_rate\nx,1,1\n"])
def test_a_report_names_a_curve_that_cannot_be_read(jobs: list[Job], text: str) -> None:
    (jobs[0].folder / "curve.csv").write_text(text + "\0")
    with pytest.raises(ValueError, match=r"curve\.csv: not a training curve .* or remove it"):
        read_runs(jobs[0].runs.parent)


def test_what_cannot_be_made_again_leaves_the_scores_of_a_finished_run(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs[0]
    (job.folder / name_of(job, "prediction")).unlink()

    def fail(*given: object) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(Light, "train", fail)
    execute(job, lambda event: None)
    record = read_record(job.folder)
    assert record.status == "finished" and "could not be made: OSError: disk is full" in record.notes[-1]


@pytest.mark.parametrize(("damaged", "status"), [(True, "failed"), (False, "finished")])
def test_a_repair_whose_process_died_is_a_failed_run(jobs: list[Job], damaged: bool, status: str) -> None:
    job = jobs[0]
    if damaged:
        (job.folder / "cases.csv").unlink()
    assert fail(job, "its process was killed").status == read_record(job.folder).status == status

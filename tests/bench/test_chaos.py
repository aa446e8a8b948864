"""Nothing is lost or counted twice, whatever is killed, full, garbled or out of time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lossodyssey.atomic import remove_drafts, writing
from lossodyssey.bench.executors import Local
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import run_study, sweep, write_table
from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.training.settings import Settings

from .chaos import survive


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_killed_runs_and_drivers_change_nothing(tmp_path: Path) -> None:
    assert survive(tmp_path, workers=2, drivers=1, losses=2, rates=1, seeds=1, steps=80, seed=0) == ""


def test_a_full_disk_stops_the_comparison_which_goes_on_when_there_is_space(
    dataset: Dataset, quick: Settings, disk: Path, tmp_path: Path
) -> None:
    wide = replace(quick, features=(8, 16))
    whole = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(wide), output=tmp_path / "whole")
    run_study(whole, executor=Local(1), on_event=lambda job, event: None)

    filler = disk / "filler"
    filler.write_bytes(bytes(2 * 2**20 - 48 * 2**10))
    study = replace(whole, output=disk / "out")
    with pytest.raises(OSError, match=r"disk is full|No space left"):
        run_study(study, executor=Local(1), on_event=lambda job, event: None)
    assert not (disk / "out" / "cases.csv").exists()
    assert {run.name: run.stat().st_size for run in disk.rglob("*.csv")} == {}, "no table is there in half"

    filler.unlink()
    run_study(study, executor=Local(1), on_event=lambda job, event: None)
    assert (disk / "out" / "cases.csv").read_bytes() == (tmp_path / "whole" / "cases.csv").read_bytes()
    assert not [path for path in (disk / "out" / "runs").rglob(".*") if path.is_file()]


@pytest.mark.parametrize("moved", [-1e9, 1e9], ids=["past", "future"])
def test_a_clock_that_jumps_trains_nothing_again(
    dataset: Dataset, quick: Settings, tmp_path: Path, moved: float
) -> None:
    study = compare(dataset, ["Dice()"], seeds=2, held_out=2, engine=Light(quick), output=tmp_path)
    ended, begun = study.jobs
    execute(ended, lambda progress: None)
    with pytest.raises(SystemExit):
        execute(begun, _die_after_two)
    checkpoint = (ended.folder / "checkpoint.pt").read_bytes()
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() + moved,) * 2)
    heard: list[int] = []
    sweep(study.jobs, executor=Local(1), on_event=lambda job, event: heard.append(job.seed))
    assert heard[0] == 0 and heard.count(0) == 1, "the ended run is heard of once, as done"
    assert [read_record(job.folder).status for job in study.jobs] == ["finished"] * 2
    assert (ended.folder / "checkpoint.pt").read_bytes() == checkpoint


def _die_after_two(progress: object) -> None:
    if getattr(progress, "done", 0) == 2:
        raise SystemExit


def test_a_case_that_is_spoiled_in_the_middle_of_a_sweep_fails_runs_and_no_table(
    quick: Settings, tmp_path: Path
) -> None:
    write_phantom(tmp_path / "phantom", cases=6)
    data = read_dataset(tmp_path / "phantom")
    study = compare(data, ["Dice()"], seeds=2, held_out=2, engine=Light(quick), output=tmp_path / "out")
    first, second = study.jobs
    execute(first, lambda progress: None)
    table, image = (first.folder / "cases.csv").read_bytes(), second.training[0].images[0]
    whole = image.read_bytes()

    image.write_bytes(whole[: len(whole) // 2])
    execute(second, lambda progress: None)
    record = read_record(second.folder)
    assert record.status == "failed" and "was replaced since this comparison began" in record.reason
    write_table([first, second], tmp_path / "out" / "cases.csv")
    text = (tmp_path / "out" / "cases.csv").read_text()
    assert text.count(",ok,") == table.decode().count(",ok,") > 0 and ",failed," in text

    image.write_bytes(whole)
    execute(second, lambda progress: None)
    assert read_record(second.folder).status == "finished"
    assert (first.folder / "cases.csv").read_bytes() == table and first.done()


@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["run.json", "cases.csv", "checkpoint.pt", "curve.csv"])
def test_bytes_garbled_in_the_middle_are_noticed_and_made_good(
    dataset: Dataset, quick: Settings, tmp_path: Path, name: str, place: float
) -> None:
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(quick), output=tmp_path).jobs
    execute(job, lambda progress: None)
    before = {path: (job.folder / path).read_bytes() for path in ("cases.csv", "curve.csv")}
    content = bytearray((job.folder / name).read_bytes())
    where = int(place * len(content))
    content[where : where + 4] = bytes(255 - byte for byte in content[where : where + 4])
    (job.folder / name).write_bytes(content)
    assert job.done() == (name == "checkpoint.pt"), "a finished run needs no checkpoint"
    execute(job, lambda progress: None)
    assert job.done() and read_record(job.folder).status == "finished"
    assert {path: (job.folder / path).read_bytes() for path in before} == before


def test_what_a_killed_process_left_half_written_is_removed(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(quick), output=tmp_path).jobs
    write_record(job.folder, job.record())
    (job.folder / "predictions").mkdir()
    with suppress(SystemExit), writing(job.folder / "checkpoint.pt") as draft:
        form = draft.name
        raise SystemExit
    for path in (job.folder / form, job.folder / "predictions" / form.replace("checkpoint.pt", "case.nii.gz")):
        path.write_bytes(b"half")
    execute(job, lambda progress: None)
    assert not list(job.folder.rglob(".*")) and read_record(job.folder).status == "finished"


def test_other_hidden_files_are_left_alone(tmp_path: Path) -> None:
    for name in (".DS_Store", ".taken-0123456789ab.claim.json", ".0123456789ab.cases.csv", "0123456789ab.cases.csv"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path)
    assert not (tmp_path / ".0123456789ab.cases.csv").exists() and len(list(tmp_path.iterdir())) == 3

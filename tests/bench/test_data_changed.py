"""Data that are replaced behind a comparison's back: noticed, said, and trained again."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep
from lossodyssey.data import Dataset, contents, read_dataset, split
from lossodyssey.data.contents import read_contents

from .conftest import QUICK


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def mine(dataset: Dataset, tmp_path: Path) -> Dataset:
    """A copy that may be changed."""
    shutil.copytree(dataset.root, tmp_path / "data" / dataset.root.name)
    return read_dataset(tmp_path / "data" / dataset.root.name)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as written long ago, as those of a data set are."""
    monkeypatch.setattr(contents, "COARSE", -(10**18))


def planned(dataset: Dataset, output: Path) -> list[Job]:
    return compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(QUICK), output=output).jobs


def changed(path: Path, *, quietly: bool = False) -> None:
    """Replace a file by one with other values; quietly: of the same size, with the old times."""
    before = path.stat()
    picture = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(picture.dataobj)[::-1].copy(), picture.affine, picture.header), path)
    if quietly:
        content = path.read_bytes()
        path.write_bytes(content[: before.st_size].ljust(before.st_size, b"\0"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


FILES = {
    "image for training": lambda dataset: split(dataset, 2)[0][0].images[0],
    "mask for training": lambda dataset: split(dataset, 2)[0][-1].label,
    "image held out": lambda dataset: split(dataset, 2)[1][0].images[0],
    "mask held out": lambda dataset: split(dataset, 2)[1][1].label,
}


@pytest.mark.parametrize("what", FILES)
def test_a_replaced_file_makes_another_run_and_is_said(mine: Dataset, tmp_path: Path, settled: None, what: str) -> None:
    (first,) = planned(mine, tmp_path / "out")
    execute(first, lambda event: None)
    assert planned(mine, tmp_path / "out") == [first] and first.done()
    changed(FILES[what](mine))
    with pytest.warns(UserWarning, match=r"\.nii\.gz changed since the runs in .*: every loss is trained again"):
        (second,) = planned(mine, tmp_path / "out")
    assert second.folder != first.folder and not second.done()
    execute(second, lambda event: None)
    assert read_record(second.folder).status == "finished"
    assert planned(mine, tmp_path / "out") == [second]  # said once


def test_size_and_times_that_were_put_back_do_not_hide_a_change(mine: Dataset, tmp_path: Path, settled: None) -> None:
    (first,) = planned(mine, tmp_path / "out")
    for path in (mine.cases[0].images[0], mine.cases[3].label):
        assert path is not None
        changed(path, quietly=True)
    found = read_contents(mine, first.memory)
    assert found.digest != first.data and len(found.changed(first.memory)) == 2


def test_a_copy_elsewhere_and_new_times_are_no_change(mine: Dataset, tmp_path: Path, settled: None) -> None:
    (first,) = planned(mine, tmp_path / "out")
    for case in mine.cases:
        os.utime(case.images[0], ns=(1, 1))
    shutil.copytree(mine.root, tmp_path / "elsewhere" / mine.root.name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (touched,) = planned(mine, tmp_path / "out")
        (moved,) = planned(read_dataset(tmp_path / "elsewhere" / mine.root.name), tmp_path / "out")
    assert first.folder == touched.folder == moved.folder


def test_files_are_read_again_only_where_their_stamps_differ(
    mine: Dataset, tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    digest = contents._digest
    monkeypatch.setattr(contents, "_digest", lambda path: read.append(path) or digest(path))
    planned(mine, tmp_path / "out")
    assert len(read) == 2 * len(mine.cases)
    planned(mine, tmp_path / "out")
    assert len(read) == 2 * len(mine.cases)
    mine.cases[2].images[0].touch()
    planned(mine, tmp_path / "out")
    assert read[2 * len(mine.cases) :] == [mine.cases[2].images[0].resolve()]
    (tmp_path / "out" / "data.json").write_text("[{")
    planned(mine, tmp_path / "out")
    assert len(read) == 4 * len(mine.cases) + 1


def test_a_file_that_has_just_been_written_is_not_trusted(mine: Dataset, tmp_path: Path) -> None:
    memory = tmp_path / "data.json"
    read_contents(mine, memory).remember(memory)
    assert "-1" in memory.read_text()
    read = read_contents(mine, memory)
    assert set(read.stamps.values()) == {contents.UNSURE} and read.changed(memory) == []


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_replaced_during_a_comparison_ends_its_runs(mine: Dataset, tmp_path: Path, what: str) -> None:
    (job,) = planned(mine, tmp_path / "out")
    changed(FILES[what](mine))
    execute(job, lambda event: None)
    record = read_record(job.folder)
    assert record.status == "failed" and "was replaced since this comparison began" in record.reason
    with pytest.raises(ValueError, match="was replaced since this comparison began; give the command again"):
        sweep([job], executor=Local(1), on_event=lambda job, event: None)


def test_other_classes_in_the_description_are_other_runs(mine: Dataset, tmp_path: Path) -> None:
    (job,) = planned(mine, tmp_path / "out")
    names = {**mine.classes, 1: "another name"}
    others = [replace(mine, classes=names), replace(mine, flip_axes=(0,)), replace(mine, channels=("MR",))]
    assert len({job.digest, *(replace(job, dataset=other).digest for other in others)}) == 4

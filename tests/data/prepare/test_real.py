"""Real data, laid out as their archives again: skipped where there are none on this machine."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy
import pytest

from lossodyssey.data import read_case, read_dataset, read_labels
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import prepare

from .builders import text, write

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[4] / "shared" / "data")


def real(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not part of the repository")
    return DATA / name


def test_the_hippocampus_from_its_archive(tmp_path: Path) -> None:
    source = real("Task04_Hippocampus")
    with tarfile.open(tmp_path / "Task04_Hippocampus.tar", "w") as tar:
        tar.add(source / "dataset.json", "Task04_Hippocampus/dataset.json")
        for file in sorted((source / "labelsTr").iterdir())[:12]:
            tar.add(file, f"Task04_Hippocampus/labelsTr/{file.name}")
            tar.add(source / "imagesTr" / file.name, f"Task04_Hippocampus/imagesTr/{file.name}")
    done = prepare(find_recipe("Task04"), [tmp_path / "Task04_Hippocampus.tar"], tmp_path / "out")
    before, after = read_dataset(source), read_dataset(done.folder)
    assert len(after.cases) == 12 and after.classes == before.classes and after.flip_axes == before.flip_axes
    for case in after.cases:
        for file in (*case.images, case.label):
            assert file is not None and file.read_bytes() == (source / file.relative_to(done.folder)).read_bytes()


def test_a_scan_of_the_spleen_task(tmp_path: Path) -> None:
    source = real("Singles_3D/msd_spleen_2")
    for part, file in (("imagesTr", "image"), ("labelsTr", "label")):
        (tmp_path / "Task09_Spleen" / part).mkdir(parents=True)
        shutil.copy(source / f"{file}.nii.gz", tmp_path / "Task09_Spleen" / part / "spleen_2.nii.gz")
    done = prepare(find_recipe("Task09"), [tmp_path / "Task09_Spleen"], tmp_path / "out", "nnunet")
    dataset = read_dataset(done.folder)
    volume = read_case(dataset, dataset.cases[0])
    assert done.test == 0 and any("too few patients" in note for note in done.notes)
    assert numpy.array_equal(volume.labels, read_labels(source / "label.nii.gz").labels)


def test_hearts_in_the_layout_of_acdc(tmp_path: Path) -> None:
    source = real("ACDC_ED_small")
    for number in (1, 2, 57, 100):
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        shutil.copy(source / f"imagesTr/acdc_{number:03d}.nii.gz", folder / f"patient{number:03d}_frame01.nii.gz")
        shutil.copy(source / f"labelsTr/acdc_{number:03d}.nii.gz", folder / f"patient{number:03d}_frame01_gt.nii.gz")
        text(folder / "Info.cfg", "ED: 1\nES: 12\nGroup: NOR\n")
    done = prepare(find_recipe("ACDC"), [tmp_path / "training"], tmp_path / "out", split="region-wise")
    voxels = json.loads((done.folder / "manifest.json").read_text())["voxels"]
    counts: dict[str, int] = {}
    for number in (1, 2, 57, 100):
        values, found = numpy.unique(
            read_labels(source / f"labelsTr/acdc_{number:03d}.nii.gz").labels, return_counts=True
        )
        for value, count in zip(values.tolist(), found.tolist(), strict=True):
            counts[str(value)] = counts.get(str(value), 0) + count
    assert voxels == counts and (done.training, done.test) == (2, 2)


def test_kidneys_in_the_layout_of_kits(tmp_path: Path) -> None:
    """Labels as they are distributed, with images made for them: there are none in the repository of the source."""
    source = real("KiTS19_labels")
    for name in ("case_00038", "case_00061"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        shutil.copy(source / f"labelsTr/{name}.nii.gz", folder / "segmentation.nii.gz")
        labels = read_labels(folder / "segmentation.nii.gz")
        write(folder / "imaging.nii.gz", labels.labels.astype(numpy.int16) * 40, labels.affine)
    done = prepare(find_recipe("KiTS19_labelled_slices"), [tmp_path / "data"], tmp_path / "out", split="region-wise")
    assert (done.training, done.test) == (1, 1)
    dataset = read_dataset(done.folder)
    for case in dataset.cases:
        volume = read_case(dataset, case)
        assert volume.labels is not None and volume.labels.any(axis=(1, 2)).all()
        assert numpy.array_equal(volume.image[0], volume.labels * 40)

"""Data sets in every format: trained for a step, scored, and used to predict in the format of the images."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.data import Dataset, read_dataset, read_labels
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

CASES = 4


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def shapes(*size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images of a box, and the labels of the box."""
    rng = np.random.default_rng(0)
    for number in range(CASES):
        labels = np.zeros(size, np.uint8)
        labels[tuple(slice(3 + number, length - 3) for length in size)] = 1
        yield (rng.normal(100, 10, size) + 100 * labels).clip(0, 255).astype(np.uint8), labels


def finish(root: Path, tail: str, label: str, **more: Any) -> Dataset:
    facts = {"modality": {"0": "grey"}, "labels": {"0": "background", "1": "box"}, **more}
    names = [f"case{number}" for number in range(CASES)]
    training = [{"image": f"imagesTr/{name}{tail}", "label": f"labelsTr/{name}{label}"} for name in names]
    (root / "dataset.json").write_text(json.dumps({"training": training} | facts))
    return read_dataset(root)


def photographs(root: Path) -> Dataset:
    for number, (image, labels) in enumerate(shapes(24, 32)):
        Image.fromarray(image).save(root / f"imagesTr/case{number}.jpg")
        Image.fromarray(labels).save(root / f"labelsTr/case{number}.png")
    return finish(root, ".jpg", ".png", spacing=[0.5, 0.25])


def stacks(root: Path) -> Dataset:
    for number, (image, labels) in enumerate(shapes(12, 20, 24)):
        for part, values in (("imagesTr", image), ("labelsTr", labels)):
            tifffile.imwrite(root / f"{part}/case{number}.tif", values, compression="zlib")
        (root / f"imagesTr/case{number}.json").write_text('{"spacing": [2, 0.5, 0.25]}')
    return finish(root, ".tif", ".tif")


def volumes(root: Path, tail: str = ".mha", image_tail: str = ".mha") -> Dataset:
    sitk = pytest.importorskip("SimpleITK")
    for number, (image, labels) in enumerate(shapes(12, 20, 24)):
        for part, values, ending in (("imagesTr", image, image_tail), ("labelsTr", labels, tail)):
            made = sitk.GetImageFromArray(values)
            made.SetSpacing((0.25, 0.5, 2))
            made.SetOrigin((1, 2, 3))
            sitk.WriteImage(made, str(root / f"{part}/case{number}{ending}"), useCompression=True)
    return finish(root, ".mha", ".mha") if tail == ".mha" else read_dataset(root)


def raw(root: Path) -> Dataset:
    facts = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "box": 1}, "file_ending": ".nrrd"}
    (root / "dataset.json").write_text(json.dumps(facts | {"numTraining": CASES}))
    return volumes(root, ".nrrd", "_0000.nrrd")


MAKERS: dict[str, tuple[Callable[[Path], Dataset], str, tuple[float, ...]]] = {
    "JPEG": (photographs, ".png", (0.5, 0.25)),
    "TIFF stacks": (stacks, ".tif", (2, 0.5, 0.25)),
    "MHA": (volumes, ".mha", (0.25, 0.5, 2)),
    "NRRD as nnU-Net has it": (raw, ".nrrd", (0.25, 0.5, 2)),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_data_set_trains_and_predicts(tmp_path: Path, kind: str) -> None:
    make, tail, spacing = MAKERS[kind]
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / "mine" / part).mkdir(parents=True)
    dataset = make(tmp_path / "mine")
    patch = (16, 16, 16)[: len(spacing)]
    settings = Settings(steps=1, epoch=1, patch=patch, features=(4, 8), device="cpu", overlap=0.0)
    output = tmp_path / "out"
    study = compare(dataset, ["Dice()", "DiceBoundary()"], seeds=1, held_out=2, engine=Light(settings), output=output)
    for job in study.jobs:
        execute(job, lambda progress: None)
        record = read_record(job.folder)
        assert record.status == "finished", record.reason
        rows = read_rows(job.folder / "cases.csv")
        assert {row.case for row in rows} == set(job.division.scored)
        kept = {path.name for path in (job.folder / "predictions").iterdir() if path.suffix != ".json"}
        assert kept == {f"{name}{tail if tail in ('.png', '.tif') else '.nii.gz'}" for name in job.division.scored}
        assert all(row.size == pytest.approx(size_of(row.case, spacing)) for row in rows)
        assert {row.lengths for row in rows if row.metric == "HD95"} == {"mm"}

    written = predict(study.jobs[0].folder, tmp_path / "mine" / "imagesTr", tmp_path / "predictions")
    assert [path.name for path in written] == [f"case{number}{tail}" for number in range(CASES)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in written:
            assert read_labels(path).spacing == pytest.approx(spacing)


def size_of(case: str, spacing: tuple[float, ...]) -> float:
    size = (24, 32) if len(spacing) == 2 else (12, 20, 24)
    return float(np.prod([length - 6 - int(case[-1]) for length in size]) * np.prod(spacing))

"""Regions and ignored voxels through a whole comparison: trained, written back, scored, predicted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lossodyssey.bench.damage import prediction
from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import find_cases, predict
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset, read_dataset, read_labels, split
from lossodyssey.data.divisions import hold_out
from lossodyssey.metrics import score
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

LABELS = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": 4}
SETTINGS = Settings(steps=40, epoch=10, patch=(16, 16), features=(4, 8), foreground=1.0, device="cpu")


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def tumours(root: Path, **settings: Any) -> Dataset:
    """Pictures of a square in a square in a square, labelled 2, 1 and 4 from the outside."""
    rng = np.random.default_rng(0)
    for number in range(4):
        labels = np.zeros((32, 32), np.uint8)
        for inset, label in ((0, 2), (3, 1), (6, 4)):
            start, stop = 4 + number + inset, 24 + number - inset
            labels[start:stop, start:stop] = label
        picture = np.array([0, 130, 70, 0, 200])[labels] + rng.normal(20, 5, labels.shape)
        for folder, content in (("imagesTr", picture.clip(0, 255).astype(np.uint8)), ("labelsTr", labels)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(root / folder / f"case{number}.png")
    content = {
        "channel_names": {"0": "grey"},
        "labels": LABELS,
        "regions_class_order": [2, 1, 4],
        "file_ending": ".png",
    }
    (root / "dataset.json").write_text(json.dumps(content | settings))
    return read_dataset(root)


def test_regions_are_trained_scored_and_predicted(tmp_path: Path) -> None:
    dataset = tumours(tmp_path / "brats")
    losses = ("Dice() + CrossEntropy()", "CrossEntropy(class_weights='inverse_frequency')")
    jobs = compare(dataset, losses, seeds=1, held_out=1, engine=Light(SETTINGS), output=tmp_path / "out").jobs
    for job in jobs:
        execute(job, lambda event: None)
        assert read_record(job.folder).status == "finished", read_record(job.folder).reason
    sweep(jobs, executor=Local(1), on_event=lambda job, event: None)
    write_table(jobs, tmp_path / "out" / "cases.csv")
    job, (case,) = jobs[0], split(dataset, 1)[1]
    rows = read_rows(job.folder / "cases.csv")
    assert list(dict.fromkeys(row.class_name for row in rows)) == ["whole", "core", "enhancing"]
    assert case.label is not None
    found = read_labels(job.folder / "predictions" / f"{case.name}.png").labels
    truth = read_labels(case.label).labels
    assert set(np.unique(found)) <= {0, 1, 2, 4}
    expected = score(found, truth, labels=[(1, 2, 4), (1, 4), 4], metrics=["DSC", "NSD", "HD95"])
    np.testing.assert_equal([row.value for row in rows], [entry.value for entry in expected])
    assert rows[0].value > 0.5
    written = predict(job.folder, case.images[0], tmp_path / "new")
    np.testing.assert_array_equal(read_labels(written[0]).labels, found)
    assert "core" in tell(jobs).read_text(encoding="utf-8")


def test_other_regions_are_other_runs(tmp_path: Path, quick: Settings) -> None:
    dataset = tumours(tmp_path / "brats")
    jobs = [
        Job(expression="Dice()", dataset=each, division=hold_out(each, 1), seed=0, engine=Light(quick), runs=tmp_path)
        for each in (
            dataset,
            replace(dataset, regions=dataset.regions[:2]),
            replace(dataset, regions=()),
            replace(dataset, ignore=7),
        )
    ]
    assert len({job.digest for job in jobs}) == 4


def test_ignored_voxels_neither_train_nor_count(tmp_path: Path) -> None:
    dataset = tumours(tmp_path / "a", labels={"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4})
    (job,) = compare(dataset, ["DiceCE()"], seeds=1, held_out=1, engine=Light(SETTINGS), output=tmp_path / "out").jobs
    execute(job, lambda event: None)
    assert read_record(job.folder).status == "finished", read_record(job.folder).reason
    (case,) = split(dataset, 1)[1]
    assert case.label is not None
    truth = read_labels(case.label).labels
    found = read_labels(job.folder / "predictions" / f"{case.name}.png").labels
    rows = read_rows(job.folder / "cases.csv")
    assert list(dict.fromkeys(row.class_name for row in rows)) == ["a", "b", "c"]
    kept = truth != 4
    both = ((found == 1) & (truth == 1)).sum()
    assert rows[0].value == pytest.approx(2 * both / (((found == 1) & kept).sum() + (truth == 1).sum()))


IGNORING = {
    "classes": {"labels": {"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4}},
    "regions": {
        "labels": {"background": 0, "whole": [1, 2], "core": 1, "ignore": 4},
        "regions_class_order": [2, 1],
    },
}


def blank(dataset: Dataset, *names: str) -> None:
    """Give every voxel of these cases the ignored label."""
    for case in dataset.cases:
        if case.name in names and case.label is not None:
            Image.fromarray(np.full((32, 32), 4, np.uint8)).save(case.label)


@pytest.mark.parametrize("kind", IGNORING)
def test_the_ignored_label_is_in_the_record_and_the_page_and_no_class(tmp_path: Path, kind: str) -> None:
    dataset = tumours(tmp_path / "a", **IGNORING[kind])
    training = split(dataset, 1)[0]
    blank(dataset, training[0].name)
    settings = replace(SETTINGS, steps=2)
    losses = ["DiceCE()", "CrossEntropy(class_weights='inverse_frequency')"]
    jobs = compare(dataset, losses, seeds=1, held_out=1, engine=Light(settings), output=tmp_path / "out").jobs
    for job in jobs:
        execute(job, lambda event: None)
        record = read_record(job.folder)
        assert (record.status, record.ignore) == ("finished", 4), record.reason
        assert record.notes == (f"every voxel of {training[0].name} is ignored; trained without",)
    sweep(jobs, executor=Local(1), on_event=lambda job, event: None)
    write_table(jobs, tmp_path / "out" / "cases.csv")
    table = read_rows(tmp_path / "out" / "cases.csv")
    assert {row.class_name for row in table} == {target.name for target in dataset.targets}
    page = tell(jobs).read_text(encoding="utf-8")
    assert "Voxels of the ignored label 4 are shown as background." in page
    assert '<th scope="row" class="text">ignored label</th><td class="text">4</td>' in page


@pytest.mark.parametrize(("part", "said"), [(0, "of the 3 cases to train on"), (1, "of the 1 cases held out")])
def test_a_set_in_which_nothing_counts_is_refused(tmp_path: Path, part: int, said: str) -> None:
    dataset = tumours(tmp_path / "a", **IGNORING["classes"])
    blank(dataset, *(case.name for case in split(dataset, 1)[part]))
    with pytest.raises(ValueError, match=f"every voxel {said} has the ignored label 4"):
        compare(dataset, ["Dice()"], seeds=1, held_out=1, engine=Light(SETTINGS), output=tmp_path / "out").jobs
    assert not (tmp_path / "out").exists()


def test_a_loss_that_does_not_fit_the_regions_is_refused(tmp_path: Path) -> None:
    dataset = tumours(tmp_path / "brats")
    with pytest.raises(ValueError, match="does not work with 3 regions"):
        compare(
            dataset,
            ["CrossEntropy(class_weights=(1.0, 2.0))"],
            seeds=1,
            held_out=1,
            engine=Light(SETTINGS),
            output=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("bands", "expected"), [(1, ["img"]), (3, ["img_0000", "img_0001", "img_0002"])])
def test_numbers_of_pictures_that_hold_all_channels_count_pictures(
    tmp_path: Path, bands: int, expected: list[str]
) -> None:
    for number in range(3):
        shape = (6, 5, 3) if bands == 3 else (6, 5)
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"img_{number:04d}.png")
    assert [case.name for case in find_cases(tmp_path, 3)] == expected


def test_predictions_are_found_by_their_whole_name(tmp_path: Path, quick: Settings) -> None:
    dataset = tumours(tmp_path / "brats")
    job = Job(
        expression="Dice()", dataset=dataset, division=hold_out(dataset, 1), seed=0, engine=Light(quick), runs=tmp_path
    )
    folder = job.folder / "predictions"
    folder.mkdir(parents=True)
    for name in ("a.b_seg.png", "a.png", "b[1].png"):
        (folder / name).touch()
    for name, expected in (("a", "a.png"), ("b[1]", "b[1].png"), ("b1", None)):
        found = prediction(job.folder, replace(dataset.cases[0], name=name))
        assert (found.name if found.is_file() else None) == expected

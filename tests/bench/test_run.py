"""One run folder, from training to scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.data import Dataset, LabelMap, read_case, read_dataset, read_labels, split
from lossodyssey.data.divisions import hold_out
from lossodyssey.metrics import score
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def job(dataset: Dataset, settings: Settings, runs: Path, expression: str = "Dice()") -> Job:
    return Job(
        expression=expression, dataset=dataset, division=hold_out(dataset, 2), seed=0, engine=Light(settings), runs=runs
    )


def diagonal(labels: LabelMap) -> float:
    return float(np.linalg.norm(np.array(labels.labels.shape) * labels.spacing))


def test_a_run_leaves_everything_in_its_folder(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    made = job(dataset, quick, tmp_path)
    heard: list[Progress] = []
    assert not made.done()
    execute(made, heard.append)
    assert made.done()
    record = read_record(made.folder)
    assert (record.status, record.expression, record.seed, record.reason) == ("finished", "Dice()", 0, "")
    assert (record.engine, record.settings) == ("light", asdict(quick))
    assert record.seconds > 0
    assert record.peak_memory_bytes > 1_000_000
    assert {"torch", "monai", "lossodyssey"} <= set(record.versions)
    assert [event.phase for event in heard] == ["training"] * 3 + ["scoring"] * 2
    assert len((made.folder / "curve.csv").read_text().splitlines()) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [made.folder.name]


def test_scores_are_those_of_the_predictions_on_disk(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    made = job(dataset, quick, tmp_path, "CrossEntropy()")
    execute(made, lambda event: None)
    _, held_out = split(dataset, 2)
    rows = read_rows(made.folder / "cases.csv")
    assert {row.case for row in rows} == {case.name for case in held_out}
    assert len(rows) == 2 * 4 * 3
    lengths = {case.name: diagonal(read_labels(case.label)) for case in held_out if case.label}
    assert [row.greatest for row in rows if row.metric == "HD95"] == [
        pytest.approx(lengths[row.case]) for row in rows if row.metric == "HD95"
    ]
    assert all(math.isnan(row.greatest) for row in rows if row.metric != "HD95")
    volume = read_case(dataset, held_out[0])
    written = read_labels(made.folder / "predictions" / f"{held_out[0].name}.nii.gz")
    np.testing.assert_array_equal(written.affine, volume.affine)
    expected = score(written.labels, volume.labels, spacing=volume.spacing, labels=[1], metrics=["DSC"])
    found = next(row for row in rows if (row.case, row.class_name, row.metric) == (held_out[0].name, "liver", "DSC"))
    np.testing.assert_equal(found.value, expected.value(1, "DSC"))


def test_the_network_of_a_run_segments_other_images(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    made = job(dataset, quick, tmp_path / "runs")
    execute(made, lambda event: None)
    _, held_out = split(dataset, 2)
    images = held_out[0].images[0].parent
    written = predict(made.folder, images, tmp_path / "out")
    assert len(written) == len(dataset.cases)
    name = f"{held_out[1].name}.nii.gz"
    own = read_labels(made.folder / "predictions" / name).labels
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / name).labels, own)


def test_wrong_label_maps_are_trained_on_alone_and_named(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    right, wrong = (job(dataset, replace(quick, wrong_labels=share), tmp_path) for share in (0.0, 0.5))
    for made in (right, wrong):
        execute(made, lambda event: None)
    note = read_record(wrong.folder).notes[0]
    named = {case.name for case in dataset.cases if case.name in note}
    assert len(named) == 3 and named < set(wrong.division.training) and not read_record(right.folder).notes
    assert (right.folder / "curve.csv").read_bytes() != (wrong.folder / "curve.csv").read_bytes()
    for row in read_rows(wrong.folder / "cases.csv"):
        case = next(case for case in dataset.cases if case.name == row.case)
        pair = (read_labels(wrong.folder / "predictions" / f"{row.case}.nii.gz"), read_labels(case.label or ""))
        label = list(dataset.classes.values()).index(row.class_name)
        found = score(*(each.labels for each in pair), spacing=pair[0].spacing, labels=[label], metrics=[row.metric])
        np.testing.assert_equal(row.value, found.value(label, row.metric))


def test_classes_without_annotations_are_told_to_the_loss_and_scored(
    dataset: Dataset, quick: Settings, tmp_path: Path
) -> None:
    half = replace(quick, unannotated=0.5)
    made = [job(dataset, half, tmp_path, text) for text in ("DiceCE()", "Marginal(loss=DiceCE())")]
    whole = [job(dataset, quick, tmp_path, text) for text in ("DiceCE()", "Marginal(loss=DiceCE())")]
    for each in (*made, *whole):
        execute(each, lambda event: None)
    background, marginal, *others = [(each.folder / "curve.csv").read_bytes() for each in (*made, *whole)]
    assert background != marginal and others[0] == others[1] and background != others[0]
    note = read_record(made[0].folder).notes[0]
    assert note.startswith("trained on partial labels: of 6 cases, liver in ")
    assert all(row.status != "not_annotated" for row in read_rows(made[1].folder / "cases.csv"))


def test_an_error_is_recorded_and_not_raised(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    broken = replace(dataset.cases[0], images=(tmp_path / "gone.nii.gz",))
    made = job(replace(dataset, cases=(broken, *dataset.cases[1:])), quick, tmp_path / "runs")
    execute(made, lambda event: None)
    record = read_record(made.folder)
    assert record.status == "failed"
    assert "gone.nii.gz" in record.reason
    assert not made.done()


def test_a_diverged_run_is_done_and_has_no_predictions(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    wild = replace(quick, steps=20, optimizer="sgd", learning_rate=1e30)
    made = job(dataset, wild, tmp_path, "CrossEntropy()")
    execute(made, lambda event: None)
    record = read_record(made.folder)
    assert record.status == "diverged"
    assert "at step" in record.reason
    assert made.done()
    assert not (made.folder / "predictions").exists()


def test_another_loss_setting_split_or_case_is_another_run(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    fewer = replace(dataset, cases=dataset.cases[1:])
    first = job(dataset, quick, tmp_path)
    others = [
        job(dataset, quick, tmp_path, "Dice(smooth=1.0)"),
        job(dataset, replace(quick, steps=4), tmp_path),
        replace(first, division=hold_out(first.dataset, 3)),
        replace(first, seed=1),
        replace(first, dataset=fewer, division=hold_out(fewer, 2)),
    ]
    assert len({each.folder for each in (first, *others)}) == 6
    assert replace(first).folder == first.folder


def test_pictures_are_compared_as_well_as_volumes(tmp_path: Path, quick: Settings) -> None:
    root = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for number in range(4):
        labels = np.zeros((32, 40), np.uint8)
        labels[8:20, 6 + 4 * number : 20 + 4 * number] = 1
        picture = (rng.normal(60, 9, (32, 40, 3)) + 90 * labels[..., None]).clip(0, 255).astype(np.uint8)
        for folder, content in (("imagesTr", picture), ("labelsTr", labels)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(root / folder / f"case{number}.png")
    (root / "dataset.json").write_text(
        '{"channel_names": {"0": "red", "1": "green", "2": "blue"}, "labels": {"background": 0, "square": 1}, '
        '"file_ending": ".png"}'
    )
    made = job(read_dataset(root), replace(quick, patch=(16, 16), steps=40), tmp_path / "runs")
    execute(made, lambda event: None)
    rows = [row for row in read_rows(made.folder / "cases.csv") if row.metric == "DSC"]
    assert len(rows) == 2
    assert min(row.value for row in rows) > 0.5
    assert (made.folder / "predictions" / f"{rows[0].case}.png").is_file()

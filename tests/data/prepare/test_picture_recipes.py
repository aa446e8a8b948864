"""Sets of pictures, from their archives to data sets."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from lossodyssey.data import Dataset, read_case, read_dataset
from lossodyssey.data.catalogue import BY_NAME
from lossodyssey.data.divisions import GIVEN
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import Prepared, prepare

spec = importlib.util.spec_from_file_location("made", Path(__file__).with_name("pictures_as_distributed.py"))
assert spec is not None and spec.loader is not None
made: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)


@dataclass(frozen=True)
class Sample:
    """A recipe, the builder of its archive, and what comes out: cases, channels, a case with its seed."""

    name: str
    build: Callable[[Path], None]
    cases: int
    channels: int
    case: str
    seed: int
    lossy: bool = False


SAMPLES = [
    Sample("CVC_ClinicDB", made.cvc, 10, 3, "cvc_026", 26),
    Sample("CHASE_DB1", made.chase, 14, 3, "chase_03R", 7, lossy=True),
    Sample("DRIVE", made.drive, 9, 3, "drive_22", 22),
    Sample("BUS2017_B", made.bus, 10, 1, "bus_000004", 4),
    Sample("BUSI", made.busi, 12, 1, "busi_benign_003", 3),
    Sample("ISIC2018", made.isic, 6, 3, "ISIC_0000002", 2, lossy=True),
    Sample("DSB2018", made.dsb, 6, 3, f"dsb_{3:064x}", 3),
    Sample("TopoMortar", made.mortar, 9, 3, "mortar_002", 2),
]


def prepared(sample: Sample, source: Path, where: Path, form: str = "msd") -> Prepared:
    return prepare(find_recipe(sample.name), [source], where, form)


def labels_of(dataset: Dataset, name: str) -> Any:
    case = next(case for case in dataset.cases if case.name == name)
    labels = read_case(dataset, case).labels
    assert labels is not None
    return labels


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_an_archive_becomes_a_data_set(sample: Sample, packed: bool, tmp_path: Path) -> None:
    sample.build(tmp_path / "source")
    source = made.zipped(tmp_path / "source", tmp_path / "set.zip") if packed else tmp_path / "source"
    done = prepared(sample, source, tmp_path / "out")
    assert done.training + done.test == sample.cases
    dataset = read_dataset(done.folder)
    assert len(dataset.cases) == sample.cases and len(dataset.channels) == sample.channels
    assert tuple(dataset.classes.values())[1:] == BY_NAME[sample.name].classes

    case = next(case for case in dataset.cases if case.name == sample.case)
    volume = read_case(dataset, case)
    shape = (64, 60) if sample.name == "BUSI" else made.SHAPE
    expected = made.colours(sample.seed, shape)
    if sample.channels == 1:
        expected = numpy.asarray(Image.fromarray(expected).convert("L"))[..., None]
    assert numpy.abs(volume.image - expected.transpose(2, 0, 1)).max() <= (40 if sample.lossy else 0)
    if sample.name not in ("DSB2018", "DRIVE"):
        assert numpy.array_equal(volume.labels, made.mask(sample.seed, shape))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_nnunet_gets_its_own_layout(sample: Sample, tmp_path: Path) -> None:
    sample.build(tmp_path / "source")
    done = prepared(sample, tmp_path / "source", tmp_path / "out", "nnunet")
    settings = json.loads((done.folder / "dataset.json").read_text())
    assert settings["file_ending"] == ".png" and settings["numTraining"] == done.training
    assert len(list((done.folder / "imagesTr").glob("*_0000.png"))) == done.training
    assert len(list((done.folder / "labelsTr").glob("*.png"))) == done.training


def test_frames_of_a_sequence_stay_together(tmp_path: Path) -> None:
    made.cvc(tmp_path / "source")
    done = prepared(SAMPLES[0], tmp_path / "source", tmp_path / "out")
    groups = {case.name: case.group for case in read_dataset(done.folder).cases}
    assert groups["cvc_001"] == groups["cvc_025"] == "sequence_01" != groups["cvc_026"] == groups["cvc_027"]
    assert any("nobody verified" in note for note in done.notes)
    assert any("no published division" in note for note in done.notes)


def test_both_eyes_of_a_child_stay_together(tmp_path: Path) -> None:
    made.chase(tmp_path / "source")
    done = prepared(SAMPLES[1], tmp_path / "source", tmp_path / "out")
    dataset = read_dataset(done.folder)
    assert {case.name: case.group for case in dataset.cases}["chase_03L"] == "child_03"
    (division,) = json.loads((done.folder / GIVEN).read_text())
    assert not {name[:-1] for name in division["train"]} & {name[:-1] for name in division["val"]}
    assert any(note.endswith("second observer, 14") for note in done.notes)


def test_outside_the_field_of_view_is_ignored_and_parts_are_as_published(tmp_path: Path) -> None:
    made.drive(tmp_path / "source")
    done = prepared(SAMPLES[2], tmp_path / "source", tmp_path / "out")
    dataset = read_dataset(done.folder)
    labels = labels_of(dataset, "drive_22")
    assert dataset.ignore == 2 and (done.training, done.test) == (6, 3)
    assert numpy.array_equal(labels == 2, ~made.view())
    assert numpy.array_equal(labels == 1, made.mask(22) & made.view())
    (division,) = json.loads((done.folder / GIVEN).read_text())
    assert division["val"] == ["drive_01", "drive_02", "drive_03"]


def test_test_images_without_vessels_are_left_out_with_a_word(tmp_path: Path) -> None:
    made.drive(tmp_path / "source", labelled_test=False)
    done = prepared(SAMPLES[2], tmp_path / "source", tmp_path / "out")
    assert (done.training, done.test) == (6, 0)
    assert any("without vessels or field of view: 3 of 9 images, 01, 02, 03" in note for note in done.notes)


def test_near_duplicates_are_a_group_and_masks_of_lesions_are_joined(tmp_path: Path) -> None:
    made.busi(tmp_path / "source")
    done = prepared(SAMPLES[4], tmp_path / "source", tmp_path / "out")
    dataset = read_dataset(done.folder)
    groups = {case.name: case.group for case in dataset.cases}
    assert groups["busi_malignant_001"] == groups["busi_benign_001"]
    assert len(set(groups.values())) == 11
    joined = labels_of(dataset, "busi_benign_004")
    assert joined[45, 40] == 1 and numpy.array_equal(joined[:30], made.mask(4, (64, 60))[:30])
    assert not labels_of(dataset, "busi_normal_002").any()
    assert any(note.startswith("groups of near duplicates: 1 with 2 images") for note in done.notes)
    assert json.loads((done.folder / "cases.json").read_text())["busi_normal_002"]["kind"] == "normal"


@pytest.mark.parametrize(
    ("parts", "sizes", "word"),
    [
        (("Training",), (5, 1), "no published division"),
        (("Training", "Validation", "Test"), (8, 2), "images of the challenge's validation part, 2"),
    ],
    ids=["training", "all parts"],
)
def test_parts_of_a_challenge(parts: Any, sizes: Any, word: str, tmp_path: Path) -> None:
    made.isic(tmp_path / "source", parts)
    done = prepared(SAMPLES[5], tmp_path / "source", tmp_path / "out")
    assert (done.training, done.test) == sizes
    assert any(word in note for note in done.notes)


def test_nuclei_are_joined_and_transparency_is_left(tmp_path: Path) -> None:
    made.dsb(tmp_path / "source")
    done = prepared(SAMPLES[6], tmp_path / "source", tmp_path / "out")
    labels = labels_of(read_dataset(done.folder), f"dsb_{3:064x}")
    assert labels.sum() == 3 * 5 * 9 and labels[9:14, 3:12].all()
    assert any("touch become one object" in note for note in done.notes)
    assert any("no label file: 1 of the images, abc" in note for note in done.notes)


@pytest.mark.parametrize(
    ("name", "test", "shift"),
    [
        ("TopoMortar", ["mortar_007", "mortar_008", "mortar_009"], 0),
        ("TopoMortar_OOD", ["mortar_010", "mortar_011", "mortar_012"], 0),
        ("TopoMortar_noisy", ["mortar_007", "mortar_008", "mortar_009"], 1),
        ("TopoMortar_pseudo", ["mortar_007", "mortar_008", "mortar_009"], 2),
    ],
)
def test_kinds_of_test_images_are_sets_of_their_own(name: str, test: list[str], shift: int, tmp_path: Path) -> None:
    made.mortar(tmp_path / "source")
    done = prepare(find_recipe(name), [tmp_path / "source"], tmp_path / "out")
    dataset = read_dataset(done.folder)
    (division,) = json.loads((done.folder / GIVEN).read_text())
    assert division["val"] == test and len(division["train"]) == 6
    assert numpy.array_equal(labels_of(dataset, "mortar_002"), numpy.roll(made.mask(2), shift, 0))
    assert numpy.array_equal(labels_of(dataset, test[0]), made.mask(int(test[0][-3:])))
    assert any("test images of" in note and note.endswith(", 3") for note in done.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: made.save(path, made.colours(1)), "has colours, expected a mask"),
        (lambda path: made.save(path, made.colours(1), "L"), "of its pixels are grey"),
        (lambda path: made.save(path, numpy.zeros((9, 9), bool)), "shape"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "tif"),
    ],
    ids=["a coloured image", "a grey image", "another shape", "truncated"],
)
def test_what_is_not_a_mask_is_refused_and_nothing_stays(change: Any, message: str, tmp_path: Path) -> None:
    made.cvc(tmp_path / "source")
    change(tmp_path / "source" / "CVC-ClinicDB" / "Ground Truth" / "27.tif")
    with pytest.raises(ValueError, match=message):
        prepared(SAMPLES[0], tmp_path / "source", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_smoothed_edges_are_cut_at_one_half(tmp_path: Path) -> None:
    made.cvc(tmp_path / "source")
    values = made.mask(26).astype(numpy.uint8) * 255
    row, column = numpy.argwhere(values)[0]
    values[row, column], values[row, column + 1] = 100, 200
    made.save(tmp_path / "source" / "CVC-ClinicDB" / "Ground Truth" / "26.tif", values)
    done = prepared(SAMPLES[0], tmp_path / "source", tmp_path / "out")
    labels = labels_of(read_dataset(done.folder), "cvc_026")
    assert (labels[row, column], labels[row, column + 1]) == (0, 1)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_another_archive_is_named_with_what_was_looked_for(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "source" / "photos").mkdir(parents=True)
    (tmp_path / "source" / "photos" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"photos|dataset_types"):
        prepared(sample, tmp_path / "source", tmp_path / "out")

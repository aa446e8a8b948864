"""Fingerprints of small data sets on disk: classes, regions, gaps, files that are kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossodyssey.data import Dataset, read_dataset
from lossodyssey.data.grids import write_array
from lossodyssey.fingerprint import Fingerprint, Range, fingerprint, stored, whole, write
from lossodyssey.fingerprint.record import parse, range_of

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[3] / "shared" / "data")
LABELS = {"0": "background", "1": "liver", "2": "tumour", "3": "vessel"}


def make(root: Path, maps: list[np.ndarray], **settings: Any) -> Dataset:
    """Write noise with these label maps: pictures, or volumes of 1 x 1 x 4 mm."""
    rng = np.random.default_rng(0)
    tail = ".png" if maps[0].ndim == 2 else ".nii.gz"
    affine = np.eye(3) if maps[0].ndim == 2 else np.diag([1.0, 1.0, 4.0, 1.0])
    training = []
    for number, labels in enumerate(maps):
        item = {kind: f"{kind}sTr/c{number}{tail}" for kind in ("image", "label")}
        write_array(root / item["image"], rng.integers(0, 99, labels.shape).astype(np.uint8), affine)
        write_array(root / item["label"], labels.astype(np.uint8), affine)
        training.append(item)
    content = {"modality": {"0": "MR"}, "labels": LABELS, "training": training} | settings
    (root / "dataset.json").write_text(json.dumps(content))
    return read_dataset(root)


def halves(shape: tuple[int, ...] = (10, 10)) -> np.ndarray:
    """Label 1 in rows 2 and 3 with label 2 below it in rows 4 and 5."""
    labels = np.zeros(shape, np.uint8)
    labels[2:4] = 1
    labels[4:6] = 2
    return labels


def test_shares_pieces_and_neighbours_of_two_pictures(tmp_path: Path) -> None:
    second = np.zeros((10, 10), np.uint8)
    second[0, :5] = 1
    found = fingerprint(make(tmp_path, [halves(), second]))
    liver, tumour, vessel = found.classes
    assert (liver.cases, tumour.cases, vessel.cases) == (2, 1, 0)
    assert liver.share == 25 / 200 and liver.imbalance == 175 / 25 and vessel.imbalance is None
    assert liver.volume == Range(12.5, 5, 20) and vessel.volume is None
    assert found.missing == ("vessel",) and found.touching == (("liver", "tumour", 1.0),)
    assert found.imbalance == 155 / 45 and found.case_imbalance == Range((60 / 40 + 95 / 5) / 2, 60 / 40, 95 / 5)
    assert (found.unit, found.dims, found.cases, found.empty) == ("pixel", 2, 2, 0)
    assert "No case holds vessel" in found.in_words


def test_volumes_have_millimetres_and_anisotropy(tmp_path: Path) -> None:
    found = fingerprint(make(tmp_path, [halves((10, 8, 3)), np.zeros((10, 8, 3), np.uint8)]))
    assert found.unit == "mm" and found.anisotropy == Range(4, 4, 4) and found.empty == 1
    assert [own.median for own in found.spacing] == [1, 1, 4] and [own.median for own in found.shape] == [10, 8, 3]
    assert found.classes[0].volume == Range(192, 192, 192)
    assert "4 times coarser" in found.in_words and "1 of 2 cases have no object" in found.in_words


def test_regions_count_all_their_labels(tmp_path: Path) -> None:
    names = {"background": 0, "organ": [1, 2], "tumour": 2}
    found = fingerprint(make(tmp_path, [halves()], labels=names, regions_class_order=[1, 2]))
    assert [(own.name, own.labels, own.share) for own in found.classes] == [
        ("organ", (1, 2), 0.4),
        ("tumour", (2,), 0.2),
    ]


def test_ignored_and_unannotated_parts_are_left_out(tmp_path: Path) -> None:
    labels = halves()
    labels[8:] = 3
    names = {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    found = fingerprint(make(tmp_path, [labels, halves()], labels=names, annotated={"c1": ["liver"]}))
    liver, tumour = found.classes
    assert liver.share == 40 / 180 and (tumour.annotated, tumour.cases) == (1, 1) and tumour.share == 20 / 80
    assert found.partly == 1 and "In 1 cases some classes are not annotated" in found.in_words


def test_a_set_without_objects(tmp_path: Path) -> None:
    found = fingerprint(make(tmp_path, [np.zeros((6, 6), np.uint8)]))
    assert found.imbalance is None and found.case_imbalance is None and "not a single object" in found.in_words
    assert parse(found.text(), tmp_path / "f.json") == found


def test_many_thin_and_faint_objects_are_told(tmp_path: Path) -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[1::4, 1:39] = 1
    found = fingerprint(make(tmp_path, [labels], labels={"0": "background", "1": "fibre"}))
    for words in ("many pieces (10", "thin (100%", "long, flat or branching", "with a faint border"):
        assert words in found.in_words


def test_a_case_without_labels_is_refused(tmp_path: Path) -> None:
    own = make(tmp_path, [halves()])
    (tmp_path / "labelsTr" / "c0.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"c0\.png"):
        fingerprint(own)


def test_a_file_is_read_until_the_data_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, folder = make(tmp_path / "set", [halves()]), tmp_path / "kept"
    first = stored(own, folder)
    monkeypatch.setattr(whole, "look", None)
    assert stored(own, folder) == first
    monkeypatch.undo()
    write_array(tmp_path / "set" / "labelsTr" / "c0.png", halves()[::-1].copy() * 0, np.eye(3))
    changed = stored(read_dataset(tmp_path / "set"), folder)
    assert changed.contents != first.contents and changed.empty == 1
    again = make(tmp_path / "set", [halves()], labels=LABELS | {"3": "duct"})
    assert stored(again, folder).classes[2].name == "duct"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 0}', '{"version": 1}'])
def test_a_damaged_file_is_made_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"f\.json: not a fingerprint"):
        parse(text, file)
    found = write(make(tmp_path / "set", [halves()]), file, "digest")
    assert parse(file.read_text(), file) == found


def test_ranges() -> None:
    assert range_of([3, 1, float("nan"), 2]) == Range(2, 1, 3) and range_of([4, 1]) == Range(2.5, 1, 4)
    assert range_of([float("nan")]) is None


def real(name: str) -> Fingerprint:
    if not (DATA / name / "dataset.json").is_file():
        pytest.skip(f"{name} is not here")
    return fingerprint(read_dataset(DATA / name))


def test_the_hippocampus_as_its_description_has_it() -> None:
    found = real("Task04_Hippocampus")
    anterior, posterior = found.classes
    assert found.imbalance == pytest.approx(18.1, abs=0.05) and found.case_imbalance is not None
    assert (found.case_imbalance.low, found.case_imbalance.high) == pytest.approx((12.4, 25.6), abs=0.05)
    assert anterior.share == pytest.approx(0.0273, abs=5e-5) and posterior.share == pytest.approx(0.0252, abs=5e-5)
    assert anterior.volume is not None and anterior.volume.low == 1054 and anterior.volume.high == 2593
    assert anterior.components == Range(1, 1, 2) and found.touching == (("Anterior", "Posterior", 1.0),)


def test_lesions_are_many_and_rare() -> None:
    found = real("MS_lesions")
    (lesion,) = found.classes
    assert found.imbalance == pytest.approx(137, abs=0.5) and lesion.components is not None
    assert lesion.components.median >= 17 and "many pieces" in found.in_words


def test_of_many_classes_the_rarest_are_described(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(9, dtype=np.uint8), np.arange(20, 11, -1))[None].repeat(8, axis=0)
    names = {str(number): f"class{number}" for number in range(9)}
    found = fingerprint(make(tmp_path, [labels], labels=names))
    assert "class3: " in found.in_words and "class2: " not in found.in_words
    assert "2 classes that are less rare" in found.in_words and found.in_words.startswith("1 picture,")

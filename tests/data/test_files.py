"""Which files make a case: layouts of nnU-Net 1 and 2, their lists, and numbers in names that count no channels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

from lossodyssey.data import Case, read_case, read_dataset

IMAGE = numpy.zeros((5, 6, 4), dtype=numpy.float32)
GREY = numpy.zeros((7, 9), dtype=numpy.uint8)


def emptied(folder: Any) -> Any:
    """The folder without its images and its list."""
    for path in (folder.root / "imagesTr").iterdir():
        path.unlink()
    del folder.settings["training"]
    return folder


def channels(folder: Any, names: Sequence[str] = "ab", count: int = 1, ending: str = ".nii.gz") -> None:
    for name in names:
        for channel in range(count):
            folder.nifti(f"imagesTr/{name}_{channel:04d}.nii.gz", IMAGE + channel)
            path = folder.root / "imagesTr" / f"{name}_{channel:04d}.nii.gz"
            path.rename(path.with_name(path.name.replace(".nii.gz", ending)))


def names_of(folder: Any) -> list[tuple[str, list[str]]]:
    return [(case.name, [path.name for path in case.images]) for case in read_dataset(folder.root).cases]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("version", [1, 2])
def test_numbered_images_are_channels_with_a_list_or_without(
    folder: Any, count: int, listed: bool, version: int
) -> None:
    training = folder.settings["training"]
    channels(emptied(folder), count=count)
    labels: Any = {"0": "background", "1": "liver", "2": "tumour"}
    key = {"modality": {str(k): "MR" for k in range(count)}}
    if version == 2:
        labels = {name: int(number) for number, name in labels.items()}
        key = {"channel_names": key["modality"], "file_ending": ".nii.gz"}  # type: ignore[dict-item]
        del folder.settings["modality"]
    folder.save(labels=labels, **key, **({"training": training, "numTraining": 2} if listed else {}))
    assert names_of(folder) == [(n, [f"{n}_{k:04d}.nii.gz" for k in range(count)]) for n in "ab"]
    dataset = read_dataset(folder.root)
    assert read_case(dataset, dataset.cases[1]).image.shape == (count, 5, 6, 4)


@pytest.mark.parametrize("training", [[], 2, ["a", "b"], None])
def test_what_a_folder_of_nnunet_2_keeps_under_training_is_passed_over(folder: Any, training: Any) -> None:
    channels(emptied(folder))
    folder.save(channel_names={"0": "MR"}, file_ending=".nii.gz", training=training)
    assert names_of(folder) == [("a", ["a_0000.nii.gz"]), ("b", ["b_0000.nii.gz"])]


def test_a_list_that_names_the_first_channel_means_all_of_them(folder: Any) -> None:
    channels(folder, count=2)
    training = [{"image": f"imagesTr/{n}_0000.nii.gz", "label": f"labelsTr/{n}.nii.gz"} for n in "ab"]
    folder.save(training=training, modality={"0": "T1", "1": "T2"})
    assert names_of(folder)[0] == ("a", ["a_0000.nii.gz", "a_0001.nii.gz"])
    folder.save(modality={"0": "T1"})
    assert names_of(folder)[0] == ("a", ["a_0000.nii.gz"])


def test_numbers_of_listed_cases_are_not_those_of_channels(folder: Any) -> None:
    emptied(folder)
    names = ["img_0000", "img_0001", "img_0002"]
    for name in names:
        folder.picture(f"imagesTr/{name}.png", GREY)
        folder.picture(f"labelsTr/{name}.png", GREY)
    training = [{"image": f"imagesTr/{n}.png", "label": f"labelsTr/{n}.png"} for n in names]
    folder.save(training=training, modality={"0": "R", "1": "G", "2": "B"})
    assert names_of(folder) == [(name, [f"{name}.png"]) for name in names]


@pytest.mark.parametrize("settings", [{}, {"file_ending": ".png"}, {"file_ending": ".PNG"}])
@pytest.mark.parametrize("stems", [["img_0001", "img_0002", "img_0003"], ["img_0000"], ["img_0007", "other"]])
def test_numbers_count_pictures_where_their_labels_have_them_too(folder: Any, settings: Any, stems: list[str]) -> None:
    emptied(folder)
    for name in stems:
        folder.picture(f"imagesTr/{name}.png", GREY)
        folder.picture(f"labelsTr/{name}.png", GREY)
    folder.save(**settings)
    assert names_of(folder) == [(name, [f"{name}.png"]) for name in stems]


def test_a_case_whose_own_name_ends_in_a_number_has_channels_too(folder: Any) -> None:
    channels(emptied(folder), names=["img", "img_0001"], count=2)
    for name in ("img", "img_0001"):
        folder.nifti(f"labelsTr/{name}.nii.gz", IMAGE.astype(numpy.uint8))
    folder.save(modality={"0": "T1", "1": "T2"})
    numbered = [(name, [f"{name}_{k:04d}.nii.gz" for k in range(2)]) for name in ("img", "img_0001")]
    assert names_of(folder) == numbered


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a_0000.nii.gz", "a_0002.nii.gz"], "a_0000.nii.gz, a_0002.nii.gz are all case 'a'"),
        (["a_0001.nii.gz"], "images a_0001.nii.gz are all case 'a'"),
        (["a.nii", "a.nii.gz"], "a.nii, a.nii.gz are all case 'a'"),
    ],
)
def test_images_that_are_no_row_of_channels_are_named(folder: Any, files: list[str], message: str) -> None:
    emptied(folder)
    for name in files:
        folder.nifti(f"imagesTr/{name}", IMAGE)
    folder.save()
    with pytest.raises(ValueError, match=message):
        read_dataset(folder.root)


@pytest.mark.parametrize("ending", [".NII.GZ", ".Nii.gz"])
def test_capitals_are_the_same_ending(folder: Any, ending: str) -> None:
    channels(emptied(folder), ending=ending)
    folder.save(file_ending=".nii.gz")
    dataset = read_dataset(folder.root)
    assert [case.name for case in dataset.cases] == ["a", "b"]
    assert read_case(dataset, dataset.cases[0]).labels is not None


def explicit(folder: Any, outside: Path) -> dict[str, Any]:
    """A data set whose cases lie elsewhere, as nnU-Net's key `dataset` allows."""
    for name in "ab":
        for part in ("imagesTr", "labelsTr"):
            outside.mkdir(exist_ok=True)
            (folder.root / part / f"{name}.nii.gz").rename(outside / f"{name}_{part}.nii.gz")
    return {n: {"images": [f"{outside}/{n}_imagesTr.nii.gz"], "label": f"../far/{n}_labelsTr.nii.gz"} for n in "ab"}


def test_the_key_dataset_names_every_file(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = folder.root.parent / "far"
    cases = explicit(folder, outside)
    folder.save(dataset=cases)
    dataset = read_dataset(folder.root)
    label = folder.root / ".." / "far" / "a_labelsTr.nii.gz"
    assert dataset.cases[0] == Case("a", (outside / "a_imagesTr.nii.gz",), label)
    assert read_case(dataset, dataset.cases[0]).labels is not None
    monkeypatch.setenv("FAR", str(outside))
    folder.save(dataset={"one": {"images": ["$FAR/b_imagesTr.nii.gz"], "label": "${FAR}/b_labelsTr.nii.gz"}})
    assert [case.name for case in read_dataset(folder.root).cases] == ["one"]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "'dataset' must be an object of cases"),
        ({}, "'dataset' names no case"),
        ({"a": {"label": "labelsTr/a.nii.gz"}}, "case 'a' of 'dataset' needs 'images' and 'label'"),
        ({"a": {"images": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}}, "case 'a' of 'dataset' needs 'images'"),
        ({"a": ["imagesTr/a.nii.gz"]}, "case 'a' of 'dataset' needs"),
        ({"../a": {"images": ["imagesTr/a.nii.gz"], "label": "labelsTr/a.nii.gz"}}, r"case '\.\./a' of 'dataset'"),
        ({"a": {"images": [3], "label": "labelsTr/a.nii.gz"}}, "expected a file path, found 3"),
        ({"a": {"images": ["imagesTr/a.webp"], "label": "labelsTr/a.nii.gz"}}, r"a\.webp: not an image format"),
    ],
)
def test_a_key_dataset_that_does_not_fit_is_named(folder: Any, cases: Any, message: str) -> None:
    folder.save(dataset=cases)
    with pytest.raises(ValueError, match=message):
        read_dataset(folder.root)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
@pytest.mark.parametrize("name", ["dataset.json", "cases.json"])
def test_the_marks_of_windows_editors_are_passed_over(folder: Any, encoding: str, name: str) -> None:
    content = folder.settings | {"description": "Größe"} if name == "dataset.json" else {"a": {"group": "é"}}
    (folder.root / name).write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    dataset = read_dataset(folder.root)
    assert dataset.description == "Größe" if name == "dataset.json" else dataset.cases[0].group == "é"

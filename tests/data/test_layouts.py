from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from lossodyssey.data import Case, read_case, read_dataset

IMAGE = numpy.zeros((5, 6, 4), dtype=numpy.float32)


def item(image: Any, label: Any, **more: Any) -> dict[str, Any]:
    return {"image": image, "label": label, **more}


def test_msd_layout_is_read(folder: Any) -> None:
    folder.save(description="two livers", licence="CC0", reference="nobody")
    dataset = read_dataset(folder.root)
    assert dataset.name == "mine"
    assert dataset.classes == {0: "background", 1: "liver", 2: "tumour"}
    assert dataset.channels == ("CT",)
    assert (dataset.description, dataset.licence, dataset.reference) == ("two livers", "CC0", "nobody")
    image, label = folder.root / "imagesTr" / "a.nii.gz", folder.root / "labelsTr" / "a.nii.gz"
    assert dataset.cases[0] == Case("a", (image,), label)
    assert [case.name for case in dataset.cases] == ["a", "b"]


def test_nnunet_layout_joins_one_file_per_channel(folder: Any) -> None:
    del folder.settings["training"], folder.settings["modality"]
    for path in (folder.root / "imagesTr").iterdir():
        path.unlink()
    for name in "ab":
        for channel in range(2):
            folder.nifti(f"imagesTr/{name}_{channel:04d}.nii.gz", IMAGE + channel)
    folder.save(
        channel_names={"0": "T1", "1": "T2"},
        labels={"background": 0, "tumour": 2, "liver": 1},
        file_ending=".nii.gz",
        numTraining=2,
    )
    dataset = read_dataset(folder.root)
    assert dataset.classes == {0: "background", 1: "liver", 2: "tumour"}
    assert dataset.channels == ("T1", "T2")
    assert [(case.name, len(case.images)) for case in dataset.cases] == [("a", 2), ("b", 2)]
    image = read_case(dataset, dataset.cases[0]).image
    assert image.shape == (2, 5, 6, 4)
    assert image[0].max() == 0 and image[1].min() == 1


def test_without_a_list_the_folder_is_searched(folder: Any) -> None:
    del folder.settings["training"]
    folder.text("imagesTr/._a.nii.gz", "left by a Mac")
    folder.save(numTraining=2)
    assert [case.name for case in read_dataset(folder.root).cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "flip_axes", "expected"),
    [
        ({"0": "background", "1": "liver"}, None, (0, 1, 2)),
        ({"0": "background", "1": "left", "2": "right"}, None, ()),
        ({"0": "background", "1": "left", "2": "right"}, [2, 1], (2, 1)),
        ({"0": "background", "1": "liver"}, [], ()),
    ],
)
def test_flip_axes(folder: Any, labels: Any, flip_axes: Any, expected: Any) -> None:
    folder.save(labels=labels, **({} if flip_axes is None else {"flip_axes": flip_axes}))
    assert read_dataset(folder.root).flip_axes == expected


def test_the_catalogue_knows_the_flip_axes_of_known_sets(folder: Any) -> None:
    known = folder.root.rename(folder.root.with_name("Task04_Hippocampus"))
    assert read_dataset(known).flip_axes == (0,)


def test_groups_come_from_the_item_or_from_cases_json(folder: Any) -> None:
    folder.settings["training"][1]["group"] = "patient 7"
    folder.save()
    folder.text("cases.json", json.dumps({"a": {"group": 3}, "b": {"empty": True}}))
    assert [case.group for case in read_dataset(folder.root).cases] == ["3", "patient 7"]


@pytest.mark.parametrize("content", ["{not json", "", "[" * 100_000, '"text"', "[1]"])
def test_a_broken_dataset_json_is_named(folder: Any, content: str) -> None:
    folder.text("dataset.json", content)
    with pytest.raises(ValueError, match=r"dataset\.json: .*JSON"):
        read_dataset(folder.root)


@pytest.mark.parametrize("content", ['{"labels": {"0": "a", "1": "b", "1": "c"}}', '{"labels": {}, "labels": {}}'])
def test_a_key_that_occurs_twice_is_named(folder: Any, content: str) -> None:
    folder.text("dataset.json", content)
    with pytest.raises(ValueError, match=r"dataset\.json: not valid JSON \(key '(1|labels)' occurs twice\)"):
        read_dataset(folder.root)


def test_a_folder_without_dataset_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset\.json: no such file; a data set is a folder with"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("key", ["labels", "modality"])
def test_a_missing_key_is_named(folder: Any, key: str) -> None:
    del folder.settings[key]
    folder.save()
    with pytest.raises(ValueError, match=rf"dataset\.json: key .*'{key}' is missing"):
        read_dataset(folder.root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["background", "liver"]}, "'labels' must be an object"),
        ({"labels": {}}, "'labels' must be an object"),
        ({"labels": {"0": "background", "2": "liver"}}, r"without gaps, found \[0, 2\]"),
        ({"labels": {"0": "background"}}, "number the classes"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, r"'whole' must be one whole number, found \[1, 2\]"),
        ({"labels": {"background": 0, "liver": 1.5}}, "'liver' must be one whole number, found 1.5"),
        ({"labels": {"background": 0, "liver": -1}}, "'liver' must be one whole number, found -1"),
        ({"labels": {"background": 0, "whole": [0, 1]}}, "region 'whole' holds 0, the background"),
        ({"labels": {"background": 0, "liver": 1, "spleen": 1}}, "gives label 1 twice"),
        ({"labels": {"0": "background", "1": "liver", "2": "liver"}}, "gives name 'liver' twice"),
        ({"labels": {"background": 0, "a": 1, "ignore": 2, "b": 3}}, r"without gaps, found \[0, 1, 3\]"),
        ({"labels": {"background": 0, "a": 1, "Ignore": 2}}, "label 'Ignore' is a class to nnU-Net; write 'ignore'"),
        ({"labels": {"0": "background", "1": "a", "2": "ignore "}}, "label 'ignore ' is a class to nnU-Net"),
        ({"labels": {"background": 0, "a": 1, "ignore": [2, 3]}}, r"'ignore' is \(2, 3\); expected one whole number"),
        ({"labels": {"ignore": 0, "a": 1}}, "'ignore' is 0; expected one whole number above 0, the background"),
        ({"labels": {"background": 0, "all": [1, 2], "ignore": 2}}, "region 'all' holds 2, the label 'ignore'"),
        ({"labels": {"background": 0, "a": 1, "ignore": 2**24 + 1}}, "label 16777217 is above 16777216; renumber it"),
        (
            {"labels": {"background": 0, "all": [1, 2**31], "b": 1}, "regions_class_order": [2**31, 1]},
            "label 2147483648 is above 16777216",
        ),
        ({"modality": "CT"}, "'modality' must be an object"),
        ({"training": {}}, "'training' must be a list"),
        ({"training": []}, "'training' lists no case"),
        ({"training": ["a.nii.gz"]}, "needs 'image' and 'label', found 'a.nii.gz'"),
        ({"training": [{"image": "a.nii.gz"}]}, "needs 'image' and 'label'"),
        ({"training": [item(3, "a.nii.gz")]}, "expected a file path, found 3"),
        ({"training": [item([], "labelsTr/a.nii.gz")]}, r"expected a file path, found \[\]"),
        ({"training": [item("../../etc/a.nii.gz", "b.nii.gz")]}, r"'../../etc/a.nii.gz' leaves the folder"),
        ({"training": [item("imagesTr/a.nii.gz", "/etc/passwd")]}, "'/etc/passwd' leaves the folder"),
        ({"training": [item("imagesTr/a.nii.gz", "labelsTr/a.npy")]}, r"a\.npy: not an image format"),
        ({"flip_axes": [3]}, r"array axes from 0 to 2, found \[3\]"),
        ({"flip_axes": [True]}, "'flip_axes' must list"),
        ({"flip_axes": "all"}, "'flip_axes' must list"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(folder: Any, changes: dict[str, Any], message: str) -> None:
    folder.save(**changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_dataset(folder.root)
    assert "\n" not in str(caught.value)


def test_paths_stay_inside_the_current_folder_too(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.root)
    assert read_dataset(".").name == "mine"
    folder.save(training=[item("imagesTr/../../mine/imagesTr/a.nii.gz", "labelsTr/a.nii.gz")])
    with pytest.raises(ValueError, match="leaves the folder"):
        read_dataset(".")


def test_a_case_listed_twice(folder: Any) -> None:
    folder.save(training=[folder.settings["training"][0]] * 2)
    with pytest.raises(ValueError, match="case 'a' occurs twice"):
        read_dataset(folder.root)


@pytest.mark.parametrize("role", ["image", "label"])
def test_a_missing_file_is_named(folder: Any, role: str) -> None:
    (folder.root / f"{role}sTr" / "b.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{role}sTr/b\.nii\.gz: {role} of case 'b' is missing"):
        read_dataset(folder.root)


def test_an_empty_folder_without_a_list(folder: Any) -> None:
    del folder.settings["training"]
    folder.save()
    for path in (folder.root / "imagesTr").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="no image lies in"):
        read_dataset(folder.root)

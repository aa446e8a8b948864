"""Data sets in formats that nnU-Net does not read become ones that it does, with the same grid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lossodyssey.data import Dataset, read_case, read_dataset
from lossodyssey.integrations.nnunet.raw import export

DISC = (np.hypot(*np.indices((24, 32)) - np.array([[[12]], [[16]]])) < 8).astype(np.uint8)


def dataset_of(root: Path, image: str, label: str, **more: Any) -> Dataset:
    facts = {"modality": {"0": "grey"}, "labels": {"0": "background", "1": "cell"}, **more}
    facts["training"] = [{"image": f"imagesTr/{image}", "label": f"labelsTr/{label}"}]
    (root / "dataset.json").write_text(json.dumps(facts))
    return read_dataset(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / "set" / part).mkdir(parents=True)
    return tmp_path / "set"


def exported(dataset: Dataset, folder: Path) -> tuple[list[str], Dataset]:
    export(dataset, folder, training=dataset.cases)
    files = [path for part in ("imagesTr", "labelsTr") for path in sorted((folder / part).iterdir())]
    found = read_dataset(folder)
    assert [case.name for case in found.cases] == [case.name for case in dataset.cases]
    first, second = (read_case(each, each.cases[0]) for each in (dataset, found))
    assert np.array_equal(first.image, second.image) and np.array_equal(first.labels, second.labels)
    assert second.spacing == pytest.approx(first.spacing)
    return [path.name for path in files if path.suffix != ".json"], found


@pytest.mark.parametrize("tail", [".jpg", ".bmp", ".gif"])
def test_pictures_become_png(root: Path, tmp_path: Path, tail: str) -> None:
    Image.fromarray(200 * DISC).save(root / "imagesTr" / f"a{tail}")
    Image.fromarray(DISC).save(root / "labelsTr" / "a.png")
    assert exported(dataset_of(root, f"a{tail}", "a.png"), tmp_path / "raw")[0] == ["a_0000.png", "a.png"]


def test_labels_get_the_format_of_their_images(root: Path, tmp_path: Path) -> None:
    tifffile.imwrite(root / "imagesTr" / "a.tif", 200 * DISC)
    Image.fromarray(DISC).save(root / "labelsTr" / "a.png")
    assert exported(dataset_of(root, "a.tif", "a.png"), tmp_path / "raw")[0] == ["a_0000.tif", "a.tif"]


@pytest.mark.parametrize("beside", [False, True])
def test_stacks_become_volumes_with_the_distance_of_their_pages(root: Path, tmp_path: Path, beside: bool) -> None:
    stack = np.stack([DISC, DISC, 0 * DISC])
    for part, values in (("imagesTr", 200 * stack), ("labelsTr", stack)):
        tifffile.imwrite(root / part / "a.tif", values, photometric="minisblack")
    if beside:
        (root / "imagesTr" / "a.json").write_text('{"spacing": [3, 0.5, 0.25]}')
    dataset = dataset_of(root, "a.tif", "a.tif", **({} if beside else {"spacing": [3, 0.5, 0.25]}))
    names, found = exported(dataset, tmp_path / "raw")
    assert names == ["a_0000.nii.gz", "a.nii.gz"]
    assert read_case(found, found.cases[0]).spacing == (3, 0.5, 0.25)


@pytest.mark.parametrize(
    ("tail", "other"), [(".mha", ".mha"), (".nrrd", ".nrrd"), (".mhd", ".mha"), (".nhdr", ".nrrd")]
)
def test_volumes_of_itk_become_single_files(root: Path, tmp_path: Path, tail: str, other: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for part, values in (("imagesTr", 200.0 * np.stack([DISC] * 4)), ("labelsTr", np.stack([DISC] * 4))):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((0.5, 0.5, 2))
        image.SetOrigin((3, -4, 5))
        sitk.WriteImage(image, str(root / part / f"a{tail}"))
    names, found = exported(dataset_of(root, f"a{tail}", f"a{tail}"), tmp_path / "raw")
    assert names == [f"a_0000{other}", f"a{other}"]
    assert json.loads((tmp_path / "raw" / "dataset.json").read_text())["file_ending"] == other
    assert np.array_equal(read_case(found, found.cases[0]).affine[:3, 3], [-3, 4, 5])

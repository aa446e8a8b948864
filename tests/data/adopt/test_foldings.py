"""Foldings of real data as people have them: adopted and trained without one edit by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from lossodyssey.cli import run
from lossodyssey.data import read_case, read_dataset

Fold = Callable[[Path, list[Any]], list[NDArray[Any]]]
"""Writes examples into a folder as somebody has them; returns the label maps that must come out of it."""


def save(path: Path, values: Any, mode: str | None = None, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.ascontiguousarray(values))
    (picture.convert(mode) if mode else picture).save(path, **how)


def white(labels: NDArray[Any]) -> NDArray[np.uint8]:
    return np.where(labels > 0, 255, 0).astype(np.uint8)


def chase(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    for number, each in enumerate(examples):
        name = f"Image_{number // 2 + 1:02d}{'LR'[number % 2]}"
        save(root / f"{name}.jpg", each.image, "RGB", quality=95)
        save(root / f"{name}_1stHO.png", white(each.labels), "1")
    return [each.labels > 0 for each in examples]


def busi(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    expected = []
    for number, each in enumerate(examples):
        kind = ("benign", "malignant")[number % 2]
        name = root / kind / f"{kind} ({number // 2 + 1})"
        truth = each.labels > 0
        save(name.with_name(f"{name.name}.png"), each.image, "RGB" if number % 3 else None)
        save(name.with_name(f"{name.name}_mask.png"), white(truth), "RGB" if number % 2 else None)
        if number == 0:
            more = np.zeros_like(truth)
            more[:5, :5] = True
            save(name.with_name(f"{name.name}_mask_1.png"), white(more))
            truth = truth | more
        expected.append(truth)
    # Cases come by their names: all benign ones first.
    return expected[::2] + expected[1::2]


def dsb(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    from scipy.ndimage import label

    found = {}
    for each in examples:
        name = hashlib.sha256(each.image.tobytes()).hexdigest()
        save(root / name / "images" / f"{name}.png", each.image, "RGBA")
        objects, count = label(each.labels > 0)
        # A picture without an object has one empty mask.
        for number in range(1, max(count, 1) + 1):
            mask = white(objects == number)
            save(root / name / "masks" / f"{hashlib.sha256(mask.tobytes()).hexdigest()}.png", mask)
        found[name] = each.labels > 0
    return [found[name] for name in sorted(found)]


def cvc(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    for number, each in enumerate(examples, 1):
        save(root / "Original" / f"{number}.tif", each.image, "RGB")
        save(root / "Ground Truth" / f"{number}.tif", white(each.labels))
    return [each.labels > 0 for each in examples]


def acdc(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    colours = np.array([(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0)], np.uint8)
    expected = []
    for number, each in enumerate(examples):
        for place in (each.image.shape[-1] // 2 - 1, each.image.shape[-1] // 2):
            name = f"patient{number:03d}_slice{place:02d}.png"
            save(root / "imgs" / name, each.image[..., place])
            save(root / "Annotations" / name, colours[each.labels[..., place]])
            expected.append(each.labels[..., place])
    return expected


def isbi(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
    expected = []
    for number, (first, second) in enumerate(zip(examples[::2], examples[1::2], strict=True)):
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        # Each section comes three times, so that a volume is not too thin for the network.
        pages = [each.image for each in (first, second) for _ in range(3)]
        masks = [white(each.labels) for each in (first, second) for _ in range(3)]
        tifffile.imwrite(root / "images" / f"volume-{number}.tif", np.stack(pages))
        tifffile.imwrite(root / "labels" / f"labels-volume-{number}.tif", np.stack(masks))
        expected.append(np.stack(masks) > 0)
    return expected


def hippocampus(ending: str) -> Fold:
    def write(root: Path, examples: list[Any]) -> list[NDArray[Any]]:
        sitk = pytest.importorskip("SimpleITK")
        for number, each in enumerate(examples):
            for folder, values, name in (("images", each.image, ""), ("masks", each.labels, "_seg")):
                (root / folder).mkdir(parents=True, exist_ok=True)
                picture = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
                picture.SetSpacing((1.0, 1.5, 2.0))
                sitk.WriteImage(picture, str(root / folder / f"hippocampus_{number:03d}{name}.{ending}"))
        return [each.labels for each in examples]

    return write


FOLDINGS: dict[str, tuple[Fold, str, int, int, int]] = {
    "JPEG images and an annotator's masks in one folder": (chase, "CHASE_DB1", 4, 1, 2),
    "folders of classes with several masks beside an image": (busi, "BUSI_small", 6, 1, 2),
    "a folder per image with a mask per object": (dsb, "DSB2018_nuclei", 4, 1, 2),
    "TIFF images and masks of 0 and 255": (cvc, "CVC_ClinicDB_small", 4, 1, 2),
    "slices with coloured masks": (acdc, "ACDC_ED_small", 3, 3, 3),
    "TIFF stacks": (isbi, "ISBI2012_EM", 6, 1, 2),
    "NIfTI volumes": (hippocampus("nii.gz"), "Task04_Hippocampus", 4, 2, 3),
    "MHA volumes": (hippocampus("mha"), "Task04_Hippocampus", 4, 2, 3),
    "NRRD volumes": (hippocampus("nrrd"), "Task04_Hippocampus", 4, 2, 3),
}


@pytest.mark.parametrize("folding", FOLDINGS)
def test_a_folding_is_adopted_and_trained_without_an_edit(
    folding: str, examples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, name, count, classes, dims = FOLDINGS[folding]
    expected = fold(tmp_path / "mine", examples(name, count, classes, dims))
    out = tmp_path / "out"
    options = ["--loss", "Dice()", "--seeds", "1", "--steps", "2", "--held-out", "1", "--workers", "1"]
    monkeypatch.setattr("sys.argv", ["lossodyssey", "train", str(tmp_path / "mine"), *options, "-o", str(out)])
    with pytest.raises(SystemExit) as end:
        run()
    assert not end.value.code

    (root,) = out.glob("adopted/*/mine")
    dataset = read_dataset(root)
    assert len(dataset.classes) == classes + 1 and len(dataset.cases) == len(expected)
    for case, truth in zip(dataset.cases, expected, strict=True):
        labels = read_case(dataset, case).labels
        assert labels is not None
        np.testing.assert_array_equal(labels, truth, err_msg=case.name)
    table = (out / "cases.csv").read_text().splitlines()
    assert len(table) > 1 and all(",mine," in line for line in table[1:])

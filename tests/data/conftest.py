"""Small data sets on disk, to be broken by the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy
import pytest
from PIL import Image


class Folder:
    """A writable MSD data set with two cases, `a` and `b`."""

    affine = numpy.diag([1.5, 2.0, 3.0, 1.0])

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings: dict[str, Any] = {
            "modality": {"0": "CT"},
            "labels": {"0": "background", "1": "liver", "2": "tumour"},
            "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in "ab"],
        }
        rng = numpy.random.default_rng(0)
        for name in "ab":
            self.nifti(f"imagesTr/{name}.nii.gz", rng.normal(size=(5, 6, 4)).astype(numpy.float32))
            self.nifti(f"labelsTr/{name}.nii.gz", rng.integers(0, 3, (5, 6, 4)).astype(numpy.uint8))
        self.save()

    def save(self, **changes: Any) -> None:
        self.settings |= changes
        self.text("dataset.json", json.dumps(self.settings))

    def text(self, name: str, content: str) -> None:
        (self.root / name).write_text(content, encoding="utf-8")

    def nifti(self, name: str, values: numpy.ndarray, affine: numpy.ndarray = affine) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(values, affine), path)

    def picture(self, name: str, values: numpy.ndarray) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "mine"
    root.mkdir()
    return Folder(root)

"""Small clean data sets of pictures and of volumes, for the tests to plant one fault at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lossodyssey.data.check import Check, Finding, check_dataset
from lossodyssey.data.grids import read_grid, write_array

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[4] / "shared" / "data")
SHAPES = {2: (64, 60), 3: (28, 26, 12)}
COUNT = 12


class Made:
    """A data set on disk, of `c00` to `c11`; each shows a bright and a dark object in a textured noise."""

    def __init__(self, root: Path, dims: int) -> None:
        self.root = root
        self.dims = dims
        self.ending = ".png" if dims == 2 else ".nii.gz"
        self.affine = np.eye(3) if dims == 2 else np.diag([1.5, 1.5, 3.0, 1.0])
        self.names = [f"c{number:02d}" for number in range(COUNT)]
        self.settings: dict[str, Any] = {
            "modality": {"0": "MR"},
            "labels": {"0": "background", "1": "liver", "2": "tumour"},
            "training": [self._item(name) for name in self.names],
        }
        for number, name in enumerate(self.names):
            image, labels = scene(np.random.default_rng([dims, number]), SHAPES[dims])
            self.write("image", name, image)
            self.write("label", name, labels)
        self.save()

    def _item(self, name: str) -> dict[str, str]:
        return {kind: f"{kind}sTr/{name}{self.ending}" for kind in ("image", "label")}

    def save(self) -> None:
        (self.root / "dataset.json").write_text(json.dumps(self.settings))

    def add(self, name: str, image: NDArray[Any], labels: NDArray[Any]) -> None:
        self.write("image", name, image)
        self.write("label", name, labels)
        self.settings["training"].append(self._item(name))
        self.save()

    def path(self, kind: str, name: str) -> Path:
        return self.root / f"{kind}sTr" / f"{name}{self.ending}"

    def read(self, kind: str, name: str) -> NDArray[Any]:
        return read_grid(self.path(kind, name)).values

    def write(self, kind: str, name: str, values: NDArray[Any], affine: NDArray[Any] | None = None) -> None:
        write_array(self.path(kind, name), values, self.affine if affine is None else affine)

    def exchange(self, one: Path, two: Path) -> None:
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)

    def text(self, name: str, content: Any) -> None:
        (self.root / name).write_text(json.dumps(content))

    def check(self) -> Check:
        return check_dataset(self.root)


def scene(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw an image with two blobs whose borders are edges, and their labels."""
    field = gaussian_filter(random.normal(size=shape), [size / 9 for size in shape])
    field /= field.std()
    labels = np.zeros(shape, np.uint8)
    labels[field > 1.2] = 1
    labels[field < -1.6] = 2
    texture = gaussian_filter(random.normal(size=shape), 1.0)
    image = 110 + 70 * (labels == 1) - 60 * (labels == 2) + 14 * texture / texture.std() + 25 * random.random()
    return image.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(params=[2, 3], ids=["2D", "3D"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """A clean data set of pictures, and one of volumes."""
    root = tmp_path / "mine"
    root.mkdir()
    return Made(root, request.param)


def one(check: Check, severity: str, question: str, text: str = "") -> Finding:
    """Return the single finding of a kind."""
    found = [own for own in check.findings if (own.severity, own.question) == (severity, question) and text in own.seen]
    assert len(found) == 1, check.findings
    return found[0]

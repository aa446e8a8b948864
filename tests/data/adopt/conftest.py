"""Real pictures and volumes where they are at hand, made ones otherwise, and folders as people have them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lossodyssey.data import read_case, read_dataset
from lossodyssey.data.adopt import Choices, Understanding, understand

SHARED = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[4] / "shared" / "data")
SIDE = 64


@dataclass(frozen=True)
class Example:
    """An image (*S) or (*S, 3) of bytes, and its labels."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


Examples = Callable[..., list[Example]]


@pytest.fixture
def examples() -> Examples:
    """Cases of a real set cut to their middle, or made ones of as many classes."""

    def found(name: str, count: int, classes: int = 1, dims: int = 2) -> list[Example]:
        if (SHARED / name / "dataset.json").is_file():
            dataset = read_dataset(SHARED / name)
            return [_cut(read_case(dataset, case)) for case in dataset.cases[:count]]
        return [made(number, classes, dims) for number in range(count)]

    return found


def _cut(volume: Any) -> Example:
    """Cut the middle of an image around its object; bytes are enough to train on."""
    inside = np.argwhere(volume.labels > 0)
    centre = inside.mean(0).astype(int) if len(inside) else np.array(volume.labels.shape) // 2
    window = tuple(slice(max(0, c - SIDE // 2), max(0, c - SIDE // 2) + SIDE) for c in centre)
    image = np.moveaxis(volume.image, 0, -1)[window]
    image = (255 * (image - image.min()) / max(float(np.ptp(image)), 1e-6)).astype(np.uint8)
    return Example(image if image.shape[-1] > 1 else image[..., 0], volume.labels[window].astype(np.uint8))


def made(seed: int, classes: int = 1, dims: int = 2) -> Example:
    """Blocks of every class on noise."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((32, 40, 16)[:dims], np.uint8)
    for label in range(1, classes + 1):
        start = rng.integers(2, 6)
        labels[(slice(start + 9 * (label - 1), start + 9 * label - 2), slice(start, start + 20))] = label
    image = 60 * labels.astype(int) + rng.integers(0, 50, labels.shape)
    return Example(np.clip(image, 0, 255).astype(np.uint8), labels)


Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a picture into the folder of the test."""

    def write(name: str, values: Any, mode: str | None = None, **how: Any) -> Path:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.asarray(values))
        (picture.convert(mode) if mode else picture).save(path, **how)
        return path

    return write


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder that `put` writes to."""
    return tmp_path / "mine"


@pytest.fixture
def seen(mine: Path) -> Callable[..., Understanding]:
    """Understand the folder that `put` writes to."""

    def look(**choices: Any) -> Understanding:
        place = {} if "images" in choices else {"folder": mine}
        return understand(Choices(**place, **choices))

    return look

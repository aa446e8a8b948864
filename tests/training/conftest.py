"""Cases to train on: real volumes where they are at hand, phantoms otherwise; and made ones for exact answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.data.patches import CachedCase

DATA = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    if (DATA / "Task04_Hippocampus" / "dataset.json").is_file():
        return read_dataset(DATA / "Task04_Hippocampus")
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=8)
    return read_dataset(folder)


@pytest.fixture
def cases() -> list[CachedCase]:
    """Four noisy pictures of a bright disc."""
    rng = np.random.default_rng(0)
    return [disc(rng, number) for number in range(4)]


def disc(rng: np.random.Generator, number: int) -> CachedCase:
    rows, columns = np.mgrid[:32, :32]
    centre = rng.uniform(10, 22, 2)
    labels = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 36).astype(np.int16)
    image = labels + rng.normal(0, 0.3, labels.shape)
    tensor = torch.from_numpy(image[None].astype(np.float32))
    return CachedCase(f"disc{number}", tensor, torch.from_numpy(labels), (1.0, 1.0), (np.argwhere(labels == 1),))

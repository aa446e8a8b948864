"""Eight phantoms to compare losses on, with settings that take seconds."""

from __future__ import annotations

import pytest

from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.training.settings import Settings

QUICK = Settings(
    steps=3,
    epoch=2,
    patch=(16, 16, 8),
    features=(4, 8),
    checkpoint_every=20,
    overlap=0.0,
    device="cpu",
    learning_rate=3e-3,
    warmup=0,
)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=8)
    return read_dataset(folder)


@pytest.fixture
def quick() -> Settings:
    return QUICK

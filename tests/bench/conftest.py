"""Eight phantoms to compare losses on, with settings that take seconds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lossodyssey.bench.executors import OnEvent
from lossodyssey.bench.job import Job
from lossodyssey.bench.record import Record
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.training.settings import Settings

QUICK = Settings(steps=3, epoch=2, patch=(16, 16, 8), features=(4, 8), checkpoint_every=20, overlap=0.0, device="cpu")


def swept(jobs: Sequence[Job], *, workers: int, on_event: OnEvent) -> list[Record]:
    """The records of executed runs, whose table of cases is written as for the only budget of a study."""
    records = sweep(jobs, workers=workers, on_event=on_event)
    write_table(jobs, jobs[0].runs.parent / "cases.csv")
    return records


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=8)
    return read_dataset(folder)


@pytest.fixture
def quick() -> Settings:
    return QUICK

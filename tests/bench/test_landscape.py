"""The landscape is that of the run's own network, on cases that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lossodyssey as lo
from lossodyssey.bench.job import Job
from lossodyssey.bench.landscape import landscape
from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import load_network, settings_of
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import hold_out

from .conftest import QUICK


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("landscape") / "runs"
    division = hold_out(dataset, 2)
    job = Job(expression="Dice()", dataset=dataset, division=division, seed=0, engine=Light(QUICK), runs=runs)
    execute(job, lambda event: None)
    return job.folder


def test_the_middle_is_the_network_and_places_are_told(run: Path, dataset: Dataset) -> None:
    done: list[tuple[int, int]] = []
    losses = [lo.Dice(), lo.parse("WCE() + Boundary()")]
    made = landscape(run, dataset, losses, points=3, cases=2, on_point=lambda *place: done.append(place))
    assert done == [(k, 9) for k in range(1, 10)]
    assert made.trained_with == "Dice()" and made.steps.tolist() == [-1, 0, 1]
    assert list(made.values) == [repr(loss) for loss in losses]
    assert set(made.cases) == {case.name for case in dataset.cases} - set(trained_on(run, dataset))
    for values in made.values.values():
        assert values.shape == (3, 3) and np.isfinite(values).all() and np.ptp(values) > 0
    alone = landscape(run, dataset, points=3, cases=2)
    np.testing.assert_array_equal(alone.values["Dice()"], made.values["Dice()"])


def trained_on(run: Path, dataset: Dataset) -> list[str]:
    scored = {line.split(",")[4] for line in (run / "cases.csv").read_text().splitlines()[1:]}
    return [case.name for case in dataset.cases if case.name not in scored]


def test_a_plane_through_other_weights_is_another_landscape(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    record = read_record(run)
    network = load_network(run, record, settings_of(run, record))
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)
    assert all(torch.equal(own, checkpoint["network"][name]) for name, own in network.state_dict().items())
    first, other = (landscape(run, dataset, points=3, cases=1, seed=seed).values["Dice()"] for seed in (0, 1))
    assert not np.array_equal(first, other)


def test_what_cannot_be_drawn_is_refused(run: Path, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="points is 4; expected an odd number"):
        landscape(run, dataset, points=4)
    with pytest.raises(ValueError, match="is another data set: it has no case"):
        landscape(run, replace(dataset, cases=dataset.cases[:1]), points=3)
    with pytest.raises(ValueError, match="expected a loss without heads"):
        landscape(run, dataset, [lo.SignedDistanceRegression(head=True)], points=3)
    with pytest.raises(FileNotFoundError, match="no such file; expected the folder of a run"):
        landscape(tmp_path, dataset)

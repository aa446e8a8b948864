"""A sweep on a real Ray cluster that loses a node gives the same table."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.bench.executors import Ray
from lossodyssey.bench.job import Job
from lossodyssey.data import Dataset

from .conftest import LOSSES, TIMING, Heard, planned, process_of, table_of


def test_no_run_is_lost_with_a_node_and_the_table_is_that_of_one_machine(
    cluster: Any, dataset: Dataset, expected: bytes, tmp_path: Path
) -> None:
    jobs = planned(dataset, tmp_path / "study")
    begun: list[Job] = []

    def disturb(job: Job) -> None:
        begun.append(job)
        if len(begun) == 2:  # one on each node
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        if len(begun) == 4:
            os.kill(process_of(job), signal.SIGKILL)

    heard = Heard(disturb)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        Ray(cluster.address, timing=TIMING).run(jobs, heard)

    assert len(begun) == 4
    assert sorted(heard.ends) == sorted(f"{loss} finished" for loss in LOSSES)
    said = [str(each.message) for each in caught if "its process or node was lost" in str(each.message)]
    assert len(said) == 2 and all(line.endswith("started again from its last checkpoint (1 of 3)") for line in said)
    assert table_of(jobs) == expected
    assert all(len((job.folder / "curve.csv").read_text().splitlines()) == 241 for job in jobs)


def test_a_cluster_that_is_not_there_is_said(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    job = planned(dataset, tmp_path / "study")[0]
    with pytest.raises(ValueError, match=r"executor ray: no cluster at address '127.0.0.1:1' .* `ray start --head`"):
        Ray("127.0.0.1:1").run([job], Heard(lambda job: None))

"""A sweep on a real SLURM, with a job cancelled, one requeued and one whose time is up, gives the same table."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest

from lossodyssey.bench.executors import Slurm
from lossodyssey.bench.job import Job
from lossodyssey.data import Dataset

from .conftest import LOSSES, TIMING, Heard, planned, process_of, table_of

FAULTS = {
    "Dice()": ["scancel"],
    "CrossEntropy()": ["scontrol", "requeue"],
    "DiceCE()": ["scancel", "--signal=USR2"],
}


def number_of(job: Job) -> str:
    """The number of SLURM's job that executes a run."""
    entries = Path(f"/proc/{process_of(job)}/environ").read_bytes().decode().split("\0")
    variables = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"


def test_no_run_is_lost_and_the_table_is_that_of_one_machine(
    slurm: Path, dataset: Dataset, expected: bytes, tmp_path: Path
) -> None:
    jobs = planned(dataset, tmp_path / "study")
    done: dict[str, str] = {}

    def disturb(job: Job) -> None:
        if job.expression in FAULTS:
            done[job.expression] = number_of(job)
            subprocess.run([*FAULTS[job.expression], done[job.expression]], check=True)

    heard = Heard(disturb)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        Slurm(partition="all", time=5, parallel=2, poll=1, timing=TIMING).run(jobs, heard)

    assert set(done) == set(FAULTS)
    assert sorted(heard.ends) == sorted(f"{loss} finished" for loss in LOSSES)
    said = [str(each.message) for each in caught if "started again" in str(each.message)]
    assert len(said) == 1 and said[0].startswith(f"Dice() seed 0: its job {done['Dice()']} is CANCELLED")
    assert table_of(jobs) == expected
    assert all(len((job.folder / "curve.csv").read_text().splitlines()) == 241 for job in jobs)
    assert list((tmp_path / "study" / "slurm").glob("*_log.err"))


def test_a_mistake_that_slurm_refuses_is_said_in_its_words(slurm: Path, dataset: Dataset, tmp_path: Path) -> None:
    job = planned(dataset, tmp_path / "study")[0]
    with pytest.raises(ValueError, match=r"executor slurm: .*[Ii]nvalid partition"):
        Slurm(partition="none").run([job], Heard(lambda job: None))
    assert not job.folder.exists()

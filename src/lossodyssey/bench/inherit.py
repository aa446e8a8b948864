"""Finished runs of an earlier comparison, taken over instead of training them again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from lossodyssey.bench.damage import CURVE, TABLE, fingerprint
from lossodyssey.bench.job import Job
from lossodyssey.bench.record import Record, read_record
from lossodyssey.data.places import making


def inherit(jobs: Iterable[Job], earlier: Path) -> tuple[list[Job], list[str]]:
    """Copy the runs that ended in the output folder `earlier` and would end the same way here.

    A run is the same where loss, data, division, engine, settings and seed are, by the fingerprint in its record. Its
    tables must be as the run left them; predictions and checkpoints are copied where they are there. Return the runs
    that were copied, and a sentence for each that is damaged and therefore trained again.

    Raises:
        FileNotFoundError: `earlier` has no folder of runs.
    """
    runs = earlier / "runs"
    if not runs.is_dir():
        raise FileNotFoundError(f"{runs}: no such folder; expected the output folder of an earlier comparison")
    known = {tuple(path.parent.name.split("-")[-2:]): path.parent for path in runs.glob("*/run.json")}
    copied, damaged = [], []
    for job in jobs:
        found = known.get((job.digest, f"seed{job.seed}"))
        if found is None or job.folder.exists():
            continue
        if wrong := _wrong(job, found):
            damaged.append(f"{found}: {wrong}; trained again")
            continue
        with making(job.folder) as draft:
            shutil.copytree(found, draft, dirs_exist_ok=True)
        copied.append(job)
    return copied, damaged


def _wrong(job: Job, folder: Path) -> str:
    """Say why a run cannot be taken over, or nothing."""
    try:
        record = read_record(folder)
    except (OSError, ValueError):
        return "its record cannot be read"
    if (record.digest, record.seed) != (job.digest, job.seed):
        return "its record is that of another run"
    if record.status not in ("finished", "diverged"):
        return f"it is {record.status}"
    return next(
        (f"{name} is not as the run left it" for name in (CURVE, TABLE) if not _intact(record, folder, name)), ""
    )


def _intact(record: Record, folder: Path, name: str) -> bool:
    if name not in record.files:
        return record.status == "diverged"
    path = folder / name
    return path.is_file() and fingerprint(path) == record.files[name]

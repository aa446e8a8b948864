"""Train one run of the odyssey again, from its record, and hold its table of cases against the kept one.

python paper/again.py paper/results/Task04_Hippocampus/study.tar.xz focal-1a2b3c4d-seed0 [--data DIR]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lossodyssey.bench.executors import Local
from lossodyssey.bench.inherit import inherit
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.packing import unpacked
from lossodyssey.bench.plan_file import read_plan
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.study import Study
from lossodyssey.bench.sweep import sweep
from lossodyssey.training.settings import Settings


def again(archive: Path, run: str, data: Path | None = None) -> bool:
    """Train a run again and return whether its table of cases is the same, bit for bit.

    Raises:
        ValueError: the archive has no such run.
    """
    with unpacked(archive) as kept, tempfile.TemporaryDirectory() as scratch:
        study = resolve(read_plan(kept / "plan.yaml"), Light(Settings()), Path(scratch), data)
        job = find(study, kept, run)
        for each in chain(job):
            shutil.rmtree(each.folder, ignore_errors=True)
            sweep([each], executor=Local(1), on_event=lambda job, event: None)
        return (job.folder / "cases.csv").read_bytes() == (kept / "runs" / run / "cases.csv").read_bytes()


def find(study: Study, kept: Path, run: str) -> Job:
    """Find a run of a study whose searches have ended in the folder `kept`."""
    if not (kept / "runs" / run / "cases.csv").is_file():
        raise ValueError(f"no run {run!r} with a table; expected a name such as focal-1a2b3c4d-seed0")
    for jobs in study.phases():
        inherit(jobs, kept)
        for job in jobs:
            if job.folder.name == run:
                return job
    raise ValueError(f"run {run!r} is not one of the plan on these data, with this version")


def chain(job: Job) -> Iterator[Job]:
    """Yield the runs that a run begins with, the first one first, then the run itself."""
    if job.start:
        yield from chain(job.start)
    yield job


def main(arguments: Sequence[str]) -> int:
    """Say whether the tables are the same; 1 where they are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("run")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args(arguments)
    same = again(options.archive, options.run, options.data)
    print(f"{options.run}: {'the same table, bit for bit' if same else 'ANOTHER table'}")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

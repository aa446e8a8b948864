"""Time and memory of a comparison of very many runs: to plan, to begin, to go on, to look at and to end.

    python benchmarks/many_runs.py --losses 100 --seeds 100

Writes that many run folders (10 cases, 4 classes and 3 metrics each) below a temporary folder, nothing is trained.
Prints seconds of processor time, seconds on the clock and peak memory of a process of its own for each part.
Beginning finds no run that is done, going on finds all of them finished.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lossodyssey.bench.damage import CURVE, TABLE, fingerprint, fingerprints, prediction
from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.study import Study, compare
from lossodyssey.bench.sweep import sweep, table_path, write_table
from lossodyssey.data import read_dataset, write_phantom
from lossodyssey.table import Row
from lossodyssey.training.settings import Settings

HELD_OUT = 10
METRICS = ("DSC", "NSD", "HD95")


def study(folder: Path, losses: int, seeds: int) -> Study:
    """Plan the comparison; the phantom is written where it is not there yet."""
    if not (folder / "phantom").is_dir():
        write_phantom(folder / "phantom", cases=HELD_OUT + 2)
    texts = [f"{(i + 1) / 100} * Dice() + CrossEntropy()" for i in range(losses)]
    engine = Light(Settings(device="cpu", patch=(16, 16, 8)))
    data = read_dataset(folder / "phantom")
    return compare(data, texts, seeds=seeds, held_out=HELD_OUT, engine=engine, output=folder / "out")


def finish(job: Job, rng: np.random.Generator, image: bytes, known: dict[str, str]) -> None:
    """Write the folder of a finished run; `known` are fingerprints of what is alike in all."""
    values = rng.beta(8, 2, size=(HELD_OUT, len(job.dataset.targets), len(METRICS)))
    rows = [
        Row(job.label, job.label_of_data, 0, job.seed, case.name, target.name, metric, float(value), engine="light")
        for case, line in zip(job.scored, values, strict=True)
        for target, cell in zip(job.dataset.targets, line, strict=True)
        for metric, value in zip(METRICS, cell, strict=True)
    ]
    (job.folder / "predictions").mkdir(parents=True)
    _write_table(job.folder / TABLE, rows)
    (job.folder / CURVE).write_text("step,loss,learning_rate\n" + "".join(f"{i + 1},0.5,0.003\n" for i in range(100)))
    for case in job.scored:
        prediction(job.folder, case, 3).write_bytes(image)
    known = known or fingerprints(job.folder)
    files = known | {TABLE: fingerprint(job.folder / TABLE)}
    record = replace(job.record(), status="finished", seconds=60.0, files=files)
    (job.folder / "run.json").write_text(json.dumps(asdict(record), indent=2) + "\n")


def _write_table(path: Path, rows: list[Row]) -> None:
    # As `write_rows` does, without waiting for the disk 10,000 times.
    lines = [",".join(row.cells()[:10]) for row in rows]
    header = "loss,dataset,fold,seed,case,class,metric,value,status,engine"
    path.write_text("\n".join([header, *lines]) + "\n")


def plan(folder: Path, losses: int, seeds: int) -> None:
    """Plan the comparison."""
    study(folder, losses, seeds)


def begin(folder: Path, losses: int, seeds: int) -> None:
    """Find the folder of every run of every phase, and whether it is done."""
    found = study(folder, losses, seeds)
    began = time.process_time()
    states = [(job.digest, job.folder, job.done()) for jobs in found.phases() for job in jobs]
    print(f"  phases, digest, folder and done of {len(states)} runs: {time.process_time() - began:.1f} s")


def write(folder: Path, losses: int, seeds: int) -> None:
    """Write the folders of all runs, finished."""
    rng, image, known = np.random.default_rng(0), bytes(range(256)) * 8, dict[str, str]()
    for job in study(folder, losses, seeds).jobs:
        finish(job, rng, image, known)
        known = known or fingerprints(job.folder)


def go_on(folder: Path, losses: int, seeds: int) -> None:
    """Give the command again when all runs are finished."""
    found = study(folder, losses, seeds)
    for jobs in found.phases():
        sweep(jobs, executor=Local(1), on_event=lambda job, event: None)


def table(folder: Path, losses: int, seeds: int) -> None:
    """Write the table of all cases."""
    found = study(folder, losses, seeds)
    began = time.process_time()
    write_table(found.jobs, table_path(found, found.budgets[-1]))
    print(f"  the table alone: {time.process_time() - began:.1f} s")


def status(folder: Path, losses: int, seeds: int) -> None:
    """Show the state, as a user does."""
    phases = [{"name": "table", "runs": losses * seeds}]
    (folder / "out" / "plan.json").write_text(json.dumps({"planned": losses * seeds, "phases": phases}))
    measure("  the command", [sys.executable, "-m", "lossodyssey", "status", str(folder / "out")])


PARTS: dict[str, Callable[[Path, int, int], None]] = {
    part.__name__: part for part in (plan, begin, write, status, go_on, table)
}


def main() -> None:
    """Run every part in a process of its own and print its time and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="folder to keep the runs in")
    parser.add_argument("--part", choices=PARTS, help="a single part, on the runs of --folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.part:
            PARTS[options.part](folder, options.losses, options.seeds)
            return
        for part in PARTS:
            sizes = ["--losses", str(options.losses), "--seeds", str(options.seeds)]
            measure(part, [sys.executable, __file__, "--part", part, "--folder", str(folder), *sizes])


def measure(part: str, command: list[str]) -> None:
    """Run a command; print its processor time, its time on the clock and the peak memory of all commands so far."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{part}: {spent:.2f} s, {clock:.2f} s, peak so far {after.ru_maxrss / 1024:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

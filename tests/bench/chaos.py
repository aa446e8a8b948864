"""Kills the processes of a comparison at random moments and compares its table with that of an undisturbed one.

    python tests/bench/chaos.py --workers 20 --drivers 5

A small comparison is trained twice through the command line: once in peace, and once while `--workers` processes of
runs and `--drivers` processes of the command itself are killed with SIGKILL; a killed command is given again. In the
end `cases.csv` must be the same byte for byte, every run be there once and finished, and no file be half written.
The exit code is 1 where it is not so, or where the comparison ended before all were killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.bench.status import Run, read_state
from lossodyssey.data import write_phantom

PLAN = """
datasets: [phantom]
losses: [{losses}]
learning_rates: [{rates}]
validation: 2
held_out: 2
seeds: {seeds}
steps: {steps}
epoch: 10
checkpoint_every: 5
patch: [16, 16, 8]
features: [4, 8]
device: cpu
"""
LOSSES = ("Dice()", "CrossEntropy()", "Focal()", "Jaccard()")
LONGEST = 600.0
"""Seconds after which the comparison counts as stuck."""


@dataclass
class Storm:
    """A comparison in `folder` of which processes are killed."""

    folder: Path
    rng: random.Random

    @property
    def output(self) -> Path:
        """Its output folder."""
        return self.folder / "storm"

    def rage(self, workers: int, drivers: int) -> int:
        """Kill as many processes as asked for, or until the comparison ends; return how many it were.

        Runs that were killed too often are tried again in the end.
        """
        kills = ["worker"] * workers + ["driver"] * drivers
        self.rng.shuffle(kills)
        driver = start(self.folder, self.output)
        for done, kind in enumerate(kills):
            run = self._training(driver)
            if run is None:
                return done
            time.sleep(self.rng.uniform(0, 0.5))
            if kind == "worker":
                kill(run)
            else:
                driver.kill()
                driver.wait()
                driver = start(self.folder, self.output)
        if driver.wait(LONGEST) != 0:
            finish(self.folder, self.output)
        return len(kills)

    def _training(self, driver: subprocess.Popen[bytes]) -> Run | None:
        """Wait for a run that trains, and draw one; None where the command ended."""
        began = time.monotonic()
        while driver.poll() is None and time.monotonic() - began < LONGEST:
            runs = read_state(self.output).of("running") if (self.output / "runs").is_dir() else []
            if training := [run for run in runs if run.sign and run.sign.done]:
                return self.rng.choice(training)
            time.sleep(0.05)
        return None


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    """Give the command."""
    command = [sys.executable, "-m", "lossodyssey", "bench", str(folder / "plan.yaml"), "-o", str(output)]
    command += ["--data", str(folder / "data"), "--workers", "2"]
    with (folder / f"{output.name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def kill(run: Run) -> None:
    """Kill the process of a run, if it is still there."""
    if run.sign:
        try:
            os.kill(run.sign.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def finish(folder: Path, output: Path) -> None:
    """Give the command until nothing is left to be done."""
    for _ in range(3):
        if start(folder, output).wait(LONGEST) == 0:
            return
    raise SystemExit(f"the comparison does not end: {(folder / f'{output.name}.log').read_text()[-2000:]}")


def faults(calm: Path, storm: Path) -> list[str]:
    """Say what differs between the two comparisons."""
    found = []
    if (calm / "cases.csv").read_bytes() != (storm / "cases.csv").read_bytes():
        found.append("cases.csv differs")
    names = [sorted(run.name for run in (each / "runs").iterdir()) for each in (calm, storm)]
    if names[0] != names[1]:
        found.append(f"runs differ: {sorted(set(names[0]) ^ set(names[1]))}")
    state = read_state(storm)
    found += [f"{run.folder.name} is {run.state}" for run in state.runs if run.state != "finished"]
    if len(state.runs) != sum(state.planned.values()):
        found.append(f"{len(state.runs)} runs, {sum(state.planned.values())} planned")
    for run in state.runs:
        files = sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*"))
        expected = sorted(path.relative_to(calm).as_posix() for path in (calm / "runs" / run.folder.name).rglob("*"))
        expected = [name.split("/", 2)[2] for name in expected]
        if files != expected:
            found.append(f"files of {run.folder.name} differ: {sorted(set(files) ^ set(expected))}")
        found += [f"{run.folder.name}: {note}" for note in json.loads((run.folder / "run.json").read_text())["notes"]]
    return found


def survive(
    folder: Path, *, workers: int, drivers: int, losses: int, rates: int, seeds: int, steps: int, seed: int
) -> str:
    """Train both comparisons in `folder` and compare them; return what is wrong, or nothing."""
    write_phantom(folder / "data" / "phantom", cases=6)
    grid = ", ".join(f"{3e-3 / 3**number:g}" for number in range(rates))
    names = ", ".join(f'"{loss}"' for loss in LOSSES[:losses])
    (folder / "plan.yaml").write_text(PLAN.format(losses=names, rates=grid, seeds=seeds, steps=steps))
    finish(folder, folder / "calm")
    storm = Storm(folder, random.Random(seed))
    killed = storm.rage(workers, drivers)
    found = faults(folder / "calm", storm.output)
    if killed < workers + drivers:
        found.append(f"only {killed} of {workers + drivers} processes were killed before the end; give more --steps")
    return "\n".join(found)


def main() -> None:
    """Run it as the options say, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("workers", 20), ("drivers", 5), ("losses", 4), ("rates", 2), ("seeds", 3), ("steps", 150)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and processes")
    options = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        found = survive(Path(folder), **options)
    print(found or f"{options['workers']} workers and {options['drivers']} drivers killed; the table is the same")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()

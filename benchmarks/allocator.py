"""Measure what a training gains where the memory that a step frees is kept for the next one.

    python -m benchmarks.allocator [--steps 40] [--rounds 3]

The light engine trains DiceCE on patches of the phantoms, on one thread, in processes of their own that take turns:
with the C library as it is, and with `keep_freed_memory`. Seconds are medians of the rounds. Writes
`benchmarks/results/allocator.md`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import torch
from benchmarks.table import machine

import lossodyssey as lo
from lossodyssey.atomic import write_text
from lossodyssey.data import read_dataset, write_phantom
from lossodyssey.data.caching import cache
from lossodyssey.data.lesion_phantom import write_lesion_phantom
from lossodyssey.training.allocator import keep_freed_memory
from lossodyssey.training.device import peak_memory
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit

PAGE = Path(__file__).parent / "results" / "allocator.md"
CASES, WARM_UP = 4, 5
PATCHES: dict[tuple[int, ...], Callable[..., None]] = {
    (40, 56, 40): write_phantom,
    (64, 64, 32): write_phantom,
    (216, 256): write_lesion_phantom,
    (256, 256): write_lesion_phantom,
}
"""Patches, and the phantom that they are taken from. The size decides how much glibc returns to the system."""

Figures = dict[str, float]


def measure(patch: tuple[int, ...], kept: bool, steps: int) -> Figures:
    """Return seconds, page faults and peak memory of a training in this process, after one that warms up."""
    torch.set_num_threads(1)
    if kept and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt: there is nothing to compare")
    with tempfile.TemporaryDirectory() as folder:
        PATCHES[patch](folder, cases=CASES)
        dataset = read_dataset(Path(folder))
        cases = cache(dataset, dataset.cases)
    classes = len(dataset.targets) + 1

    def train(steps: int) -> Figures:
        settings = Settings(steps=steps, patch=patch, device="cpu")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        outcome = fit(lo.parse("DiceCE()"), cases, settings, classes=classes, seed=0)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        return {"seconds": outcome.seconds, "faults": faults / steps, "peak": peak_memory(torch.device("cpu"))}

    train(WARM_UP)
    return train(steps)


def in_turns(patch: tuple[int, ...], steps: int, rounds: int) -> tuple[Figures, Figures]:
    """Return the medians of both ways, as the C library does and with freed memory kept."""
    found: dict[bool, list[Figures]] = {False: [], True: []}
    for _ in range(rounds):
        for kept, own in found.items():
            command = [
                sys.executable,
                "-m",
                "benchmarks.allocator",
                "--one",
                str(int(kept)),
                str(steps),
                *map(str, patch),
            ]
            own.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    left, keeping = ({key: median(one[key] for one in own) for key in own[0]} for own in found.values())
    return left, keeping


def row(patch: tuple[int, ...], left: Figures, kept: Figures, steps: int) -> str:
    """Return the line of one patch."""
    times = f"{1000 * left['seconds'] / steps:.1f} | {1000 * kept['seconds'] / steps:.1f}"
    ratio = f"{left['seconds'] / kept['seconds']:.2f}"
    faults = f"{left['faults']:,.0f} | {kept['faults']:,.0f}"
    peaks = f"{left['peak'] / 2**20:.0f} | {kept['peak'] / 2**20:.0f}"
    return f"| {' x '.join(map(str, patch))} | {times} | {ratio} | {faults} | {peaks} |"


def page(lines: list[str], steps: int, rounds: int) -> str:
    """Return the text of the page."""
    told = machine(argparse.Namespace(device="cpu", dtype="float32", threads=1))
    return f"""# Memory that a step frees, kept for the next one

{told["processor"]}, {told["cores"]} cores, one thread and one for the batches, torch {told["versions"]["torch"]},
{date.today().isoformat()}: medians of {rounds} trainings of {steps} steps. `python -m benchmarks.allocator` repeats it.

| patch | ms a step as it is | kept | ratio | page faults a step as it is | kept | peak MiB as it is | kept |
|---|--:|--:|--:|--:|--:|--:|--:|
{chr(10).join(lines)}
"""


def main() -> None:
    """Measure every patch, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs="+", type=int, metavar="KEPT STEPS PATCH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kept, steps, *patch = options.one
        print(json.dumps(measure(tuple(patch), bool(kept), steps)))
        return
    found = {patch: in_turns(patch, options.steps, options.rounds) for patch in PATCHES}
    lines = [row(patch, *both, options.steps) for patch, both in found.items()]
    write_text(PAGE, page(lines, options.steps, options.rounds))
    print("\n".join(lines))


if __name__ == "__main__":
    main()

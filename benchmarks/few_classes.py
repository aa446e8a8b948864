"""Time the shared pass at few and many classes as multiples of `F.cross_entropy`, with the allocator kept warm and not.

    python -m benchmarks.few_classes [--threads 1 2] [--rounds 40]

Forward and backward, the least of many rounds in which all calls take turns in one process. With glibc's defaults each
fresh tensor of a large size is paid for in page faults, which fall on whoever makes more of them: both settings are
measured, each in a process of its own. Writes `benchmarks/results/few_classes_INSTRUCTIONS.md`, named by those of the
processor: how much a loss takes beside `F.cross_entropy` depends on them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import torch
from benchmarks.losses import RESULTS, batch
from benchmarks.peers import Entry, all_peers, cross_entropy, floor
from benchmarks.table import machine, told

import lossodyssey as lo
from lossodyssey.atomic import write_text

SHAPES = ["2x3x96x96x96", "1x14x96x96x96", "2x2x512x512", "8x21x256x256"]
LOSSES = ["Dice", "DiceCE", "CrossEntropy", "Focal", "PolyFocal", "ExponentialLogarithmic", "AsymmetricUnifiedFocal"]
LOSSES += ["Combo", "DiceTopK", "TopK", "TopKThreshold", "Tversky", "Boundary", "Lovasz"]
SUM = "Dice + CE + Focal"
IGNORING, ONE_HOT, REGIONS = "DiceCE, a label ignored", "DiceCE, one-hot labels", "DiceCE, classes as regions"
SOFT = ["DiceCE, soft labels", "MONAI DiceCELoss, soft labels"]
WARM = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
SETTINGS = {"freed memory kept": WARM, "glibc's defaults": {}}


def calls() -> dict[str, Entry]:
    """List the rows: the references, our losses, and MONAI's DiceCE where it is installed."""
    ours = {name: f"{name}()" for name in LOSSES} | {SUM: "Dice() + CrossEntropy() + Focal()"}
    ours |= dict.fromkeys((IGNORING, ONE_HOT, REGIONS, SOFT[0]), "DiceCE()")
    peers = all_peers({}, ["MONAI DiceCELoss"])
    chosen = {name: entry for name, entry in peers.items() if name == "MONAI DiceCELoss"}
    if chosen:
        from monai.losses import DiceCELoss

        chosen[SOFT[1]] = Entry("", DiceCELoss(softmax=True))
    references = {"F.cross_entropy": Entry("", cross_entropy), "floor": Entry("", floor)}
    return references | {name: Entry(name, lo.parse(text), ours=True) for name, text in ours.items()} | chosen


def least(shape: str, rounds: int) -> dict[str, float]:
    """Measure the least seconds of each call."""
    logits, labels = batch(shape, "cpu", torch.float32)
    ready = {name: (entry, *_given(name, labels, logits.shape[1])) for name, entry in calls().items()}
    found = dict.fromkeys(ready, math.inf)
    for _ in range(rounds):
        for name, (entry, target, context) in ready.items():
            logits.grad, begin = None, time.perf_counter()
            entry.call(logits, target, **context).backward()
            found[name] = min(found[name], time.perf_counter() - begin)
    return found


def _given(name: str, labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the target that a row is called with, and the rest of its context."""
    if name == "Boundary":
        return labels, {"maps": lo.maps_for(lo.parse("Boundary()"), labels, classes)}
    if name == IGNORING:
        return labels, {"ignore": classes - 1}
    if name not in (ONE_HOT, REGIONS, *SOFT):
        return labels, {}
    channels = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float().contiguous()
    if name in SOFT:
        return 0.9 * channels + 0.1 / classes, {}
    return channels, {"link": "sigmoid" if name == REGIONS else "softmax"}


def markdown(title: str, tables: dict[str, dict[str, float]]) -> list[str]:
    """Write the multiples of F.cross_entropy of one setting."""
    lines = [f"\n## {title}\n", f"| | {' | '.join(tables)} |", "|---|" + "---:|" * len(tables)]
    for name in next(iter(tables.values())):
        cells = [f"{found[name] / found['F.cross_entropy']:.2f}" for found in tables.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    times = [f"{1000 * found['F.cross_entropy']:.1f} ms" for found in tables.values()]
    return [*lines, f"| F.cross_entropy itself | {' | '.join(times)} |"]


def measured(options: argparse.Namespace, threads: int, setting: dict[str, str]) -> dict[str, dict[str, float]]:
    """Measure all shapes in a process with this setting."""
    # The allocator reads its settings when a process begins.
    command = [sys.executable, "-m", "benchmarks.few_classes", "--measure", "--threads", str(threads)]
    command += ["--rounds", str(options.rounds), "--shapes", *options.shapes]
    kept = {name: value for name, value in os.environ.items() if name not in WARM}
    done = subprocess.run(command, check=True, env=kept | setting, stdout=subprocess.PIPE, text=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.measure:
        torch.set_num_threads(options.threads[0])
        print(json.dumps({shape: least(shape, options.rounds) for shape in options.shapes}))
        return
    about = machine(argparse.Namespace(device="cpu", dtype="float32", threads=max(options.threads))) | {
        "clock": "wall time"
    }
    lines = ["# The pass at few and many classes, as multiples of `F.cross_entropy`", ""]
    lines += [(__doc__ or "").split("\n\n")[2], "", told(about)]
    file = RESULTS / f"few_classes_{about['instructions'].lower()}.md"
    for name, setting in SETTINGS.items():
        for threads in options.threads:
            lines += markdown(f"{threads} thread(s), {name}", measured(options, threads, setting))
            write_text(file, "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Time and weigh every loss of the atlas and its peers: forward and backward, in one process, on one thread.

    python -m benchmarks [--shapes 2x3x96x96x96 ...] [--rounds 5] [--only NAME ...] [--device cuda] [--dtype ...]

Times are medians of rounds in which all calls take turns: processor time, which other work on the machine disturbs
least, wall time with several threads, or device events on CUDA. Memory is the growth of the resident set of a fresh
process, on CUDA the allocator's count. Writes `benchmarks/results/losses.json` and `.md`, again after every row.
`benchmarks/peers/libraries.py` says how to install the other libraries.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.clock import Outcome, say
from benchmarks.memory import give_back_freed_memory, keep_freed_memory, weigh
from benchmarks.peers import MAPPED, Call, Entry, all_peers, floor
from benchmarks.table import Row, load, machine, markdown, rows, save
from torch import Tensor

import lossodyssey as lo
from benchmarks import clock

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CPU_SHAPES = ["2x3x96x96x96", "1x14x96x96x96", "2x2x512x512", "1x118x96x96x96"]
GPU_SHAPES = ["2x3x128x128x128", "2x16x128x128x128", "1x118x128x128x128"]
TIMED_ON_CPU = 32 << 20
"""Logits above which a shape is weighed on the CPU, not timed."""
EXTRA = {
    "Dice + CE + Focal": "Dice() + CrossEntropy() + Focal()",
    "GeneralizedDice + Focal": "GeneralizedDice() + Focal()",
    "Blobs of DiceCE": "Blobs(loss=DiceCE())",
}
HIDDEN, PARTLY = "Marginal, a class hidden", "Marginal, other classes in each sample"
"""Rows of partial labels, which need three classes and have no peer: measured where they are named."""
GRAPH = "CenterlineDice, torch.compile"
"""The loss whose own operator stays whole in a compiled graph: measured where it is named."""
REFERENCES = ("floor", "F.cross_entropy")


def batch(shape: str, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Draw logits of a half-trained network and smooth labels."""
    # Objects rather than noise: skeletons, transforms and sorting depend on the shapes of the labels.
    samples, classes, *space = (int(n) for n in shape.split("x"))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(samples, classes, *(max(2, n // 12) for n in space), generator=generator)
    coarse[:, 0] += 1
    labels = F.interpolate(coarse, space, mode="trilinear" if len(space) == 3 else "bilinear").argmax(1)
    logits = torch.randn(samples, classes, *space, generator=generator)
    # + 2 for the true class: right in most voxels, wrong in many, as in the middle of training.
    logits.scatter_add_(1, labels[:, None], torch.full((samples, 1, *space), 2.0))
    return logits.to(device, dtype).requires_grad_(), labels.to(device)


APART = {
    "BettiMatching",
    "BettiPrior",
    "Blobs",
    "MorseSkeleton",
    "MumfordShah",
    "PersistenceMatching",
    "Topograph",
    "WeightedHausdorff",
}
"""Losses whose time depends on the number of objects or points, or that need an image: rows like these say little."""


def measured_losses() -> list[str]:
    """List the losses of the package itself: neither users' own, which have no peer, nor the variants as released."""
    return [card.name for card in lo.atlas() if card.category not in ("as_released", "custom")]


def our_entries() -> dict[str, Entry]:
    """List every loss of the atlas at its defaults; those with maps twice, the maps given or made in the call."""
    names = [name for name in measured_losses() if name not in APART]
    found: dict[str, Entry] = {}
    for name, text in ({name: f"{name}()" for name in names} | EXTRA).items():
        loss = lo.parse(text)
        if name in MAPPED:
            found[name] = Entry(name, _with_maps(loss), text, maps=partial(lo.maps_for, loss), ours=True)
        made = f"{name}, map made" if name in MAPPED else name
        found[made] = Entry(made, loss, text, ours=True)
    return found


def partial_entries() -> dict[str, Entry]:
    """List the rows of partial labels: a class that no sample has, and other annotated classes in each sample."""
    hidden = lo.Marginal(hidden=(1,))
    return {HIDDEN: Entry(HIDDEN, hidden, repr(hidden), ours=True), PARTLY: Entry(PARTLY, partly_annotated, ours=True)}


def graph_entries() -> dict[str, Entry]:
    """List the row of a loss in a compiled graph, beside the same loss without one."""
    loss = lo.CenterlineDice()
    return {GRAPH: Entry("CenterlineDice", torch.compile(loss), repr(loss), compiled=True)}


def partly_annotated(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the marginal loss of samples that each lack the annotations of one class, another one in the next."""
    samples, classes = logits.shape[:2]
    if classes < 3:
        raise ValueError(f"{classes} classes; expected two of foreground or more, of which one can be hidden")
    annotated = torch.ones(samples, classes, dtype=torch.bool)
    for sample in range(samples):
        annotated[sample, 1 + sample % (classes - 1)] = False
    return lo.Marginal()(logits, labels, annotated=annotated)


def _with_maps(loss: lo.Loss) -> Call:
    return lambda logits, labels, maps: loss(logits, labels, maps=maps)


def entries(options: argparse.Namespace) -> dict[str, Entry]:
    """Choose the rows to measure: all that fit the device, or the named ones and the references.

    Raises:
        ValueError: a named row does not exist.
    """
    found = {"floor": Entry("", floor), **our_entries(), **all_peers(EXTRA, options.only)}
    named = partial_entries() | graph_entries()
    found |= {name: entry for name, entry in named.items() if name in options.only}
    if unknown := set(options.only) - set(found):
        raise ValueError(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    if options.only:
        return {name: entry for name, entry in found.items() if name in (*REFERENCES, *options.only)}
    return {name: entry for name, entry in found.items() if options.device == "cuda" or not entry.compiled}


def measure(
    shape: str, found: dict[str, Entry], logits: Tensor, labels: Tensor, options: argparse.Namespace
) -> list[Row]:
    """Measure the rows of one shape; rows for memory alone are not timed."""
    cuda, outcomes = options.device == "cuda", {name: Outcome() for name in found}
    for name, entry in found.items():
        if logits.numel() > entry.limit and name not in options.only:
            outcomes[name] = Outcome(status="not run", reason=f"takes minutes above {entry.limit} logits")
    # Processor time adds up over threads, so several threads are timed by the clock on the wall.
    timer = clock.device_time if cuda else clock.processor_time if options.threads == 1 else clock.wall_time
    if options.rounds and (cuda or logits.numel() <= TIMED_ON_CPU):
        run = {name: entry for name, entry in found.items() if outcomes[name].status == "ok"}
        outcomes |= clock.times(run, logits, labels, options.rounds, timer, warm_ups=2 if cuda else 1)
    size = logits.numel() * logits.element_size()
    return rows(shape, found, outcomes, size, clock.copied_bytes_per_second(options.device, timer))


def weigh_apart(row: Row, options: argparse.Namespace) -> Row:
    """Measure the memory of a row in a fresh process."""
    # The peak of the resident set never falls within a process: the largest row would stand for all later ones.
    command = [sys.executable, "-m", "benchmarks", "--weigh", "--only", row["call"], "--shapes", row["shape"]]
    done = subprocess.run([*command, "--dtype", options.dtype], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        # Linux kills the process that takes too much, which leaves no message behind.
        status = "out of memory" if done.returncode == -signal.SIGKILL else "failed"
        return {"status": status, "reason": (done.stderr.splitlines() or ["killed"])[-1]}
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def weigh_on_device(found: dict[str, Entry], row: Row, options: argparse.Namespace) -> Row:
    """Measure the memory of a row in this process, by the allocator's count."""
    return weigh(found[row["call"]], *batch(row["shape"], options.device, getattr(torch, options.dtype)))


def weigh_here(entry: Entry, shape: str, options: argparse.Namespace) -> Row:
    """Measure the memory of one call in this process, after a pass on fewer voxels has loaded everything."""
    give_back_freed_memory()
    samples, classes, *space = (int(n) for n in shape.split("x"))
    fewer = [max(8, 2 * n // 3) for n in space]  # as many as the same back end is chosen for
    weigh(entry, *batch("x".join(map(str, [samples, classes, *fewer])), options.device, torch.float32))
    return weigh(entry, *batch(shape, options.device, getattr(torch, options.dtype)))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all rows asked for, and save the report after every step."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    found = entries(options)
    report: dict[str, Any] = {"machine": machine(options), "rows": []}
    if options.resume:
        report = load(RESULTS / options.output)
    timed = {row["shape"] for row in report["rows"]}
    for shape in (shape for shape in options.shapes if shape not in timed):
        say(f"{shape}, {options.dtype}")
        given = batch(shape, options.device, getattr(torch, options.dtype))
        report["rows"] += measure(shape, found, *given, options)
        save(report, RESULTS / options.output)

    # Our rows first: a run that is stopped early has measured the losses that bars.py asks about.
    left = [row for row in report["rows"] if row["status"] == "ok" and "peak" not in row]
    weighed = [] if options.no_memory else sorted(left, key=lambda row: not row["ours"])
    for k, row in enumerate(weighed, 1):  # after all timing, so that the machine may then do other work
        say(f"  memory {k} of {len(weighed)}: {row['call']}, {row['shape']}")
        row |= weigh_on_device(found, row, options) if options.device == "cuda" else weigh_apart(row, options)
        save(report, RESULTS / options.output)
    return report


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--shapes", nargs="+", help="NxCxS...; default: the sizes of the published table")
    found.add_argument("--rounds", type=int, help="default: 5, on CUDA 20; 0: memory only")
    found.add_argument("--only", nargs="*", default=[], metavar="NAME", help="rows by name; default: all")
    found.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    found.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--no-memory", action="store_true", help="time only")
    found.add_argument("--output", default="losses", help="name of the two files in benchmarks/results")
    found.add_argument("--resume", action="store_true", help="keep what the output has, and measure what it lacks")
    found.add_argument("--weigh", action="store_true", help=argparse.SUPPRESS)
    return found


def main() -> None:
    options = parser().parse_args()
    cuda = options.device == "cuda"
    options.shapes = options.shapes or (GPU_SHAPES if cuda else CPU_SHAPES)
    options.rounds = (20 if cuda else 5) if options.rounds is None else options.rounds
    warnings.simplefilter("ignore")
    if options.weigh:
        torch.set_num_threads(1)
        print(json.dumps(weigh_here(entries(options)[options.only[0]], options.shapes[0], options)))
        return
    try:
        print(markdown(run(options)))
    except ValueError as mistake:
        sys.exit(f"error: {mistake}")

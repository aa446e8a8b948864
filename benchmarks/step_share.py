"""Measure what share of a training step every loss takes, in 3D and in 2D, with the network of the light engine.

    python -m benchmarks.step_share [--shapes 2x3x64x64x64 2x3x512x512]

The step is the two passes of the network, its optimizer, the value and the gradient of the loss, and the auxiliary
values that a loader makes of the labels, all on one core; the patch holds as many voxels as the light engine takes at
most. Each time is the least processor time of several calls in one process.

Writes `benchmarks/results/step_share.json` and `.md` again after every row, and goes on where they end.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from benchmarks.losses import RESULTS, batch, measured_losses
from benchmarks.memory import keep_freed_memory
from benchmarks.peers import cross_entropy, floor
from benchmarks.table import machine
from torch import Tensor

import lossodyssey as lo
from lossodyssey.atomic import write_text
from lossodyssey.core.class_weights import count_classes, with_class_weights
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings

SHAPES = ["2x3x64x64x64", "2x3x512x512"]
LIMITS = (0.05, 0.1)
"""The losses up to these shares are counted; those above the last are named."""
REFERENCES = {"floor": floor, "F.cross_entropy": cross_entropy}
ROUNDS, SECONDS = 5, 0.5
"""A call is timed at most so often, and not again once this time has passed."""
Row = dict[str, Any]


def network_step(shape: str) -> Callable[[], None]:
    """Return the step of the network without a loss: the gradient of the logits is given."""
    samples, classes, *space = (int(n) for n in shape.split("x"))
    network = build_network(Settings(), dimensions=len(space), channels=1, classes=classes, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), Settings().learning_rate)
    image, gradient = torch.randn(samples, 1, *space), torch.randn(samples, classes, *space)

    def step() -> None:
        optimizer.zero_grad()
        network(image).backward(gradient)
        torch.nn.utils.clip_grad_norm_(network.parameters(), Settings().clip)
        optimizer.step()

    return step


def least(call: Callable[[], object]) -> float:
    """Return the least milliseconds of a call, of which the first loads and allocates."""
    found, began = once(call), time.process_time()
    for _ in range(ROUNDS):
        if time.process_time() - began > SECONDS:
            break
        found = min(found, once(call))
    return found


def once(call: Callable[[], object]) -> float:
    """Return the milliseconds of a call."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def measure(name: str, logits: Tensor, labels: Tensor) -> Row:
    """Return the milliseconds of a loss and of its auxiliary values, or why it refuses these logits."""
    if name in REFERENCES:
        return {"loss": least(lambda: REFERENCES[name](logits, labels).backward()), "auxiliaries": 0.0}
    classes, image = logits.shape[1], torch.randn(len(logits), 1, *logits.shape[2:])
    try:
        loss = with_class_weights(lo.parse(f"{name}()"), count_classes([labels], classes))
        prepare = lo.Preparation(loss, classes)
        heads = {head: torch.randn_like(logits, requires_grad=True) for head in loss.heads().values()}
        given = {"image": image, "auxiliary": prepare(labels), **({"heads": heads} if heads else {})}

        def call() -> None:
            logits.grad = None
            loss(logits, labels, **given).backward()

        return {"loss": least(call), "auxiliaries": least(lambda: prepare(labels)) if prepare.wanted else 0.0}
    except ValueError as refusal:
        return {"refused": str(refusal)}


def rows(shape: str, known: set[str]) -> Iterator[Row]:
    """Measure every loss that is not known, each beside the network's step, of which the least counts at the end."""
    logits, labels = batch(shape, "cpu", torch.float32)
    step = network_step(shape)
    step()
    for name in (*REFERENCES, *measured_losses()):
        if name not in known:
            yield {"shape": shape, "call": name, "network": once(step), **measure(name, logits, labels)}


def share(row: Row, network: float) -> float:
    """Return what share of the step the loss and its auxiliary values take."""
    own = float(row["loss"] + row["auxiliaries"])
    return own / (own + network)


def markdown(report: dict[str, Any]) -> str:
    about = report["machine"]
    lines = [
        "# The share of the loss in a training step",
        "",
        (__doc__ or "").split("\n\n")[2],
        "",
        f"{about['processor']}, {about['instructions']}, one thread, torch {about['versions']['torch']}, "
        f"load {about['load'][0]}, {about['date']}.",
    ]
    for shape in dict.fromkeys(row["shape"] for row in report["rows"]):
        lines += section(shape, [row for row in report["rows"] if row["shape"] == shape])
    return "\n".join(lines) + "\n"


def section(shape: str, own: list[Row]) -> list[str]:
    """Return the lines of one shape: who takes more than the named share, and the table."""
    network = min(row["network"] for row in own)
    known = sorted((share(row, network), row["call"], row) for row in own if "refused" not in row)
    losses = [(part, name) for part, name, _ in known if name not in REFERENCES]
    counts = [f"at most {limit:.0%} of it for {sum(part <= limit for part, _ in losses)}" for limit in LIMITS]
    above = [f"{name} ({part:.0%})" for part, name in reversed(losses) if part > LIMITS[-1]]
    lines = [
        f"\n## {shape}\n",
        f"The network's part of the step takes {network:.0f} ms. Of {len(losses)} losses, loss and auxiliary values "
        f"take {' and '.join(counts)}. More take {', '.join(above) or 'none'}.",
    ]
    lines += ["", "| loss | ms | auxiliaries, ms | share |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {row['loss']:.1f} | {row['auxiliaries']:.1f} | {part:.1%} |" for part, name, row in known]
    refused = [f"- {row['call']}: {row['refused']}" for row in own if "refused" in row]
    return [*lines, *(["", "Refused, as by a training:", "", *refused] if refused else [])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="NxCxS...")
    shapes = parser.parse_args().shapes
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    keep_freed_memory()
    path = RESULTS / "step_share.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    about = machine(argparse.Namespace(device="cpu", dtype="float32", threads=1))
    report: dict[str, Any] = {"machine": about, "rows": kept}
    for shape in shapes:
        for row in rows(shape, {row["call"] for row in kept if row["shape"] == shape}):
            report["rows"].append(row)
            write_text(path, json.dumps(report, indent=1) + "\n")
            write_text(path.with_suffix(".md"), markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

"""Measure the light engine with every loss of the atlas: steps per second of processor, and where their time goes.

    python -m benchmarks.engine            # go on where the kept results end, write results/engine.csv and the page
    python -m benchmarks.engine --page     # write the page docs/engine_speed.md of what is kept

The network, the patch and the batch are those that `lossodyssey train phantom` takes by default, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch
from benchmarks.table import machine

import lossodyssey as lo
from lossodyssey.atomic import write_text, writing
from lossodyssey.core.class_weights import with_class_weights
from lossodyssey.data import read_dataset, write_phantom
from lossodyssey.data.caching import cache
from lossodyssey.data.patches import CachedCase, patch_shape
from lossodyssey.training.parts import PARTS
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit
from lossodyssey.training.truth import count_targets

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results" / "engine.csv", HERE.parent / "docs" / "engine_speed.md"
CASES, CLASSES, STEPS, WARM_UP = 4, 5, 10, 2
NAMED = 0.05
"""Parts with a larger share of the time are named."""

Figures = dict[str, float]


def losses() -> list[str]:
    """List the losses of the atlas."""
    return [card.name for card in lo.atlas() if card.category not in ("as_released", "custom")]


def measure(name: str, cases: Sequence[CachedCase]) -> Figures:
    """Return steps per second of processor time and the share of each part, after a training that warms up."""
    counts = count_targets((case.labels for case in cases), CLASSES)
    patch = patch_shape(cases, Settings().divisor)

    def train(steps: int) -> Figures:
        settings = Settings(steps=steps, patch=patch, device="cpu")
        began = time.process_time()
        outcome = fit(with_class_weights(lo.parse(f"{name}()"), counts), cases, settings, classes=CLASSES, seed=0)
        shares = {part: outcome.parts[part] / outcome.seconds for part in PARTS}
        # Processor time: other work on the machine disturbs it least.
        return {"steps per second": steps / (time.process_time() - began), **shares}

    train(WARM_UP)
    return train(STEPS)


def kept() -> dict[str, Figures]:
    """Read the figures of the losses that are done."""
    if not RESULTS.is_file():
        return {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return {line.pop("name"): {key: float(value) for key, value in line.items()} for line in csv.DictReader(file)}


def keep(found: Mapping[str, Figures]) -> None:
    """Write the figures of all losses that are done."""
    with writing(RESULTS) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "steps per second", *PARTS])
        writer.writerows([name, *(f"{value:.4g}" for value in own.values())] for name, own in found.items())


def execute() -> None:
    """Measure the losses that are left, and keep every one as it comes."""
    found = kept()
    with tempfile.TemporaryDirectory() as folder:
        write_phantom(folder, cases=CASES)
        dataset = read_dataset(Path(folder))
        cases = cache(dataset, dataset.cases)
        for name in losses():
            if name not in found:
                found[name] = measure(name, cases)
                keep(found)
                print(name, found[name], flush=True)


def page(found: Mapping[str, Figures], about: str) -> str:
    """Return the text of the page."""
    lines = [
        f"| {name} | {own['steps per second']:.1f} | {' | '.join(f'{own[part]:.0%}' for part in PARTS)} |"
        for name, own in sorted(found.items(), key=lambda item: -item[1]["steps per second"])
    ]
    head = [
        "| loss | steps per second | waiting for data | network | loss | auxiliaries |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([HEAD.format(steps=STEPS, about=about), *head, *lines, "", *_named(found), ""])


def _named(found: Mapping[str, Figures]) -> list[str]:
    """Name everything beside the network that takes more than a twentieth of the time of some loss."""
    said = [f"Above {NAMED:.0%} of a training's time, beside the network:", ""]
    titles = {"loss": "The value of the loss", "auxiliaries": "Auxiliary values", "data": "Waiting for data"}
    for part, title in titles.items():
        own = sorted(((found[name][part], name) for name in found if found[name][part] > NAMED), reverse=True)
        named = ", ".join(f"{name} ({share:.0%})" for share, name in own)
        said.append(f"- **{title}**, {len(own)} of {len(found)} losses: {named or 'no loss'}.")
    return said


HEAD = """# The speed of the light engine

The time of a training step with every loss of the atlas at its defaults, on the phantom, with the network, the patch
and the batch of `lossodyssey train phantom`: {about}. One training of {steps} steps, after one that warms
up. `python -m benchmarks.engine` repeats it. Every run keeps the seconds of its parts in `run.json`, as `parts`.

- **Steps per second** of processor time, that of both threads together. With two free cores there are more.
- **Waiting for data**: the thread that makes the batches was not ready.
- **Network**: its forward pass, the backward pass and the optimizer, as a share of the wall time, as all that follow.
  The backward pass holds the loss's own part of it, which cannot be told from the network's.
- **Loss**: the value of the loss, from the logits.
- **Auxiliaries**: distances, skeletons or components of the truth. The thread that makes batches makes them while the
  step before trains, so they cost no time as long as a core is free. Where none is free, other columns grow by it.
"""


def _about() -> str:
    """Describe the machine."""
    told = machine(argparse.Namespace(device="cpu", dtype="float32", threads=1))
    load = os.getloadavg()[0]
    return (
        f"{told['processor']}, {told['cores']} cores, one thread and one for the batches, load {load:.0f}, "
        f"torch {told['versions']['torch']}, {date.today().isoformat()}"
    )


def main() -> None:
    """Measure what is left, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="write the page of what is kept, measure nothing")
    torch.set_num_threads(1)
    if not parser.parse_args().page:
        execute()
    write_text(PAGE, page(kept(), _about()))


if __name__ == "__main__":
    main()

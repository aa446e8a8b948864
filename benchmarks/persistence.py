"""Time persistent homology of rough and smooth fields, with its gradient, against gudhi, in one process on one thread.

    python -m benchmarks.persistence [--repeats 3]

Least processor times of calls that take turns; gudhi computes all dimensions at once and is timed once. The features
are compared by their number. Writes `benchmarks/results/persistence.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from benchmarks.clock import processor_time, say
from benchmarks.losses import RESULTS
from benchmarks.table import machine
from scipy.ndimage import gaussian_filter
from torch import Tensor

import lossodyssey as lo
from lossodyssey import native
from lossodyssey.atomic import write_text
from lossodyssey.kernels.persistence import persistence

SHAPES = ((256, 256), (512, 512), (48, 48, 48), (96, 96, 96))
LOSSES = ("PersistenceMatching()", "BettiPrior()", "BettiMatching()", "MorseSkeleton()")
SIGMAS = {"rough": 0.7, "smooth": 2.5}


def noise(shape: tuple[int, ...], sigma: float) -> Tensor:
    """Draw Gaussian noise, smoothed, in 0..1."""
    values = gaussian_filter(np.random.default_rng(0).standard_normal(shape), sigma)
    return torch.from_numpy((values - values.min()) / (values.max() - values.min())).float()


def lengths(field: Tensor, dimension: int) -> Callable[[], None]:
    """Return the work of the features of a dimension, and of the gradient of the sum of their squared lengths."""

    def work() -> None:
        leaf = field.clone().requires_grad_()
        pairs = persistence(leaf, "full", (dimension,))[dimension]
        born, dies = leaf.flatten()[pairs.clamp(min=0)].unbind(1)
        torch.autograd.backward(((born - dies) ** 2).sum())

    return work


def loss_of(text: str, field: Tensor) -> Callable[[], None]:
    """Return the work of a loss of one class, with its gradient."""
    logits, labels, loss = torch.logit(field[None, None], 1e-6), (field > 0.5)[None].long(), lo.parse(text)

    def work() -> None:
        torch.autograd.backward(loss(logits.clone().requires_grad_(), labels))

    return work


def all_by_gudhi(field: Tensor) -> Callable[[], None]:
    """Return the work of gudhi: the features of all dimensions, and their voxels."""
    import gudhi

    def work() -> None:
        image = gudhi.CubicalComplex(top_dimensional_cells=-field.numpy().astype(np.float64))
        image.compute_persistence(homology_coeff_field=2)
        image.cofaces_of_persistence_pairs()

    return work


def measure(shape: tuple[int, ...], name: str, repeats: int) -> dict[str, Any]:
    """Measure the least times in milliseconds of one field."""
    field, highest = noise(shape, SIGMAS[name]), len(shape) - 1
    works = {
        "dimension 0": lengths(field, 0),
        f"dimension {highest}": lengths(field, highest),
        **{text: loss_of(text, field) for text in LOSSES},
        "gudhi": all_by_gudhi(field),
    }
    times = dict.fromkeys(works, math.inf)
    for turn in range(repeats):
        for tool, work in works.items():
            if turn == 0 or times[tool] < 3000:
                times[tool] = min(times[tool], 1000 * processor_time(work))
    found = persistence(field, "full", (0, highest))
    row = f"{'x'.join(map(str, shape))}, {name}"
    say(f"{row}: {', '.join(f'{tool} {taken:.1f} ms' for tool, taken in times.items())}")
    return {"name": row, "milliseconds": times, "features": {k: len(pairs) for k, pairs in found.items()}}


def markdown(report: dict[str, Any]) -> str:
    about = report["machine"]
    lines = [
        "# Persistent homology against gudhi\n",
        f"{about['processor']} ({about['instructions']}), one thread, least processor time, load {about['load'][0]}; "
        f"torch {about['versions']['torch']}, gudhi {report['gudhi']}; "
        f"{'compiled code' if report['compiled'] else 'no C compiler at hand'}; {about['date']}.\n",
        "Noise under a Gaussian of 0.7 (rough) or 2.5 voxels (smooth). Milliseconds, the gradient included.\n",
        "| | features of dimensions 0 and highest | dimension 0 | highest | gudhi, all | gudhi / both | "
        f"{' | '.join(text[:-2] for text in LOSSES)} |",
        f"|---|{(5 + len(LOSSES)) * '---:|'}",
    ]
    for row in report["rows"]:
        first, last, *losses, gudhi = row["milliseconds"].values()
        cells = [" and ".join(map(str, row["features"].values())), f"{first:.0f}", f"{last:.0f}", f"{gudhi:.0f}"]
        cells += [f"{gudhi / (first + last):.0f}", *(f"{taken:.0f}" for taken in losses)]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each call; the least time counts")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rows = [measure(shape, name, repeats) for shape in SHAPES for name in SIGMAS]
    setting = argparse.Namespace(device="cpu", threads=1, dtype="float32")
    report = {"machine": machine(setting), "compiled": native.library() is not None, "rows": rows}
    from importlib.metadata import version

    report["gudhi"] = version("gudhi")
    write_text(RESULTS / "persistence.json", json.dumps(report, indent=1) + "\n")
    write_text(RESULTS / "persistence.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

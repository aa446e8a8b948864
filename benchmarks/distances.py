"""Time and check the distance transforms against two scipy transforms per class, in one process on one thread.

    python -m benchmarks.distances [--repeats 5]

Least processor times of calls that take turns, and the largest difference, relative to scipy's distance. Writes
`benchmarks/results/distances.json` and `.md`. Also times the `edt` package, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.clock import processor_time, say
from benchmarks.losses import RESULTS, batch
from benchmarks.table import machine
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from lossodyssey import native
from lossodyssey.atomic import write_text
from lossodyssey.distance import signed, two_sided
from lossodyssey.distance.cpu import fast_package

Fields = Callable[[], Tensor]
Calls = dict[str, Fields]


def by_scipy(masks: Tensor, spacing: tuple[float, ...], sign: int) -> Tensor:
    """Compute EDT(not G) + sign EDT(G) of every class: two transforms each."""
    pairs = ((distance_transform_edt(~mask, spacing), distance_transform_edt(mask, spacing)) for mask in flat(masks))
    return torch.stack([torch.from_numpy(outside + sign * inside) for outside, inside in pairs]).reshape(masks.shape)


def by_edt(masks: Tensor, spacing: tuple[float, ...], sign: int) -> Tensor:
    """Compute the same by the package `edt`, with one transform of two labels."""
    # Labels 1 and 2: to the package, which measures to the next other label, both sides are foreground.
    package: Any = fast_package()
    found = [package.edt(mask + np.uint8(1), anisotropy=spacing, parallel=1) for mask in flat(masks)]
    distances = torch.from_numpy(np.stack(found)).reshape(masks.shape)
    return torch.where(masks, sign * distances, distances)


def flat(masks: Tensor) -> Any:
    return masks.flatten(0, 1).numpy()


def cases() -> Iterator[tuple[str, Calls]]:
    """Yield fields of smooth labels, and of one object far from most voxels."""
    _, labels = batch("2x3x96x96x96", "cpu", torch.float32)
    masks = torch.stack([labels == label for label in range(3)], 1)
    for spacing in ((1.0, 1.0, 1.0), (2.5, 1.0, 0.8)):
        about = f"2x3x96^3, {' x '.join(f'{step:g}' for step in spacing)} mm"
        yield f"two-sided, {about}", calls(masks, spacing, 1, lambda s=spacing: two_sided(labels, 3, s))
        yield f"signed, {about}", calls(masks, spacing, -1, lambda s=spacing: signed(labels, 3, s, "none"))
        inner = calls(masks, spacing, -1, lambda s=spacing: signed(labels, 3, s))
        yield f"signed, 0 on the edge voxels, {about}", inner
    # The worst case of a search that widens step by step, which must not be taken: almost every voxel is far away.
    for shape in ((512, 512), (1024, 1024), (100, 256, 256)):
        far = torch.zeros(1, 1, *shape, dtype=torch.bool)
        far[(..., *(slice(5, 15),) * len(shape))] = True
        name = f"two-sided, one object in a corner of {'x'.join(map(str, shape))}"
        yield name, calls(far, (1.0,) * len(shape), 1, lambda masks=far: two_sided(masks))


def calls(masks: Tensor, spacing: tuple[float, ...], sign: int, ours: Fields) -> Calls:
    found: Calls = {"ours": ours, "scipy": lambda: by_scipy(masks, spacing, sign)}
    if fast_package() is not None:
        found["edt"] = lambda: by_edt(masks, spacing, sign)
    return found


def measure(name: str, found: Calls, repeats: int) -> dict[str, Any]:
    """Measure the least times in milliseconds, and how far ours is from scipy; None where the conventions differ."""
    # The least of several turns: other work on the machine only ever adds time.
    times = dict.fromkeys(found, math.inf)
    for _ in range(repeats):
        for tool, fields in found.items():
            times[tool] = min(times[tool], 1000 * processor_time(fields))
    expected = found["scipy"]()
    difference = ((found["ours"]() - expected).abs() / expected.abs().clamp(min=1e-9)).max().item()
    say(f"{name}: {', '.join(f'{tool} {taken:.1f} ms' for tool, taken in times.items())}")
    return {"name": name, "milliseconds": times, "difference": None if "edge" in name else difference}


def markdown(report: dict[str, Any]) -> str:
    about = report["machine"]
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("torch", "numpy", "scipy", "edt"))
    lines = [
        "# Distance transforms against two scipy transforms per class\n",
        f"{about['processor']} ({about['instructions']}), one thread, least processor time, load {about['load'][0]}; "
        f"{versions}; {'compiled code' if report['compiled'] else 'no C compiler at hand'}; {about['date']}.\n",
        "| | ours, ms | scipy, ms | edt, ms | ours / scipy | largest relative difference |",
        "|---|---:|---:|---:|---:|---:|",
    ]

    for row in report["rows"]:
        times, difference = row["milliseconds"], row["difference"]
        cells = [f"{times[tool]:.1f}" if tool in times else "-" for tool in ("ours", "scipy", "edt")]
        cells += [f"{times['ours'] / times['scipy']:.3f}", "-" if difference is None else f"{difference:.1e}"]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", "A signed field that is 0 on the edge voxels is not scipy's number; its time is.", ""]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each call; the least time counts")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rows = [measure(name, found, repeats) for name, found in cases()]
    setting = argparse.Namespace(device="cpu", threads=1, dtype="float32")
    report = {"machine": machine(setting), "compiled": native.library() is not None, "rows": rows}
    write_text(RESULTS / "distances.json", json.dumps(report, indent=1) + "\n")
    write_text(RESULTS / "distances.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

"""The compiled pass by every set of instructions of this processor, and by `-march=native`.

`python -m benchmarks.instructions` prints ratios of processor time on one thread, of calls that take turns.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from benchmarks.clock import processor_time

import lossodyssey as lo
from lossodyssey import native
from lossodyssey.native import compiler, toolchain
from lossodyssey.native.toolchain import Library

CASES = (("DiceCE", (2, 3, 64, 64, 64)), ("DiceCE", (1, 14, 64, 64, 64)), ("Focal", (2, 3, 64, 64, 64)))
ROUNDS = 9


def libraries(folder: Path) -> Iterator[tuple[str, Library]]:
    """Compile one library of all variants and one for this processor alone, and yield what this one can run."""
    known = compiler.variants()
    (folder / "all.so").write_bytes(compiler.compiled(known))
    for name in known[: known.index(toolchain.instructions()) + 1]:
        yield name, toolchain.load(folder / "all.so", name)
    os.environ[compiler.MORE_FLAGS] = "-march=native"
    (folder / "native.so").write_bytes(compiler.compiled([compiler.BASELINE]))
    yield "-march=native", toolchain.load(folder / "native.so", compiler.BASELINE)


def medians(work: Callable[[], object], found: dict[str, Library]) -> dict[str, float]:
    """Return the median seconds of `work` by each library, which take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(ROUNDS):
        for name, library in found.items():
            outcome = native.Outcome(library.loaded, library.path, library.instructions, library.functions)
            native.outcome = lambda outcome=outcome: outcome  # type: ignore[assignment]
            seconds[name].append(processor_time(work))
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def main() -> None:
    """Print a line per loss and shape: times as multiples of the best variant's."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = dict(libraries(Path(folder)))
        for name, shape in CASES:
            loss, logits = lo.parse(f"{name}()"), torch.randn(shape, requires_grad=True)
            labels = torch.randint(shape[1], (shape[0], *shape[2:]))
            times = medians(lambda loss=loss, x=logits, y=labels: loss(x, y).backward(), found)  # type: ignore[misc]
            ratios = ", ".join(f"{key} {value / times[toolchain.instructions()]:.2f}" for key, value in times.items())
            print(f"{name} {'x'.join(map(str, shape))}: {ratios}", flush=True)


if __name__ == "__main__":
    main()

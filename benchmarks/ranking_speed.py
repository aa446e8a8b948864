"""Time and memory of a ranking: simulated tables through `lossodyssey rank`.

    python benchmarks/ranking_speed.py

Prints seconds of processor time, seconds on the clock and peak memory of a process of its own per table.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lossodyssey.table import Row, write_rows

SIZES = {
    "27 losses, 4 tasks, 3 metrics, 100 cases, 5 seeds": (27, 4, 3, 100, 5),
    "30 losses, 10 tasks, 1 metric, 200 cases, 3 seeds": (30, 10, 1, 200, 3),
}
METRICS = ("DSC", "NSD", "HD95")


def rows(losses: int, tasks: int, metrics: int, cases: int, seeds: int) -> list[Row]:
    """Draw a table with noise of cases, trainings and scores."""
    rng = np.random.default_rng(0)
    # The noises of cases, trainings and scores are those of a usual study: their sizes decide how many tests are exact.
    values = 0.8 + 0.05 * rng.normal(size=(1, tasks, 1, cases)) + 0.005 * rng.normal(size=(losses, tasks, seeds, 1))
    values = np.clip(values + 0.03 * rng.normal(size=(losses, tasks, seeds, cases)), 0, 1)
    return [
        Row(f"loss {i}", f"task {t}", 0, s, f"case {c}", "object", m, float(value if m != "HD95" else 20 * (1 - value)))
        for (i, t, s, c), value in np.ndenumerate(values)
        for m in METRICS[:metrics]
    ]


def main() -> None:
    """Rank every table in a process of its own and print its time and memory."""
    print("| table | rows | processor | clock | peak |\n|---|---|---|---|---|")
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cases.csv"
            write_rows(path, rows(*size))
            code = "import sys; from lossodyssey.__main__ import main; sys.argv.insert(1, 'rank'); main()"
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([sys.executable, "-c", code, str(path)], check=True, stdout=subprocess.DEVNULL)
            after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        count = int(np.prod(size))
        print(f"| {name} | {count:,} | {spent:.0f} s | {clock:.0f} s | {after.ru_maxrss / 1024:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()

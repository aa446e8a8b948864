"""Are the statements of a ranking as sure as they claim? Simulated tables with known truth.

    python benchmarks/ranking_calibration.py [tables per setting, default 1000]

Prints, per setting: share of tables with a false statement (family-wise error, at most 0.05 promised), share of tables
in which every rank interval holds the true ranks (0.95 promised), width of the intervals, and how often a loss that
leads in a given share of the resampled rankings is truly the best.
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking import Ranking, rank
from lossodyssey.ranking.bootstrap import bootstrap, top_frequency
from lossodyssey.table import Row

Floats = NDArray[np.float64]

SETTINGS = {
    "all equal": np.zeros(10),
    "one better": np.r_[0.02, np.zeros(9)],
    "two groups": np.r_[np.full(5, 0.02), np.zeros(5)],
    "evenly graded": np.linspace(0.03, 0, 10),
}
SAMPLES = (10, 20, 50, 100)
NOISES = ("normal", "heavy", "skewed")
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)


def simulate(truth: Floats, cases: int, noise: str, rng: np.random.Generator) -> list[Row]:
    """One task, one metric: true mean per loss, a shared effect per case, noise of standard deviation 0.06."""
    draw = {
        "normal": lambda size: rng.normal(size=size),
        "heavy": lambda size: rng.standard_t(3, size=size) / np.sqrt(3),
        "skewed": lambda size: 1 - rng.exponential(size=size),
    }[noise]
    values = 0.7 + truth[:, None] + 0.1 * rng.normal(size=cases) + 0.06 * draw((len(truth), cases))
    return [
        Row(f"loss {i}", "simulated", 0, 0, f"case {j}", "object", "DSC", float(value))
        for (i, j), value in np.ndenumerate(values)
    ]


def true_ranks(truth: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last rank that a loss shares with its equals."""
    ahead = (truth[None] > truth[:, None]).sum(axis=1)
    return ahead + 1, (truth[None] >= truth[:, None]).sum(axis=1)


def intervals(ranking: Ranking, truth: Floats) -> tuple[bool, bool, float]:
    """Whether some Holm statement is false, whether all intervals hold the true ranks, and their mean width."""
    order = [int(loss.split()[1]) for loss in ranking.losses]
    own = truth[order]
    low, high = true_ranks(own)
    found = ranking.overall
    false = bool((found.better & (own[:, None] <= own[None])).any())
    covered = bool(((found.rank_low <= low) & (found.rank_high >= high)).all())
    return false, covered, float((found.rank_high - found.rank_low + 1).mean())


def check_intervals(tables: int) -> None:
    """Print false statements and coverage of all settings."""
    print(f"{'truth':14} {'noise':7} cases  false  covered  width of 10")
    for name, truth in SETTINGS.items():
        for noise in NOISES:
            for cases in SAMPLES:
                rng = np.random.default_rng(0)
                found = [intervals(rank(simulate(truth, cases, noise, rng)), truth) for _ in range(tables)]
                false, covered, width = np.mean(found, axis=0)
                print(f"{name:14} {noise:7} {cases:5} {false:6.3f} {covered:8.3f} {width:8.1f}", flush=True)


def check_bootstrap(tables: int, draws: int = 200) -> None:
    """Print how often the loss that led in a share of the draws is truly best, graded truth drawn anew per table."""
    rng = np.random.default_rng(1)
    claimed, best = [], []
    for table in range(tables):
        truth = rng.normal(scale=0.015, size=6)
        ranking = rank(simulate(truth, 50, "normal", rng), method="mean")
        claimed += top_frequency(bootstrap(ranking, draws, seed=table).overall, 1).tolist()
        best += [int(loss.split()[1]) == int(np.argmax(truth)) for loss in ranking.losses]
    shares, hits = np.array(claimed), np.array(best)
    print("led in share of draws   mean share   truly best   losses")
    for low, high in pairwise(BINS):
        own = (shares >= low) & (shares < high)
        print(f"{low:5.2f} to {min(high, 1):4.2f} {shares[own].mean():18.2f} {hits[own].mean():12.2f} {own.sum():8}")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    check_intervals(count)
    check_bootstrap(count)

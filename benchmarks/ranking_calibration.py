"""Are the statements of a ranking as sure as they claim? Simulated tables with known truth.

    python benchmarks/ranking_calibration.py                    # go on where the kept results end, 30 minutes at most
    python benchmarks/ranking_calibration.py --share 1/2        # one of two processes that share the settings
    python benchmarks/ranking_calibration.py --write            # put the tables into docs/calibration.md

A loss has a true mean. Noise of four kinds is added to it, with the standard deviations: `run_sd` per training (loss x
seed); 0.1 per case, the same for all losses; 0.025 per loss and case, the same for all trainings; 0.015 per score. One
line per setting goes to results/ranking_calibration.csv.
"""

from __future__ import annotations

import argparse
import csv
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lossodyssey.ranking import rank
from lossodyssey.ranking.bootstrap import bootstrap, top_frequency
from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.limits import Part, half_width
from lossodyssey.ranking.measures import measure
from lossodyssey.ranking.pairs import compare, signed_ranks
from lossodyssey.ranking.rank import Standing, _tests, pooled_cell, rank_interval
from lossodyssey.ranking.wilcoxon import SignedRank
from lossodyssey.table import Row

Floats = NDArray[np.float64]

HERE = Path(__file__).resolve().parent
RESULTS, SHARES = HERE / "results" / "ranking_calibration.csv", HERE / "results" / "ranking_bootstrap.csv"
PAGE = HERE.parent / "docs" / "calibration.md"
ALPHA, BETTER, SHARED_SD, SCORE_SD = 0.05, 0.02, 0.025, 0.015
TASKS = {"1": (1.0,), "3": (1.0, 1.0, 1.0), "3 unequal": (0.2, 0.5, 1.65)}
"""Per task the factor of the run-to-run deviation; the mean square of the factors is 1."""
RUN_SDS = (0.0, 0.003, 0.006, 0.012)
NOISES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(3, size=size) / np.sqrt(3),
    "skewed": lambda rng, size: 1 - rng.exponential(size=size),
}
FEW = ((2, 2), (3, 2), (5, 3))
"""Losses and seeds for which other limits are tried as well."""
OTHERS = ("banerjee", "satterthwaite", "cochran", "smaller_df")
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)


@dataclass(frozen=True)
class Setting:
    """What one line of the results is about; `better` is the lead of the first loss over all others."""

    tasks: str
    losses: int
    seeds: int
    cases: int
    noise: str
    run_sd: float
    better: float


@dataclass(frozen=True)
class Found:
    """Shares of tables, and of pairs (`covered`, `power`).

    `false` and `power` count statements about retrained losses, `..._networks` those about trained networks.
    """

    false: float
    false_networks: float
    ranks_right: float
    best_kept: float
    best_size: float
    covered: float
    power: float
    power_networks: float


def settings() -> list[Setting]:
    """List all settings, in an order in which every part of the list speaks of all of them."""
    grids = [
        _grid(["1"], (2, 5), (2, 3, 5), (20, 50, 100)),
        _grid(["1"], (2, 5), (1,), (20, 50, 100), noises=("normal",)),
        _grid(["1"], (3,), (2,), (50,)),
        _grid(["1"], (20,), (2, 5), (20, 100)),
        _grid(["1"], (20,), (1,), (20, 100), noises=("normal",)),
        _grid(["3", "3 unequal"], (2, 5), (2, 3, 5), (50,)),
        _grid(["3", "3 unequal"], (20,), (2,), (50,), run_sds=(0.012,)),
    ]
    chosen = [own for grid in grids for own in grid if own.run_sd or own.tasks != "3 unequal"]
    return sorted(chosen, key=lambda own: (zlib.crc32(repr(replace(own, better=0.0)).encode()), own.better))


def _grid(
    tasks: Sequence[str],
    losses: Sequence[int],
    seeds: Sequence[int],
    cases: Sequence[int],
    noises: Sequence[str] = tuple(NOISES),
    run_sds: Sequence[float] = RUN_SDS,
) -> list[Setting]:
    return [Setting(*own) for own in product(tasks, losses, seeds, cases, noises, run_sds, (0.0, BETTER))]


def simulate(setting: Setting, rng: np.random.Generator) -> list[Cell]:
    """Draw one table: a cell per task, larger scores being better."""
    draw = NOISES[setting.noise]
    shape = setting.losses, setting.seeds, setting.cases
    cells = []
    for task, factor in enumerate(TASKS[setting.tasks]):
        scores = 0.7 + 0.1 * rng.normal(size=setting.cases) + SCORE_SD * draw(rng, shape)
        scores += SHARED_SD * draw(rng, (setting.losses, 1, setting.cases))
        scores += factor * setting.run_sd * draw(rng, (*shape[:2], 1)) + truth(setting)[:, None, None]
        cells.append(cell(f"task {task}", scores))
    return cells


def cell(task: str, scores: Floats) -> Cell:
    """Arrange (losses, seeds, cases) scores as `collect` does with the rows of a table."""
    losses, seeds, cases = scores.shape
    return Cell(
        task=task,
        metric="DSC",
        losses=tuple(f"loss {i}" for i in range(losses)),
        cases=tuple(f"case {j}" for j in range(cases)),
        values=scores.mean(axis=1),
        measure=measure("DSC"),
        filled=np.zeros(losses, dtype=np.int64),
        seed_deviation=np.full(losses, np.nan),
        by_run=scores,
        runs=tuple((0, seed) for seed in range(seeds)),
    )


def rows(cells: Sequence[Cell]) -> list[Row]:
    """Write cells as the long table that `rank` reads."""
    return [
        Row(own.losses[i], own.task, 0, seed, own.cases[j], "object", "DSC", float(value))
        for own in cells
        for (i, seed, j), value in np.ndenumerate(own.by_run)
    ]


def truth(setting: Setting) -> Floats:
    """Return the true lead of every loss."""
    return np.r_[setting.better, np.zeros(setting.losses - 1)]


def judge(cells: Sequence[Cell]) -> Standing:
    """Make the overall standing with the tests of `rank`, without the scores, which say nothing here."""
    losses = len(cells[0].losses)
    p = SignedRank.of_pairs(signed_ranks(cells), losses) if len(cells) > 1 else SignedRank(cells[0].oriented)
    tests = _tests(p.p_values(), compare(cells), ALPHA)
    unused = {name: np.zeros(losses) for name in ("score", "significance_score", "mean_rank")}
    return Standing(cell=pooled_cell(cells) if len(cells) > 1 else cells[0], alpha=ALPHA, **unused, **tests)


def found(standing: Standing, lead: Floats) -> Found:
    """Compare the statements of one table with the truth."""
    wrong = lead[:, None] <= lead[None]
    low, high = rank_interval(standing.judged)
    lower, upper = standing.pairs.limits()
    gap, first = lead[:, None] - lead[None], np.triu_indices(len(lead), 1)
    return Found(
        false=float((standing.better_retrained & wrong).any()),
        false_networks=float((standing.better & wrong).any()),
        ranks_right=float(((low <= _rank(wrong, False)) & (high >= _rank(wrong, True))).all()),
        best_kept=float(standing.best_set[0]),
        best_size=float(standing.best_set.sum()),
        covered=float(((lower <= gap) & (gap <= upper))[first].mean()),
        power=float(standing.better_retrained[0, 1:].mean()),
        power_networks=float(standing.better[0, 1:].mean()),
    )


def _rank(wrong: NDArray[np.bool_], last: bool) -> NDArray[np.int64]:
    """Return the first or the last rank that a loss shares with its equals."""
    behind = ~wrong
    return len(wrong) - behind.sum(axis=1) if last else 1 + behind.sum(axis=0)


def others(standing: Standing, lead: Floats) -> list[float]:
    """Tell for each kind of limits, at Bonferroni's level, whether a statement is false, and the share found."""
    losses = len(lead)
    level = ALPHA / (losses * (losses - 1))
    pairs, wrong = standing.pairs, lead[:, None] <= lead[None]
    stated = [pairs.difference > width for width in _widths(level, pairs.cases, pairs.training)]
    return [float(value) for better in stated for value in ((better & wrong).any(), better[0, 1:].mean())]


def _widths(level: float, cases: Part, training: Part) -> list[Floats]:
    """Return half-widths in the order of `OTHERS`."""
    total = cases.variance + training.variance
    both = Part.total([cases, training])
    each = [-stdtrit(part.df, level) for part in (cases, training)]
    mean = np.divide(each[0] * cases.variance + each[1] * training.variance, total, out=each[0] * 0, where=total > 0)
    return [
        half_width(level, [cases, training]),
        half_width(level, [both]),
        mean * np.sqrt(total),
        -stdtrit(np.minimum(cases.df, training.df), level) * np.sqrt(total),
    ]


def measure_setting(setting: Setting, tables: int) -> dict[str, object]:
    """Simulate the tables of one setting and return its line of the results."""
    rng = np.random.default_rng(zlib.crc32(repr(setting).encode()))
    lead = truth(setting)
    standings = [judge(simulate(setting, rng)) for _ in range(tables)]
    shares = np.mean([list(asdict(found(s, lead)).values()) for s in standings], axis=0)
    line: dict[str, object] = {**asdict(setting), "tables": tables}
    line |= {field.name: _text(share) for field, share in zip(fields(Found), shares, strict=True)}
    few = setting.tasks == "1" and (setting.losses, setting.seeds) in FEW
    tried = np.mean([others(s, lead) for s in standings], axis=0) if few else [None] * (2 * len(OTHERS))
    names = [f"{name}_{kind}" for name in OTHERS for kind in ("false", "power")]
    return line | {name: _text(share) for name, share in zip(names, tried, strict=True)}


def _text(share: float | None) -> str:
    return "" if share is None else f"{share:.4g}"


def kept() -> dict[Setting, dict[str, str]]:
    """Read the finished settings."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return {_setting(line): line for line in csv.DictReader(file)}


def _setting(line: dict[str, str]) -> Setting:
    numbers = {name: int(line[name]) for name in ("losses", "seeds", "cases")}
    return Setting(
        tasks=line["tasks"], noise=line["noise"], run_sd=float(line["run_sd"]), better=float(line["better"]), **numbers
    )


def extend(tables: int, minutes: float, share: str) -> None:
    """Measure settings that have no line of as many tables yet, until the time is over."""
    part, parts = (int(number) for number in share.split("/"))
    end = time.monotonic() + 60 * minutes
    done = {setting for setting, line in kept().items() if int(line["tables"]) >= tables}
    left = [s for k, s in enumerate(settings()) if s not in done and k // 2 % parts == part - 1]
    for count, setting in enumerate(left):
        if time.monotonic() > end:
            print(f"{len(left) - count} settings are left; run the command again")
            return
        line = measure_setting(setting, tables)
        _append(line)
        print(f"{count + 1} of {len(left)}: {setting}: false {line['false']}, power {line['power']}", flush=True)


def _append(line: dict[str, object]) -> None:
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(line), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(line)


def measure_bootstrap(tables: int, draws: int = 200) -> None:
    """Write how often the loss that led in a share of the draws is truly best, graded truth drawn anew per table."""
    rng = np.random.default_rng(1)
    claimed, best = [], []
    for table in range(tables):
        lead = rng.normal(scale=0.015, size=6)
        scores = 0.7 + lead[:, None, None] + 0.1 * rng.normal(size=50) + 0.06 * rng.normal(size=(6, 1, 50))
        ranking = rank(rows([cell("task", scores)]), method="mean")
        claimed += top_frequency(bootstrap(ranking, draws, seed=table).overall, 1).tolist()
        best += [i == int(np.argmax(lead)) for i in range(6)]
    shares, hits = np.array(claimed), np.array(best)
    lines = ["low,high,mean_share,truly_best,losses"]
    for low, high in pairwise(BINS):
        own = (shares >= low) & (shares < high)
        lines.append(f"{low:.2f},{min(high, 1):.2f},{shares[own].mean():.3f},{hits[own].mean():.3f},{own.sum()}")
    SHARES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=400, help="simulated tables per setting")
    parser.add_argument("--minutes", type=float, default=30, help="stop after the setting that reaches this time")
    parser.add_argument("--share", default="1/1", help="part of the settings, for several processes: 1/2 and 2/2")
    options = parser.parse_args()
    extend(options.tables, options.minutes, options.share)


if __name__ == "__main__":
    main()

"""Are the statements of a ranking as sure as they claim? Simulated tables with known truth.

    python benchmarks/ranking_calibration.py                    # go on where the kept results end, 10 minutes at most
    python benchmarks/ranking_calibration.py --share 1/2        # one of two processes that share the settings
    python benchmarks/ranking_calibration.py --write            # put the tables into docs/ranking.md

A loss has a true mean. Noise of four kinds is added to it, with the standard deviations: `run_sd` per training (loss x
seed); 0.1 per case, the same for all losses; 0.025 per loss and case, the same for all trainings; 0.015 per score. One
line per setting goes to results/ranking_calibration.csv.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
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
from lossodyssey.ranking.methods import holm
from lossodyssey.ranking.pairs import Pairs, compare, signed_ranks
from lossodyssey.ranking.wilcoxon import SignedRank
from lossodyssey.table import Row

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HERE = Path(__file__).resolve().parent
RESULTS, SHARES = HERE / "results" / "ranking_calibration.csv", HERE / "results" / "ranking_bootstrap.csv"
ALPHA, BETTER, SHARED_SD, SCORE_SD = 0.05, 0.02, 0.025, 0.015
TASKS = {"1": (1.0,), "3": (1.0, 1.0, 1.0), "3 unequal": (0.2, 0.5, 1.65)}
"""Per task the factor of the run-to-run deviation; the mean square of the factors is 1."""
RUN_SDS = (0.0, 0.003, 0.006, 0.012)
NOISES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(3, size=size) / np.sqrt(3),
    "skewed": lambda rng, size: 1 - rng.exponential(size=size),
    "unsteady": lambda rng, size: rng.normal(size=size),
}
"""Noise of cases and of trainings; "unsteady" is normal, and the trainings of the last loss vary ten times as much."""
FEW = ((2, 2), (3, 2), (5, 3))
"""Losses and seeds for which other limits are tried as well."""
OTHERS = ("banerjee", "satterthwaite", "cochran", "smaller_df")
COLUMNS = (
    *("false", "false_networks", "ranks_right", "best_kept", "best_size", "covered", "power", "power_networks"),
    *(f"{name}_{kind}" for name in OTHERS for kind in ("false", "power")),
)
BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)


@dataclass(frozen=True)
class Setting:
    """The setting of a line of the results, beside the lead of the first loss over all others."""

    tasks: str
    losses: int
    seeds: int
    cases: int
    noise: str
    run_sd: float


def settings() -> list[Setting]:
    """List all settings, in an order in which every part of the list speaks of all of them."""
    grids = [
        _grid(["1"], (2, 5, 20), (2, 3, 5), (20, 50, 100)),
        _grid(["1"], (2, 5, 20), (1,), (20, 50, 100), noises=("normal",)),
        _grid(["1"], (3,), (2,), (50,)),
        _grid(["3", "3 unequal"], (2, 5), (2, 3, 5), (50,)),
        _grid(["3", "3 unequal"], (20,), (2,), (50,), run_sds=(0.012,)),
    ]
    chosen = [own for grid in grids for own in grid if own.run_sd or own.tasks != "3 unequal"]
    # By a hash: whatever part is done when the time is over is a fair sample of the grid.
    return sorted(chosen, key=lambda own: zlib.crc32(repr(own).encode()))


def _grid(
    tasks: Sequence[str],
    losses: Sequence[int],
    seeds: Sequence[int],
    cases: Sequence[int],
    noises: Sequence[str] = tuple(NOISES),
    run_sds: Sequence[float] = RUN_SDS,
) -> list[Setting]:
    return [Setting(*own) for own in product(tasks, losses, seeds, cases, noises, run_sds)]


def simulate(setting: Setting, rng: np.random.Generator) -> list[Cell]:
    """Draw one table in which all losses are equal: a cell per task."""
    draw = NOISES[setting.noise]
    shape = setting.losses, setting.seeds, setting.cases
    unsteady = np.ones(setting.losses)
    unsteady[-1] = 10 if setting.noise == "unsteady" else 1
    cells = []
    for task, factor in enumerate(TASKS[setting.tasks]):
        # Standard deviations as in the module's text: cases, scores, then loss x case and loss x seed.
        scores = 0.7 + 0.1 * rng.normal(size=setting.cases) + SCORE_SD * draw(rng, shape)
        scores += SHARED_SD * draw(rng, (setting.losses, 1, setting.cases))
        scores += factor * setting.run_sd * draw(rng, (*shape[:2], 1)) * unsteady[:, None, None]
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
        absent=np.zeros(losses, dtype=np.int64),
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


@dataclass(frozen=True, eq=False)
class Tables:
    """Simulated tables of one setting, judged as `rank` judges them; arrays are (tables, ordered pairs of losses).

    `networks` are the adjusted p-values of the signed-rank tests, `single` those before Holm.
    """

    lead: Floats
    difference: Floats
    parts: list[Part]
    retrained: bool
    networks: Floats
    single: Floats

    @classmethod
    def of(cls, pairs: Sequence[Pairs], cells: Sequence[Sequence[Cell]], lead: Floats) -> Tables:
        """Add the lead of the losses to tables in which all are equal."""
        apart = ~np.eye(len(lead), dtype=bool)
        # One simulation serves both leads: adding a constant to a loss leaves its variances as they are.
        moved = [[replace(own, values=own.values + lead[:, None]) for own in table] for table in cells]
        single = [_signed_rank(table) for table in moved]
        return cls(
            lead=lead,
            difference=np.stack([own.difference[apart] for own in pairs]) + (lead[:, None] - lead)[apart],
            parts=[_joined(own, apart) for own in zip(*(table.parts for table in pairs), strict=True)],
            retrained=pairs[0].retrained,
            networks=np.stack([holm(p)[apart] for p in single]),
            single=np.stack([p[apart] for p in single]),
        )

    @property
    def better(self) -> Flags:
        """Statements about these networks."""
        return self.networks < ALPHA

    @property
    def better_retrained(self) -> Flags:
        """Statements about retrained losses: Holm's steps, each by its half-width instead of by p-values."""
        stated = np.zeros(self.difference.shape, dtype=bool)
        while self.retrained:
            # Holm's level grows as statements are made; repeated until no further one joins.
            left = np.maximum(stated.shape[1] - stated.sum(axis=1, keepdims=True), 1)
            more = self.difference > half_width(ALPHA / left, self.parts)
            if (more == stated).all():
                break
            stated = more
        return stated

    @property
    def judged(self) -> Flags:
        """The statements that the answer rests on, (tables, losses, losses)."""
        return self.square(self.better_retrained if self.retrained else self.better)

    @property
    def best_set(self) -> Flags:
        """Losses that are not excluded as the best, (tables, losses)."""
        level = ALPHA / (len(self.lead) - 1)
        beaten = self.difference > half_width(level, self.parts) if self.retrained else self.single < level
        return ~self.square(beaten).any(axis=1)

    @property
    def gap(self) -> Floats:
        """The true differences, (pairs,)."""
        return (self.lead[:, None] - self.lead)[~np.eye(len(self.lead), dtype=bool)]

    def square(self, flags: Flags) -> Flags:
        """Arrange (tables, pairs) as (tables, losses, losses)."""
        size = len(self.lead)
        matrix = np.zeros((len(flags), size, size), dtype=bool)
        matrix[:, ~np.eye(size, dtype=bool)] = flags
        return matrix


def _signed_rank(cells: Sequence[Cell]) -> Floats:
    if len(cells) == 1:
        return SignedRank(cells[0].oriented).p_values()
    return SignedRank.of_pairs(signed_ranks(cells), len(cells[0].losses)).p_values()


def _joined(parts: Sequence[Part], apart: Flags) -> Part:
    """Stack the ordered pairs of all tables; equal degrees of freedom stay one number, which saves their quantiles."""
    df = np.stack([part.df[apart] for part in parts])
    return Part(np.stack([part.variance[apart] for part in parts]), df[:1, :1] if (df == df[0, 0]).all() else df)


def found(tables: Tables) -> dict[str, float]:
    """Return the shares of tables, and of pairs (`covered`, `power`), in which a promise was kept or broken.

    `false` and `power` count statements about retrained losses, `..._networks` those about trained networks.
    """
    wrong, half = tables.gap <= 0, half_width(0.025, tables.parts)
    # True ranks with ties: a loss may stand anywhere among its equals.
    behind = tables.lead[:, None] > tables.lead

    judged, leads = tables.judged, np.arange(len(wrong)) < len(tables.lead) - 1
    low, high = 1 + judged.sum(axis=1), len(tables.lead) - judged.sum(axis=2)
    right = (low <= 1 + behind.sum(axis=0)) & (high >= len(tables.lead) - behind.sum(axis=1))

    again = tables.better_retrained
    retrained = {"false": (again & wrong).any(axis=1).mean(), "power": again[:, leads].mean()}
    return (retrained if tables.retrained else {}) | {
        "false_networks": (tables.better & wrong).any(axis=1).mean(),
        "ranks_right": right.all(axis=1).mean(),
        "best_kept": tables.best_set[:, 0].mean(),
        "best_size": tables.best_set.sum(axis=1).mean(),
        "covered": (np.abs(tables.difference - tables.gap) <= half).mean(),
        "power_networks": tables.better[:, leads].mean(),
    }


def others(tables: Tables) -> dict[str, float]:
    """Return false statements and power of each kind of limits, at Bonferroni's level."""
    wrong, leads = tables.gap <= 0, np.arange(len(tables.gap)) < len(tables.lead) - 1
    shares = {}
    for name, width in zip(OTHERS, _widths(ALPHA / len(wrong), tables.parts), strict=True):
        stated = tables.difference > width
        shares |= {f"{name}_false": (stated & wrong).any(axis=1).mean(), f"{name}_power": stated[:, leads].mean()}
    return shares


def _widths(level: float, parts: Sequence[Part]) -> list[Floats]:
    """Return half-widths in the order of `OTHERS`; all but the first take the trainings as one part."""
    cases, training = parts[0], Part(sum((part.variance for part in parts[1:]), np.zeros(1)), parts[1].df)
    total = cases.variance + training.variance
    # Satterthwaite's degrees of the sum; Cochran's half-width averages both quantiles by their variances.
    freedom = total**2 / (cases.variance**2 / cases.df + training.variance**2 / training.df)
    each = [-stdtrit(part.df, level) for part in (cases, training)]
    return [
        half_width(level, parts),
        half_width(level, [Part(total, freedom)]),
        (each[0] * cases.variance + each[1] * training.variance) / np.sqrt(total),
        -stdtrit(np.minimum(cases.df, training.df), level) * np.sqrt(total),
    ]


def measure_setting(setting: Setting, tables: int) -> list[dict[str, object]]:
    """Simulate the tables of one setting; return two lines of the results, for equal losses and for one that leads."""
    # A seed of the setting's own: its line does not depend on which others were measured, or in which order.
    rng = np.random.default_rng(zlib.crc32(repr(setting).encode()))
    cells = [simulate(setting, rng) for _ in range(tables)]
    pairs = [compare(table) for table in cells]
    few = setting.tasks == "1" and (setting.losses, setting.seeds) in FEW
    lines = []
    for better in (0.0, BETTER):
        judged = Tables.of(pairs, cells, np.r_[better, np.zeros(setting.losses - 1)])
        shares = found(judged) | (others(judged) if few else {})
        line: dict[str, object] = {**asdict(setting), "better": better, "tables": tables}
        lines.append(line | {name: f"{shares[name]:.4g}" if name in shares else "" for name in COLUMNS})
    return lines


def kept() -> list[dict[str, str]]:
    """Read the finished lines."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def extend(tables: int, minutes: float, share: str) -> None:
    """Measure settings that have no lines of as many tables yet, until the time is over."""
    part, parts = (int(number) for number in share.split("/"))
    end = time.monotonic() + 60 * minutes
    done = {_key(line) for line in kept() if int(line["tables"]) >= tables}
    own = settings()[part - 1 :: parts]
    left = [setting for setting in own if _key(asdict(setting)) not in done]
    for count, setting in enumerate(left):
        if time.monotonic() > end:
            print(f"{len(left) - count} settings are left; run the command again")
            return
        lines = measure_setting(setting, tables)
        _append(lines)
        said = ", ".join(f"{name} {value}" for name, value in asdict(setting).items())
        print(f"{count + 1} of {len(left)}: {said}: false {lines[0]['false']}, power {lines[1]['power']}", flush=True)


def _key(line: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(line[field.name]) for field in fields(Setting))


def _append(lines: list[dict[str, object]]) -> None:
    """Add lines to the results in one write, so that two processes can."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    if not RESULTS.exists():
        writer.writeheader()
    writer.writerows(lines)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(text.getvalue())


def measure_bootstrap(tables: int, draws: int = 200) -> None:
    """Write how often the loss that led in a share of the draws is truly best, graded truth drawn again per table."""
    rng = np.random.default_rng(1)
    claimed, best = [], []
    for table in range(tables):
        lead = rng.normal(scale=0.015, size=6)
        # A truth drawn again per table: then "led in 70 % of the draws" can be held against "was truly best in 70 %".
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
    """Measure the settings that are missing, or make the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=400, help="simulated tables per setting")
    parser.add_argument("--minutes", type=float, default=10, help="stop after the setting that reaches this time")
    parser.add_argument("--share", default="1/1", help="part of the settings, for several processes: 1/2 and 2/2")
    parser.add_argument("--table", action="store_true", help="print the tables of the kept results, and nothing else")
    parser.add_argument("--write", action="store_true", help="put them into docs/ranking.md")
    options = parser.parse_args()
    if options.write or options.table:
        import calibration_page

        calibration_page.write() if options.write else print(calibration_page.tables())
        return
    if not SHARES.exists():
        measure_bootstrap(options.tables)
    extend(options.tables, options.minutes, options.share)


if __name__ == "__main__":
    main()

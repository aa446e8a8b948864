"""Tables of kept comparisons, for pages that show them between two marks: `<!-- NAME: start -->` and `end`.

A comparison is kept as a folder with `plan.yaml` and `study.tar.xz`. Every number of a table is made from the archive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from lossodyssey.bench.packing import pack, unpacked
from lossodyssey.bench.partial import read_partial
from lossodyssey.bench.record import read_record
from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.caveats import listed
from lossodyssey.ranking.means import mean_intervals
from lossodyssey.ranking.rank import Ranking, Standing, rank
from lossodyssey.report.evidence import TUNING, Search, read_searches
from lossodyssey.table import Row, read_rows

Named = TypeVar("Named", Row, Search)
PLAN, ARCHIVE = "plan.yaml", "study.tar.xz"
DRAWS = 500


def rewritten(page: str, name: str, tables: Sequence[str]) -> str:
    """Return the text of a page with these tables between the marks of a name.

    Raises:
        ValueError: the page has no such marks.
    """
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(start)
    if not found or end not in rest:
        raise ValueError(f"expected the lines {start} and {end} in the page, between which the tables stand")
    return f"{before}{start}\n\n" + "\n\n".join(tables) + f"\n\n{end}{rest.partition(end)[2]}"


def tables(
    records: Sequence[Path], reference: str | Mapping[str, str], *, usual: str = "", told: bool = False
) -> Iterator[str]:
    """Write a table for each data set of the records, whose losses are compared with a reference among them.

    The reference is one for all, or each loss has its own by its name.

    Of several records of one data set the losses stand in one table: they were trained and scored on the same cases.
    So do those of the variants of a data set where one is called the usual one: see `side_by_side`. What a table shows
    is `told` after it.
    """
    rows, searches = read(records)
    if usual:
        rows = [side_by_side(row, usual) for row in rows]
        searches = [side_by_side(search, usual) for search in searches]
    for name in dict.fromkeys(row.dataset for row in rows):
        own = [row for row in rows if row.dataset == name]
        images = len({row.case for row in own})
        ranking = rank(own)
        yield table(name, images, ranking, [search for search in searches if search.dataset == name], reference)
        if told:
            yield " ".join(shown(ranking, reference))


def orders(records: Sequence[Path], usual: str) -> Iterator[str]:
    """Say of every variant which losses may be the best under it, and how far its order is the usual one.

    Two losses have no more than two orders: nothing is said of how far these agree.
    """
    rows, _ = read(records)
    names = dict.fromkeys(row.dataset for row in rows)
    found = {name: rank([row for row in rows if row.dataset == name]) for name in names}
    for name, ranking in found.items():
        dataset, _, variant = name.partition(", ")
        said = f"With `{variant}` the best loss is with 95 % confidence {among(ranking)}"
        if variant != usual and len(ranking.losses) > 2:
            both = [ranking.overall.score, found[f"{dataset}, {usual}"].overall.score]
            said += f"; Kendall's tau between this order and the usual one is {tau_b(np.array(both))[0, 1]:.2f}"
        yield f"{said}."


def among(ranking: Ranking) -> str:
    """Name the losses that may be the best, or the fewer others, and the leader of the order where it is none of them.

    The order counts significant differences over cases, as the paper does. The statement is about means.
    """
    overall, losses = ranking.overall, ranking.losses
    best, rest = ([losses[i] for i in overall.order if overall.best_set[i] == which] for which in (True, False))
    told = f"all but {listed(rest)}" if 0 < len(rest) < len(best) else listed(best)
    said = best[0] if len(best) == 1 else f"among {len(best)} of {len(losses)}: {told}"
    first = overall.order[0]
    if overall.best_set[first]:
        return said
    p = overall.p_retrained if overall.retrained else overall.p
    ahead = int(np.nanargmin(p[:, first]))
    return (
        f"{said}. {losses[first]} leads the order, which counts significant differences as the paper does, and yet is "
        f"none of them: in the mean {losses[ahead]} is better, by {overall.pairs.difference[ahead, first]:.4f}"
    )


def read(records: Sequence[Path]) -> tuple[list[Row], list[Search]]:
    """Read the cases and searches of comparisons."""
    rows: list[Row] = []
    searches: list[Search] = []
    with ExitStack() as stack:
        for folder in (stack.enter_context(unpacked(each / ARCHIVE)) for each in records):
            rows += _rows(folder)
            searches += read_searches(folder / TUNING)
    return rows, searches


def _rows(folder: Path) -> Sequence[Row]:
    """Return the rows of the table of a comparison, or of the runs of a single loss, which is none yet."""
    runs = {run.parent: read_record(run.parent) for run in sorted(folder.glob("runs/*/run.json"))}
    own = {run: record for run, record in runs.items() if record.purpose == "table"}
    if len({record.label for record in own.values()}) > 1:
        return read_partial(folder).rows
    return [row for run in own for row in read_rows(run / "cases.csv")]


def side_by_side(row: Named, usual: str) -> Named:
    """Return a row or search of a variant, "DATA, VARIANT", as one of the data set itself, of "LOSS, VARIANT".

    The loss of the usual variant keeps its name. So the same loss under two variants is compared like two losses.
    """
    dataset, _, variant = row.dataset.partition(", ")
    return replace(row, dataset=dataset, loss=row.loss if variant == usual else f"{row.loss}, {variant}")


def table(
    name: str, images: int, ranking: Ranking, searches: Sequence[Search], reference: str | Mapping[str, str]
) -> str:
    """Write the table of one data set: means, and which losses differ from the reference."""
    standings = ranking.standings
    cell, own = standings[0].cell, mean_intervals(ranking, DRAWS)
    units, seeds = len(cell.cases), min(cell.seeds)
    # Images of one patient are one unit of the ranking.
    held_out = f"{images} held-out images" + (f" of {units} patients" if units < images else "")
    lines = [f"{name}: {held_out}, {seeds} trainings of each loss.", ""]
    head = ["loss", *(f"{s.cell.metric} {'↑' if s.cell.measure.sign > 0 else '↓'}" for s in standings)]
    head += ["rate"] if searches else []
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for i, loss in enumerate(ranking.losses):
        against = ranking.losses.index(referred(loss, reference))
        parts = []
        for standing, means in zip(standings, own, strict=True):
            digits = 1 if np.nanmax(means.mean) > 2 else 3
            interval = f"{means.mean[i]:.{digits}f} ({means.low[i]:.{digits}f} to {means.high[i]:.{digits}f})"
            parts.append(f"{interval} {mark(standing, i, against)}".strip())
        rate = " ".join(f"{s.chosen:g}{'!' if s.edge else ''}" for s in searches if s.loss == loss)
        lines.append(f"| {' | '.join([loss, *parts, *([rate] if searches else [])])} |")
    return "\n".join(lines)


def referred(loss: str, reference: str | Mapping[str, str]) -> str:
    """Return the loss that a loss is held against, itself where there is none."""
    return reference if isinstance(reference, str) else reference.get(loss, loss)


def shown(ranking: Ranking, reference: str | Mapping[str, str]) -> Iterator[str]:
    """Say which losses are shown to be better or worse, trained again, than the one they are held against, and in what.

    Yields one sentence for each of the two, and one where nothing is shown of any loss.
    """
    held = {i: ranking.losses.index(referred(loss, reference)) for i, loss in enumerate(ranking.losses)}
    found: dict[str, list[str]] = {}
    for i, against in held.items():
        marks = {s.cell.metric: mark(s, i, against) for s in ranking.standings}
        for kind in ("better", "worse"):
            if metrics := [metric for metric, said in marks.items() if said == kind]:
                some = f" (in {listed(metrics)})" if len(metrics) < len(marks) else ""
                found.setdefault(kind, []).append(f"{ranking.losses[i]}{some}")
    for kind, losses in found.items():
        yield f"Shown to be {kind}: {'; '.join(losses)}."
    if not found:
        yield "No loss is shown to be better or worse, trained again."


def mark(standing: Standing, loss: int, reference: int) -> str:
    """Say whether a loss is shown to differ from the reference: trained again, or in brackets these networks alone."""
    for better, form in ((standing.better_retrained, "{}"), (standing.better, "({})")):
        if better[loss, reference]:
            return form.format("better")
        if better[reference, loss]:
            return form.format("worse")
    return ""


def keep(study: Path, records: Path) -> None:
    """Keep the records of a comparison, and its plan as text."""
    records.mkdir(parents=True, exist_ok=True)
    runs = pack(study, records / ARCHIVE)
    (records / PLAN).write_bytes((study / PLAN).read_bytes())
    print(f"{records / ARCHIVE}: {runs} runs, {(records / ARCHIVE).stat().st_size / 1e6:.2g} MB")

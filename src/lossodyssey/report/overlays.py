"""Which cases to look at, and how pictures of them are handed to the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.nouns import nouns
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.table import Row

MARGIN, SMALLEST_MARGIN = 0.2, 6
MISSES_PER_LOSS = 2

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One slice: `image` (rows, columns) of any intensity, `truth` and `prediction` integer labels of the same shape.

    `pixel` is the height and width of a pixel in any common unit, so that the picture keeps its proportions. Without
    a prediction (None) the truth alone is drawn.
    """

    title: str
    image: NDArray[np.float64]
    truth: Labels
    prediction: Labels | None
    pixel: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Gallery:
    """Pictures under one heading; `note` says what was left out. A folded one opens on demand."""

    title: str
    pictures: Sequence[Overlay]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Choice:
    """A case to look at: the reason, the loss whose prediction to show, the task and the case."""

    why: str
    loss: str
    task: str
    case: str


def choose(rows: Iterable[Row]) -> list[Choice]:
    """Name the best, median and worst case of the leading loss and the case on which the two best losses differ most.

    The first task and its first metric decide.
    """
    ranking = by_case(rows)
    standing = ranking.standings[0]
    cell = standing.cell
    leader, second = ranking.overall.order[:2]
    # Stable: of equal cases the first is taken, so the page does not change from run to run.
    ranked = np.argsort(cell.oriented[leader], kind="stable")
    gap = np.abs(cell.values[leader] - cell.values[second])
    picked = {"best case": ranked[-1], "median case": ranked[len(ranked) // 2], "worst case": ranked[0]}
    chosen = [Choice(why, cell.losses[leader], cell.task, cell.cases[i]) for why, i in picked.items()]
    most = cell.cases[int(np.argmax(gap))]
    why = f"largest disagreement of the two best {nouns()}"
    return [*chosen, *(Choice(why, cell.losses[i], cell.task, most) for i in (leader, second))]


def choose_for_all(rows: Iterable[Row]) -> list[Choice]:
    """Name the case on which the losses differ most, once per loss, best loss first.

    The spread is the standard deviation over the losses of the first metric of the first task.
    """
    ranking = by_case(rows)
    cell = ranking.standings[0].cell
    case = cell.cases[int(np.argmax(cell.values.std(axis=0)))]
    return [Choice(f"the case on which the {nouns()} differ most", ranking.losses[i], cell.task, case)
            for i in ranking.overall.order]  # fmt: skip


def choose_failures(rows: Iterable[Row]) -> list[Choice]:
    """Name the worst case of every loss, then the cases in which a loss missed a whole object, at most two per loss."""
    table = list(rows)
    ranking = by_case(table)
    cell = ranking.standings[0].cell
    order = ranking.overall.order

    worst = {cell.losses[i]: cell.cases[int(np.argmin(cell.oriented[i]))] for i in order}
    chosen = [Choice("lowest " + cell.metric if cell.measure.higher_is_better else "highest " + cell.metric,
                     loss, cell.task, case) for loss, case in worst.items()]  # fmt: skip

    missed = _missed(table, cell.task)
    for loss, case in worst.items():
        # The worst case is shown already, and most likely it is one of the missed ones.
        others = [(other, names) for other, names in missed.get(loss, {}).items() if other != case]
        chosen += [
            Choice(f"missed {', '.join(names)}", loss, cell.task, other) for other, names in others[:MISSES_PER_LOSS]
        ]
    return chosen


def by_case(rows: Iterable[Row]) -> Ranking:
    """Rank with every case by itself, so that a case of the ranking is a picture on disk and not a whole patient."""
    return rank([replace(row, group="") for row in rows])


def window(masks: Sequence[Labels]) -> tuple[slice, slice]:
    """Frame the labels of all masks, with a margin; the whole picture where they are all empty."""
    # One window for all, so that the predictions of a case can be compared place by place.
    found = np.any([mask > 0 for mask in masks], axis=0)
    return _frame(found.any(axis=1)), _frame(found.any(axis=0))


def _frame(line: NDArray[np.bool_]) -> slice:
    inside = np.flatnonzero(line)
    if not len(inside):
        return slice(0, len(line))
    first, last = int(inside[0]), int(inside[-1]) + 1
    margin = max(SMALLEST_MARGIN, round(MARGIN * (last - first)))
    return slice(max(first - margin, 0), min(last + margin, len(line)))


def _missed(rows: Iterable[Row], task: str) -> Mapping[str, Mapping[str, list[str]]]:
    """List the classes of which a loss predicted nothing though they are there, by loss and case."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row.dataset == task and row.status == "pred_empty":
            names = found.setdefault(row.loss, {}).setdefault(row.case, [])
            if row.class_name not in names:
                names.append(row.class_name)
    return found

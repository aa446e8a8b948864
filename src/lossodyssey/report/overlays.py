"""Which cases to look at, and how a picture of one is handed to the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.rank import rank
from lossodyssey.table import Row


@dataclass(frozen=True, eq=False)
class Overlay:
    """One slice: `image` (rows, columns) of any intensity, `truth` and `prediction` integer labels of the same shape.

    `pixel` is the height and width of a pixel in any common unit, so that the picture keeps its proportions.
    """

    title: str
    image: NDArray[np.float64]
    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    pixel: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Choice:
    """A case worth looking at: why, the loss whose prediction to show, the task and the case."""

    why: str
    loss: str
    task: str
    case: str


def choose(rows: Iterable[Row]) -> list[Choice]:
    """Name the best, median and worst case of the leading loss and the case on which the two best losses differ most.

    The first task and its first metric decide. Cases that share a group are chosen by the group's name.
    """
    ranking = rank(rows)
    standing = ranking.standings[0]
    cell = standing.cell
    leader, second = ranking.overall.order[:2]
    ranked = np.argsort(cell.oriented[leader], kind="stable")
    gap = np.abs(cell.values[leader] - cell.values[second])
    picked = {"best case": ranked[-1], "median case": ranked[len(ranked) // 2], "worst case": ranked[0]}
    chosen = [Choice(why, cell.losses[leader], cell.task, cell.cases[i]) for why, i in picked.items()]
    most = cell.cases[int(np.argmax(gap))]
    why = "largest disagreement of the two best losses"
    return [*chosen, *(Choice(why, cell.losses[i], cell.task, most) for i in (leader, second))]

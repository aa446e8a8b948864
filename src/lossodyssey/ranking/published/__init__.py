"""The published means of Ma et al., "Loss odyssey in medical image segmentation", Medical Image Analysis 71 (2021).

One CSV per table, one line per value, the source on each line. An empty value is a run the table marks as failed.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

TASKS = ("liver", "liver_tumor", "pancreas", "multi_organ")
METRICS = ("DSC", "NSD")


@dataclass(frozen=True)
class Value:
    """One published mean; NaN where the run failed. Task "average_reported" is the table's own average."""

    loss: str
    variant: str
    task: str
    metric: str
    value: float
    trainer: str
    source: str


@dataclass(frozen=True, eq=False)
class Means:
    """Means by loss and column; a column is a (task, metric)."""

    losses: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    values: NDArray[np.float64]

    def column(self, task: str, metric: str) -> NDArray[np.float64]:
        """Return the values of all losses in one column."""
        return self.values[:, self.columns.index((task, metric))]

    def only(self, losses: tuple[str, ...], tasks: tuple[str, ...]) -> Means:
        """Keep some losses, in the order given, and some tasks."""
        rows = [self.losses.index(loss) for loss in losses]
        kept = [i for i, (task, _) in enumerate(self.columns) if task in tasks]
        return Means(losses, tuple(self.columns[i] for i in kept), self.values[np.ix_(rows, kept)])


@cache
def read(table: str) -> tuple[Value, ...]:
    """Read a published table: table2, table3, table4 or nnunet_v2."""
    text = (files("lossodyssey.ranking.published") / f"{table}.csv").read_text(encoding="utf-8")
    return tuple(
        Value(**{**line, "value": float(line["value"] or math.nan)})  # type: ignore[arg-type]
        for line in csv.DictReader(text.splitlines())
    )


def means(table: str) -> Means:
    """Arrange a table by loss (with its variant, if it has several) and column."""
    values = [v for v in read(table) if v.task in TASKS]
    variants = {loss: {v.variant for v in values if v.loss == loss} for loss in {v.loss for v in values}}
    # Tables 3 and 4 compare variants of one loss, which need names of their own.
    name = {v: v.loss if len(variants[v.loss]) == 1 else f"{v.loss} ({v.variant})" for v in values}
    losses = tuple(dict.fromkeys(name.values()))
    columns = tuple((task, metric) for task in TASKS for metric in METRICS if any(v.task == task for v in values))
    found = {(name[v], (v.task, v.metric)): v.value for v in values}
    return Means(losses, columns, np.array([[found[loss, column] for column in columns] for loss in losses]))


def ranked() -> Means:
    """Return the means of the 27 losses that the paper ranks: the 20 of Table 2, four more of TopK, three more of Dice.

    TopK by a threshold (Table 3) is not among them: most of its trainings failed.
    """
    tables = [means("table2"), *(_variants(table) for table in ("table3", "table4"))]
    assert len({table.columns for table in tables}) == 1
    losses = tuple(loss for table in tables for loss in table.losses)
    return Means(losses, tables[0].columns, np.concatenate([table.values for table in tables]))


NAMED = {
    "TopK (percent=30)": "TopK 30 %",
    "TopK (percent=50)": "TopK 50 %",
    "TopK (percent=70)": "TopK 70 %",
    "TopK (percent=90)": "TopK 90 %",
    "Dice (batch,square)": "Dice batch squared",
    "Dice (sample,no_square)": "Dice sample",
    "Dice (sample,square)": "Dice sample squared",
}
"""Short names of the variants that Table 2 does not have; its TopK keeps 10 %, its Dice is that of batches."""


def _variants(table: str) -> Means:
    found = means(table)
    kept = [loss for loss in found.losses if loss in NAMED]
    own = found.only(tuple(kept), TASKS)
    return Means(tuple(NAMED[loss] for loss in own.losses), own.columns, own.values)

"""One name for one metric, where joined tables spell it in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lossodyssey.cards import spelled
from lossodyssey.table.row import Row


def one_name(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Call a metric by its usual name where the rows spell it in several ways; return the rows, and notes on it.

    Two spellings within one loss stay two metrics: they are two columns of one table.
    """
    losses: dict[str, set[str]] = {}
    for row in rows:
        losses.setdefault(row.metric, set()).add(row.loss)

    spellings: dict[str, list[str]] = {}
    for metric in losses:
        spellings.setdefault(spelled(metric), []).append(metric)
    renamed = {
        metric: name
        for name, found in spellings.items()
        if len(found) > 1 and not _share_a_loss([losses[metric] for metric in found])
        for metric in found
        if metric != name
    }
    if not renamed:
        return list(rows), []
    notes = [f"metric {metric!r} is read as {name}, as other rows call it" for metric, name in renamed.items()]
    return [replace(row, metric=renamed.get(row.metric, row.metric)) for row in rows], notes


def _share_a_loss(groups: Sequence[set[str]]) -> bool:
    # Disjoint sets have as many members together as one by one.
    return sum(map(len, groups)) > len(set().union(*groups))

"""Values that a metric cannot take, and shares in percent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from shlex import quote

from lossodyssey.cards import EXCESS, find_card, fold, spelled, without_percent
from lossodyssey.table.row import Row

SLACK = 1e-6
VIEWS: tuple[tuple[str, Callable[[Row], object]], ...] = (
    ("loss", lambda row: row.loss),
    ("dataset", lambda row: row.dataset),
    ("fold and seed", lambda row: (row.fold, row.seed)),
    ("class", lambda row: row.class_name),
    ("case", lambda row: row.case),
)


def in_range(rows: Sequence[Row], percent: Sequence[str] = ()) -> tuple[list[Row], list[str]]:
    """Divide metrics in percent by 100, those named and those whose name says so; return the rows, and notes on it.

    Raises:
        ValueError: a metric cannot take a value, a share is above 1 and nobody calls it percent, or some rows of a
            metric are shares and others in percent.
    """
    by_metric: dict[str, list[Row]] = {}
    for row in rows:
        by_metric.setdefault(row.metric, []).append(row)
    named = {fold(name) for name in percent}
    absent = [name for name in percent if fold(name) not in map(fold, by_metric)]
    if absent:
        raise ValueError(f"percent: metrics {absent} are not in the table; it has {list(by_metric)}")

    divided: dict[str, str] = {}
    notes: list[str] = []
    for metric, found in by_metric.items():
        if fold(metric) in named or without_percent(metric) != metric:
            divided[metric] = spelled(without_percent(metric))
            notes += _percent(metric, found)
        else:
            notes += _check(metric, found)
    return [_divided(row, divided) for row in rows] if divided else list(rows), notes


def _divided(row: Row, names: dict[str, str]) -> Row:
    return replace(row, metric=names[row.metric], value=row.value / 100) if row.metric in names else row


def _check(metric: str, rows: list[Row]) -> list[str]:
    """Check that values are in the metric's range; return a note on those that are slightly outside."""
    card = find_card(metric)
    low, high = card.range if card else (-math.inf, math.inf)
    outside = [row for row in rows if math.isfinite(row.value) and not low - SLACK <= row.value <= high + SLACK]
    wrong = [row for row in outside if not low - EXCESS < row.value < high + EXCESS]
    if not outside:
        return []
    if not wrong:
        seen = f"{outside[0].value:g}, {_where(outside[0])}"
        return [f"{metric}: {len(outside)} values lie outside {low:g} to {high:g} ({seen}) and are left as they are"]

    worst = max(wrong, key=lambda row: row.value)
    if card and card.is_share and all(1 < row.value <= 100 for row in wrong):
        _check_mixed(metric, rows)
        raise ValueError(
            f"metric {metric!r} has values up to {worst.value:g} ({_where(worst)}); a share lies between 0 and 1. "
            f"If all are in percent, say --percent {quote(metric)} (in Python: percent=[{metric!r}])"
        )
    row = wrong[0]
    raise ValueError(
        f"metric {metric!r} has the value {row.value:g} ({_where(row)}); expected {low:g} to {high:g}. Leave the cell "
        "empty where there is no value"
    )


def _percent(metric: str, rows: list[Row]) -> list[str]:
    """Check that a metric can be in percent; return notes."""
    card = find_card(metric)
    if card is None or not card.is_share:
        raise ValueError(f"percent: metric {metric!r} is not a share between 0 and 1 that is known here")

    values = [row.value for row in rows if math.isfinite(row.value)]
    wrong = [row for row in rows if math.isfinite(row.value) and not -SLACK <= row.value <= 100 * (1 + SLACK)]
    if wrong:
        raise ValueError(
            f"metric {metric!r} has the value {wrong[0].value:g} ({_where(wrong[0])}); expected 0 to 100 %"
        )
    # Divided again, a DSC of 0.9 would be 0.009: nothing later would notice.
    if values and 0 < max(values) <= 1:
        raise ValueError(
            f"metric {metric!r} is said to be in percent, but no value is above 1 ({max(values):g}): these are shares"
        )

    _check_mixed(metric, rows)
    small = sum(0 < value <= 1 for value in values)
    below = f"; {small} of {len(values)} values are 1 % or less" if small else ""
    return [f"{metric}: values in percent are divided by 100{below}"]


def _check_mixed(metric: str, rows: list[Row]) -> None:
    """Refuse a metric of which some rows look like shares and others like percent.

    A value of 1 % or less is rare; a loss, data set, run, class or case of which all values are that small, or one
    value in twenty, is not read as percent.
    """
    positive = [row for row in rows if 0 < row.value < math.inf]
    small = [row for row in positive if row.value <= 1]
    # The message shows a value of the rarer kind: that is where the mistake is.
    rarer = small if 2 * len(small) <= len(positive) else [row for row in positive if row.value > 1]
    where = f"of the rarer kind {rarer[0].value:g}, {_where(rarer[0])}" if len(small) > len(positive) / 20 else ""

    # One table of several is often the odd one: whichever view holds small values alone names it.
    for name, view in VIEWS:
        greatest: dict[object, list[float]] = {}
        for row in positive:
            greatest.setdefault(view(row), []).append(row.value)
        whole = [key for key, values in greatest.items() if max(values) <= 1 and len(values) > 1]
        where = where or (f"all of {name} {whole[0]!r}" if whole else "")

    if where:
        raise ValueError(
            f"metric {metric!r} mixes two scales: {len(small)} values lie between 0 and 1 ({where}), "
            f"{len(positive) - len(small)} between 1 and 100; write all of them in one"
        )


def _where(row: Row) -> str:
    return f"loss {row.loss!r}, case {row.case!r}"

"""The meaning of each hyper-parameter, in a phrase and with its unit, for the pages of the losses."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from lossodyssey.core.atlas import Card
from lossodyssey.core.loss import Loss


class Meaning(NamedTuple):
    """A phrase for a table, and the unit; none for a number without one, or for a choice."""

    text: str
    unit: str = ""


def meaning(card: Card, name: str) -> Meaning:
    """Return what a hyper-parameter of a loss means.

    The table has it by the loss, a base of it, a part of a preset, or for all losses alike. For a loss that the table
    does not know it is the sentence of its docstring with the name between backticks.
    """
    for owner in owners(card):
        if (owner, name) in table():
            return table()[owner, name]
    return Meaning(sentence(card.doc, name))


def owners(card: Card) -> Iterator[str]:
    """Yield the names under which the table may hold a hyper-parameter, the nearest first."""
    yield card.name
    built = card.build()
    parts = [leaf for _, leaf in built.terms] if card.preset else [built]
    for part in parts:
        yield from (base.__name__ for base in type(part).__mro__ if issubclass(base, Loss))
    yield ""


@cache
def table() -> dict[tuple[str, str], Meaning]:
    """Read the table: by loss or base (empty for all), and hyper-parameter."""
    text = files("lossodyssey.guide").joinpath("meanings.csv").read_text(encoding="utf-8")
    return {
        (row["loss"], row["name"]): Meaning(row["meaning"], row["unit"]) for row in csv.DictReader(text.splitlines())
    }


def sentence(doc: str, name: str) -> str:
    """Return the first sentence of a docstring that has the name between backticks; empty where none has."""
    sentences = re.split(r"(?<=[.;:])\s+", " ".join(doc.split()))
    return next((each for each in sentences if re.search(rf"`{name}[`=]", each)), "")

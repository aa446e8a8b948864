"""The data of a comparison: a small table for each data set, of its fingerprint's file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossodyssey.report.columns import Cell, Column, Grid
from lossodyssey.report.render import significant, slug

RANGES = (
    ("Volume", "volume", True),
    ("Pieces", "components", False),
    ("Inscribed radius", "radius", True),
    ("Compactness", "compactness", False),
    ("Rim", "rim2", False),
    ("Contrast", "contrast", False),
)
"""Heading, key, and whether the value has a unit; values are medians over cases, with their range below."""


@dataclass(frozen=True)
class DataSheet:
    """A data set's name, its fingerprint in words, the unit of lengths, and the facts of its classes."""

    name: str
    in_words: str
    unit: str
    dims: int
    classes: Sequence[Mapping[str, Any]]

    @property
    def grid(self) -> Grid:
        """The table of the classes."""
        columns = [
            Column("Class", [Cell(str(own["name"])) for own in self.classes], kind="name"),
            Column("Cases", [Cell(str(own["cases"])) for own in self.classes]),
            Column("One voxel in", [_rarity(own["imbalance"]) for own in self.classes]),
        ]
        for title, key, measured in RANGES:
            cells = [_cell(own[key]) for own in self.classes]
            columns.append(Column(f"{title}{self._unit(key) if measured else ''}", cells))
        # A name may hold anything, and the key becomes a selector of the style sheet.
        return Grid(f"data-{slug(self.name)}", f"Objects in {self.name}", columns)

    def _unit(self, key: str) -> str:
        power = {2: "²", 3: "³"}[self.dims] if key == "volume" else ""
        return f" ({self.unit}{power})"


def read_sheets(folder: Path) -> tuple[DataSheet, ...]:
    """Read the files `fingerprint-*.json` of a comparison; none where there are no such files.

    Raises:
        ValueError: one of them cannot be read; the text names it.
    """
    return tuple(_sheet(path) for path in sorted(folder.glob("fingerprint-*.json")))


def _sheet(path: Path) -> DataSheet:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes = [_class(own) for own in content["classes"]]
        return DataSheet(
            str(content["dataset"]),
            str(content["in_words"]),
            str(content["unit"]),
            int(content["dims"]),
            classes,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a fingerprint of a data set ({error!r}); remove it, and the comparison writes it again"
        ) from None


def _class(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that the table shows; those that are absent or of another form make an error here."""
    told = {name: content[name] for name in ("name", "cases", "imbalance")}
    for _, key, _ in RANGES:
        values = content[key]
        told[key] = values and {name: float(values[name]) for name in ("median", "low", "high")}
    return told


def shown(sheets: Sequence[DataSheet], tasks: Sequence[str]) -> list[DataSheet]:
    """Return the sheets of the data sets that are ranked; a task may be a data set under a variant of the engine."""
    return [own for own in sheets if any(task == own.name or task.startswith(f"{own.name}, ") for task in tasks)]


def _rarity(imbalance: float | None) -> Cell:
    return Cell("") if imbalance is None else Cell(significant(imbalance + 1), sort=imbalance)


def _cell(values: Mapping[str, float] | None) -> Cell:
    if values is None:
        return Cell("")
    detail = f"{significant(values['low'])} to {significant(values['high'])}"
    return Cell(significant(values["median"]), sort=values["median"], detail=detail)

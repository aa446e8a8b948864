"""Which of the data sets that the project measured is most like another one, and how far it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossodyssey.fingerprint.record import Fingerprint

COMPARED = {
    "imbalance": "voxels of background for each of an object",
    "rarest": "voxels of all else for each of the rarest class",
    "pieces": "pieces in a case",
    "anisotropy": "largest by smallest spacing",
    "compactness": "compactness",
}
"""The facts by whose ratio two data sets are compared, in words."""
ALIKE = 2.0
"""Up to this ratio two data sets are alike in a fact."""
OTHER_DIMS = 2.0
"""The distance that pictures beside volumes add: as much as a factor of 4 in every fact."""
FAR = 2.0
"""From this distance on, a typical factor of 4 or pictures beside volumes, a data set tells little of another."""


@dataclass(frozen=True)
class Facts:
    """The facts of a fingerprint by which data sets are compared; None where one is not known.

    `rarest` is voxels of all else for one of the rarest class; `pieces` are of the class with most, `radius` and
    `compactness` of the thinnest; `touching` is the greatest share of cases in which two classes touch.
    """

    dims: int | None = None
    anisotropy: float | None = None
    imbalance: float | None = None
    rarest: float | None = None
    pieces: float | None = None
    radius: float | None = None
    unit: str = ""
    compactness: float | None = None
    touching: float | None = None

    @classmethod
    def of(cls, sheet: Fingerprint) -> Facts:
        """Return the facts of a fingerprint."""

        def medians(name: str) -> list[float]:
            return [found.median for own in sheet.classes if (found := getattr(own, name))]

        return cls(
            dims=sheet.dims,
            anisotropy=sheet.anisotropy.median,
            imbalance=sheet.imbalance,
            rarest=max((own.imbalance for own in sheet.classes if own.imbalance), default=None),
            pieces=max(medians("components"), default=None),
            radius=min(medians("radius"), default=None),
            unit=sheet.unit,
            compactness=min(medians("compactness"), default=None),
            touching=max((share for *_, share in sheet.touching), default=0.0),
        )

    @classmethod
    def read(cls, line: Mapping[str, str]) -> Facts:
        """Read the facts from a line of a table."""
        known = {name: line[name] for name in FACTS if line.get(name)}
        values = {name: text if name == "unit" else float(text) for name, text in known.items()}
        return cls(**values | ({"dims": int(known["dims"])} if "dims" in known else {}))  # type: ignore[arg-type]

    def texts(self) -> list[str]:
        """Return the facts as the cells of a line."""
        values = [getattr(self, name) for name in FACTS]
        return [value if isinstance(value, str) else "" if value is None else f"{value:.4g}" for value in values]


FACTS = tuple(field.name for field in fields(Facts))


@dataclass(frozen=True)
class Neighbour:
    """A data set and its distance from another one: 1 is a factor of 2 in every fact. `differs` says in what."""

    dataset: str
    distance: float
    differs: tuple[str, ...]

    @property
    def far(self) -> bool:
        """Whether it tells little of the other one."""
        return self.distance >= FAR


def neighbours(own: Facts, others: Mapping[str, Facts]) -> list[Neighbour]:
    """Return the data sets by distance, the nearest first."""
    found = [Neighbour(name, distance(own, facts), tuple(_differences(own, facts))) for name, facts in others.items()]
    return sorted(found, key=lambda each: (each.distance, each.dataset))


def distance(one: Facts, two: Facts) -> float:
    """Return the root mean square of the binary logarithms of the ratios of facts, more where the axes differ."""
    squares = [math.log2(ratio) ** 2 for _, ratio, *_ in _ratios(one, two)]
    far = math.sqrt(sum(squares) / len(squares)) if squares else math.inf
    return far + (OTHER_DIMS if one.dims != two.dims else 0.0)


def _ratios(one: Facts, two: Facts) -> Iterable[tuple[str, float, float, float]]:
    """Yield the facts that both know, with their ratio above 1 and both values."""
    for name in COMPARED:
        first, second = getattr(one, name), getattr(two, name)
        if first and second:
            yield name, max(first, second) / min(first, second), first, second


def _differences(own: Facts, other: Facts) -> Iterable[str]:
    if own.dims != other.dims:
        yield f"{other.dims}D there, {own.dims}D here"
    for name, ratio, here, there in _ratios(own, other):
        if ratio > ALIKE:
            yield f"{COMPARED[name]}: {there:.3g} there, {here:.3g} here"

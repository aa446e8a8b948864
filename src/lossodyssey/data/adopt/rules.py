"""How the stored values of a mask become labels 0, 1, 2, ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.adopt.facts import MaskFacts, stored
from lossodyssey.data.grids import Grid

BLOCK = 1 << 20


@dataclass(frozen=True)
class Rule:
    """A table from values or colours to labels; with a `threshold`, what reaches it is 1 and the rest 0.

    Values between those of the table are taken for the nearest colour where `nearest`, else they are refused.
    """

    kind: str
    table: Mapping[float, int] = field(default_factory=dict)
    threshold: float | None = None
    nearest: bool = False

    def labels(self, grid: Grid) -> NDArray[numpy.int32]:
        """Return the labels of a mask.

        Raises:
            ValueError: it holds a value that the table lacks, as when the file changed since it was understood.
        """
        values, kind, _ = stored(grid)
        if self.threshold is not None:
            if kind != "grey":
                raise ValueError(f"{grid.path}: holds {kind}, expected one value per pixel")
            return (values >= self.threshold).astype(numpy.int32)
        if self.kind == "colours":
            values, kind = (values, kind) if kind == "colour" else (_grey_to_colour(values), "colour")
        return self._looked_up(values, grid)

    def _looked_up(self, values: NDArray[Any], grid: Grid) -> NDArray[numpy.int32]:
        distinct, places = numpy.unique(values, return_inverse=True)
        known = numpy.array(sorted(self.table))
        if self.nearest:
            chosen = nearest_colours(distinct, known)
        else:
            missing = sorted(set(distinct.tolist()) - set(self.table))
            if missing:
                raise ValueError(f"{grid.path}: holds {missing[:5]}, which it did not before; adopt the folder again")
            chosen = numpy.searchsorted(known, distinct)
        labels = numpy.array([self.table[value] for value in known.tolist()], numpy.int32)
        return labels[chosen][places].reshape(values.shape)

    def keeps(self, mask: MaskFacts) -> bool:
        """Return whether a mask already holds its labels, as `read_labels` reads them, so that it may be linked."""
        if mask.lossy or self.threshold is not None or mask.kind not in ("grey", "palette") or mask.extra:
            return False
        pairs = mask.places.items() if mask.kind == "palette" else zip(mask.counts, mask.counts, strict=True)
        return all(self.table.get(value) == place for place, value in pairs)


def _grey_to_colour(values: NDArray[Any]) -> NDArray[numpy.int32]:
    grey = values.astype(numpy.int32)
    return (grey << 16) | (grey << 8) | grey


def channels_of(colours: NDArray[Any]) -> NDArray[numpy.int64]:
    """Return red, green and blue (..., 3) of colours 0xRRGGBB."""
    numbers = numpy.asarray(colours).astype(numpy.int64)
    return numpy.stack([numbers >> 16, (numbers >> 8) & 255, numbers & 255], axis=-1)


def nearest_colours(colours: NDArray[Any], known: NDArray[Any]) -> NDArray[numpy.int64]:
    """Return the place of the nearest known colour of each colour."""
    targets = channels_of(known)
    found = [
        ((channels_of(colours[at : at + BLOCK, None]) - targets) ** 2).sum(-1).argmin(1)
        for at in range(0, len(colours), BLOCK)
    ]
    return numpy.concatenate(found)

"""A known data set: the facts that its `dataset.json` need not tell."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ALL_AXES = (0, 1, 2)


@dataclass(frozen=True)
class Entry:
    """Facts about one data set.

    `flip_axes` are the array axes along which mirroring keeps the meaning of the labels; `None` leaves it to
    the reader's default, and `flips` gives the reason. `group` is a pattern whose first capture group in a case's name
    is the patient, `grouping` says it in words. `archive` is a tar file in the MSD layout with `md5` as its checksum;
    sets without one are fetched by hand from `source` (empty for sets that are made here) under their `terms`, and
    arrive in the `layout`. `imbalance` is background to foreground, in voxels. `tolerance` is that of NSD in mm, with
    its `tolerance_reason`. `unchecked` names the fields that were written from memory, not from a source.
    """

    name: str
    description: str
    dims: int
    classes: tuple[str, ...]
    licence: str
    reference: str
    source: str = ""
    archive: str = ""
    md5: str = ""
    flip_axes: tuple[int, ...] | None = None
    group: str = ""
    modality: str = ""
    cases: str = ""
    imbalance: str = ""
    terms: str = ""
    layout: str = ""
    flips: str = ""
    tolerance: float | None = None
    tolerance_reason: str = ""
    grouping: str = ""
    traps: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    kind: Literal["images", "predictions"] = "images"
    unchecked: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """How to get the data set, as the end of a message."""
        if self.archive:
            return f"lossodyssey data fetch {self.name}"
        if self.kind == "predictions":
            return f"get it from {self.source}, then lossodyssey evaluate ARCHIVE TRUTHS -o cases.csv"
        if self.recipes:
            return f"get it from {self.source}, then lossodyssey data prepare {self.recipes[0]} ARCHIVE"
        if self.source:
            return f"get it from {self.source} and lay it out as MSD"
        return "it is generated on first use"


def plain(name: str) -> str:
    """Return a name as names are compared: letters and digits alone, small."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def nearest(name: str, names: Iterable[str]) -> str:
    """List the names most like `name` as the end of an error message, all of them when none is like it."""
    known = sorted(names)
    # difflib counts capitals as other letters, and people write task04_hippocampus.
    folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    return f"did you mean {', '.join(folded[each] for each in close)}?" if close else f"known: {', '.join(known)}"

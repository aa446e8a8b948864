"""The knowledge of an archive: how its files become cases, and what must come out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossodyssey.data.grids import Grid
from lossodyssey.data.prepare.sources import Tree
from lossodyssey.data.regions import Region


@dataclass(frozen=True)
class Found:
    """A case in the sources.

    Attributes:
        name: its name in the prepared set; no folders, no ending.
        images: one file, or one for each channel.
        labels: the file of its labels, or several that the recipe joins.
        group: the patient; cases of one group are never parted.
        source: the set that it comes from, where a recipe joins several.
        part: "training" or "test" where that was published; empty where it was not, for all cases or for none.
        relabel: the class for each label in the file; empty where they are the same.
        annotated: the classes that are annotated in it; empty for all.
        facts: what else the archive says of it, for `cases.json`.
    """

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    group: str = ""
    source: str = ""
    part: str = ""
    relabel: Mapping[int, int] = field(default_factory=dict)
    annotated: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """All cases of the sources.

    `notes` say what was left out or corrected, in sentences. `folds` are the cases scored in each published fold.
    """

    cases: Sequence[Found]
    notes: tuple[str, ...] = ()
    folds: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the archive of one data set becomes a data set.

    Attributes:
        name: the name of the prepared set.
        number: its number in nnU-Net's raw layout, 1 to 999.
        description: what is seen in it, in a line.
        origin: where its archive comes from.
        layout: what is looked for in the sources, for messages.
        needs: patterns of the paths that are needed, matched as by `Tree.find`; the rest is not unpacked.
        find: finds the cases.
        classes: the names of the classes 1, 2, ...
        channels: the names of the images' channels.
        cases: how many the archive has; another number is reported.
        read_images: makes the images of a case where its files are not copied: one grid, or one for each channel;
            none where they are copied after all.
        read_labels: makes the labels of a case where they are not one file; None where they are after all.
        same_grid: voxels of equal index belong together in this archive, even where the two headers disagree; the
            labels then take over the header of the image, and this is reported.
        ratios: the least and the largest number of background voxels for one of a class that were published.
        regions: what is trained and scored in place of the classes.
        ignored: whether the label after the last class is that of voxels that do not count.
        ending: of the files that are written: .nii.gz or .png.
        flip_axes: the array axes along which mirroring keeps the meaning of the labels; None where nothing is known.
        divisions: published divisions by name: functions that return the part of every case that they do not leave out.
        traps: what is known to be wrong in the archive and cannot be corrected, in sentences.
        aliases: other names that are understood.
    """

    name: str
    number: int
    description: str
    origin: str
    layout: str
    needs: tuple[str, ...]
    find: Callable[[Tree], Finding]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    cases: int = 0
    read_images: Callable[[Found], Sequence[Grid]] | None = None
    read_labels: Callable[[Found], Grid | None] | None = None
    same_grid: bool = False
    ratios: tuple[float, float] | None = None
    regions: tuple[Region, ...] = ()
    ignored: bool = False
    ending: str = ".nii.gz"
    flip_axes: tuple[int, ...] | None = None
    licence: str = ""
    reference: str = ""
    divisions: Mapping[str, Callable[[Sequence[Found]], Mapping[str, str]]] = field(default_factory=dict)
    traps: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def folder(self, form: str) -> str:
        """Return the name of the folder in a layout: nnU-Net numbers its sets and so drops the Decathlon's number."""
        if form == "msd":
            return self.name
        return f"Dataset{self.number:03d}_{re.sub(r'^Task[0-9]+_', '', self.name)}"


def paired(
    images: Mapping[str, Path], labels: Mapping[str, Path], what: str = "case"
) -> tuple[list[str], tuple[str, ...]]:
    """Return the keys that have both an image and a label, in the order of the images, and notes on those left out."""
    both = [key for key in images if key in labels]
    notes = []
    for kind, other, left in (
        ("image", "label file", [key for key in images if key not in labels]),
        ("annotation", "image", [key for key in labels if key not in images]),
    ):
        if left:
            shown = ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
            notes.append(f"left out, with an {kind} but no {other}: {len(left)} of the {what}s, {shown}")
    return both, tuple(notes)

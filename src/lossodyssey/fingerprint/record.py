"""The facts of a fingerprint, with their units, as they stand in its JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VERSION = 1
"""The version of the meaning of the fields; a file of another version is computed again."""


@dataclass(frozen=True)
class Range:
    """Median, smallest and largest value over cases."""

    median: float
    low: float
    high: float


def range_of(values: Iterable[float]) -> Range | None:
    """Return the range of the finite values; None where there are none."""
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return None
    half, odd = divmod(len(known), 2)
    median = known[half] if odd else (known[half - 1] + known[half]) / 2
    return Range(median, known[0], known[-1])


@dataclass(frozen=True)
class ClassFacts:
    """A class, or a region of several labels; ranges are over the cases in which it occurs, None without any.

    Lengths are in the fingerprint's `unit`, mm or pixels; volumes in its cube, or its square for pictures.

    Attributes:
        name: as in `dataset.json`.
        labels: numbers in the label maps.
        cases: number of cases in which it occurs.
        annotated: number of cases in which it is annotated; the others are left out of all below.
        share: its share of the voxels that count, all cases together.
        imbalance: voxels of everything else for each of its voxels, all cases together; None without any voxel.
        volume: of all its objects in a case.
        components: pieces of a case that do not touch, not even in corners.
        component_volume: median volume of a case's pieces.
        radius: mean over a case's pieces of the radius of the largest ball that fits inside.
        compactness: `radius` of a piece over that of the ball of its volume, mean over the voxels of a case; 1 is a
            ball, a tenth a long tube or a net.
        rim1: share of its voxels at its border (within 1 voxel of another label or the image's edge).
        rim2: share of its voxels within 2 voxels of its border; 1 is an object at most 4 voxels thick.
        surface_to_volume: area of the surface over the volume, in 1 / unit.
        contrast: absolute difference of the mean intensity within 2 voxels inside and outside the border, in standard
            deviations of these voxels, in the channel where it is largest.
    """

    name: str
    labels: tuple[int, ...]
    cases: int
    annotated: int
    share: float
    imbalance: float | None
    volume: Range | None
    components: Range | None
    component_volume: Range | None
    radius: Range | None
    compactness: Range | None
    rim1: Range | None
    rim2: Range | None
    surface_to_volume: Range | None
    contrast: Range | None


@dataclass(frozen=True)
class Fingerprint:
    """Facts of a data set that its voxels tell.

    Attributes:
        version: of the meaning of the fields.
        dataset: its name.
        contents: changes with any file or rule of the data set.
        cases: number of cases.
        groups: number of patients or groups of near duplicates; the cases where there are no groups.
        dims: 2 for pictures, 3 for volumes.
        channels: names of the image's channels.
        unit: mm, or pixel where pictures have no spacing.
        shape: voxels along each array axis.
        spacing: along each array axis, in `unit`.
        anisotropy: largest over smallest spacing of a case.
        imbalance: voxels of background for each voxel of any class, all cases together; None without objects.
        case_imbalance: the same over cases that have objects.
        empty: number of cases without any object.
        missing: names of classes that occur in no case.
        partly: number of cases in which some class is not annotated.
        touching: pairs of classes that share a border in some case, with the share of the cases that hold both.
        classes: facts of every class or region.
        in_words: the same in a few sentences.
    """

    version: int
    dataset: str
    contents: str
    cases: int
    groups: int
    dims: int
    channels: tuple[str, ...]
    unit: str
    shape: tuple[Range, ...]
    spacing: tuple[Range, ...]
    anisotropy: Range
    imbalance: float | None
    case_imbalance: Range | None
    empty: int
    missing: tuple[str, ...]
    partly: int
    touching: tuple[tuple[str, str, float], ...]
    classes: tuple[ClassFacts, ...]
    in_words: str

    def text(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self), indent=1) + "\n"


def parse(text: str, file: Path) -> Fingerprint:
    """Read a fingerprint from the text of its file.

    Raises:
        ValueError: it is something else, or of another version.
    """
    try:
        content = json.loads(text)
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}, expected {VERSION}")
        return _fingerprint(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file}: not a fingerprint of a data set ({error}); remove it to get a new one") from None


def _fingerprint(content: Mapping[str, Any]) -> Fingerprint:
    ranges = {name: tuple(Range(**own) for own in content[name]) for name in ("shape", "spacing")}
    spread = content["case_imbalance"]
    return Fingerprint(
        **{
            **content,
            **ranges,
            "channels": tuple(content["channels"]),
            "anisotropy": Range(**content["anisotropy"]),
            "case_imbalance": spread and Range(**spread),
            "missing": tuple(content["missing"]),
            "touching": tuple((str(one), str(two), float(share)) for one, two, share in content["touching"]),
            "classes": tuple(_class(own) for own in content["classes"]),
        }
    )


def _class(content: Mapping[str, Any]) -> ClassFacts:
    values: dict[str, Any] = {n: Range(**value) if isinstance(value, dict) else value for n, value in content.items()}
    return ClassFacts(**values | {"labels": tuple(content["labels"])})

"""Whether the files of a case, and the cases of a data set, lie on grids that fit each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lossodyssey.data.alignment import misfit
from lossodyssey.data.check.finding import Finding, listed
from lossodyssey.data.grids import Grid
from lossodyssey.data.layouts import Case
from lossodyssey.data.nifti import SILENT

if TYPE_CHECKING:
    from lossodyssey.data.check.sight import Sight

FAR_SPACING = 3.0  # times the median, from which on a spacing is reported


def geometry(case: Case, images: Sequence[Grid], label: Grid | None) -> list[Finding]:
    """Compare the grids of the other channels and of the label map with that of the first image."""
    first = images[0]
    space = first.values.shape[: first.affine.shape[0] - 1]
    others = [*images[1:], *([label] if label is not None else [])]
    return [finding for other in others if (finding := _compared(case, first, other, space))]


def _compared(case: Case, first: Grid, other: Grid, space: tuple[int, ...]) -> Finding | None:
    dims = other.affine.shape[0] - 1
    if first.affine.shape != other.affine.shape:
        return _error(
            case, f"{other.path.name} is a {dims}D file, {first.path.name} is not", "convert one to the other's format"
        )
    if (shape := other.values.shape[:dims]) != space:
        return _error(
            case,
            f"{other.path.name} has shape {shape}, {first.path.name} has {space}",
            "find the file that belongs to this image, or resample one to the other",
        )
    apart = misfit(first.affine, other.affine, space)
    if apart.negligible:
        return None
    seen = f"affine of {other.path.name} differs by {apart} from that of {first.path.name}{_turned(first, other)}"
    if not apart.too_large:
        return Finding("warning", "geometry", (case.name,), seen, "it is taken for the same grid; make sure it is")
    return _error(case, seen, "resample one to the other, or copy the image's header where the voxels do correspond")


def _error(case: Case, seen: str, fix: str) -> Finding:
    return Finding("error", "geometry", (case.name,), seen, fix)


def _turned(first: Grid, other: Grid) -> str:
    """Say along which array axes the other grid runs the other way."""
    if SILENT in (first.doubt, other.doubt):
        return f" ({SILENT})"
    one, two = first.affine[:-1, :-1], other.affine[:-1, :-1]
    axes = [axis for axis in range(one.shape[1]) if np.allclose(one[:, axis], -two[:, axis], atol=1e-3)]
    return f"; axis {', '.join(map(str, axes))} runs the other way: is it flipped?" if axes else ""


def grids_of_all(sights: Sequence[Sight]) -> list[Finding]:
    """Compare cases: how their axes run, and whether the spacing of some is far from that of the others."""
    return [*_orientations(sights), *_spacings(sights)]


def _orientations(sights: Sequence[Sight]) -> list[Finding]:
    by_code: dict[str, list[str]] = {}
    for sight in sights:
        if sight.directions:
            by_code.setdefault(sight.directions, []).append(sight.name)
    if len(by_code) < 2:
        return []
    usual = max(by_code, key=lambda code: (len(by_code[code]), code))
    rare = [name for code, names in by_code.items() if code != usual for name in names]
    said = ", ".join(f"{code} in {len(names)}" for code, names in sorted(by_code.items()))
    fix = f"networks see arrays, not headers: reorient all to {usual}, or allow mirroring and turning"
    return [Finding("warning", "geometry", tuple(rare), f"array axes run {said} cases ({listed(rare)})", fix)]


def _spacings(sights: Sequence[Sight]) -> list[Finding]:
    known = [sight for sight in sights if sight.spacing]
    dims = Counter(len(sight.spacing) for sight in known)
    found = []
    for number in dims:
        own = [sight for sight in known if len(sight.spacing) == number]
        steps = np.array([sight.spacing for sight in own])
        away = np.exp(np.abs(np.log(steps / np.median(steps, axis=0)))).max(axis=1)
        if far := tuple(sight.name for sight, factor in zip(own, away, strict=True) if factor > FAR_SPACING):
            seen = f"spacing is up to {away.max():.3g} times off the median {_written(np.median(steps, axis=0))} mm"
            found.append(Finding("note", "geometry", far, seen, "resample to one spacing before training"))
    return found + _mixed(dims)


def _mixed(dims: Counter[int]) -> list[Finding]:
    if len(dims) < 2:
        return []
    seen = "; ".join(f"{count} cases of {number} axes" for number, count in sorted(dims.items()))
    return [Finding("error", "geometry", (), seen, "keep 2D and 3D images in data sets of their own")]


def _written(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.3g}" for number in numbers)

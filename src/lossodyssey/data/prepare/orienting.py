"""Label maps that are mirrored against their image: turned by their headers, or where these err, by what they cover."""

from __future__ import annotations

from dataclasses import replace

import numpy
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform
from numpy.typing import NDArray

from lossodyssey.data.grids import Grid

AIR = -200  # Hounsfield units; organs lie above
MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))
MOST_AIR = 0.2  # the share of an organ's voxels that may be air; a bowel holds some


def oriented_like(image: Grid, labels: Grid) -> Grid:
    """Return the labels of a CT on the grid of its image, with a note where something was turned.

    The headers decide, unless the labels then lie in air: then the mirroring along rows and slices is taken that leaves
    the fewest of them there.

    Raises:
        ValueError: the shapes differ, or the labels lie in air however they are mirrored.
    """
    turned = _by_header(image, labels)
    if turned.shape != image.values.shape:
        raise ValueError(
            f"{labels.path}: shape {turned.shape} does not fit {image.values.shape} of {image.path}; is it its own?"
        )
    air = {axes: _in_air(image, numpy.flip(turned, axes)) for axes in MIRRORINGS}
    best = () if air[()] <= MOST_AIR else min(air, key=lambda axes: air[axes])
    if air[best] > MOST_AIR:
        raise ValueError(
            f"{labels.path}: {air[best]:.0%} of the labelled voxels lie in air of {image.path}, however they are "
            "mirrored; are they of this image?"
        )
    note = f"labels mirrored along axis {' and '.join(map(str, best))}: by their header {air[()]:.0%} lay in air"
    notes = (*labels.notes, note) if best else labels.notes
    return replace(labels, values=numpy.flip(turned, best), affine=image.affine, doubt=image.doubt, notes=notes)


def _by_header(image: Grid, labels: Grid) -> NDArray[numpy.generic]:
    """Return the labels with their axes in the order and direction of those of the image."""
    change = ornt_transform(io_orientation(labels.affine), io_orientation(image.affine))  # type: ignore[no-untyped-call]
    turned: NDArray[numpy.generic] = apply_orientation(labels.values, change)  # type: ignore[no-untyped-call]
    return turned


def _in_air(image: Grid, labels: NDArray[numpy.generic]) -> float:
    """Compute the share of the labelled voxels that lie in air."""
    covered = image.values[labels != 0]
    return float((covered < AIR).mean()) if covered.size else 0.0

"""Label maps that fit another image better than their own, or their own image when they are flipped.

The borders of objects lie on edges of the image. The measure is the mean steepness of image i under the border of
label map j, less what is usual for the image and for the map, in units of its deviation over pairs that do not belong
together: about 0 for these, and 2 to 20 for a case's own label map, depending on how clear the objects' edges are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data.check.duplicates import ALIKE
from lossodyssey.data.check.edges import SIDE
from lossodyssey.data.check.finding import Finding
from lossodyssey.data.check.sight import Sight

Floats = NDArray[np.float32]

FEWEST = 8  # cases that a deviation can be taken from
GAIN = 6.0  # by which an exchange must improve the fit of both cases together; 4 to 6 are never reached without one
FLIP_GAIN = 8.0
UNFIT, FIT = 2.0, 2.0
LEGIBLE = 1.0
SAME = 5.0  # standard errors above 0 of the gain over all cases, where all maps are flipped
BLOCK = 512
SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Fits:
    """Edges of the images and of the label maps of some cases, such that a product of rows is the measure."""

    sights: Sequence[Sight]
    images: Floats
    labels: Floats

    @property
    def own(self) -> Floats:
        """How well each label map fits its own image."""
        fit: Floats = np.einsum("ik,ik->i", self.images, self.labels)
        return fit


def pairing(sights: Sequence[Sight]) -> list[Finding]:
    """Find label maps that were exchanged or flipped, in data sets of at least eight labelled cases."""
    known = [s for s in sights if s.labelled and s.image_edges is not None and s.label_shape == s.shape]
    found: list[Finding] = [*_mismatched(sights)]
    for dims in (2, 3):
        own = [sight for sight in known if len(sight.shape) == dims]
        if len(own) >= FEWEST:
            fits = _fits(own)
            found += _flipped(fits, dims)
            # Where maps do not fit their images in general, a better fit elsewhere says little.
            found += _exchanged(fits) if np.median(fits.own) > LEGIBLE else ()
    return found


def _fits(sights: Sequence[Sight]) -> Fits:
    images = np.stack([sight.image_edges for sight in sights if sight.image_edges is not None]).astype(np.float32)
    labels = np.stack([sight.label_edges for sight in sights if sight.label_edges is not None]).astype(np.float32)
    # Both centred: each row and column of the table of products then has mean 0.
    images -= images.mean(axis=0)
    labels -= labels.mean(axis=0)
    some = slice(None, None, max(1, len(sights) // SAMPLE))
    table = images[some] @ labels[some].T
    apart = table[~np.eye(len(table), dtype=bool)]
    deviation = 1.4826 * float(np.median(np.abs(apart - np.median(apart))))
    return Fits(sights, images, labels / (deviation or 1.0))


def _exchanged(fits: Fits) -> Iterator[Finding]:
    own, thumbnails = fits.own, np.stack([s.thumbnail for s in fits.sights if s.thumbnail is not None])
    shapes = np.array([hash(sight.shape) for sight in fits.sights])
    for start in range(0, len(own), BLOCK):
        block = slice(start, start + BLOCK)
        there, back = fits.images[block] @ fits.labels.T, fits.labels[block] @ fits.images.T
        gain = there + back - own[block, None] - own
        likely = (gain > GAIN) & (np.minimum(there, back) > FIT) & (np.maximum(own[block, None], own) < UNFIT)
        # Maps of another shape would not fit at all, and those of near duplicates always do.
        likely &= (shapes[block, None] == shapes) & (thumbnails[block] @ thumbnails.T < ALIKE)
        for row, column in np.argwhere(likely).tolist():
            if start + row < column:
                fit = own[start + row], own[column], there[row, column], back[row, column]
                yield _exchange(fits.sights[start + row].name, fits.sights[column].name, fit)


def _exchange(first: str, second: str, fit: tuple[float, ...]) -> Finding:
    seen = (
        f"the label maps of {first} and {second} seem exchanged: their borders lie on edges of the other's image (fit "
        f"{fit[2]:.1f} and {fit[3]:.1f}) rather than of their own ({fit[0]:.1f} and {fit[1]:.1f})"
    )
    return Finding("warning", "pairing", (first, second), seen, "look at both, and exchange their label files")


def _mismatched(sights: Sequence[Sight]) -> Iterator[Finding]:
    """Find two cases whose label maps have the shape of the other's image."""
    odd = [s for s in sights if s.shape and s.label_shape and s.shape != s.label_shape]
    for number, one in enumerate(odd):
        for two in odd[number + 1 :]:
            if (one.shape, one.label_shape) == (two.label_shape, two.shape):
                seen = f"the label maps of {one.name} and {two.name} have the shape of the other's image"
                fix = "look at both, and exchange their label files"
                yield Finding("warning", "pairing", (one.name, two.name), seen, fix)


def _flipped(fits: Fits, dims: int) -> Iterator[Finding]:
    cells = fits.labels.reshape(-1, *[SIDE[dims]] * dims)
    turns = {f"flipped along axis {axis}": np.flip(cells, axis + 1) for axis in range(dims)}
    square = all(sight.shape[0] == sight.shape[1] for sight in fits.sights)
    if square:
        turns["turned with axes 0 and 1 exchanged"] = np.swapaxes(cells, 1, 2)
    for turn, turned in turns.items():
        gain = np.einsum("ik,ik->i", fits.images, turned.reshape(len(cells), -1)) - fits.own
        error = float(gain.std()) / np.sqrt(len(gain))
        if error > 0 and gain.mean() > SAME * error:
            seen = f"all label maps fit their images better when {turn} (by {gain.mean():.1f} on average)"
            yield Finding("warning", "pairing", (), seen, "look at some, and turn all label files")
            continue
        for row in np.flatnonzero((gain > FLIP_GAIN) & (fits.own < UNFIT)).tolist():
            seen = f"the label map fits its image better when {turn} (by {gain[row]:.1f})"
            yield Finding("warning", "pairing", (fits.sights[row].name,), seen, "look at it, and turn the label file")

"""Faults of the files of a data set that no guess can correct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.facts import MaskFacts
from lossodyssey.data.adopt.reading import Read
from lossodyssey.data.alignment import misfit
from lossodyssey.data.grids import has_own_size, share_axes

TURNED = "viewers turn it"  # as the reader of pictures says it
MOST = 20  # faults of one kind that are listed


def misfits(read: Read) -> Iterator[str]:
    """Say what keeps the files of a case from being one case: other shapes, other places, masks of several channels."""
    first = read.images[0]
    for other in read.files[1:]:
        if isinstance(other, MaskFacts) and other.kind not in ("grey", "colour", "palette"):
            yield f"{other.path}: has {other.kind}, expected one label or colour per pixel; split it or join it first"
        elif len(other.affine) == len(first.affine) == 4 and not share_axes(first.path, other.path):
            yield (
                f"{other.path}: the axes of a stack of pages run otherwise than those of {first.path}; convert one of "
                "them to the format of the other with a program that shows both"
            )
        elif len(other.affine) != len(first.affine) or other.shape != first.shape:
            turned = other.shape == first.shape[::-1] and len(set(first.shape)) > 1
            more = " (rows and columns are exchanged)" if turned else ""
            yield (
                f"{other.path}: shape {_times(other.shape)} does not fit {_times(first.shape)} of {first.path}{more}; "
                "resample or turn one of them, or take the pair out"
            )
        elif first.sized and other.sized:
            apart = misfit(first.affine, other.affine, first.shape)
            if apart.too_large:
                yield (
                    f"{other.path}: size or place of its pixels differ by {apart} from those of {first.path}; "
                    "resample one to the other, or copy the header if the pixels do correspond"
                )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def misfits_of(reads: Sequence[Read]) -> list[str]:
    """List what keeps the cases from being one data set, at most 20 faults of single files."""
    found = [fault for read in reads for fault in misfits(read)]
    by_dims = {read.dims: read.images[0].path for read in reads}
    if len(by_dims) > 1:
        seen = " and ".join(f"{path} {dims}" for dims, path in by_dims.items())
        found = [f"images differ in their axes: {seen}; adopt them as two data sets", *found]
    clear = [mask for read in reads for mask in read.masks if "varying" in mask.extra and len(mask.counts) == 1]
    if clear:
        found = [f"{clear[0].path}: its mask is in the transparency; save it as a grey picture", *found]
    more = [f"{len(found) - MOST} more faults like these"] if len(found) > MOST else []
    return [*found[:MOST], *more]


def exchanged(reads: Sequence[Read]) -> str:
    """Say that images and masks look exchanged, as images have few values and masks many; else the empty text."""
    few = sum(0 < image.levels <= 4 for read in reads for image in read.images)
    many = sum(not 0 < len(mask.counts) <= 40 for read in reads for mask in read.masks)
    images, masks = sum(len(read.images) for read in reads), sum(len(read.masks) for read in reads)
    if 2 * few > images and 2 * many > masks:
        return (
            f"most images hold 4 values or fewer and most masks more than 40, such as {reads[0].masks[0].path}: "
            "exchange --images and --masks, or the names of their folders"
        )
    return ""


def turned(reads: Sequence[Read]) -> list[str]:
    """Return a doubt where viewers turn images that are read as stored: masks may fit what viewers show."""
    found = [image.path for read in reads for image in read.images if any(TURNED in note for note in image.notes)]
    if not found:
        return []
    return [
        f"viewers turn {len(found)} of the images, such as {found[0]}, which are read as they are stored; masks that "
        "were drawn on what a viewer shows do not fit: look at the picture"
    ]


def reader_notes(reads: Sequence[Read]) -> list[str]:
    """Return the warnings of the readers, at most 20, and what was left out of masks."""
    told = [note for read in reads for facts in read.files for note in facts.notes]
    more = [f"{len(told) - MOST} more notes like these"] if len(told) > MOST else []
    varying = [mask for read in reads for mask in read.masks if "varying" in mask.extra]
    clear = (
        f"{len(varying)} masks have a transparency that varies, such as {varying[0].path}: left out" if varying else ""
    )
    return [*dict.fromkeys(told[:MOST]), *more, *filter(None, [clear])]


def check_spacing(reads: Sequence[Read], choices: Choices) -> None:
    """Refuse a spacing that has no effect, or the wrong number of axes.

    Raises:
        ValueError: the spacing has no effect, or the wrong number of axes.
    """
    given = choices.spacing
    if not given:
        return
    own = next((image.path for read in reads for image in read.images if has_own_size(image.path)), None)
    if own:
        raise ValueError(f"--spacing: {own} keeps its own spacing, which is what is read; leave the option out")
    if len(given) != reads[0].dims:
        raise ValueError(f"--spacing has {len(given)} sizes; expected {reads[0].dims}, one per axis (rows first)")

"""Every file of all pairs read once, and what does not fit between an image and its masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.adopt.channels import Image
from lossodyssey.data.adopt.facts import ImageFacts, MaskFacts, read_image_facts, read_mask_facts
from lossodyssey.data.adopt.layers import Sorted
from lossodyssey.data.alignment import misfit
from lossodyssey.data.grids import has_own_size

OnProgress = Callable[[int, int], None]
Layer = tuple[str, tuple[MaskFacts, ...]]


@dataclass(frozen=True)
class Read:
    """A case as its files are: one image per channel file, and masks by class."""

    image: Image
    images: tuple[ImageFacts, ...]
    layers: tuple[Layer, ...]

    @property
    def masks(self) -> tuple[MaskFacts, ...]:
        """All masks of the case."""
        return tuple(mask for _, masks in self.layers for mask in masks)

    @property
    def files(self) -> tuple[ImageFacts | MaskFacts, ...]:
        """All images and masks of the case."""
        return (*self.images, *self.masks)

    @property
    def dims(self) -> int:
        """The number of axes of space."""
        return len(self.images[0].affine) - 1


def read_all(found: Sorted, on_progress: OnProgress) -> list[Read]:
    """Read all images and masks.

    Raises:
        ValueError: a file cannot be read; the text names it.
    """
    reads = []
    for number, (image, layers) in enumerate(found.cases):
        on_progress(number, len(found.cases))
        images = tuple(read_image_facts(path) for path in image.files)
        reads.append(Read(image, images, tuple((name, _masks(paths)) for name, paths in layers)))
    on_progress(len(found.cases), len(found.cases))
    return reads


def _masks(paths: Sequence[Path]) -> tuple[MaskFacts, ...]:
    return tuple(read_mask_facts(path) for path in paths)


def misfits(read: Read) -> Iterator[str]:
    """Say what keeps the files of a case from being one case: other shapes, other places, masks of several channels."""
    first = read.images[0]
    for other in read.files[1:]:
        if isinstance(other, MaskFacts) and other.kind not in ("grey", "colour", "palette"):
            yield f"{other.path}: has {other.kind}, expected one label or colour per pixel; split it or join it first"
        elif len(other.affine) != len(first.affine) or other.shape != first.shape:
            turned = other.shape == first.shape[::-1] and len(set(first.shape)) > 1
            more = " (rows and columns are exchanged)" if turned else ""
            yield (
                f"{other.path}: shape {_times(other.shape)} does not fit {_times(first.shape)} of {first.path}{more}; "
                "resample or turn one of them, or take the pair out"
            )
        elif has_own_size(other.path) and has_own_size(first.path):
            apart = misfit(first.affine, other.affine, first.shape)
            if apart.too_large:
                yield (
                    f"{other.path}: its header places it {apart} away from {first.path}; resample one to the other, or "
                    "copy the header if the voxels do correspond"
                )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def swapped(reads: Sequence[Read]) -> str:
    """Say that images and masks look exchanged, where images have few values and masks many; else the empty text."""
    few = sum(0 < image.levels <= 4 for read in reads for image in read.images)
    many = sum(not 0 < len(mask.counts) <= 40 for read in reads for mask in read.masks)
    images, masks = sum(len(read.images) for read in reads), sum(len(read.masks) for read in reads)
    if 2 * few > images and 2 * many > masks:
        return (
            f"most images hold 4 values or fewer and most masks more than 40, such as {reads[0].masks[0].path}: "
            "exchange --images and --masks, or the names of their folders"
        )
    return ""

"""Every file of all pairs, read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.adopt.channels import Image
from lossodyssey.data.adopt.facts import ImageFacts, MaskFacts, read_image_facts, read_mask_facts
from lossodyssey.data.adopt.layers import Sorted

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

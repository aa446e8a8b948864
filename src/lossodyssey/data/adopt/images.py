"""How the images of all cases get the same channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.adopt.facts import ImageFacts
from lossodyssey.data.grids import Grid

COLOURS = ("R", "G", "B")


@dataclass(frozen=True)
class Harmony:
    """The number of channels of every image file; images with another number, or with transparency, are rewritten."""

    channels: int
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def keeps(self, image: ImageFacts) -> bool:
        """Return whether an image already has the channels, so that it may be linked."""
        return image.channels == self.channels

    def made(self, grid: Grid, image: ImageFacts) -> NDArray[Any]:
        """Return the values of an image with these channels."""
        values = grid.shown if grid.shown.ndim > len(image.shape) else grid.shown[..., None]
        values = values[..., : image.seen]
        kept = values[..., :1] if self.channels == 1 else numpy.broadcast_to(values, (*image.shape, self.channels))
        return numpy.ascontiguousarray(kept[..., 0] if self.channels == 1 else kept)


def harmonise(images: Sequence[ImageFacts]) -> Harmony:
    """Choose the channels that all images can have without a loss, and say what that changes."""
    notes = []
    clear = [image for image in images if image.alpha]
    if clear:
        varying = sum(image.alpha == "varying" for image in clear)
        more = f", which says something in {varying} of them" if varying else ""
        notes.append(f"{len(clear)} of {len(images)} images have transparency{more}: left out")
    numbers = Counter(image.seen for image in images)
    if len(numbers) == 1:
        only = next(iter(numbers))
        if only == 3 and all(image.grey for image in images):
            how = "written as one" if clear else "taken as they are"
            notes.append(f"all images are grey and stored as three equal channels: {how}")
            only = 1 if clear else 3
        return Harmony(only, tuple(notes))
    coloured = [image for image in images if image.seen == 3 and not image.grey]
    if set(numbers) == {1, 3}:
        to = 3 if coloured else 1
        how = "grey ones get three equal channels" if coloured else "all are grey: those of three get one"
        notes.append(f"{numbers[1]} images have one channel and {numbers[3]} three; {how}")
        return Harmony(to, tuple(notes))
    examples = [next(image for image in images if image.seen == number) for number in numbers]
    seen = ", ".join(f"{image.path} has {image.seen}" for image in examples[:4])
    return Harmony(0, tuple(notes), (f"images differ in their channels: {seen}; give all the same, or leave some out",))


def channel_names(files: Sequence[str], channels: int) -> tuple[str, ...]:
    """Return names for the channels: of the files that hold one each, of colours, or numbers."""
    if len(files) > 1:
        named = [file if not file.isdecimal() else f"channel {int(file)}" for file in files]
        return tuple(name if channels == 1 else f"{name} {part}" for name in named for part in range(channels))
    if channels == 3:
        return COLOURS
    return ("image",) if channels == 1 else tuple(f"channel {number}" for number in range(channels))

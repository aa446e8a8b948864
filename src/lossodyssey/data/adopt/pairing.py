"""Which masks belong to which image: equal names, common beginnings or ends, or a folder of masks per image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lossodyssey.data.adopt.channels import Image
from lossodyssey.data.adopt.folders import File
from lossodyssey.data.adopt.names import SEPARATORS, core, unpadded, words

Key = tuple[tuple[str, ...], str]

ANYWHERE = ("/",)
"""Stands for all folders; no folder is called so."""


@dataclass(frozen=True)
class Match:
    """A mask of an image; `rest` is what its name says beyond the image's."""

    mask: File
    rest: str


@dataclass(frozen=True)
class Pairing:
    """Images with their masks, and the files that fit nothing, with the reason."""

    pairs: tuple[tuple[Image, tuple[Match, ...]], ...]
    unpaired: tuple[tuple[Path, str], ...]


def pair(images: Sequence[Image], masks: Sequence[File]) -> Pairing:
    """Pair masks with images, by the strictest of several rules that finds an image.

    Equal names come first, then equal names without words such as `image` and `mask`, then names of masks that
    begin or end with an image's, then folders that hold the masks of one image, then numbers without leading zeros.
    """
    found: dict[Image, list[Match]] = defaultdict(list)
    unpaired: list[tuple[Path, str]] = []
    search = _Search(images)
    for mask in masks:
        owners, rest = search.owners(mask)
        if len(owners) == 1:
            found[owners[0]].append(Match(mask, rest))
        elif owners:
            names = ", ".join(str(image.files[0]) for image in owners[:3])
            unpaired.append((mask.path, f"fits {len(owners)} images: {names}"))
        else:
            unpaired.append((mask.path, _nearest(mask, "image", images)))
    unpaired += [(image.files[0], _nearest(image, "mask", masks)) for image in images if image not in found]
    return Pairing(tuple((image, tuple(found[image])) for image in images if image in found), tuple(unpaired))


def _nearest(file: Image | File, kind: str, others: Sequence[Image | File]) -> str:
    name, names = "/".join((*file.where, file.stem)), ["/".join((*other.where, other.stem)) for other in others]
    close = get_close_matches(name, names, n=1, cutoff=0.0)
    return f"no {kind} of its name; the nearest is {close[0]}" if close else f"no {kind} of its name"


class _Search:
    """Finds the image of a mask; every table is made once."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = images
        self.stems = _table(images, lambda image: image.stem.casefold())
        self.cores = _table(images, lambda image: core(image.stem, "image"))
        self.numbers = _table(images, lambda image: unpadded(core(image.stem, "image")))
        self.places: dict[tuple[str, ...], list[Image]] = defaultdict(list)
        for image in images:
            self.places[image.where].append(image)
        # A folder of several images is one of a class or a part, and says nothing of a single mask in it.
        self.one_each = all(len(found) == 1 for found in self.places.values())

    def owners(self, mask: File) -> tuple[list[Image], str]:
        """Return the images that a mask may belong to, and the rest of its name."""
        for rule in (self._by_stem, self._by_core, self._by_folder, self._by_number):
            owners, rest = rule(mask)
            if owners:
                return owners, rest
        return [], ""

    def _by_stem(self, mask: File) -> tuple[list[Image], str]:
        """Find the image of the same name, or the longest name that the mask's begins or ends with."""
        return self._longest(self.stems, mask, mask.stem.casefold())

    def _by_core(self, mask: File) -> tuple[list[Image], str]:
        own = core(mask.stem, "mask")
        if owners := _at(self.cores, mask.where, own):
            return owners, " ".join(word for word in words(mask.stem) if word not in own.split("_"))
        return self._longest(self.cores, mask, "_".join(words(mask.stem)))

    def _longest(self, table: Mapping[Key, list[Image]], mask: File, name: str) -> tuple[list[Image], str]:
        for part, rest in [(name, ""), *_cuts(name)]:
            if owners := _at(table, mask.where, part):
                return owners, rest
        return [], ""

    def _by_folder(self, mask: File) -> tuple[list[Image], str]:
        """Find the only image of the mask's folder, or the image that the folder is named after."""
        if not mask.where:
            return [], ""
        if self.one_each and mask.where in self.places:
            return self.places[mask.where], mask.stem
        return _at(self.stems, mask.where[:-1], mask.where[-1].casefold()), mask.stem

    def _by_number(self, mask: File) -> tuple[list[Image], str]:
        return _at(self.numbers, mask.where, unpadded(core(mask.stem, "mask"))), ""


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """Yield every beginning or end of a name, the longest first, with what is left of it."""
    borders = list(SEPARATORS.finditer(name))
    cuts = [(name[: border.start()], name[border.start() :]) for border in borders]
    # A bracket or a point may belong to the image's name: `benign (1)_mask`.
    cuts += [(name[:place], name[place:]) for border in borders for place in range(border.start() + 1, border.end())]
    cuts += [(name[border.end() :], name[: border.end()]) for border in borders]
    yield from sorted((cut for cut in cuts if cut[0]), key=lambda cut: -len(cut[0]))


def _table(images: Sequence[Image], name: Callable[[Image], str]) -> dict[Key, list[Image]]:
    """Return the images by folder and name, and by name alone under a folder that cannot be."""
    table: dict[Key, list[Image]] = defaultdict(list)
    for image in images:
        if key := name(image):
            table[image.where, key].append(image)
            table[ANYWHERE, key].append(image)
    return table


def _at(table: Mapping[Key, list[Image]], where: tuple[str, ...], name: str) -> list[Image]:
    """Find images of a name in a folder; elsewhere only where one of the two sides has no folders of its own."""
    if found := table.get((where, name)):
        return found
    anywhere = table.get((ANYWHERE, name), [])
    return [image for image in anywhere if not where or not image.where]

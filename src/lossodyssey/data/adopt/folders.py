"""Which files are images and which are masks, by the folders that they lie in and by their names."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.names import compiled, file_role, folder_role
from lossodyssey.data.grids import ENDINGS, is_image, stem

Pattern = re.Pattern[str]

BESIDE = frozenset(
    ".json .txt .md .csv .tsv .xml .yaml .yml .xlsx .pdf .html .db .ini .raw .zraw .gz .zip .py .log".split()  # noqa: SIM905
)
"""Endings of files that lie beside images and are not images, or hold the values of a header that is read."""


@dataclass(frozen=True)
class File:
    """A file with the folders that say something of its case, and its name without ending."""

    path: Path
    where: tuple[str, ...]
    stem: str


@dataclass(frozen=True)
class Found:
    """Images and masks, and files that are neither, with the reason."""

    images: tuple[File, ...]
    masks: tuple[File, ...]
    left_out: tuple[tuple[Path, str], ...] = ()


def find_files(choices: Choices) -> Found:
    """Find images and masks, in a folder of both or in one for each.

    Raises:
        ValueError: neither is given, or one kind is not there; the text says which names would tell.
        FileNotFoundError: there is no such folder.
    """
    folder, images, masks = choices.folder, choices.images, choices.masks
    if (images is None) != (masks is None) or (folder is None) == (images is None):
        raise ValueError("give either a folder, or both --images and --masks")
    for place in filter(None, (folder, images, masks)):
        if not place.is_dir():
            raise FileNotFoundError(f"{place}: no such folder; expected a folder of images and masks")
    pattern = compiled(choices.pattern, "--pattern") if choices.pattern else None
    found = _in_one(folder, pattern) if folder else _in_two(images, masks, pattern)  # type: ignore[arg-type]
    for role, files, own in (("image", found.images, images), ("mask", found.masks, masks)):
        if not files:
            others = "".join(f"; {note}" for note in passed_over(choices))
            raise ValueError(
                f"{folder or own}: holds no {role} that is known by its folder or its name; expected folders images/ "
                "and masks/, or masks named like case_mask.png; else say where they lie: --images DIR --masks DIR"
                + others
            )
    return found


def walked(folder: Path) -> Iterator[Path]:
    """Yield the image files of a folder and of all below it, in order; hidden ones are passed over."""
    return (path for path in _all_files(folder) if is_image(path))


def passed_over(choices: Choices) -> list[str]:
    """Return a note on files that may be images of a format that is not read, for they must not go unnoticed."""
    places = filter(None, (choices.folder, choices.images, choices.masks))
    others = {path for place in places for path in _all_files(place) if not is_image(path)}
    endings = Counter(path.suffix.lower() for path in others if path.suffix.lower() not in BESIDE)
    if not endings:
        return []
    seen = ", ".join(f"{number} {ending or 'without an ending'}" for ending, number in endings.most_common(5))
    return [f"files of formats that are not read are passed over: {seen}; read are {', '.join(ENDINGS)}"]


def _all_files(folder: Path) -> Iterator[Path]:
    """Yield all files, also in folders that are links; one that leads back to a folder above it is not followed."""
    seen: set[str] = set()
    for place, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        paths = (Path(place) / name for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def _in_two(images: Path, masks: Path, pattern: Pattern | None) -> Found:
    if images.resolve() == masks.resolve():
        return _by_name([_file(path, images) for path in walked(images)], (), pattern)
    return Found(tuple(_files_but(images, masks)), tuple(_files_but(masks, images)))


def _files_but(folder: Path, other: Path) -> Iterator[File]:
    """Yield the files of a folder, without those of the other one where that lies inside."""
    inside = folder.resolve() in other.resolve().parents
    for path in walked(folder):
        if not (inside and other.resolve() in path.resolve().parents):
            yield _file(path, folder)


def _in_one(folder: Path, pattern: Pattern | None) -> Found:
    files = {"image": [], "mask": [], "": []}  # type: dict[str, list[File]]
    for path in walked(folder):
        roles = [role for part in path.relative_to(folder).parts[:-1] if (role := folder_role(part))]
        # The deepest folder decides: masks may lie in a folder below the images.
        files[roles[-1] if roles else ""].append(_file(path, folder))
    images, masks, rest = (tuple(files[role]) for role in ("image", "mask", ""))
    if images and masks:
        return Found(images, masks, tuple((file.path, "lies in no folder of images or masks") for file in rest))
    if masks and rest:
        return Found(rest, masks)
    # Masks beside their images, in one folder or in folders of classes.
    return _by_name([*images, *rest], masks, pattern)


def _by_name(files: list[File], masks: tuple[File, ...], pattern: Pattern | None) -> Found:
    """Tell masks from images by a pattern of their names, else by the words in them."""
    named = {f for f in files if (pattern.fullmatch(f.stem) if pattern else file_role(f.stem) == "mask")}
    if not (named or masks or pattern):
        named = _longer(files)
    return Found(tuple(f for f in files if f not in named), (*masks, *(f for f in files if f in named)))


def _longer(files: list[File]) -> set[File]:
    """Return the files called as another one and a word more that comes again and again: `a_liver` beside `a`."""
    stems = {(file.where, file.stem.casefold()) for file in files}
    found: dict[str, set[File]] = defaultdict(set)
    for file in files:
        name, _, word = file.stem.casefold().rpartition("_")
        if not word.isdecimal() and (file.where, name) in stems:
            found[word].add(file)
    shorter = len(files) - sum(map(len, found.values()))
    return {file for group in found.values() for file in group if 2 * len(group) >= shorter > 1}


def _file(path: Path, folder: Path) -> File:
    parts = path.relative_to(folder).parts[:-1]
    return File(path, tuple(part for part in parts if not folder_role(part)), stem(path))

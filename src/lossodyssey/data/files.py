"""Which files make a case: paths that a data set lists, and names that nnU-Net numbers by channel."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossodyssey.data.grids import ending, is_image, stem

CHANNEL = re.compile(r"_(\d{4})$")


def inside(root: Path, text: Any, file: Path) -> Path:
    """Return the path of a file that must lie in the folder of the data set.

    Raises:
        ValueError: the text is not a path, or leaves the folder.
    """
    # Normalised as text: resolving would follow links, by which several sets may share images.
    path = Path(os.path.normpath(_text(text, file)))
    if path.anchor or path.parts[:1] == ("..",):
        raise ValueError(f"{file}: path {text!r} leaves the folder of the data set; move the file inside {root}")
    return root / path


def referenced(root: Path, text: Any, file: Path) -> Path:
    """Return the path of a file that may lie anywhere, with variables such as `$DATA` filled in.

    Raises:
        ValueError: the text is not a path, or not that of an image.
    """
    path = Path(os.path.expandvars(_text(text, file)))
    # Fails here, with the name as the file has it, for a format that is not read.
    stem(path)
    return root / path


def _text(text: Any, file: Path) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{file}: expected a file path, found {text!r:.80}")
    return text


def channel_files(path: Path, channels: int) -> tuple[Path, ...]:
    """Return the file itself, or the numbered files of all channels where only they exist or it is the first of them.

    Lists of nnU-Net name an image `case.nii.gz` whose files are `case_0000.nii.gz`, `case_0001.nii.gz`, ...
    """
    name, tail = stem(path), ending(path)
    # With one channel a name that ends in _0000 may be the whole image.
    first = name.endswith("_0000") and channels > 1
    if path.is_file() and not first:
        return (path,)
    base = name[:-5] if first else name
    numbered = [path.with_name(f"{base}_{number:04d}{tail}") for number in range(channels)]
    # Where nothing is found the path stays as listed: the error then names the path that the user wrote.
    complete = numbered[0].is_file() and (not path.is_file() or all(each.is_file() for each in numbered))
    return tuple(numbered) if complete else (path,)


Found = tuple[str, tuple[Path, ...], Path]


def found_cases(root: Path, tail: str, file: Path) -> list[Found]:
    """Find name, images and label of every case by file names: `case.ext`, or `case_0000.ext`, `case_0001.ext`, ...

    `tail` is the ending that all images have, "" where it is not known. The label files decide whether numbers at the
    end of names count channels: `img_0001.png` with a label `img_0001.png` is a case of that name.

    Raises:
        ValueError: the images of a case are not numbered 0000, 0001, ... without gaps.
    """
    images = [path for path in _files(root / "imagesTr") if path.name.lower().endswith(tail.lower())]
    labels: dict[str, Path] = {}
    for path in filter(is_image, _files(root / "labelsTr")):
        labels.setdefault(stem(path), path)

    numbered = _are_numbered(images, labels, bool(tail))
    groups: dict[str, list[Path]] = {}
    for path in images:
        groups.setdefault(_base(path) if numbered else stem(path), []).append(path)
    for name, paths in groups.items():
        _check_numbers(name, paths, file)
    return [(name, tuple(paths), _label_of(root, name, paths[0], labels)) for name, paths in groups.items()]


def _files(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _base(path: Path) -> str:
    return CHANNEL.sub("", stem(path))


def _are_numbered(images: Sequence[Path], labels: Mapping[str, Path], likely: bool) -> bool:
    """Return whether names end in the number of a channel: more images have a label without it than with it."""
    own = sum(stem(path) in labels for path in images)
    without = sum(_base(path) in labels for path in images)
    # On a tie `file_ending`, which only nnU-Net's layout has, speaks for channels.
    return without > own or (without == own and likely)


def _check_numbers(name: str, paths: Sequence[Path], file: Path) -> None:
    expected = [f"{name}_{number:04d}" for number in range(len(paths))]
    if [stem(path) for path in paths] not in (expected, [name]):
        raise ValueError(
            f"{file}: images {', '.join(path.name for path in paths)} are all case {name!r}; expected one file, or "
            f"one for each channel: {name}_0000, {name}_0001, ... without gaps"
        )


def _label_of(root: Path, name: str, image: Path, labels: Mapping[str, Path]) -> Path:
    alike = root / "labelsTr" / (name + ending(image))
    return alike if alike.is_file() else labels.get(name, alike)

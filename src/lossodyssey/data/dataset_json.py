"""Reading of `dataset.json`: every mistake is an error that names the file and the key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from lossodyssey.data.regions import Region, check_order

Label: TypeAlias = int | tuple[int, ...]
"""The number of a class, or the numbers of all classes that make a region."""

IGNORE = "ignore"
"""nnU-Net's name for the label of voxels that do not count."""

MOST_TRAINED = 2**24
"""The largest label that training can tell from its neighbours: patches are cut from labels in float32."""


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object, in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, not an object, or has a key twice.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; a data set is a folder with dataset.json, imagesTr and labelsTr; to "
            f"make one of images and masks: lossodyssey data adopt {file.parent} -o NEW"
        )
    try:
        content = json.loads(file.read_bytes(), object_pairs_hook=_unique)
    # Thousands of nested brackets exceed Python's recursion limit, which is no ValueError.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}); correct the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a JSON object in braces, found {type(content).__name__}")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; of two equal keys JSON would silently keep the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return content


def read_names(settings: Mapping[str, Any], file: Path) -> dict[Label, str]:
    """Read the names of classes and regions by their numbers, from MSD's {"1": "liver"} or nnU-Net's {"liver": 1}.

    The numbers need not follow each other. Classes come in order; where there are regions, nnU-Net's
    {"whole tumor": [1, 2, 3]}, all come as the file has them.

    Raises:
        ValueError: a number or a name occurs twice, a label is not a whole number or a list of them, or `ignore` is not
            a label of its own.
    """
    table = _mapping(settings, ("labels",), file)
    # The layout is told by the table itself: MSD's keys are digits with names as values, nnU-Net's the reverse.
    by_number = all(key.isdecimal() and isinstance(value, str) for key, value in table.items())
    pairs = [(int(key), name) for key, name in table.items()] if by_number else _pairs(table, file)

    names: dict[Label, str] = {}
    for label, name in pairs:
        if label in names or name in names.values():
            other = f"label {label}" if label in names else f"name {name!r}"
            raise ValueError(f"{file}: 'labels' gives {other} twice ({name!r}: {label}); each class needs its own")
        names[label] = name
    _check_ignored(names, file)

    # `regions_class_order` goes by the order of the file, so it must not be sorted away.
    if any(isinstance(label, tuple) for label in names):
        return names
    return {label: names[label] for label in sorted(names)}


def _pairs(table: Mapping[str, Any], file: Path) -> list[tuple[Label, str]]:
    return [(_label(value, name, file), name) for name, value in table.items()]


def _label(value: Any, name: str, file: Path) -> Label:
    numbers = value if isinstance(value, list) and value else [value]
    # true and false are ints to Python.
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise ValueError(
            f"{file}: label {name!r} must be one whole number, found {value!r:.80}; a region is a list of them"
        )
    if len(numbers) > 1 and 0 in numbers:
        raise ValueError(f"{file}: region {name!r} holds 0, the background ({value!r:.80}); leave it out")
    # [1] and 1 are the same class, [2, 1] and [1, 2] the same region.
    distinct = tuple(sorted(set(numbers)))
    return distinct if len(distinct) > 1 else distinct[0]


def _check_ignored(names: Mapping[Label, str], file: Path) -> None:
    """Refuse an `ignore` that nnU-Net would train and score as a class, or not read at all."""
    for label, name in names.items():
        if name.strip().lower() != IGNORE:
            continue
        if name != IGNORE:
            raise ValueError(
                f"{file}: label {name!r} is a class to nnU-Net; write {IGNORE!r} if its voxels do not count"
            )
        if isinstance(label, tuple) or label == 0:
            raise ValueError(
                f"{file}: {IGNORE!r} is {label}; expected one whole number above 0, the background: give voxels that "
                "do not count a label of their own in the label files"
            )
        inside = next((name for other, name in names.items() if isinstance(other, tuple) and label in other), "")
        if inside:
            raise ValueError(f"{file}: region {inside!r} holds {label}, the label {IGNORE!r}; leave it out")


def ignored_label(names: Mapping[Any, str]) -> int | None:
    """Return the label of voxels that do not count, which nnU-Net calls `ignore`; None where there is none."""
    return next((label for label, name in names.items() if name == IGNORE and isinstance(label, int)), None)


def numbers_in(names: Mapping[Label, str]) -> frozenset[int]:
    """Return all numbers that a label map may hold: background, classes, those of the regions, the ignored label."""
    return frozenset({0, *(n for label in names for n in (label if isinstance(label, tuple) else (label,)))})


def read_classes(settings: Mapping[str, Any], file: Path) -> dict[int, str]:
    """Read the names of the classes to train, by number: 0, 1, 2, ... without gaps unless there are regions.

    Raises:
        ValueError: the numbers have gaps or are too large, or regions come without `regions_class_order`.
    """
    names = read_names(settings, file)
    regions = [label for label in names if isinstance(label, tuple)]
    ignored = ignored_label(names)

    # Without the order nothing says which label a voxel in several regions is written as.
    if regions and "regions_class_order" not in settings:
        raise ValueError(
            f"{file}: label {names[regions[0]]!r} must be one whole number, found {list(regions[0])}; to train regions "
            "made of several labels, add 'regions_class_order': the label to write for each of them"
        )
    numbers = sorted((numbers_in(names) if regions else {n for n in names if isinstance(n, int)}) - {ignored})

    if max(numbers_in(names)) > MOST_TRAINED:
        raise ValueError(
            f"{file}: label {max(numbers_in(names))} is above {MOST_TRAINED}; renumber it in the label files"
        )

    # A gap would train a channel that no voxel ever asks for.
    if not regions and (numbers != list(range(len(numbers))) or len(numbers) < 2):
        raise ValueError(
            f"{file}: 'labels' must number the classes 0 (background), 1, 2, ... without gaps, found {numbers}; "
            "renumber them in the label files to train, `lossodyssey evaluate` takes them as they are"
        )
    return {number: names.get(number, "background" if number == 0 else f"label {number}") for number in numbers}


def read_regions(settings: Mapping[str, Any], file: Path) -> tuple[Region, ...]:
    """Read the regions in the order of the file, each with its label of `regions_class_order`; empty without regions.

    Raises:
        ValueError: `regions_class_order` does not list a label for each region, or its labels do not tell them apart.
    """
    names = read_names(settings, file)
    if not any(isinstance(label, tuple) for label in names):
        return ()

    # A plain class beside regions is a region of one label, as in nnU-Net.
    made = [(label, name) for label, name in names.items() if label != 0 and label != ignored_label(names)]
    order = settings["regions_class_order"]
    if not isinstance(order, list) or len(order) != len(made):
        expected = ", ".join(name for _, name in made)
        raise ValueError(f"{file}: 'regions_class_order' must list a label for each of {expected}; found {order!r:.80}")
    regions = tuple(
        Region(name, label if isinstance(label, tuple) else (label,), written)
        for (label, name), written in zip(made, order, strict=True)
    )
    check_order(regions, file)
    return regions


def read_channels(settings: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """Read the names of the image channels, from nnU-Net's `channel_names` or MSD's `modality`."""
    return tuple(str(name) for name in _mapping(settings, ("channel_names", "modality"), file).values())


def read_flip_axes(settings: Mapping[str, Any], file: Path, dims: int) -> tuple[int, ...]:
    """Read the array axes along which mirroring is allowed, from the key `flip_axes`.

    Raises:
        ValueError: it is not a list of array axes.
    """
    axes = settings["flip_axes"]
    # By repr, since True == 1 and 1.0 == 1 would pass for axes.
    if not isinstance(axes, list) or not set(map(repr, axes)) <= {repr(axis) for axis in range(dims)}:
        raise ValueError(f"{file}: 'flip_axes' must list array axes from 0 to {dims - 1}, found {axes!r:.80}")
    return tuple(axes)


def _mapping(settings: Mapping[str, Any], keys: Sequence[str], file: Path) -> dict[str, Any]:
    wanted = " or ".join(repr(key) for key in keys)
    for key in keys:
        if key in settings:
            value = settings[key]
            if not isinstance(value, dict) or not value:
                raise ValueError(f'{file}: {key!r} must be an object such as {{"0": "..."}}, found {value!r:.80}')
            return value
    raise ValueError(f"{file}: key {wanted} is missing; add it")

"""What `dataset.json` says, checked: every mistake is an error that names the file and the key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object."""
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; a data set is a folder with dataset.json, imagesTr and labelsTr"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}); mend the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a JSON object in braces, found {type(content).__name__}")
    return content


def read_classes(settings: Mapping[str, Any], file: Path) -> dict[int, str]:
    """Class names by number, from MSD's {"1": "liver"} or nnU-Net's {"liver": 1}."""
    labels = _mapping(settings, ("labels",), file)
    if not all(key.isdecimal() for key in labels):
        labels = {_class_index(value, name, file): name for name, value in labels.items()}
    classes = {int(index): str(name) for index, name in labels.items()}
    if sorted(classes) != list(range(len(classes))) or len(classes) < 2:
        raise ValueError(
            f"{file}: 'labels' must number the classes 0 (background), 1, 2, ... without gaps, found {sorted(classes)}"
        )
    return dict(sorted(classes.items()))


def read_channels(settings: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """Names of the image channels, from nnU-Net's `channel_names` or MSD's `modality`."""
    return tuple(str(name) for name in _mapping(settings, ("channel_names", "modality"), file).values())


def read_flip_axes(settings: Mapping[str, Any], file: Path, dims: int) -> tuple[int, ...]:
    """Array axes along which mirroring is allowed, from the key `flip_axes`."""
    axes = settings["flip_axes"]
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


def _class_index(value: Any, name: str, file: Path) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(
            f"{file}: label {name!r} must be one whole number, found {value!r:.80}; "
            "regions made of several labels are not read, list the single labels instead"
        )
    return str(value)

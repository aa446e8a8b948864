"""Pairing by patterns that the user gives, in place of what names seem to say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.data.adopt.channels import Images, joined
from lossodyssey.data.adopt.folders import File

Left = tuple[tuple[Path, str], ...]


def read_images(files: Sequence[File], pattern: re.Pattern[str], text: str) -> Images:
    """Return the images whose names have the pattern; those of one case are its channels."""
    groups: dict[tuple[tuple[str, ...], str], dict[str, Path]] = defaultdict(dict)
    left: list[tuple[Path, str]] = []
    for file in files:
        found = pattern.fullmatch(file.stem)
        if found is None:
            left.append((file.path, f"its name is not {text}"))
            continue
        parts = found.groupdict()
        channel, key = (parts.get("channel") or "").casefold(), (file.where, parts["case"])
        if channel in groups[key]:
            left.append((file.path, f"{groups[key][channel].name} is the same case and channel"))
        groups[key].setdefault(channel, file.path)
    images = joined({key: group for key, group in groups.items() if group})
    return Images(images.images, images.channels, (*left, *images.left_out))


def renamed(masks: Sequence[File], pattern: re.Pattern[str], text: str) -> tuple[list[tuple[File, str]], Left]:
    """Return the masks whose names have the pattern, under the name of their case, with the rest; and the others."""
    kept: list[tuple[File, str]] = []
    left: list[tuple[Path, str]] = []
    for mask in masks:
        found = pattern.fullmatch(mask.stem)
        if found is None:
            left.append((mask.path, f"its name is not {text}"))
        else:
            parts = found.groupdict()
            rest = " ".join(filter(None, (parts.get("class"), parts.get("number"))))
            kept.append((File(mask.path, mask.where, parts["case"]), rest))
    return kept, tuple(left)

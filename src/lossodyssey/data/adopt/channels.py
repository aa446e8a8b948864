"""Channels of one image in several files: numbered as nnU-Net does, or named by their modality."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.adopt.folders import File
from lossodyssey.data.adopt.names import core

MODALITIES = "t1 t1w t1n t1c t1ce t1gd t2 t2w t2f flair pd adc dwi hbv swi cbf cbv mtt tmax ct cta ncct pet suv".split()  # noqa: SIM905
TAIL = re.compile(rf"[_\-. ](\d{{4}}|{'|'.join(MODALITIES)})$", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """An image of one file, or of one file per channel; `stem` is what its files' names have in common."""

    files: tuple[Path, ...]
    where: tuple[str, ...]
    stem: str


@dataclass(frozen=True)
class Images:
    """Images with the names of their channels where these are files, and those that lack a channel, with the reason."""

    images: tuple[Image, ...]
    channels: tuple[str, ...] = ()
    left_out: tuple[tuple[Path, str], ...] = ()


def join_channels(files: Sequence[File], masks: Collection[str]) -> Images:
    """Join the files that are channels of one image; `masks` are the cores of the masks' names.

    A number or a modality at the end of a name means a channel where the masks' names do without it.
    """
    if not _are_channels(files, masks):
        return Images(tuple(Image((file.path,), file.where, file.stem) for file in files))
    groups: dict[tuple[tuple[str, ...], str], dict[str, Path]] = defaultdict(dict)
    for file in files:
        tail = TAIL.search(file.stem)
        groups[file.where, TAIL.sub("", file.stem)][tail[1].casefold() if tail else ""] = file.path
    return joined(groups)


def joined(groups: Mapping[tuple[tuple[str, ...], str], Mapping[str, Path]]) -> Images:
    """Make images of their files by channel; an image that lacks a channel of the others is left out."""
    channels = sorted({channel for group in groups.values() for channel in group}, key=_order)
    images, left_out = [], []
    for (where, stem), group in groups.items():
        missing = [channel or "without a channel in its name" for channel in channels if channel not in group]
        if missing:
            left_out += [(path, f"its image has no channel {', '.join(missing)}") for path in group.values()]
        else:
            images.append(Image(tuple(group[channel] for channel in channels), where, stem))
    return Images(tuple(images), tuple(channels) if len(channels) > 1 else (), tuple(left_out))


def _order(channel: str) -> tuple[int, str]:
    return (MODALITIES.index(channel) if channel in MODALITIES else -1, channel)


def _are_channels(files: Sequence[File], masks: Collection[str]) -> bool:
    whole = sum(core(file.stem, "image") in masks for file in files)
    without = sum(core(TAIL.sub("", file.stem), "image") in masks for file in files if TAIL.search(file.stem))
    return without > whole

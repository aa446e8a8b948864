"""Pairing of all files, by patterns that the user gives in place of what names seem to say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossodyssey.data.adopt.channels import Images, join_channels, joined
from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.folders import File, Found
from lossodyssey.data.adopt.names import compiled, core, file_role
from lossodyssey.data.adopt.pairing import Match, Pairing, pair

Left = tuple[tuple[Path, str], ...]


def read_images(files: Sequence[File], pattern: re.Pattern[str], text: str) -> tuple[Images, Left]:
    """Return the images whose names have the pattern, those of one case as its channels; and the others."""
    groups: dict[tuple[tuple[str, ...], str], dict[str, Path]] = defaultdict(dict)
    left: list[tuple[Path, str]] = []
    twice: list[tuple[Path, str]] = []
    for file in files:
        found = pattern.fullmatch(file.stem)
        if found is None:
            left.append((file.path, f"its name is not {text}"))
            continue
        parts = found.groupdict()
        channel, key = (parts.get("channel") or "").casefold(), (file.where, parts["case"])
        if channel in groups[key]:
            twice.append((file.path, f"{groups[key][channel].name} is the same case and channel"))
        groups[key].setdefault(channel, file.path)
    images = joined({key: group for key, group in groups.items() if group})
    return Images(images.images, images.channels, (*twice, *images.left_out)), tuple(left)


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
            named = parts.get("class") or ""
            # A bare number would be that of an object.
            named = f"class{named}" if named.isdecimal() else named
            rest = " ".join(filter(None, (named, parts.get("number"))))
            kept.append((File(mask.path, mask.where, parts["case"]), rest))
    return kept, tuple(left)


@dataclass(frozen=True)
class Paired:
    """Images with their masks; `told` are files that the user's words leave out, `unpaired` those without a partner."""

    images: Images
    pairing: Pairing
    told: Left
    unpaired: Left


def pair_all(found: Found, choices: Choices) -> Paired:
    """Pair the images and masks that were found.

    Raises:
        ValueError: a pattern cannot be read, or nothing can be paired.
    """
    rests: dict[Path, str] = {}
    masks: Sequence[File] = found.masks
    told = found.left_out
    if choices.pattern:
        kept, left = renamed(masks, compiled(choices.pattern, "--pattern"), choices.pattern)
        masks, rests, told = [mask for mask, _ in kept], {mask.path: rest for mask, rest in kept}, (*told, *left)
    if choices.image_pattern:
        expression = compiled(choices.image_pattern, "--image-pattern")
        images, left = read_images(found.images, expression, choices.image_pattern)
        told = (*told, *left)
    else:
        images = join_channels(found.images, {core(mask.stem, "mask") for mask in masks})
    pairing = pair(images.images, masks)
    if rests:
        pairing = replace(pairing, pairs=tuple((i, tuple(_with(m, rests) for m in ms)) for i, ms in pairing.pairs))
    unpaired = (*images.left_out, *pairing.unpaired)
    if not pairing.pairs:
        raise ValueError(_nothing(found, (*unpaired, *told)))
    return Paired(images, pairing, told, unpaired)


def _with(match: Match, rests: Mapping[Path, str]) -> Match:
    return Match(match.mask, rests[match.mask.path])


def _nothing(found: Found, unpaired: Left) -> str:
    path, why = unpaired[0]
    roles = {file_role(image.stem) for image in found.images}, {file_role(mask.stem) for mask in found.masks}
    if roles[0] == {"mask"} and "mask" not in roles[1]:
        first = found.images[0].path
        return f"all images are called masks, such as {first}, and no mask is: exchange --images and --masks"
    return (
        f"none of {len(found.masks)} masks fits any of {len(found.images)} images by its name: {path}: {why}; say how "
        "masks are called, as --pattern '{case}_mask'"
    )

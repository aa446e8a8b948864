"""Names of files and folders, and what they say: image or mask, which case, which class, whose annotation."""

from __future__ import annotations

import re
from functools import cache

IMAGES = frozenset(
    """image images img imgs im imagestr scan scans volume volumes vol input inputs original originals orig photo photos
    picture pictures raw""".split()  # noqa: SIM905
)
"""Words that say that a file or a folder holds images."""

MASKS = frozenset(
    """mask masks seg segs segm segmentation segmentations label labels labelstr gt gts groundtruth ground truth truths
    annotation annotations annot annots manual manuals ann anns binary""".split()  # noqa: SIM905
)
"""Words that say that a file or a folder holds masks."""

IN_FILES = frozenset({"ground", "binary"})
"""Words that say it of a file and not of a folder."""

PARTS = frozenset({"training", "train", "test", "val", "validation"})
"""Words after the name of an image that say what it is for, as in `21_training`."""

RATER = re.compile(r"\d+(st|nd|rd|th)\w*|(manual|rater|observer|annotator|reader|expert|grader)\d+", re.IGNORECASE)
HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
LONG = 5  # letters that a word needs to count at the end of a longer name


def words(name: str) -> list[str]:
    """Split a name at everything but letters and digits, in small letters."""
    return [word for word in SEPARATORS.split(name.casefold()) if word]


@cache
def folder_role(name: str) -> str:
    """Return `image` or `mask` where the name of a folder says so, else the empty text."""
    plain = "".join(words(name))
    found = {*(word.casefold() for word in HUMPS.findall(name)), *words(name), plain}
    # `label_images` are masks, and so are `image_masks`.
    for role, known in (("mask", MASKS - IN_FILES), ("image", IMAGES)):
        if known & found or any(len(word) >= LONG and plain.endswith(word) for word in known):
            return role
    return ""


@cache
def file_role(stem: str) -> str:
    """Return `mask` or `image` where a word of a file name says so, else the empty text."""
    found = [_without_number(word) for word in words(stem)]
    if MASKS & set(found) or is_rater(stem):
        return "mask"
    return "image" if IMAGES & set(found) else ""


@cache
def core(stem: str, role: str) -> str:
    """Return what a file name says beside its role: `mask_01` and `01` are both `01`."""
    known = MASKS if role == "mask" else IMAGES
    kept = [word for word in words(stem) if _without_number(word) not in known]
    if role == "image" and len(kept) > 1 and kept[-1] in PARTS:
        kept = kept[:-1]
    return "_".join(kept)


def unpadded(text: str) -> str:
    """Return a core with its numbers written without leading zeros."""
    return "_".join(str(int(word)) if word.isdecimal() else word for word in text.split("_"))


def _without_number(word: str) -> str:
    return word if word in MASKS else word.rstrip("0123456789")


def meaning(rest: str) -> tuple[str, str]:
    """Return the class and the number of an object that the rest of a mask's name tells: `_mask_1` is ("", "1")."""
    kept, number = [], ""
    for word in words(rest):
        plain = _without_number(word)
        if plain in MASKS:
            number = word[len(plain) :] or number
        else:
            kept.append(word)
    if kept and kept[-1].isdecimal():
        number = kept.pop()
    return "_".join(kept), number


def is_rater(rest: str) -> bool:
    """Return whether the rest of a mask's name says who annotated, such as `1stHO` or `observer2`, and not a class."""
    return any(RATER.fullmatch(word) for word in words(rest))


def compiled(pattern: str, option: str) -> re.Pattern[str]:
    """Return the expression that a pattern such as `{case}_{class}` stands for.

    Raises:
        ValueError: it has no `{case}`, or a place that is not known.
    """
    places = {"case": ".+?", "class": ".+?", "channel": ".+?", "number": r"\d+"}
    parts = re.split(r"\{(\w*)\}", pattern)
    unknown = [place for place in parts[1::2] if place not in places]
    if unknown or "case" not in parts[1::2] or len(set(parts[1::2])) < len(parts[1::2]):
        raise ValueError(
            f"{option} is {pattern!r}; expected a file name without its ending, in which {{case}} stands for the name "
            f"of the case and {{class}}, {{number}} or {{channel}} for the rest, each at most once: {{case}}_mask"
        )
    named = (f"(?P<{part}>{places[part]})" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile("".join(named), re.IGNORECASE)

"""Names of classes as the user gives them: by value, colour or word of a file name, or in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BACKGROUND = "background"
RESERVED = "ignore"


@dataclass(frozen=True)
class Naming:
    """Names with their keys, all of them or none; the keys are as they were written."""

    keys: tuple[str, ...]
    names: tuple[str, ...]


def read_naming(text: str) -> Naming:
    """Read `--classes`: `1=liver,2=spleen`, or `liver,spleen`.

    Raises:
        ValueError: some names have keys and others not, or a name or a key is empty or occurs twice.
    """
    if not text.strip():
        return Naming((), ())
    parts = [part.rpartition("=") for part in text.split(",")]
    keys = tuple(key.strip() for key, _, _ in parts)
    names = tuple(name.strip() for _, _, name in parts)
    given = [key for key, equals, _ in parts if equals]
    if given and (len(given) < len(parts) or not all(keys)):
        raise ValueError(f"--classes is {text!r}; expected a key for every name, as 1=liver,2=spleen, or for none")
    plain = [name for name in names if name != BACKGROUND]
    if not all(names) or len(set(plain)) < len(plain) or (given and len(set(keys)) < len(keys)):
        raise ValueError(f"--classes is {text!r}; expected every name once, with a value of its own")
    if RESERVED in names:
        raise ValueError(f"--classes is {text!r}; name pixels that do not count with --ignore, not as a class")
    if not plain or (not given and len(plain) < len(names)):
        raise ValueError(f"--classes is {text!r}; expected the classes without the background, or 0=background,1=...")
    return Naming(keys if given else (), names)


def as_number(key: str, option: str, *, colour: bool) -> float:
    """Return the value of a key, or its colour as a number 0xRRGGBB.

    Raises:
        ValueError: it is neither.
    """
    if not colour:
        try:
            return float(key)
        except ValueError:
            raise ValueError(f"{option} has {key!r}; expected a value of the masks, such as 1 or 255") from None
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(key)[:3]
    except ValueError:
        raise ValueError(f"{option} has {key!r}; expected a colour of the masks, such as #ff0000 or red") from None
    return (red << 16) | (green << 8) | blue


def shown(value: float, *, colour: bool) -> str:
    """Return a value as the user would write it."""
    return f"#{int(value):06x}" if colour else f"{value:g}"


def guessed_name(value: float, *, colour: bool) -> str:
    """Return a name for a class that has none: that of its colour, or its value."""
    if not colour:
        return f"class {value:g}"
    from PIL import ImageColor

    code = shown(value, colour=True)
    # By getrgb, which may have put a tuple in place of a name's code.
    wanted = ImageColor.getrgb(code)
    return next((name for name in list(ImageColor.colormap) if ImageColor.getrgb(name) == wanted), code)


def numbered(names: Sequence[str]) -> dict[int, str]:
    """Return the classes by label, with the background before them."""
    return {0: BACKGROUND, **dict(enumerate(names, 1))}

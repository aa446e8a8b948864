"""The size of a picture's pixels in mm, from whatever states it.

In the order in which they are believed: the key `spacing` of `dataset.json`, then of a JSON file beside the picture
(`case.json`, also for `case_0000.tif`), then the tags of a TIFF file: ImageJ's, OME's, or its resolution. A resolution
of 72 or 96 per inch is written by programs that do not know it, and is ignored; so is any resolution in PNG, JPEG, BMP
and GIF files, which is meant for printers.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from lossodyssey.atomic import write_text
from lossodyssey.data.dataset_json import read_object

Spacing: TypeAlias = tuple[float, ...]

CHANNEL = re.compile(r"_(\d{4})$")
AGREE = 0.01  # of the spacing: what prints to few digits is not another one
SCREENS = (72, 96)  # pixels per inch
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT = 282, 283, 296
UNITS = {"nm": 1e-6, "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "mm": 1.0, "cm": 10.0, "inch": 25.4, "m": 1000.0}
PER_UNIT = {2: 25.4, 3: 10.0}  # TIFF's inch and centimetre


def read_spacing(settings: Mapping[str, Any], file: Path, dims: int | None = None) -> Spacing:
    """Read the optional key `spacing`: the size of a pixel along each array axis in mm, [0.5, 0.5]; () without it.

    Raises:
        ValueError: it is not a list of 2 or 3 (or `dims`) positive numbers.
    """
    if "spacing" not in settings:
        return ()
    found = settings["spacing"]
    fits = isinstance(found, list) and len(found) in ((2, 3) if dims is None else (dims,))
    if not fits or not all(_is_size(size) for size in found):
        many = "2 numbers (rows, columns) or 3 (pages, rows, columns)" if dims is None else f"{dims} numbers"
        raise ValueError(f"{file}: 'spacing' must list {many} above 0, in mm, found {found!r:.80}")
    return tuple(float(size) for size in found)


def _is_size(size: Any) -> bool:
    return isinstance(size, int | float) and not isinstance(size, bool) and math.isfinite(size) and size > 0


def beside(path: Path, stem: str) -> Path | None:
    """Return the JSON file that says the pixel size of the picture `path`, which is called `stem`; None without one."""
    names = dict.fromkeys((stem, CHANNEL.sub("", stem)))
    files = (path.with_name(f"{name}.json") for name in names)
    return next((file for file in files if file.name != "dataset.json" and file.is_file()), None)


def write_beside(path: Path, stem: str, spacing: Spacing) -> None:
    """Write the pixel size beside the picture `path`, where `beside` finds it."""
    numbers = ", ".join(repr(float(size)) for size in spacing)
    write_text(path.with_name(f"{stem}.json"), f'{{"spacing": [{numbers}]}}\n')


def pixel_size(path: Path, stem: str, dims: int, wanted: Spacing, tags: Spacing) -> Spacing:
    """Return the pixel size of a picture; () where it is not known, and a warning where two sources contradict.

    Raises:
        ValueError: one of them is not `dims` numbers above 0.
    """
    file = beside(path, stem)
    if wanted and len(wanted) != dims:
        raise ValueError(f"'spacing' of dataset.json has {len(wanted)} numbers, expected {dims}: one for each axis")
    said = {
        "dataset.json": wanted,
        file.name if file else "": read_spacing(read_object(file), file, dims) if file else (),
        "its tags": tags,
    }
    known = {source: spacing for source, spacing in said.items() if spacing}
    if not known:
        return ()
    first = next(iter(known))
    for source, spacing in known.items():
        if any(abs(a - b) > AGREE * max(a, b) for a, b in zip(known[first], spacing, strict=True)):
            warnings.warn(
                f"{path}: pixels of {_short(spacing)} mm say {source}, {_short(known[first])} mm says {first}, which "
                "is taken",
                stacklevel=2,
            )
    return known[first]


def _short(spacing: Spacing) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing)


def tagged(path: Path, dims: int) -> Spacing:
    """Return the pixel size that the tags of a TIFF file say; () where they say none, or not of every axis."""
    from tifffile import TiffFile

    with TiffFile(path) as tiff:
        found = _ome(tiff.ome_metadata) if tiff.is_ome else _resolution(tiff)
    sizes = found[-dims:]
    # An unknown distance of pages must not become 1 mm between pixels of a micrometre.
    return sizes if len(sizes) == dims and all(_is_size(size) for size in sizes) else ()


def _ome(text: str | None) -> Spacing:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text or "")
    sizes = [_ome_size(pixels[0], axis) for axis in "ZYX"] if pixels else []
    known = [size for size in sizes if size is not None]
    return tuple(known) if sizes[1:] and None not in sizes[1:] else ()


def _ome_size(pixels: str, axis: str) -> float | None:
    size = re.search(rf'\bPhysicalSize{axis}\s*=\s*"([^"]+)"', pixels)
    unit = re.search(rf'\bPhysicalSize{axis}Unit\s*=\s*"([^"]+)"', pixels)
    factor = _unit(unit[1] if unit else "um")
    try:
        return float(size[1]) * factor if size and factor else None
    except ValueError:
        return None


def _unit(name: Any) -> float | None:
    # Both signs for micro are in use, and ImageJ writes them as an escape.
    plain = str(name).strip().lower()
    for micro in ("\\u00b5", "\u00b5", "\u03bc", "&#181;", "&#xb5;"):
        plain = plain.replace(micro, "u")
    return UNITS.get(plain)


def _resolution(tiff: Any) -> Spacing:
    tags = tiff.pages[0].tags
    flat = [_per_unit(tags.get(tag)) for tag in (RESOLUTION_Y, RESOLUTION_X)]
    if not all(flat):
        return ()
    imagej = tiff.imagej_metadata or {}
    if factor := _unit(imagej.get("unit")):
        rows, columns = (factor / float(each) for each in flat)
        between = imagej.get("spacing")
        return (*([factor * float(between)] if between and _is_size(between) else []), rows, columns)
    unit = int(tags[RESOLUTION_UNIT].value) if RESOLUTION_UNIT in tags else 2
    if unit not in PER_UNIT or any(_is_screen(each, unit) for each in flat):
        return ()
    return tuple(PER_UNIT[unit] / each for each in flat)


def _per_unit(tag: Any) -> float:
    """Return the pixels per unit of a tag, which holds a fraction; 0 where it says nothing."""
    value = getattr(tag, "value", None)
    if not (isinstance(value, tuple) and len(value) == 2 and value[0] and value[1]):
        return 0.0
    return float(value[0]) / float(value[1])


def _is_screen(per_unit: float, unit: int) -> bool:
    per_inch = per_unit * 25.4 / PER_UNIT[unit]
    return per_inch <= 1 or any(abs(per_inch - screen) < 0.5 for screen in SCREENS)

"""From figures and tables to HTML, data URIs and files."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import math
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from lossodyssey.atomic import writing
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.report.figures import style
from lossodyssey.report.plates import Plate

LARGEST_PLAIN_CSV = 300_000
PIXELS_PER_INCH = 125
COLOURS = 128


def template(name: str) -> jinja2.Template:
    """Load a page template of the package; everything put into it is escaped."""
    # Escaped by default: names of losses, cases and files come from the user's table.
    loader = jinja2.PackageLoader("lossodyssey.report", "template")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "mark": mark}
    environment.globals |= {
        "noun": noun,
        "nouns": nouns,
        "asset": asset,
        "svg": svg,
        "width": width,
        "points": points,
        "csv_uri": csv_uri,
    }
    return environment.get_template(name)


def asset(name: str) -> Markup:
    """Return a style sheet or script of the package."""
    return Markup((files("lossodyssey.report") / "template" / name).read_text(encoding="utf-8"))


def svg(plate: Plate) -> Markup:
    """Draw a plate as an SVG element whose ids are its own."""
    # Base 32 keeps different titles different and holds only letters and digits, as ids need.
    key = base64.b32encode(plate.title.encode()).decode().strip("=").lower()
    return Markup(style.svg(plate.figure, f"f{key}", plate.title))


def points(plate: Plate) -> str:
    """Return the cases behind the dots of a plate that has been drawn, as JSON; the empty text where it has none."""
    return plate.points.placed(plate.figure) if plate.points else ""


def width(plate: Plate) -> int:
    """Return the width in CSS pixels at which all figures have the same text size."""
    return round(PIXELS_PER_INCH * plate.figure.get_figwidth())


def png_uri(figure: Figure) -> str:
    """Draw a figure as the address of a PNG picture of 128 colours, a third of the size of one of all colours."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(packed, format="png", optimize=True)
    return _uri("image/png", packed.getvalue())


def csv_uri(lines: Iterable[Sequence[object]], name: str) -> Markup:
    """Return the attributes of a link that saves a table as `name`.csv, compressed where it is long."""
    data = csv_text(lines).encode()
    name = slug(name)
    if len(data) <= LARGEST_PLAIN_CSV:
        return Markup('download="{}.csv" href="{}"').format(name, _uri("text/csv", data))
    # No time in the header: equal tables give equal pages.
    packed = gzip.compress(data, mtime=0)
    return Markup('download="{}.csv.gz" href="{}"').format(name, _uri("application/gzip", packed))


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Write lines as CSV text."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def write_figures(folder: str | Path, plates: Iterable[Plate]) -> None:
    """Write every plate as SVG and PNG, with its numbers as CSV beside."""
    for place, plate in enumerate(plates, 1):
        stem = f"{place:02d}-{slug(plate.title)}"
        contents = {**style.save(plate.figure, stem), f"{stem}.csv": csv_text(plate.lines).encode()}
        for name, content in contents.items():
            with writing(Path(folder) / name) as draft:
                draft.write_bytes(content)


def slug(text: str) -> str:
    """Make a file name of a title: lower-case letters, digits and hyphens, at most 60."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "figure"


def number(value: float, digits: int = 3) -> str:
    """Write a number with a fixed count of digits, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def significant(value: float) -> str:
    """Write a number with three digits or all before its point, and without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Write a time span in the unit that suits it."""
    if math.isnan(seconds):
        return "–"
    # Up to 100 of a unit, so that at least two digits are told.
    for limit, unit, name in ((100, 1, "s"), (6000, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds / 3600:.1f} h"


def memory(size: float) -> str:
    """Write a number of bytes in MiB."""
    return "–" if math.isnan(size) else f"{size / 2**20:,.0f} MiB"


def mark(text: str, name: str | None) -> Markup:
    """Set `name` in `text` as code, wherever it stands by itself and is not the end of another name."""
    if not name:
        return escape(text)
    # `join` escapes what it joins, and nothing else of the text is markup.
    return Markup("<code>{}</code>").format(name).join(re.split(rf"(?<!\w){re.escape(name)}", text))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"

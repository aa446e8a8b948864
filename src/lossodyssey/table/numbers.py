"""Numbers as people write them: decimal commas, thousands separators, percent signs, and words for a missing value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--", "–", "—", "−", ".", "?"))
_SPACE = re.compile(r"(?<=\d)[ \u00a0\u202f\u2009'\u2019](?=\d{3}(\D|$))")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([.,]\d{3})+")
_NUMBER = {
    mark: re.compile(rf"[-+]?(\d+|\d{{1,3}}(\{other}\d{{3}})+)?(\{mark}\d*)?(e[-+]?\d+)?", re.IGNORECASE)
    for mark, other in ((".", ","), (",", "."))
}


class BadCell(ValueError):
    """A cell that holds no number."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(expected)
        self.text = text


def is_missing(text: str) -> bool:
    """Whether the cell says that there is no value."""
    return text.casefold() in MISSING


def parse_column(texts: Sequence[str], separator: str) -> tuple[list[float], str]:
    """Return the numbers that cells of one column hold, NaN for missing, and a note where thousands were separated.

    Raises BadCell for the first cell that is not a number. Raises ValueError for a column written in two ways.
    """
    bare = [_SPACE.sub("", text.replace("−", "-")) if not is_missing(text) else "" for text in texts]
    decimal = _decimal_mark([text for text in bare if "," in text or "." in text], separator)
    numbers = [_parse(text, decimal, seen) for text, seen in zip(bare, texts, strict=True)]
    other = "," if decimal == "." else "."
    grouped = next((i for i, text in enumerate(bare) if other in text), None)
    note = "" if grouped is None else f"{texts[grouped]!r} is read as {numbers[grouped]:g}"
    return numbers, note


def _parse(text: str, decimal: str, seen: str) -> float:
    """Return the number of a cell that people see as `seen`."""
    if not text:
        return math.nan
    percent = text.endswith("%")
    digits = text.rstrip("% ")
    if digits.lstrip("+-").casefold() in ("inf", "infinity"):
        return float(digits)
    if not _NUMBER[decimal].fullmatch(digits) or not any(letter.isdigit() for letter in digits):
        raise BadCell(seen, "a number or empty")
    number = float(digits.replace("," if decimal == "." else ".", "").replace(decimal, "."))
    return number / 100 if percent else number


def _decimal_mark(texts: Iterable[str], separator: str) -> str:
    """Choose "." or "," from the cells that can be read in one way only; "1,234" can be read in two."""
    sure: dict[str, str] = {}
    unsure: dict[str, str] = {}
    for text in texts:
        last = "," if text.rfind(",") > text.rfind(".") else "."
        if _GROUPED.fullmatch(text) and len(set(text) & {",", "."}) == 1:
            several = text.count(last) > 1
            (sure if several else unsure).setdefault("." if several and last == "," else "," if several else last, text)
        else:
            sure.setdefault(last, text)
    if len(sure) == 2:
        raise ValueError(f"{sure[',']!r} has a decimal comma and {sure['.']!r} a decimal point; write both alike")
    if sure:
        return next(iter(sure))
    if "," in unsure and ("." in unsure or separator != ";"):
        raise ValueError(f"{unsure[',']!r} can be read in two ways; write it without a separator of thousands")
    return "," if unsure.get(",") else "."

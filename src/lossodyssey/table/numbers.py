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
    """A cell that does not hold a number."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(expected)
        self.text = text


def is_missing(text: str) -> bool:
    """Return whether the cell stands for a missing value."""
    return text.casefold() in MISSING


def parse_column(texts: Sequence[str], separator: str) -> tuple[list[float], list[str]]:
    """Return the numbers that cells of one column hold, NaN for missing, and notes on interpreted cells.

    Raises:
        BadCell: a cell is not a number, can be read in two ways, or is not written as the others.
    """
    # One decimal mark for the whole column: cell by cell, "1,234" would be 1.234 here and 1234 there.
    bare = [_SPACE.sub("", text.replace("−", "-")) if not is_missing(text) else "" for text in texts]
    decimal = _decimal_mark([(b, text) for b, text in zip(bare, texts, strict=True) if "," in b or "." in b], separator)
    numbers = [_parse(b, decimal, text) for b, text in zip(bare, texts, strict=True)]
    other = "," if decimal == "." else "."
    grouped = next((i for i, b in enumerate(bare) if other in b), None)
    notes = [] if grouped is None else [f"{texts[grouped]!r} is read as {numbers[grouped]:g}"]
    percent = sum(b.endswith("%") for b in bare)
    return numbers, notes + ([f"{percent} cells with a percent sign are divided by 100"] if percent else [])


def _parse(bare: str, decimal: str, text: str) -> float:
    """Return the number of a cell that people see as `text`."""
    if not bare:
        return math.nan
    digits = bare.rstrip("% ")
    if digits.lstrip("+-").casefold() in ("inf", "infinity"):
        return float(digits)
    # float() alone also takes "1_000" and "nan".
    if not _NUMBER[decimal].fullmatch(digits) or not any(letter.isdigit() for letter in digits):
        raise BadCell(text, "a number or empty")
    number = float(digits.replace("," if decimal == "." else ".", "").replace(decimal, "."))
    return number / 100 if bare.endswith("%") else number


def _decimal_mark(cells: Iterable[tuple[str, str]], separator: str) -> str:
    """Choose "." or "," from the cells that can be read in one way only; "1,234" can be read in two."""
    sure: dict[str, str] = {}
    unsure: dict[str, str] = {}
    for bare, text in cells:
        # Where both marks occur, the last one is the decimal mark; a mark that occurs twice separates thousands.
        last, other = (",", ".") if bare.rfind(",") > bare.rfind(".") else (".", ",")
        if not _GROUPED.fullmatch(bare) or other in bare:
            sure.setdefault(last, text)
        elif bare.count(last) > 1:
            sure.setdefault(other, text)
        else:
            unsure.setdefault(last, text)

    if len(sure) == 2:
        raise BadCell(sure[","], f"one decimal mark in all rows, and another row holds {sure['.']!r}")
    # With semicolons between cells a comma is the decimal mark: that is why the semicolons are there.
    if not sure and "," in unsure and ("." in unsure or separator != ";"):
        raise BadCell(unsure[","], "a number that reads in one way: leave out what separates thousands")
    return next(iter(sure or unsure), ".")

"""Any dialect of CSV as columns of text, read by pandas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEPARATORS = ",;\t|"


@dataclass(frozen=True, eq=False)
class Sheet:
    """A header and columns of text: of column i, the row r holds `words[i][codes[i][r]]`."""

    path: Path
    text: str
    separator: str
    header: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    codes: tuple[NDArray[np.intp], ...]

    def line(self, row: int) -> int:
        """Return the line of the file in which a row ends.

        Raises:
            IndexError: there is no such row.
        """
        for number, (line, _) in enumerate(_records(self.path, self.text, self.separator)):
            if number == row + 1:
                return line
        raise IndexError(row)

    def find(self, column: int, word: str) -> int:
        """Return the first row of which the column holds the word."""
        return int(np.flatnonzero(self.codes[column] == self.words[column].index(word))[0])


def read_sheet(path: Path, text: str, reason: Exception) -> Sheet:
    """Read CSV with commas, semicolons, tabs or bars, quoted or not.

    Spaces around cells and lines without any content are left out.

    Raises:
        ValueError: the file is empty or has a header alone, or a line has other fields than the header.
    """
    text, separator = _separator(text)
    header = _header(path, text, separator)
    pandas = _pandas(reason)
    frame = _frame(pandas, path, text, separator, len(header))

    # One column more than the header has: whatever lands there belongs to a line that is too long.
    columns = [_column(pandas, frame[place]) for place in range(len(header) + 1)]
    filled = np.any([np.array([bool(word) for word in words])[codes] for words, codes in columns], axis=0)
    kept = np.flatnonzero(filled)[1:]  # the first is the header
    if not kept.size:
        raise ValueError(f"{path}: the table has a header but no rows")

    columns = [_used(words, codes[kept]) for words, codes in columns]
    _check_width(path, text, separator, len(header), columns)
    words, codes = zip(*columns[:-1], strict=True)
    return Sheet(path, text, separator, header, words, codes)


def _separator(text: str) -> tuple[str, str]:
    """Choose the separator that parts the header most often, or the one that Excel names in a line of its own."""
    first, _, rest = text.partition("\n")
    # Excel writes "sep=;" as a first line.
    if first[:4].casefold() == "sep=" and len(first.strip("\r")) == 5:
        return rest, first[4]
    header = next((line for line in text.splitlines() if line.strip()), "")
    return text, max(SEPARATORS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _header(path: Path, text: str, separator: str) -> tuple[str, ...]:
    for _, record in _records(path, text, separator):
        # Spreadsheets pad the header with empty cells.
        while record and not record[-1].strip():
            record.pop()
        if len(record) < 2:
            raise ValueError(
                f"{path}: not a CSV table: its first line {record[0][:60]!r} has one column; expected at least loss, "
                "case and value, parted by commas, semicolons or tabs"
            )
        return tuple(name.strip() for name in record)
    raise ValueError(f"{path}: the file is empty; expected a CSV table with a header")


def _records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Go through the lines that hold anything, with the number of each."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield reader.line_num, record
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _frame(pandas: ModuleType, path: Path, text: str, separator: str, width: int) -> Any:
    try:
        return pandas.read_csv(
            # All as text: pandas would guess numbers, dates and missing values by rules of its own.
            io.StringIO(text), sep=separator, header=None, names=range(width + 1), index_col=False, dtype=object,
            na_filter=False, skipinitialspace=True, low_memory=False,
        )  # fmt: skip
    except pandas.errors.ParserError as error:
        _check_records(path, text, separator, width)
        raise ValueError(f"{path}: not a CSV table ({error})") from None


def _pandas(reason: Exception) -> ModuleType:
    try:
        return import_module("pandas")
    except ModuleNotFoundError:
        raise ValueError(
            f'{reason}. This is not plain CSV; tables in other dialects are read with pandas: pip install ".[bench]"'
        ) from None


def _column(pandas: ModuleType, cells: Any) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the distinct words of a column, without spaces around them, and which one each row holds."""
    codes, found = pandas.factorize(cells)
    stripped = [word.strip() for word in found]
    number = {word: i for i, word in enumerate(dict.fromkeys(stripped))}
    return tuple(number), np.array([number[word] for word in stripped], np.intp)[codes]


def _used(words: tuple[str, ...], codes: NDArray[np.intp]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Keep the words that the rows hold; words stay in the order in which they first appear."""
    used = np.bincount(codes, minlength=len(words)) > 0
    return tuple(word for word, keep in zip(words, used, strict=True) if keep), (np.cumsum(used) - 1)[codes]


def _check_width(path: Path, text: str, separator: str, width: int, columns: Sequence[Any]) -> None:
    """Look at every line only where the last columns show that some line may be short or long."""
    (last, at_last), (extra, at_extra) = columns[-2:]
    # pandas pads a short line in silence; the exact, slow look goes over the lines only where one may be short.
    short = "" in last and (at_last == last.index("")).any()
    long = any(extra[code] for code in np.unique(at_extra))
    if short or long:
        _check_records(path, text, separator, width)


def _check_records(path: Path, text: str, separator: str, width: int) -> None:
    for line, record in _records(path, text, separator):
        extra = any(cell.strip() for cell in record[width:])
        if len(record) < width or extra:
            raise ValueError(
                f"{path}, line {line}: the number of fields differs from the header's: {len(record)}, expected {width}"
            )

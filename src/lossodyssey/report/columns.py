"""Tables of the page as columns: their entries, and the width of a screen that shows them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

# Pixels, as the style sheet sets them; a width estimated here decides which columns a narrow screen folds away.
LETTER, PADDING, LONGEST_TEXT, BAR, PAGE_MARGIN = 9.3, 24, 260, 108, 50


@dataclass(frozen=True)
class Cell:
    """One entry, with a `detail` in small print below it.

    `sort` orders the rows where the text does not; `bar` is an interval, both ends from 0 to 1.
    """

    text: str
    sort: float | str | None = None
    mark: str = ""
    bar: tuple[float, float] | None = None
    detail: str = ""


@dataclass(frozen=True)
class Column:
    """Entries under a heading, one per row of the table.

    `kind` is "number", "text", "name" (the row's own name) or "place" (the row's own number). Columns of one `group`
    stand next to each other under a common heading. On narrow screens the `minor` ones are shown on demand.
    """

    title: str
    cells: Sequence[Cell]
    kind: str = "number"
    group: str = ""
    minor: bool = False

    @property
    def room(self) -> float:
        """Pixels that the column needs."""
        texts = (self.title, *(cell.text for cell in self.cells), *(cell.detail for cell in self.cells))
        longest = max(len(text) for text in texts)
        width = PADDING + LETTER * longest
        # Texts wrap, numbers do not.
        if self.kind in ("text", "name"):
            width = min(width, LONGEST_TEXT)
        return width + (BAR if any(cell.bar for cell in self.cells) else 0)


@dataclass(frozen=True)
class Grid:
    """A table: its columns, and which rows stand out."""

    key: str
    title: str
    columns: Sequence[Column]
    strong: Sequence[bool] = ()

    @property
    def rows(self) -> list[tuple[bool, list[tuple[Column, Cell]]]]:
        """Whether each row stands out, and its entries beside their columns."""
        lines = zip(*(column.cells for column in self.columns), strict=True)
        entries = [list(zip(self.columns, line, strict=True)) for line in lines]
        return list(zip(self.strong or [False] * len(entries), entries, strict=True))

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Names of the groups with the number of their columns, in order; empty where no column has one."""
        # Neighbours only: a group torn apart would need its heading twice.
        runs = [(name, len(list(own))) for name, own in groupby(self.columns, key=lambda column: column.group)]
        return runs if len(runs) > 1 or (runs and runs[0][0]) else []

    @property
    def turns(self) -> list[bool]:
        """Where a named group begins, column by column; nowhere where there is one such group only."""
        # A rule between groups helps only where there are several.
        names = [column.group for column in self.columns]
        several = len({name for name in names if name}) > 1
        return [several and name not in ("", before) for name, before in zip(names, ["", *names], strict=False)]

    @property
    def full(self) -> int:
        """Narrowest screen, in pixels, that shows all columns side by side."""
        return round(sum(column.room for column in self.columns) + PAGE_MARGIN)

    @property
    def essential(self) -> int:
        """Narrowest screen, in pixels, that shows all but the minor columns side by side."""
        return round(sum(column.room for column in self.columns if not column.minor) + PAGE_MARGIN)

"""The losses of a comparison as a user gives them: `Dice()`, or under a name of his own, `mine=Dice() + Focal()`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lossodyssey.core.atlas import ALIASES, CARDS, card
from lossodyssey.core.loss import Loss
from lossodyssey.core.text import meaning, parse

LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """A loss to compare: its text in full, and the user's name for it, if there is one."""

    expression: str
    name: str = ""

    @property
    def label(self) -> str:
        """The name of the loss in tables and figures."""
        return self.name or self.expression


def read_losses(texts: Sequence[str]) -> list[Entry]:
    """Read the losses of a comparison, each once.

    Raises:
        ValueError: a text does not state a loss, a name does not serve, or two
            of them compute the same under different texts.
    """
    entries: dict[str, Entry] = {}
    seen: dict[str, str] = {}
    for text in texts:
        entry, loss = _read(text)
        computed = meaning(loss)
        if seen.setdefault(computed, entry.label) != entry.label:
            raise ValueError(
                f"loss {entry.label!r} computes the same as {seen[computed]!r}; leave one of them out, "
                "or the comparison has one loss twice"
            )
        known = entries.setdefault(entry.label, entry)
        if meaning(parse(known.expression)) != computed:
            raise ValueError(
                f"two losses are named {entry.label!r}: {known.expression} and {entry.expression}; "
                "give each a name of its own"
            )
    return list(entries.values())


def _read(text: str) -> tuple[Entry, Loss]:
    name, equals, expression = text.partition("=")
    if not equals or "(" in name:
        loss = parse(text)
        return Entry(repr(loss)), loss
    loss = parse(expression)
    return Entry(repr(loss), _checked(" ".join(name.split()), loss)), loss


def _checked(name: str, loss: Loss) -> str:
    """Return `name` if it can stand for `loss` in tables, figures and the names of folders."""
    if not re.fullmatch(r"[\w .-]+", name) or not re.search(r"[^\W_]", name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"loss {loss!r} is named {name[: 2 * LONGEST_NAME]!r}; expected letters, digits, spaces and - _ . "
            f"before the equals sign, at most {LONGEST_NAME} characters"
        )
    for known in (*CARDS, *ALIASES):
        if known.lower() == name.lower() and meaning(card(known)()) != meaning(loss):
            raise ValueError(
                f"loss {loss!r} is named {name!r}, which is the atlas's name of another loss, {card(known)()!r}; "
                "choose a name that is free"
            )
    return name

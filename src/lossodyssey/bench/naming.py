"""The losses of a comparison as a user gives them: `Dice()`, or under a name, `mine=Dice() + Focal()`."""

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
    """A loss to compare: its text in full, and the user's name for it, if there is one.

    `learning_rates` are those to try, the engine's own where they are empty. The network begins with the weights that a
    training with `before` ended with, where it is given.
    """

    expression: str
    name: str = ""
    learning_rates: tuple[float, ...] = ()
    before: Entry | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """The texts of all losses that the network is trained with, in their order."""
        return (*(self.before.stages if self.before else ()), self.expression)

    @property
    def label(self) -> str:
        """The name of the loss in tables and figures."""
        return self.name or " after ".join(self.stages[::-1])


def read_losses(texts: Sequence[str]) -> list[Entry]:
    """Read the losses of a comparison, each once.

    Raises:
        ValueError: a text does not state a loss, a name is not valid, or two of them compute the same under different
            texts.
    """
    return distinct([read_loss(text) for text in texts])


def distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Return the losses of a comparison, each once.

    Raises:
        ValueError: two of them compute the same under different names, or have one name and do not.
    """
    found: dict[str, Entry] = {}
    seen: dict[tuple[str, ...], str] = {}
    for entry in entries:
        computed = _computed(entry)
        if seen.setdefault(computed, entry.label) != entry.label:
            raise ValueError(
                f"loss {entry.label!r} computes the same as {seen[computed]!r}; leave one of them out, "
                "or the comparison has one loss twice"
            )
        known = found.setdefault(entry.label, entry)
        if _computed(known) != computed:
            raise ValueError(
                f"two losses are named {entry.label!r}: {known.expression} and {entry.expression}; "
                "give each a name of its own"
            )
    return list(found.values())


def _computed(entry: Entry) -> tuple[str, ...]:
    return tuple(meaning(parse(stage)) for stage in entry.stages)


def read_loss(text: str) -> Entry:
    """Read a loss from `TEXT` or `NAME=TEXT`.

    Raises:
        ValueError: the text does not state a loss, or the name is not valid.
    """
    name, equals, expression = text.partition("=")
    if not equals or "(" in name:
        return Entry(repr(parse(text)))
    return named(name, expression)


def named(name: str, expression: str) -> Entry:
    """Return the entry of a loss under the user's own name for it.

    Raises:
        ValueError: the text does not state a loss, or the name is not valid.
    """
    loss = parse(expression)
    return Entry(repr(loss), _checked(" ".join(name.split()), loss))


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

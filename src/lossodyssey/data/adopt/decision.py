"""From the values of all masks to classes: what is certain, what is guessed, and what the user must say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import BACKGROUND, Naming, as_number, guessed_name, numbered, shown
from lossodyssey.data.adopt.facts import MaskFacts
from lossodyssey.data.adopt.rules import Rule


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How masks are read: the rule, classes by label, the ignored label; `refused` holds what no guess can decide."""

    rule: Rule
    classes: Mapping[int, str] = field(default_factory=dict)
    ignore: int | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @classmethod
    def none(cls, *why: str) -> Decision:
        """Make a decision that refuses the masks, for the reasons that are given."""
        return cls(rule=Rule("none"), refused=why)


def tabled(
    values: Sequence[float],
    background: Sequence[float],
    naming: Naming,
    choices: Choices,
    *,
    colour: bool,
    nearest: bool = False,
    notes: Sequence[str] = (),
    doubts: Sequence[str] = (),
    guess: str = "",
) -> Decision:
    """Decide by a table of values or colours, in the order in which they are given.

    Raises:
        ValueError: the names do not fit the values.
    """
    ignored = as_number(choices.ignore, "--ignore", colour=colour) if choices.ignore else None
    if ignored is not None and ignored not in (*values, *background):
        seen = ", ".join(shown(value, colour=colour) for value in (*background, *values)[:20])
        raise ValueError(f"--ignore is {choices.ignore}, which no mask holds; they hold {seen}")
    left = [value for value in values if value != ignored]
    if naming.keys:
        left, names, background = _by_key(left, background, naming, colour=colour)
    else:
        names = _in_order(left, naming, guess, colour=colour)
    if not left:
        return Decision.none("no mask has any foreground; are these the masks?")
    table = dict.fromkeys(background, 0) | {value: label for label, value in enumerate(left, 1)}
    label = len(left) + 1 if ignored is not None else None
    if ignored is not None and label is not None:
        table[ignored] = label
    notes = [*notes, *_told(table, left, names, naming, colour=colour)]
    kind = "colours" if colour else "values"
    return Decision(
        rule=Rule(kind, table, None, nearest),
        classes=numbered(names),
        ignore=label,
        notes=tuple(notes),
        doubts=tuple(doubts),
    )


def _by_key(
    values: Sequence[float], background: Sequence[float], naming: Naming, *, colour: bool
) -> tuple[list[float], list[str], list[float]]:
    keys = [as_number(key, "--classes", colour=colour) for key in naming.keys]
    known = [*background, *values]
    absent = [shown(key, colour=colour) for key in keys if key not in known]
    own = [key for key, name in zip(keys, naming.names, strict=True) if name == BACKGROUND]
    rest = [value for value in known if value not in keys and (own or value not in background)]
    if absent or rest:
        seen = ", ".join(shown(value, colour=colour) for value in known[:20])
        wrong = f"names {', '.join(absent)}, which no mask holds" if absent else (
            "does not name " + ", ".join(shown(value, colour=colour) for value in rest[:20])
        )  # fmt: skip
        raise ValueError(
            f"--classes {wrong}; the masks hold {seen}: name each of them once, 'background' among them where it is "
            "not the first, or leave some out of all scores with --ignore"
        )
    pairs = [(key, name) for key, name in zip(keys, naming.names, strict=True) if name != BACKGROUND]
    return [key for key, _ in pairs], [name for _, name in pairs], own or list(background)


def _in_order(values: Sequence[float], naming: Naming, guess: str, *, colour: bool) -> list[str]:
    if naming.names and len(naming.names) != len(values):
        seen = ", ".join(shown(value, colour=colour) for value in values[:20])
        raise ValueError(
            f"--classes has {len(naming.names)} names, but the masks hold {len(values)} values beside the background "
            f"({seen}); give one name for each, or by value as 1=liver,2=spleen"
        )
    if naming.names:
        return list(naming.names)
    if len(values) == 1:
        return [guess or "foreground"]
    names = [guessed_name(value, colour=colour) for value in values]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [
        shown(value, colour=colour) if name in repeated else name for name, value in zip(names, values, strict=True)
    ]


def _told(
    table: Mapping[float, int], values: Sequence[float], names: Sequence[str], naming: Naming, *, colour: bool
) -> list[str]:
    """Say which value becomes which label where that is not the same, and which names are guesses."""
    found = []
    if colour or any(value != label for value, label in table.items()):
        pairs = ", ".join(f"{shown(value, colour=colour)} is {label}" for value, label in table.items())
        found.append(f"labels: {pairs}")
    if not naming.names:
        found.append(f"the names of the classes are a guess ({', '.join(names)}); name them with --classes")
    return found


def first_with(masks: Sequence[MaskFacts], value: float) -> MaskFacts:
    """Return the first mask that holds a value."""
    return next(mask for mask in masks if value in mask.counts)

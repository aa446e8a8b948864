"""The atlas: one card per loss, filled by the classes and presets themselves when they are defined."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from lossodyssey.core import fields

if TYPE_CHECKING:
    from lossodyssey.core.loss import Loss

Aliases = Sequence[str] | Mapping[str, Mapping[str, Any]]
"""Other names of a loss, with the hyper-parameters that a name fixes: `{"CE": {}, "TopK10": {"percent": 10}}`."""


@dataclass(frozen=True)
class Card:
    """The facts about one loss of the atlas.

    `range` bounds its values, `alone` is False where it must be summed with a partner, `fields` are its
    hyper-parameters with defaults, `paper` is a key of `papers()`. `needs` names its auxiliary values.
    `same_as` writes a preset out as a sum. `fixed` are the hyper-parameters that the name `asked` settles, where the
    card was asked for by an alias.
    """

    name: str
    category: str
    paper: str
    range: tuple[float, float]
    alone: bool
    fields: tuple[fields.Field, ...]
    doc: str
    build: Callable[..., Loss]
    preset: bool = False
    same_as: str = ""
    asked: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return self.doc.split("\n\n")[0].replace("\n", " ")

    @property
    def needs(self) -> tuple[str, ...]:
        """The auxiliary values that the loss asks for with its defaults, beside logits and labels."""
        return tuple(dict.fromkeys(wanted.name for wanted in self.build().auxiliaries().values()))

    @property
    def needs_image(self) -> bool:
        """Whether the loss looks at the network's input."""
        return self.build().needs_image

    @property
    def aliases(self) -> dict[str, str]:
        """Other names that `parse` takes for this loss alone, with the text of the loss that each means."""
        own = {alias: claims[0] for alias, claims in ALIASES.items() if len(claims) == 1 and alias not in CARDS}
        return {alias: repr(card(alias)()) for alias, (name, _) in own.items() if name == self.name}

    def __call__(self, **hyper_parameters: Any) -> Loss:
        """Build the loss.

        Raises:
            ValueError: an unknown hyper-parameter, with the nearest name, or another value than the name settles.
        """
        fields.check_names(self.asked or self.name, list(hyper_parameters), [field.name for field in self.fields])
        for name, value in self.fixed.items():
            if hyper_parameters.get(name, value) != value:
                another = f"{self.name}({name}={hyper_parameters[name]!r})"
                raise ValueError(f"{self.asked}: the name settles {name}={value!r}; write {another} for another one")
        return self.build(**{**self.fixed, **hyper_parameters})


CARDS: dict[str, Card] = {}
ALIASES: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
"""Alias -> the losses that claim it, each with the hyper-parameters that it fixes; several make it ambiguous."""

OWN = "custom"
"""The category of losses that are defined outside this package."""

RESERVED: set[str] = set()
"""Words of the text of losses that are not losses, such as `Ramp`; `text` fills it."""

FINDERS: list[Callable[[], None]] = []
"""Called for a name that is not found: they may file more losses (see `door`)."""


def file_class(
    cls: type[Loss],
    paper: str,
    range: tuple[float, float],
    alone: bool,
    aliases: Aliases = (),
) -> None:
    """Put a final loss class into the atlas.

    Raises:
        ValueError: its name or an alias is taken, or a hyper-parameter has no default.
    """
    category, known = category_of(cls.__module__), fields.declared(cls)
    for each in known:
        if each.default is MISSING:
            raise ValueError(f"{cls.__name__}.{each.name} has no default; give it one, as in {each.name}: float = 1")
    doc = inspect.cleandoc(cls.__doc__ or "")
    if doc.startswith(f"{cls.__name__}("):  # what `dataclass` writes where a class has no docstring
        doc = ""
    file(Card(cls.__name__, category, paper, range, alone, known, doc, build=cls), aliases)


def file(card: Card, aliases: Aliases) -> None:
    """Put a card into the atlas; a custom loss may be defined again in the same module, as notebooks do.

    Raises:
        ValueError: its name, or an alias, belongs to another loss.
    """
    named = dict(aliases) if isinstance(aliases, Mapping) else {key: {} for key in aliases}
    _check_name(card)
    for alias in named:
        _check_alias(card, alias)
    forget(card.name)
    CARDS[card.name] = card
    for alias, fixed in named.items():
        ALIASES.setdefault(alias, []).append((card.name, fixed))


def _check_name(card: Card) -> None:
    known = CARDS.get(card.name)
    if known and (known.category != OWN or known.build.__module__ != card.build.__module__):
        taken = f"exists already ({origin(known)})"
    elif card.category == OWN and (others := _claimed(card.name, card)):
        taken = f"exists already, as another name of {others[0]}"
    elif card.name in RESERVED:
        taken = "cannot be: the word means something else in the text of a loss"
    else:
        return
    raise ValueError(f"a loss {card.name!r} {taken}; expected a name that is free, so rename yours")


def _check_alias(card: Card, alias: str) -> None:
    """Let losses of the package share an alias, which is then ambiguous; a custom loss must not take one of theirs."""
    others = _claimed(alias, card)
    if alias in CARDS or alias in RESERVED or alias == card.name:
        taken = "the name of a loss" if alias not in RESERVED else "a word of the text of losses"
    elif others and card.category == OWN:
        taken = f"another name of {others[0]}"
    else:
        return
    raise ValueError(f"{card.name}: the alias {alias!r} is {taken}; expected a name that is free")


def _claimed(alias: str, card: Card) -> list[str]:
    return [name for name, _ in ALIASES.get(alias, ()) if name != card.name]


def forget(name: str) -> dict[str, Mapping[str, Any]]:
    """Take a loss out of the atlas, where it is there; return its aliases."""
    CARDS.pop(name, None)
    aliases = {alias: fixed for alias, claims in ALIASES.items() for known, fixed in claims if known == name}
    for alias in aliases:
        ALIASES[alias] = [claim for claim in ALIASES[alias] if claim[0] != name]
        if not ALIASES[alias]:
            del ALIASES[alias]
    return aliases


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Leave the atlas as it was where the block raises."""
    cards, aliases = dict(CARDS), {alias: list(claims) for alias, claims in ALIASES.items()}
    try:
        yield
    except BaseException:
        CARDS.clear()
        CARDS.update(cards)
        ALIASES.clear()
        ALIASES.update(aliases)
        raise


def origin(card: Card) -> str:
    """Return where a loss is defined: the file of a custom loss, else the module."""
    module = card.build.__module__
    path = getattr(sys.modules.get(module), "__file__", None) if card.category == OWN else None
    return path or module


def category_of(module: str) -> str:
    """Return the folder (or file) of the losses' package that a module is in; "custom" outside the package."""
    return module.split(".")[2] if module.startswith("lossodyssey.losses.") else OWN


def atlas() -> tuple[Card, ...]:
    """Return all losses of the atlas, by category and name."""
    return tuple(sorted(CARDS.values(), key=lambda card: (card.category, card.name)))


def card(name: str) -> Card:
    """Return the card of one loss by its name or an alias.

    Raises:
        ValueError: an unknown name, with the nearest known ones, or an alias that several losses claim.
    """
    for find in () if name in CARDS or name in ALIASES else FINDERS:
        find()
    if name in CARDS:
        return CARDS[name]
    claims = ALIASES.get(name, ())
    if len(claims) == 1:
        known, fixed = claims[0]
        return replace(CARDS[known], asked=name, fixed=fixed)
    if claims:
        raise ValueError(f"{name!r} may mean {' or '.join(f'{known}()' for known, _ in claims)}; write one of them")
    hint = fields.nearest(name, [*CARDS, *ALIASES])
    names = sorted(known for known, entry in CARDS.items() if entry.category != "as_released")
    raise ValueError(f"unknown loss {name!r}{hint or ', expected one of ' + ', '.join(names)}")


@cache
def papers() -> dict[str, dict[str, str]]:
    """Return the bibliography: key -> author, title, journal or booktitle, year, doi or eprint."""
    text = resources.files("lossodyssey.losses").joinpath("papers.bib").read_text(encoding="utf-8")
    entries = re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL)
    return {key: dict(re.findall(r"(\w+)\s*=\s*\{(.*)\}", body)) for key, body in entries}

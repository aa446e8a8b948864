"""The atlas: one card per loss, filled by the classes and presets themselves when they are defined."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    hyper-parameters with defaults, `paper` is a key of `papers()`. `needs` names what is made from the labels for it.
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
        """Other names that `parse` takes for this loss alone, with the text of what each means."""
        own = {alias: claims[0] for alias, claims in ALIASES.items() if len(claims) == 1 and alias not in CARDS}
        return {alias: repr(card(alias)()) for alias, (name, _) in own.items() if name == self.name}

    def __call__(self, **hyper_parameters: Any) -> Loss:
        """Build the loss; an unknown hyper-parameter raises a ValueError with the nearest name."""
        fields.check_names(self.asked or self.name, list(hyper_parameters), [field.name for field in self.fields])
        for name, value in self.fixed.items():
            if hyper_parameters.get(name, value) != value:
                another = f"{self.name}({name}={hyper_parameters[name]!r})"
                raise ValueError(f"{self.asked}: the name settles {name}={value!r}; write {another} for another one")
        return self.build(**{**self.fixed, **hyper_parameters})


CARDS: dict[str, Card] = {}
ALIASES: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
"""Alias -> the losses that claim it, each with the hyper-parameters that it fixes; several make it ambiguous."""


def file_class(
    cls: type[Loss],
    paper: str,
    range: tuple[float, float],
    alone: bool,
    aliases: Aliases = (),
) -> None:
    """Put a final loss class into the atlas."""
    doc, category = inspect.cleandoc(cls.__doc__ or ""), category_of(cls.__module__)
    file(Card(cls.__name__, category, paper, range, alone, fields.declared(cls), doc, build=cls), aliases)


def file(card: Card, aliases: Aliases) -> None:
    """Put a card into the atlas; a loss of one's own may be defined again in the same module, as notebooks do.

    Raises:
        ValueError: its name, or an alias, belongs to another loss.
    """
    known = CARDS.get(card.name)
    if known and (known.category != "custom" or known.build.__module__ != card.build.__module__):
        raise ValueError(
            f"a loss {card.name!r} exists already ({known.build.__module__}); expected a name that is free, so rename "
            "yours"
        )
    for claims in ALIASES.values():
        claims[:] = [claim for claim in claims if claim[0] != card.name]
    CARDS[card.name] = card
    for alias, fixed in (aliases if isinstance(aliases, Mapping) else {key: {} for key in aliases}).items():
        if alias in CARDS:
            raise ValueError(f"{card.name}: the alias {alias!r} is the name of a loss; expected a name that is free")
        ALIASES.setdefault(alias, []).append((card.name, fixed))


def category_of(module: str) -> str:
    """The folder (or file) of the losses' package that a module is in; "custom" outside the package."""
    return module.split(".")[2] if module.startswith("lossodyssey.losses.") else "custom"


def atlas() -> tuple[Card, ...]:
    """All losses of the atlas, by category and name."""
    return tuple(sorted(CARDS.values(), key=lambda card: (card.category, card.name)))


def card(name: str) -> Card:
    """The card of one loss by its name or an alias; a ValueError with the nearest names where there is none."""
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
    """The bibliography: key -> author, title, journal or booktitle, year, doi or eprint."""
    text = resources.files("lossodyssey.losses").joinpath("papers.bib").read_text(encoding="utf-8")
    entries = re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL)
    return {key: dict(re.findall(r"(\w+)\s*=\s*\{(.*)\}", body)) for key, body in entries}

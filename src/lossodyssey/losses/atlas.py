"""The atlas: one card per loss, filled by the classes and presets themselves when they are defined."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lossodyssey.losses import fields

if TYPE_CHECKING:
    from lossodyssey.losses.loss import Loss

PresetFunction = TypeVar("PresetFunction", bound=Callable[..., Any])


@dataclass(frozen=True)
class Card:
    """The facts about one loss of the atlas.

    `range` bounds its values, `alone` is False where it must be summed with a partner, `needs` names the maps it
    asks for beside logits and labels, `fields` are its hyper-parameters with defaults, `paper` a key of `paper()`.
    """

    name: str
    category: str
    paper: str
    range: tuple[float, float]
    alone: bool
    needs: tuple[str, ...]
    fields: tuple[fields.Field, ...]
    doc: str
    build: Callable[..., Loss]
    preset: bool = False

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return self.doc.split("\n\n")[0].replace("\n", " ")

    def __call__(self, **hyper_parameters: Any) -> Loss:
        """Build the loss; an unknown hyper-parameter raises a ValueError with the nearest name."""
        fields.check_names(self.name, list(hyper_parameters), [field.name for field in self.fields])
        return self.build(**hyper_parameters)


CARDS: dict[str, Card] = {}


def file_class(cls: type[Loss], paper: str, range: tuple[float, float], alone: bool, needs: tuple[str, ...]) -> None:
    """Put a final loss class into the atlas."""
    doc, category = inspect.cleandoc(cls.__doc__ or ""), category_of(cls.__module__)
    CARDS[cls.__name__] = Card(cls.__name__, category, paper, range, alone, needs, fields.declared(cls), doc, build=cls)


def category_of(module: str) -> str:
    """The folder (or file) of the losses' package that a module is in; "custom" outside the package."""
    return module.split(".")[2] if module.startswith("lossodyssey.losses.") else "custom"


def preset(*, paper: str = "", range: tuple[float, float] | None = None) -> Callable[[PresetFunction], PresetFunction]:
    """File a function that returns a sum of losses as a named compound."""

    def file(function: PresetFunction) -> PresetFunction:
        loss, hints = function(), typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        declared = tuple(
            fields.Field(name, fields.type_text(hints[name]), parameter.default)
            for name, parameter in parameters.items()
        )

        @wraps(function)
        def build(*positional: Any, **named: Any) -> Any:
            given = dict(zip(parameters, positional, strict=False)) | named
            fields.check_names(function.__name__, list(given), list(parameters))
            return function(*positional[len(parameters) :], **fields.check_values(function.__name__, function, given))

        needs = tuple(dict.fromkeys(need for _, leaf in loss.terms for need in leaf.needs))
        CARDS[function.__name__] = Card(
            name=function.__name__,
            category=category_of(function.__module__),
            paper=paper,
            range=range or loss.bounds(),
            alone=True,
            needs=needs,
            fields=declared,
            doc=inspect.cleandoc(function.__doc__ or ""),
            build=build,
            preset=True,
        )
        return cast(PresetFunction, build)

    return file


def atlas() -> tuple[Card, ...]:
    """All losses of the atlas, by category and name."""
    return tuple(sorted(CARDS.values(), key=lambda card: (card.category, card.name)))


def card(name: str) -> Card:
    """The card of one loss; a ValueError with the nearest name where there is none."""
    if name not in CARDS:
        hint = fields.nearest(name, CARDS)
        names = sorted(known for known, entry in CARDS.items() if entry.category != "as_released")
        raise ValueError(f"unknown loss {name!r}{hint or ', expected one of ' + ', '.join(names)}")
    return CARDS[name]


@cache
def papers() -> dict[str, dict[str, str]]:
    """The bibliography: key -> author, title, journal or booktitle, year, doi or eprint."""
    text = resources.files("lossodyssey.losses").joinpath("papers.bib").read_text(encoding="utf-8")
    entries = re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL)
    return {key: dict(re.findall(r"(\w+)\s*=\s*\{(.*)\}", body)) for key, body in entries}

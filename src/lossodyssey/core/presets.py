"""Presets: sums of losses under a name of their own."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from typing import Any

from lossodyssey.core import atlas, fields, words
from lossodyssey.core.loss import CALL, Loss, Sum, check_terms, written_out
from lossodyssey.core.schedules import Weight
from lossodyssey.core.weights import product


class Preset(Sum, abstract=True):
    """A sum under its name in the atlas; its text is the call that builds it.

    Where a term was changed by hand, so that the call would build another loss, the text is the sum of the terms.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any], parts: Sequence[tuple[Weight, Loss]]) -> None:
        super().__init__(parts)
        self.name, self.arguments, self.built = name, dict(arguments), written_out(self)
        check_terms(self)

    def but(self, **changes: Any) -> Sum:  # type: ignore[override]
        """Return a copy with fields changed: the preset's own hyper-parameters, and the others in its terms."""
        card, rest = atlas.card(self.name), dict(changes)
        own = {field.name: rest.pop(field.name) for field in card.fields if field.name in changes}
        if self.by_hand():
            return super().but(**changes)
        changed = card(**self.arguments | own)
        assert isinstance(changed, Sum)
        return Sum.but(changed, **rest) if rest else changed

    @property
    def parts(self) -> list[tuple[Weight, Loss]]:
        """This preset, as one part of a larger sum."""
        return [(1.0, self)]

    def known(self) -> list[str]:
        return list(dict.fromkeys([*super().known(), *(field.name for field in atlas.card(self.name).fields)]))

    def labels(self, weight: Weight = 1.0) -> list[str]:
        if self.by_hand():
            return [label for own, leaf in self.terms for label in leaf.labels(product(weight, own))]
        return [f"{self.text(weight)}: {label}" for own, part in self.written if own != 0 for label in part.labels(own)]

    def text(self, weight: Weight = 1.0) -> str:
        if self.by_hand():
            return " + ".join(leaf.text(product(weight, own)) for own, leaf in self.terms)
        return super().text(weight)

    def check_call(self, foreign: Collection[str]) -> None:
        if foreign:
            words.refuse(self.name, foreign, self.known(), CALL)

    def by_hand(self) -> bool:
        """Return whether a term was changed after the preset was built, so that its name would build another loss."""
        return written_out(self) != self.built

    def __repr__(self) -> str:
        if self.by_hand():
            return written_out(self)
        return fields.call_text(self.name, atlas.card(self.name).fields, self.arguments)


def preset(
    *,
    paper: str = "",
    range: tuple[float, float] | None = None,
    aliases: atlas.Aliases = (),
    hides: Collection[str] = (),
) -> Callable[[Callable[..., Loss]], Callable[..., Sum]]:
    """Put a function that returns a sum of losses into the atlas, as a named compound.

    Beside its own arguments, which are checked against their annotations, it takes every hyper-parameter of its
    parts by name (`DiceTopK(batch=True)`), for all parts that have it, except those that it `hides` because an argument
    of its own says the same.
    """

    def file(function: Callable[..., Loss]) -> Callable[..., Sum]:
        default, signature = function(), inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
        own = [
            fields.Field(name, fields.type_text(hints[name]), parameter.default)
            for name, parameter in signature.parameters.items()
        ]
        taken = {*hides, *signature.parameters}
        shared = [each for each in fields.shared(leaf for _, leaf in default.terms) if each.name not in taken]

        @wraps(function)
        def build(*positional: Any, **named: Any) -> Sum:
            fields.check_names(function.__name__, list(named), [each.name for each in (*own, *shared)])
            throughout = {each.name: named.pop(each.name) for each in shared if each.name in named}
            given = signature.bind(*positional, **named).arguments
            return named_sum(function, fields.check_values(function.__name__, function, given), throughout)

        keyword = inspect.Parameter.KEYWORD_ONLY
        keywords = [inspect.Parameter(each.name, keyword, default=each.default) for each in shared]
        both = signature.replace(parameters=[*signature.parameters.values(), *keywords])
        build.__signature__ = both  # type: ignore[attr-defined]
        card = atlas.Card(
            name=function.__name__,
            category=atlas.category_of(function.__module__),
            paper=paper,
            range=range or default.bounds(),
            alone=True,
            fields=(*own, *shared),
            doc=inspect.cleandoc(function.__doc__ or ""),
            build=build,
            preset=True,
            same_as=repr(default),
        )
        atlas.file(card, aliases)
        return build

    return file


def named_sum(function: Callable[..., Loss], arguments: Mapping[str, Any], throughout: Mapping[str, Any]) -> Sum:
    """Call the function of a preset, with hyper-parameters changed `throughout` its terms; name the sum after it."""
    loss = function(**arguments)
    if throughout:
        loss = loss.but(**throughout)
    own = {name: next(vars(leaf)[name] for _, leaf in loss.terms if name in vars(leaf)) for name in throughout}
    return Preset(function.__name__, {**arguments, **own}, [(1.0, loss)])

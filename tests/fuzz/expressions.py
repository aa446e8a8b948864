"""Random losses: every class and preset of the atlas, nested losses, weighted sums, hyper-parameters of their types."""

from __future__ import annotations

import inspect
import types
import typing
from functools import cache
from random import Random
from typing import Any

import lossodyssey as lo
from lossodyssey.core import atlas, fields

RELEASED = 0.06
"""The share of the losses as released: they keep defects of published code on purpose, and are checked for less."""

MODERATE = {"erosions": 4, "iterations": 2, "tube": 3}
"""Whole numbers up to here in most inputs, to save time."""

SLOW = frozenset(MODERATE) - {"tube"}
"""Fields whose defaults cost much time."""


def draw(random: Random, classes: int, *, exclusive: bool) -> lo.Loss:
    """Return a loss, or a sum of up to four."""
    terms = random.choices([1, 2, 3, 4], [74, 17, 6, 3])[0]
    parts = [_weighted(random, _single(random, classes, exclusive), alone=terms == 1) for _ in range(terms)]
    return sum(parts[1:], parts[0])


def _weighted(random: Random, loss: lo.Loss, *, alone: bool) -> lo.Loss:
    if (alone and random.random() < 0.9) or not all(isinstance(weight, float | int) for weight, _ in loss.terms):
        return loss
    if random.random() < 0.06:
        return lo.Ramp(round(random.uniform(0.1, 2), 2), round(random.uniform(0, 2), 2)) * loss
    return float(f"{10 ** random.uniform(-3, 1):.3g}") * loss


def _single(random: Random, classes: int, exclusive: bool, nested: bool = False) -> lo.Loss:
    released, others = names()
    name = random.choice(released if random.random() < RELEASED else others)
    if nested and name in ("Blobs", "Marginal"):
        name = "DiceCE"
    if name == "Marginal":
        hidden = random.sample(range(exclusive, classes), random.randint(0, max(classes - 1 - exclusive, 0)))
        return lo.Marginal(loss=_single(random, classes, exclusive, True), hidden=tuple(sorted(hidden)))
    given = (
        {}
        if random.random() < (0.25 if SLOW.isdisjoint(hints(name)) else 0.03)
        else _hyper_parameters(random, name, classes)
    )
    if name == "Blobs":
        given["loss"] = _single(random, 1 if not exclusive else 2, exclusive, True)
    return atlas.card(name)(**given)


@cache
def names() -> tuple[list[str], list[str]]:
    """Return the names of the losses as released, and of the others."""
    cards = [card for card in lo.atlas() if card.category != "custom"]
    released = [card.name for card in cards if card.category == "as_released"]
    return released, [card.name for card in cards if card.name not in released]


@cache
def hints(name: str) -> dict[str, Any]:
    """Return the types of the hyper-parameters of a loss; those of a preset's parts are the parts'."""
    card, found = atlas.card(name), {}
    sources: list[Any] = [card.build]
    if card.preset:
        sources = [*(type(leaf) for _, leaf in card.build().terms), inspect.unwrap(card.build)]
    for source in sources:
        found |= typing.get_type_hints(source, include_extras=True)
    return {field.name: found[field.name] for field in card.fields}


def _hyper_parameters(random: Random, name: str, classes: int) -> dict[str, Any]:
    known = hints(name)
    drawn = [each for each in known if not _is_table(known[each])]
    chosen = [each for each in drawn if each != "loss" and (random.random() < 0.4 or each in SLOW)]
    return {each: _value(random, each, known[each], classes) for each in chosen}


def _is_table(hint: Any) -> bool:
    """Return whether a hyper-parameter is a table of classes, such as those that may touch: it keeps its default."""
    arguments = typing.get_args(hint)
    return typing.get_origin(hint) is tuple and typing.get_origin(arguments[0]) is tuple


def _value(random: Random, name: str, hint: Any, classes: int) -> Any:
    if name == "class_weights":
        return None if random.random() < 0.2 else class_weights(random, classes)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _number(random, name, *arguments)
    if origin is typing.Literal:
        return random.choice(arguments)
    if origin in (typing.Union, types.UnionType):
        return _value(random, name, random.choice([each for each in arguments if "." not in repr(each)[-9:]]), classes)
    if hint is bool:
        return random.random() < 0.5
    if hint is type(None):
        return None
    if hint in (float, int):
        return round(random.uniform(0.1, 2), 3)
    return 1.0  # a weight of a preset


def class_weights(random: Random, classes: int) -> tuple[float, ...]:
    """Return one weight per class, some of them 0, not all."""
    weights = [random.choice((0.0, 1.0, round(random.uniform(0.01, 10), 2))) for _ in range(classes)]
    return tuple(weights) if any(weights) else (1.0,) * classes


def _number(random: Random, name: str, kind: type, interval: fields.Interval) -> float:
    low, high = interval.low, interval.high
    if kind is int:
        most = int(min(high, MODERATE.get(name, 20) if random.random() < 0.99 else 12))
        return random.randint(int(low), most)
    if high < float("inf"):
        ends = [high] if interval.positive else [low, high]
        inside = float(f"{low + (high - low) * random.random():.3g}")
        return random.choice(ends) if random.random() < 0.25 else inside or high
    if not interval.positive and random.random() < 0.2:
        return low
    return low + float(f"{10 ** random.uniform(-6, 2 if name == 'smooth' else 1):.3g}")

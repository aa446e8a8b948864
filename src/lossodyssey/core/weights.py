"""Weights of the terms of a sum: their products, their texts, and the bounds of a weighted term."""

from __future__ import annotations

from lossodyssey.core import fields
from lossodyssey.core.schedules import Weight


def product(new: Weight, old: Weight) -> Weight:
    """Return the product of two weights of a term.

    Raises:
        ValueError: two schedules, or a schedule times another number than 0 and 1.
    """
    if isinstance(new, int | float) and isinstance(old, int | float):
        return fields.finite("a product of weights", new * old)
    if 0 in (new, old):
        return 0.0
    if 1 not in (new, old):
        raise ValueError(f"{new!r} * {old!r}: a weight is one number or one schedule; write the product into it")
    return old if new == 1 else new


def scaled(ends: tuple[float, float], weight: Weight) -> tuple[float, float]:
    """Return the least and the greatest value of a term with these bounds, whatever the schedule has come to."""
    factors = (weight, weight) if isinstance(weight, int | float) else weight.ends
    products = [0.0 if 0 in (factor, end) else factor * end for factor in factors for end in ends]
    return min(products), max(products)


def times(weight: Weight, text: str) -> str:
    """Return a weight times a loss as text; a weight of 1 is not written."""
    if not isinstance(weight, int | float):
        return f"{weight!r} * {text}"
    return text if weight == 1 else f"{fields.number_text(weight)} * {text}"

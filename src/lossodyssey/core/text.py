"""The text of losses: `Dice() + 0.5 * Focal(gamma=3.0)`, and the way back from it."""

from __future__ import annotations

import ast
from typing import Any, NoReturn

from lossodyssey.core import atlas, fields
from lossodyssey.core.loss import Loss, Sum, add, check_terms, scale, term_text
from lossodyssey.core.schedules import SCHEDULES, FromDice, Ratio, Schedule, Step

LONGEST_TEXT = 4096


def TwoPhase(first: Loss, second: Loss, at: float = 0.5) -> Sum:
    """Train with `first` until the progress reaches `at`, with `second` from then on (Loss odyssey, section 3.2)."""
    for part in (first, second):
        if not isinstance(part, Loss):
            raise TypeError(f"TwoPhase takes two losses, got {part!r}")
    return add(scale(Step(1, 0, at), first), scale(Step(0, 1, at), second))


atlas.RESERVED.update(SCHEDULES, [TwoPhase.__name__])


def meaning(loss: Loss) -> str:
    """Return a text to compare by, the same for sums that differ only in presets, order, or how a weight is split."""
    totals: dict[str, float] = {}
    others = []
    for weight, leaf in loss.terms:
        if isinstance(weight, int | float):
            totals[repr(leaf)] = totals.get(repr(leaf), 0.0) + weight
        else:
            others.append(term_text(weight, leaf))
    return " + ".join(sorted([*others, *(f"{weight!r} * {leaf}" for leaf, weight in totals.items())]))


def parse(text: str) -> Loss:
    """Build the loss that `text` states: atlas names, numbers, tuples, `+` and `*`, nothing else.

    `parse(repr(loss))` gives the loss back. Nothing is evaluated: only known nodes of the syntax tree are read.

    Raises:
        ValueError: the text is another kind of expression, with the nearest known name where one is misspelt.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"loss expression has {len(text)} characters, expected at most {LONGEST_TEXT}")
    if "\0" in text:  # older Pythons refuse it in words of their own
        raise _refusal(text)
    try:
        result = _build(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError):
        raise _refusal(text) from None
    if not isinstance(result, Loss):
        raise _refusal(text)
    check_terms(result)
    return result


def _build(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() | bool() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_build(item, text) for item in items)
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=named) if all(k.arg for k in named):
            values = [_build(value, text) for value in positional]
            return _call(name, values, {str(k.arg): _build(k.value, text) for k in named})
        case ast.BinOp(op=ast.Add() | ast.Mult() as operation):
            return _combine(_build(node.left, text), operation, _build(node.right, text), text)
    if isinstance(node, ast.Name):
        _refuse_name(node.id)
    raise _refusal(text, ast.get_source_segment(text.strip(), node))


def _refuse_name(name: str) -> NoReturn:
    if name not in SCHEDULES and name != TwoPhase.__name__:
        atlas.card(name)
    raise ValueError(f"{name!r} is a name alone; expected a call, as {name}()")


def _call(name: str, positional: list[Any], named: dict[str, Any]) -> Loss | Schedule | Ratio | FromDice:
    build = TwoPhase if name == TwoPhase.__name__ else SCHEDULES.get(name)
    if build is not None:
        try:
            return build(*positional, **named)
        except TypeError as problem:
            raise ValueError(f"{name}: {problem}") from None
    card = atlas.card(name)
    if positional:
        known = ", ".join(field.name for field in card.fields) or "none"
        raise ValueError(
            f"{name} takes its hyper-parameters by name ({known}), got {fields.brief(positional[0])} without one"
        )
    return card(**named)


def _combine(left: Any, operation: ast.operator, right: Any, text: str) -> Any:
    plain = (int, float, Schedule, Ratio)
    if isinstance(operation, ast.Add) and isinstance(left, Loss) and isinstance(right, Loss):
        return left + right
    if isinstance(operation, ast.Mult) and not isinstance(left, bool) and not isinstance(right, bool):
        if isinstance(left, plain) and isinstance(right, Loss):
            return left * right
        if isinstance(left, Loss) and isinstance(right, plain):
            return left * right
    raise _refusal(text)


def _refusal(text: str, part: str | None = None) -> ValueError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    at = f" at {part[:60]!r}" if part and part != text.strip() else ""
    return ValueError(
        f"{shown!r} is not a loss expression{at}: expected something like 'Dice() + 0.5 * Focal(gamma=3.0)', "
        "made of losses of the atlas (lossodyssey list), numbers, + and *"
    )

"""The values of an auxiliary's fields: checked when constructed, and read from the text of a key."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin


def conform(where: str, value: Any, hint: Any) -> Any:
    """Return the value in the type of its field.

    Raises:
        ValueError: the field, named by `where`, does not take the value.
    """
    for choice in _choices(hint):
        if get_origin(choice) is Literal and isinstance(value, str) and value in get_args(choice):
            return value
        if get_origin(choice) is tuple and _is_tuple_for(choice, value):
            return tuple(conform(where, *pair) for pair in zip(value, get_args(choice), strict=True))
        if choice is float and isinstance(value, int | float) and type(value) is not bool and math.isfinite(value):
            return float(value)
        # By identity: a compiler cannot trace how a generic alias is compared.
        if (choice is int or choice is bool or choice is type(None)) and type(value) is choice:
            return value
    raise ValueError(f"{where} is {value!r}, expected {text_of(hint)}")


def read(where: str, text: str, hint: Any) -> Any:
    """Return the value that `text` writes, in the type of its field.

    Raises:
        ValueError: the text writes no value that the field, named by `where`, takes.
    """
    for choice in _choices(hint):
        plain: list[Any] = [text] if get_origin(choice) is Literal else _numbers(text)
        if choice is type(None) and text == "None":
            return None
        if choice is bool and text in ("True", "False"):
            return text == "True"
        for value in plain:
            try:
                return conform(where, value, choice)
            except ValueError:
                continue
    raise ValueError(f"{where} is {text!r}, expected {text_of(hint)}")


def text_of(hint: Any) -> str:
    """Return a type as users read it: `'max' or 'diagonal' or None`."""
    known = {float: "a number", int: "a whole number", bool: "True or False", type(None): "None"}
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a tuple of {len(get_args(hint))} numbers"
    return " or ".join(text_of(choice) for choice in get_args(hint)) if get_args(hint) else known[hint]


def _choices(hint: Any) -> Sequence[Any]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else [hint]


def _is_tuple_for(hint: Any, value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == len(get_args(hint))


def _numbers(text: str) -> list[Any]:
    """Return the whole number, number or tuple of numbers that a text writes, as a list of one; else an empty list."""
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    if text[:1] + text[-1:] != "()":
        return []
    parts = [_numbers(part.strip()) for part in text[1:-1].split(",")]
    return [tuple(number for (number,) in parts)] if all(parts) else []

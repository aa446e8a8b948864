"""Hyper-parameters: annotated class fields become a checked constructor and a repr that rebuilds the object."""

from __future__ import annotations

import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass
from dataclasses import fields as dataclass_fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from lossodyssey.core import words


@dataclass(frozen=True)
class Interval:
    """The closed interval that a number must lie in; `positive` excludes the lower end."""

    low: float
    high: float = math.inf
    positive: bool = False

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.positive and value == self.low)

    def __str__(self) -> str:
        left = "(" if self.positive else "["
        return f"{left}{number_text(self.low)}, {'inf)' if self.high == math.inf else number_text(self.high) + ']'}"


@dataclass(frozen=True)
class Trained(Interval):
    """The interval of a number that an optimizer trains; the field holds the value to begin with."""


NonNegative = Annotated[float, Interval(0)]
Positive = Annotated[float, Interval(0, positive=True)]
Trainable = Annotated[float, Trained(0, positive=True)]
"""A positive number that is trained with the network; see `Loss.trained`."""
Fraction = Annotated[float, Interval(0, 1)]
Percent = Annotated[float, Interval(0, 100, positive=True)]
ClassWeights = tuple[NonNegative, ...] | Literal["inverse_frequency"] | None
"""One number per class, background first; or computed from the training labels; or none."""


@dataclass(frozen=True)
class Field:
    """A hyper-parameter as the atlas shows it; `of_parts` where a preset hands it to the parts that have it."""

    name: str
    type: str
    default: Any
    of_parts: bool = False


@dataclass(frozen=True)
class PerPart:
    """The default of a hyper-parameter that the parts of a preset set differently: (part, value) pairs."""

    values: tuple[tuple[str, Any], ...]

    def __repr__(self) -> str:
        return ", ".join(f"{value!r} in {part}" for part, value in self.values)


def declared(cls: type) -> tuple[Field, ...]:
    """Return the hyper-parameters of a class: its own first, then the inherited ones, less those it is `without`."""
    return _declared(cls)


def _find_declared(cls: Any) -> tuple[Field, ...]:
    own = [name for base in cls.__mro__ for name in inspect.get_annotations(base)]
    defaults = {field.name: field.default for field in dataclass_fields(cls) if field.init}
    hints = _hints(cls)
    names = [name for name in dict.fromkeys(own) if name in defaults and name not in getattr(cls, "without", ())]
    return tuple(Field(name, type_text(hints[name]), defaults[name]) for name in names)


_declared: Callable[[Any], tuple[Field, ...]] = cache(_find_declared)


def trainable(cls: type) -> list[str]:
    """Return the names of the hyper-parameters of a class that are trained."""
    hints = _hints(cls)
    return [field.name for field in declared(cls) if _is_trained(hints[field.name])]


def _is_trained(hint: Any) -> bool:
    return get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Trained)


def shared(parts: typing.Iterable[Any]) -> tuple[Field, ...]:
    """Return the hyper-parameters of several objects, one per name, with the values that they have as defaults."""
    found: dict[str, list[tuple[str, Field]]] = {}
    for part in parts:
        for field in declared(type(part)):
            own = Field(field.name, field.type, getattr(part, field.name))
            found.setdefault(field.name, []).append((type(part).__name__, own))
    return tuple(_joined(name, each) for name, each in found.items())


def _joined(name: str, each: list[tuple[str, Field]]) -> Field:
    types_text = " and ".join(dict.fromkeys(field.type for _, field in each))
    default = each[0][1].default
    if any(field.default != default for _, field in each):
        default = PerPart(tuple((part, field.default) for part, field in each))
    return Field(name, types_text, default, of_parts=True)


def type_text(hint: Any) -> str:
    """Return a type as users read it: `number in [0, inf)`, `'max' or 'zero'`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"number in {arguments[1]}{', trained' * _is_trained(hint)}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin is tuple:
        return "tuple of tuples" if get_origin(arguments[0]) is tuple else "tuple of numbers"
    known = {float: "number", int: "whole number", bool: "True or False", type(None): "None"}
    if isinstance(hint, type):
        return known.get(hint) or str(getattr(hint, "described", hint.__name__.lower()))
    return str(hint)


def check_names(owner: str, given: Collection[str], known: Collection[str], kind: str = "hyper-parameter") -> None:
    """Raise ValueError for the first unknown name of this `kind`: what it is here, or the nearest name."""
    for name in given:
        if name not in known and (answer := words.advice(name, owner, known)):
            raise ValueError(f"{owner} takes no {name!r}; {answer}")
        if name not in known:
            raise ValueError(
                f"{owner} has no {kind} {name!r}{nearest(name, known)}; it has {', '.join(known) or 'none'}"
            )


def nearest(name: str, known: Collection[str]) -> str:
    """Return the text ", did you mean 'x'?" if a known name is close, else nothing."""
    lowered = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f", did you mean {lowered[close[0]]!r}?" if close else ""


def check_values(owner: str, declaring: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in the types that a class or function declares.

    Raises:
        ValueError: a value that does not have the type of its field; the text names the field.
    """
    hints = _hints(declaring)
    return {name: _conform(f"{owner}.{name}", value, hints[name]) for name, value in values.items()}


@cache
def _hints(declaring: Any) -> dict[str, Any]:
    return typing.get_type_hints(declaring, include_extras=True)


def _conform(where: str, value: Any, hint: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value  # tensors, arrays and their numbers
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        value = _conform(where, value, arguments[0])
        if not arguments[1].holds(value):
            raise ValueError(f"{where} is {brief(value)}, expected a number in {arguments[1]}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(where, value, arguments)
    if origin is Literal:
        if not any(value is choice or (isinstance(value, str) and value == choice) for choice in arguments):
            raise ValueError(f"{where} is {brief(value)}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, typing.Sequence):
            raise ValueError(f"{where} is {brief(value)}, expected a tuple of numbers")
        return tuple(_conform(f"{where}[{i}]", item, arguments[0]) for i, item in enumerate(value))
    return _conform_scalar(where, value, hint)


def _conform_scalar(where: str, value: Any, hint: Any) -> Any:
    if hint is type(None) and value is None:
        return None
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return finite(where, value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    if isinstance(hint, type) and hint not in (int, float, bool, str) and isinstance(value, hint):
        return value
    raise ValueError(f"{where} is {brief(value)}, expected {type_text(hint)}")


def finite(where: str, value: float) -> float:
    """Return the number as a float.

    Raises:
        ValueError: it is infinite, or too large to be a float; the text begins with `where`.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{where} is {brief(value)}, expected a finite number")
    return number


def brief(value: Any) -> str:
    """Return the text of a value, cut where it is longer than a line of a message has room for."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _first_that_fits(where: str, value: Any, hints: tuple[Any, ...]) -> Any:
    tuples = [hint for hint in hints if get_origin(hint) is tuple]
    if tuples and isinstance(value, list | tuple):
        return _conform(where, value, tuples[0])
    problems = []
    for hint in hints:
        try:
            return _conform(where, value, hint)
        except ValueError as problem:
            problems.append(str(problem).split(", expected ")[-1])
    raise ValueError(f"{where} is {brief(value)}, expected {' or '.join(problems)}")


def constructor_text(instance: Any, text: Callable[[Any], str] = repr) -> str:
    """Return the call that rebuilds `instance`: its class name and the fields that differ from their defaults."""
    values = {field.name: getattr(instance, field.name) for field in declared(type(instance))}
    return call_text(type(instance).__name__, declared(type(instance)), values, text)


def call_text(name: str, known: Collection[Field], values: Mapping[str, Any], text: Callable[[Any], str] = repr) -> str:
    """Return a call as text, with those values, as `text` writes them, that differ from their defaults."""
    given = [field for field in known if field.name in values]
    changed = [f"{each.name}={text(values[each.name])}" for each in given if _differs(values[each.name], each.default)]
    return f"{name}({', '.join(changed)})"


def _differs(value: Any, default: Any) -> bool:
    """Return whether a value is not the default; losses are equal when their texts are."""
    return default is MISSING or (value != default and repr(value) != repr(default))


def number_text(value: float) -> str:
    """Return the shortest text of a number: `1` for 1.0, `0.01` for 0.01."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(float(value))

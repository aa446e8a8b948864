"""Auxiliaries by name, and their definitions as text: `phi`, `phi[zero=none,normalize=max]`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

from lossodyssey.auxiliary import values

if TYPE_CHECKING:
    from lossodyssey.auxiliary.auxiliary import Auxiliary

AUXILIARIES: dict[str, type[Auxiliary]] = {}
"""The auxiliaries by the name under which a loss asks for them and a user may give them."""


def file(cls: type[Auxiliary]) -> None:
    """Put a class into `AUXILIARIES` under its name.

    Raises:
        ValueError: the name belongs to another class; the same class may be defined again, as a notebook does.
    """
    if not re.fullmatch(r"\w+", cls.name):
        raise ValueError(f"{cls.__name__}: the name {cls.name!r} has other signs than letters, digits and _")
    known = AUXILIARIES.get(cls.name, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__name__}: the name {cls.name!r} is taken by {known.__module__}.{known.__qualname__}; "
            f"expected a name other than {', '.join(AUXILIARIES)}"
        )
    AUXILIARIES[cls.name] = cls


def key_of(auxiliary: Auxiliary) -> str:
    """Return the definition as text: the name, and the fields that differ from their defaults."""
    known = [each for each in fields(auxiliary) if each.init]
    changed = [f"{each.name}={value}" for each in known if (value := getattr(auxiliary, each.name)) != each.default]
    return f"{auxiliary.name}[{','.join(changed)}]" if changed else auxiliary.name


def from_key(key: str) -> Auxiliary:
    """Return the auxiliary that a key defines.

    Raises:
        ValueError: an unknown name or field, or a value that the field does not take.
    """
    found = re.fullmatch(r"(\w+)(?:\[(.+)\])?", key)
    if found is None or found[1] not in AUXILIARIES:
        raise ValueError(f"unknown auxiliary {key!r}, expected one of {', '.join(AUXILIARIES)}, fields in []")
    cls = AUXILIARIES[found[1]]
    known, options = cls.hints, {}
    for option in re.split(r",(?![^(]*\))", found[2] or ""):  # not at the commas inside a tuple
        name, equals, text = option.partition("=")
        if option and (not equals or name not in known or name in options):
            raise ValueError(f"{key!r} has {option!r}, expected field=value, each field once, of: {', '.join(known)}")
        if option:
            options[name] = values.read(f"{key!r}: {name}", text, known[name])
    return cls(**options)

"""Checks that the options of several executors share."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def check_counts(executor: str, least: int = 1, **options: int | None) -> None:
    """Raise ValueError where an option that is given is not a whole number of at least `least`."""
    for name, value in options.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ValueError(f"executor {executor}: {name} is {value!r}; expected a whole number, at least {least}")


def package(executor: str, module: str) -> Any:
    """Import the package of an executor, or say how to get it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        raise ValueError(f'executor {executor} needs {missing.name}: pip install ".[{executor}]"') from None

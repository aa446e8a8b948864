"""A plan as a YAML file: read with errors that name the line, the key and the allowed values, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lossodyssey.atomic import write_text
from lossodyssey.bench.plan import ENGINES, Plan, PlannedData, PlannedLoss
from lossodyssey.bench.yaml_lines import Document, Place, read_yaml
from lossodyssey.core.fields import nearest
from lossodyssey.training.settings import PREPROCESSING, Settings

NNUNET = ("protocol", "learning_rate", "epochs", "iterations", "patience", "configuration", "small", "device")
OWN = ("learning_rate", "steps")
"""Settings of the engine that a plan states by keys of its own."""


def read_plan(path: Path) -> Plan:
    """Read a plan from a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a key is unknown or missing, or a value is not valid; the text names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; expected a plan, such as `lossodyssey bench --preset quick --print`"
        )
    return parse_plan(path.read_text(encoding="utf-8"), str(path))


def parse_plan(text: str, name: str) -> Plan:
    """Read a plan from the text of a file of this `name`; see `read_plan` for errors."""
    document = read_yaml(text, name)
    if not isinstance(document.value, dict):
        raise ValueError(f"{name}: expected keys such as datasets: and losses:, found {document.value!r:.60}")
    return _Keys(document, name).plan()


class _Keys:
    """Reads the keys of one document."""

    def __init__(self, document: Document, name: str) -> None:
        self.values: dict[str, Any] = document.value
        self.lines, self.name = document.lines, name
        self.engine = self.values.get("engine", "light")
        if self.engine not in ENGINES:
            self.refuse(("engine",), f"one of {', '.join(ENGINES)}")
        self.settings = [f.name for f in fields(Settings)] if self.engine == "light" else list(NNUNET)
        self.settings = [setting for setting in self.settings if setting not in OWN]
        self.known = [f.name for f in fields(Plan) if f.name not in ("settings", "file", "lines")]
        for key in self.values:
            if key not in self.known and key not in self.settings:
                self.unknown((key,), [*self.known, *self.settings])

    def plan(self) -> Plan:
        for key in ("datasets", "losses"):
            if not self.values.get(key):
                raise ValueError(f"{self.name}: key {key!r} is missing or empty; give at least one")
        if {"held_out", "folds"} <= set(self.values):
            self.refuse(
                ("held_out",), "either this key or 'folds', which scores every case once; leave one of them out"
            )
        found: dict[str, Any] = {
            "datasets": tuple(self.dataset(place) for place in self.items("datasets")),
            "losses": tuple(self.loss(place) for place in self.items("losses")),
            "settings": {key: self.setting((key,)) for key in self.values if key in self.settings},
            "variants": self.variants(),
        }
        readers = {
            "name": self.text,
            "learning_rates": self.rates,
            "folds": self.folds,
            "held_out": self.parts,
            "validation": self.parts,
            "seeds": self.whole,
            "steps": self.wholes,
            "search_steps": self.whole,
            "metrics": self.texts,
            "decoding": self.texts,
            "engine": self.text,
        }
        found |= {key: read((key,)) for key, read in readers.items() if key in self.values}
        return Plan(file=self.name, lines=self.lines, **found)

    def at(self, place: Place) -> Any:
        value: Any = self.values
        for part in place:
            value = value[part]
        return value

    def items(self, key: str) -> list[Place]:
        """Return the places of the entries of a list, or the key's own where there is a single one."""
        value = self.values[key]
        return [(key, position) for position in range(len(value))] if isinstance(value, list) else [(key,)]

    def refuse(self, place: Place, expected: str) -> NoReturn:
        raise ValueError(f"{self.where(place)} is {self.at(place)!r:.80}; expected {expected}")

    def unknown(self, place: Place, known: list[str]) -> NoReturn:
        is_setting = len(place) == 1 or place[0] == "variants"
        if self.engine == "nnunet" and is_setting and place[-1] in PREPROCESSING:
            raise ValueError(
                f"{self.where(place)} is a setting of engine light; nnU-Net preprocesses by its own plans, leave it out"
            )
        raise ValueError(
            f"{self.where(place)} is not a key here{nearest(str(place[-1]), known)}; expected one of {', '.join(known)}"
        )

    def where(self, place: Place) -> str:
        line = next(self.lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.lines)
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        return f"{self.name}, line {line}: {shown}"

    def mapping(self, place: Place, known: list[str]) -> dict[str, Any]:
        value: dict[str, Any] = self.at(place)
        for key in value:
            if key not in known:
                self.unknown((*place, key), known)
        return value

    def dataset(self, place: Place) -> PlannedData:
        if not isinstance(self.at(place), dict):
            return PlannedData(self.text(place))
        value = self.mapping(place, ["name", "held_out", "folds"])
        if "name" not in value:
            self.refuse(place, "a key 'name': the name or folder of a data set")
        if {"held_out", "folds"} <= set(value):
            self.refuse(place, "either 'held_out' or 'folds', which scores every case once")
        held_out = self.parts((*place, "held_out")) if "held_out" in value else None
        folds = self.folds((*place, "folds")) if "folds" in value else None
        return PlannedData(self.text((*place, "name")), held_out, folds)

    def loss(self, place: Place) -> PlannedLoss:
        if not isinstance(self.at(place), dict):
            name, equals, text = self.text(place).partition("=")
            named = bool(equals) and "(" not in name
            return PlannedLoss((text.strip() if named else self.text(place),), name.strip() if named else "")
        value = self.mapping(place, ["loss", "name", "learning_rates", "stages"])
        if ("loss" in value) == ("stages" in value):
            self.refuse(place, "either 'loss', a text, or 'stages', a list of texts")
        stages = self.texts((*place, "stages")) if "stages" in value else (self.text((*place, "loss")),)
        name = self.text((*place, "name")) if "name" in value else ""
        rates = self.rates((*place, "learning_rates")) if "learning_rates" in value else ()
        return PlannedLoss(stages, name, rates)

    def variants(self) -> dict[str, dict[str, Any]]:
        value = self.values.get("variants") or {}
        if not isinstance(value, dict):
            self.refuse(("variants",), "names, each with settings of the engine")
        return {name: self.variant(("variants", name)) for name in value}

    def variant(self, place: Place) -> dict[str, Any]:
        if self.at(place) is None:
            return {}
        if not isinstance(self.at(place), dict):
            self.refuse(place, "settings of the engine, such as {foreground: 0}")
        return {key: self.setting((*place, key)) for key in self.mapping(place, self.settings)}

    def setting(self, place: Place) -> Any:
        value = self.at(place)
        return tuple(value) if isinstance(value, list) else value

    def text(self, place: Place) -> str:
        value = self.at(place)
        if not isinstance(value, str) or not value.strip():
            self.refuse(place, "a text")
        return value.strip()

    def texts(self, place: Place) -> tuple[str, ...]:
        value = self.at(place)
        if not isinstance(value, list):
            return (self.text(place),)
        if not value:
            self.refuse(place, "at least one text")
        return tuple(self.text((*place, position)) for position in range(len(value)))

    def whole(self, place: Place) -> int:
        value = self.at(place)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(place, "a whole number of 1 or more")
        return value

    def wholes(self, place: Place) -> tuple[int, ...]:
        value = self.at(place)
        numbers = (
            [self.whole((*place, i)) for i in range(len(value))] if isinstance(value, list) else [self.whole(place)]
        )
        if not numbers or len(set(numbers)) < len(numbers):
            self.refuse(place, "whole numbers, each once")
        return tuple(sorted(numbers))

    def rates(self, place: Place) -> tuple[float, ...]:
        value = self.at(place)
        found = value if isinstance(value, list) else [value]
        valid = all(isinstance(rate, int | float) and not isinstance(rate, bool) for rate in found)
        if not found or not valid or not all(isfinite(rate) and rate > 0 for rate in found):
            self.refuse(place, "positive numbers, such as [3e-3, 3e-4]")
        if len(set(found)) < len(found):
            self.refuse(place, "each rate once")
        return tuple(float(rate) for rate in found)

    def parts(self, place: Place) -> int | float:
        value = self.at(place)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not whole and not (isinstance(value, float) and 0 < value < 1):
            self.refuse(place, "a number of cases such as 40, or a fraction of them such as 0.2")
        return value  # type: ignore[no-any-return]

    def folds(self, place: Place) -> int | str:
        value = self.at(place)
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            self.refuse(place, "a number of folds of 2 or more, or the path of a file of folds (splits_final.json)")
        return value


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan so that `read_plan` gives an equal one, whole or not at all."""
    write_text(path, plan_text(plan))


def plan_text(plan: Plan) -> str:
    """Return the plan as YAML, without the keys that are at their defaults."""
    default = Plan(datasets=(), losses=())
    shown: dict[str, Any] = {}
    for each in fields(Plan):
        value = getattr(plan, each.name)
        if each.name in ("datasets", "losses"):
            shown[each.name] = [_entry(entry) for entry in value]
        elif each.name == "settings":
            shown |= _plain(value)
        elif each.name not in ("file", "lines") and value != getattr(default, each.name):
            shown[each.name] = _plain(value)
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120))


def _entry(entry: PlannedData | PlannedLoss) -> Any:
    content = {f.name: _plain(getattr(entry, f.name)) for f in fields(entry)}
    content = {key: value for key, value in content.items() if value not in ("", None, [])}
    if isinstance(entry, PlannedLoss) and len(entry.stages) == 1:
        content = {"loss": entry.stages[0], **{key: value for key, value in content.items() if key != "stages"}}
    return next(iter(content.values())) if len(content) == 1 and "stages" not in content else content


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value

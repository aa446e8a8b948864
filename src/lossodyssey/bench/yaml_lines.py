"""YAML read into plain values that know their lines, so that an error can name the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

MOST_NODES = 20_000
LONGEST = 1 << 20

Place = tuple[str | int, ...]
"""The keys and positions that lead to a value: `("losses", 2, "name")`."""


@dataclass(frozen=True)
class Document:
    """The value of a document, and the line of each of its parts."""

    value: Any
    lines: Mapping[Place, int]


def read_yaml(text: str, name: str) -> Document:
    """Read one YAML document of mappings with text keys, lists, texts, numbers, truth values and nothing.

    Raises:
        ValueError: it is not YAML, too long, or has a key twice; the text names the line.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{name}: {len(text)} characters; expected a plan of at most {LONGEST}")
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{name}{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    lines: dict[Place, int] = {}
    return Document(_Reader(name, lines).value(node, ()) if node else None, lines)


class _Reader:
    def __init__(self, name: str, lines: dict[Place, int]) -> None:
        self.name, self.lines, self.nodes = name, lines, 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        # Aliases may repeat a part without end.
        if self.nodes > MOST_NODES:
            raise ValueError(f"{self.name}, line {line}: more than {MOST_NODES} values; expected a shorter plan")
        self.lines[place] = line
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, place))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*place, position)) for position, child in enumerate(node.value)]
        return _scalar(node, f"{self.name}, line {line}")

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{self.name}, line {line}: a key must be a text")
            if key.value in seen:
                raise ValueError(f"{self.name}, line {line}: key {key.value!r} occurs twice; leave one of them")
            seen.add(key.value)
            yield key.value, self.value(child, (*place, key.value))
            self.lines[(*place, key.value)] = line


def _scalar(node: yaml.Node, where: str) -> Any:
    kinds: dict[str, Callable[[str], Any]] = {
        "tag:yaml.org,2002:str": _text,
        "tag:yaml.org,2002:int": int,
        "tag:yaml.org,2002:float": float,
        "tag:yaml.org,2002:bool": lambda text: text.lower() in ("true", "yes", "on"),
        "tag:yaml.org,2002:null": lambda text: None,
    }
    try:
        return kinds[node.tag](node.value)
    except (KeyError, ValueError):
        raise ValueError(
            f"{where}: cannot read {node.value!r:.60}; expected a text, a number, true or false (quote a text)"
        ) from None


def _text(text: str) -> str | float:
    """Return a text, or the number that YAML 1.1 takes for one: 3e-3, without a point."""
    try:
        return float(text) if text[:1].isdigit() and "e" in text.lower() else text
    except ValueError:
        return text

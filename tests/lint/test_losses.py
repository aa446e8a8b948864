"""A loss is a formula: what the pair and the bases own does not stand in its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lossodyssey

LOSSES = Path(lossodyssey.__file__).parent / "losses"
FILES = sorted(path for path in LOSSES.rglob("*.py") if path.name != "__init__.py")
OWNERS = {
    "softmax": "the pair: s, log_p or log_states",
    "log_softmax": "the pair: s, log_p or log_states",
    "sigmoid": "the pair: s, log_p or log_states",
    "logsigmoid": "the pair: s, log_p or log_states",
    "one_hot": "the pair: g",
    "to": "the pair, whose tensors share device and dtype",
    "cuda": "the pair, whose tensors share device and dtype",
    "half": "the pair, whose tensors share device and dtype",
    "float": "the pair, whose tensors share device and dtype",
    "type": "the pair, whose tensors share device and dtype",
    "item": "nobody: values stay tensors",
    "reduction": "the bases",
    "ignore": "the context",
    "ignore_index": "the context",
}
"""What no file of a loss contains as code, and who owns it."""


def words(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield attributes and functions that are called, and names of arguments, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute):
                yield called.attr, node.lineno
        elif isinstance(node, ast.keyword | ast.arg) and node.arg:
            yield node.arg, node.lineno
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LOSSES)))
def test_a_file_of_losses_holds_formulas_alone(path: Path) -> None:
    found = [(word, line) for word, line in words(ast.parse(path.read_text(encoding="utf-8"))) if word in OWNERS]
    assert not found, [f"{path.name}:{line}: {word} belongs to {OWNERS[word]}" for word, line in found]


def test_the_words_are_found() -> None:
    code = "def f(x, ignore=None):\n    return F.softmax(x, 1).to(y).sum(reduction='mean')\nreduction: str = 'sum'\n"
    assert {word for word, _ in words(ast.parse(code))} >= {"ignore", "softmax", "to", "reduction"}

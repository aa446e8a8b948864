"""The papers behind losses, as keys of the bibliography and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING

from lossodyssey.core.atlas import CARDS, card
from lossodyssey.core.text import parse
from lossodyssey.guide.pages import citation

if TYPE_CHECKING:
    from lossodyssey.report import RunSummary

ENTRY = re.compile(r"^@\w+\{(\w+),\n.*?^\}", re.DOTALL | re.MULTILINE)


def keys_of(text: str) -> list[str]:
    """Return the papers of a loss and of its parts, presets before what they are made of: keys of the bibliography.

    The paper of a custom loss may be any text. A text that states no loss, such as a model's name, has none.
    """
    try:
        loss = parse(text)
    except ValueError:
        return []
    names = [*re.findall(r"([A-Za-z_]\w*)\(", text), *(type(leaf).__name__ for leaf in loss.leaves_of_terms())]
    found = (CARDS[name].paper if name in CARDS else "" for name in names)
    return [key for key in dict.fromkeys(found) if key]


def references(losses: Iterable[str], runs: Iterable[RunSummary] = ()) -> list[str]:
    """Return the papers behind the losses of a table as texts, each once, for its page.

    `runs` say what losses with names of their own are, and what networks were trained with before.
    """
    texts = {loss: loss.split(" after ") for loss in losses}
    for run in runs:
        if run.loss in texts or run.purpose == "start":
            texts.setdefault(run.loss, []).append(run.expression)
    keys = dict.fromkeys(key for own in texts.values() for text in own for key in keys_of(text))
    return [citation(key) for key in keys]


def bibtex(names: Iterable[str]) -> str:
    """Return the BibTeX entries of losses, given by names or expressions, each once and in the order of the names.

    Raises:
        ValueError: a text states no loss.
    """
    keys = dict.fromkeys(key for name in names for key in keys_of(_expression(name)))
    text = resources.files("lossodyssey.losses").joinpath("papers.bib").read_text(encoding="utf-8")
    entries = {found[1]: found[0] for found in ENTRY.finditer(text)}
    return "\n\n".join(entries.get(key) or _entry(key) for key in keys) + "\n"


def _entry(text: str) -> str:
    """Return an entry for the paper of a custom loss, of which only a text is known."""
    return f"@misc{{{re.sub(r'[^a-z0-9]+', '', text.lower())},\n  note = {{{text}}},\n}}"


def _expression(name: str) -> str:
    """Return the expression that a name or an expression stands for."""
    if "(" not in name:
        return repr(card(name)())
    parse(name)
    return name

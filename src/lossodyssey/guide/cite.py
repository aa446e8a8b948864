"""The papers behind losses, as keys of the bibliography and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

from lossodyssey.core.atlas import CARDS, card, papers
from lossodyssey.core.text import parse

ENTRY = re.compile(r"^@\w+\{(\w+),\n.*?^\}", re.DOTALL | re.MULTILINE)


def keys_of(text: str) -> list[str]:
    """Return the keys of the papers of a loss and of its parts, presets before what they are made of.

    Nothing for a text that states no loss, such as the name of a model.
    """
    try:
        loss = parse(text)
    except ValueError:
        return []
    names = [*re.findall(r"([A-Za-z_]\w*)\(", text), *(type(leaf).__name__ for leaf in loss.leaves_of_terms())]
    found = (CARDS[name].paper if name in CARDS else "" for name in names)
    return [key for key in dict.fromkeys(found) if key in papers()]


def bibtex(names: Iterable[str]) -> str:
    """Return the BibTeX entries of losses, given by names or expressions, each once and in the order of the names.

    Raises:
        ValueError: a text states no loss.
    """
    keys = dict.fromkeys(key for name in names for key in keys_of(_expression(name)))
    text = resources.files("lossodyssey.losses").joinpath("papers.bib").read_text(encoding="utf-8")
    entries = {found[1]: found[0] for found in ENTRY.finditer(text)}
    return "\n\n".join(entries[key] for key in keys) + "\n"


def _expression(name: str) -> str:
    """Return the expression that a name or an expression stands for."""
    if "(" not in name:
        return repr(card(name)())
    parse(name)
    return name

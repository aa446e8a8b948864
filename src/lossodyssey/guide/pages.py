"""One page of Markdown per loss, from its card alone."""

from __future__ import annotations

import math
import re

from lossodyssey.core.atlas import CARDS, OWN, Card, origin, papers
from lossodyssey.core.fields import Field, number_text
from lossodyssey.guide.meanings import Meaning, meaning
from lossodyssey.guide.measured import measured
from lossodyssey.guide.peers import Peer, peers
from lossodyssey.guide.plain import without_accents
from lossodyssey.guide.response import response

FORMULA = re.compile(r"(?<!\$)\$([^$]+)\$(?!\$)")


def page(card: Card) -> str:
    """Return the page of one loss: formula, advice, facts, hyper-parameters, reference."""
    own = f"lossodyssey.card({card.name!r})" if card.category == OWN else f"lossodyssey.{card.name}"
    call = f"    {own}()(logits, labels)"
    sections = [formulas, facts, hyper_parameters, one_voxel, in_practice, elsewhere, reference, as_released]
    parts = [f"# {card.name}", card.doc, call, *(section(card) for section in sections)]
    return "\n\n".join(part for part in parts if part) + "\n"


def formulas(card: Card) -> str:
    """Return the sum that a preset stands for, with the first formula of each part."""
    if not card.preset:
        return ""
    leaves = dict.fromkeys(type(leaf).__name__ for leaf in card.build().leaves_of_terms())
    lines = [f"- `{name}`: {found}" for name in leaves if (found := first_formula(CARDS[name]))]
    return "\n".join([f"In full `{card.same_as}`, where", "", *lines])


def first_formula(card: Card) -> str:
    """Return the first formula of a loss's description, "" where it has none."""
    found = FORMULA.search(card.doc)
    return f"${' '.join(found[1].split())}$" if found else ""


def facts(card: Card) -> str:
    """Return category, range, needs and partner as a list."""
    low, high = (("-inf" if end < 0 else "inf") if math.isinf(end) else number_text(end) for end in card.range)
    lines = [f"- category: {card.category}", f"- values: {low} to {high}"]
    if card.category == OWN:
        lines.append(f"- defined in {origin(card)}")
    if card.needs:
        lines.append(f"- needs the maps: {', '.join(card.needs)} (computed from the labels unless given)")
    if not card.alone:
        lines.append("- not to be used alone: add a region or distribution loss")
    if card.aliases:
        lines.append(f"- also called {', '.join(_alias(card, *pair) for pair in card.aliases.items())}")
    return "\n".join(lines)


def _alias(card: Card, alias: str, text: str) -> str:
    return f"`{alias}`" if text == f"{card.name}()" else f"`{alias}` (`{text}`)"


def hyper_parameters(card: Card) -> str:
    """Return the fields with meaning, unit, range and default as a table."""
    if not card.fields:
        return ""
    rows = [_row(field, meaning(card, field.name)) for field in card.fields]
    head = ["| name | meaning | unit | values | default |", "|---|---|---|---|---|"]
    lines = ["## Hyper-parameters", "", *head, *rows]
    handed = [f"`{field.name}`" for field in card.fields if field.of_parts]
    if handed:
        lines += ["", f"Handed to every part that has them: {', '.join(handed)}."]
    return "\n".join(lines)


def _row(field: Field, meant: Meaning) -> str:
    cells = (f"`{field.name}`", _escaped(meant.text), meant.unit or "-", _escaped(field.type), f"`{field.default!r}`")
    return f"| {' | '.join(cells)} |"


def one_voxel(card: Card) -> str:
    """Return value and gradient as one voxel's probability moves, as a table."""
    probabilities = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
    values, gradients = response(card.build(), probabilities)
    numbers = zip(probabilities, values, gradients, strict=True)
    rows = [f"| {p} | {value:.4g} | {gradient:.3g} |" for p, value, gradient in numbers]
    text = (
        "## One voxel\n\nThe loss and its gradient as the probability p of one voxel's true class moves, inside a 4 x "
        "4 object in an 8 x 8 image where every other voxel has p = 0.9.\n"
    )
    return "\n".join([text, "| p | loss | gradient dL/dp |", "|---|---|---|", *rows])


def in_practice(card: Card) -> str:
    """Return what the project measured of the loss."""
    return measured(card.name) if card.category != OWN else ""


def elsewhere(card: Card) -> str:
    """Return the calls of other libraries that give the same number."""
    items = [_peer_line(peer) for peer in peers(card.name)]
    return "\n".join(["## The same number elsewhere", "", *items]) if items else ""


def _peer_line(peer: Peer) -> str:
    ours = f"`{peer.ours}`" + (' with `link="sigmoid"`' if peer.link == "sigmoid" else "")
    relation = "" if peer.relation == "same" else f", where theirs is {peer.relation}"
    note = f" {peer.note}" if peer.note else ""
    return f"- {peer.library}: `{peer.call}`, called with {peer.takes}, is our {ours}{relation}.{note}"


def reference(card: Card) -> str:
    """Return the paper's citation."""
    return f"## Reference\n\n{citation(card.paper)}" if card.paper else ""


def as_released(card: Card) -> str:
    """Return a line for each variant that released code computes: the cards named "Released" and this card's name."""
    names = [name for name in CARDS if re.fullmatch(rf"Released{card.name}(V\d)?", name)]
    return "\n\n".join(f"As released: `{name}`. {CARDS[name].summary}" for name in names)


def citation(key: str, *, short: bool = False) -> str:
    """Return a paper of the bibliography as text, or `short` as first author and year; an unknown key as it is."""
    if key not in papers():
        return key
    entry = papers()[key]
    authors = [without_accents(name.split(",")[0]) for name in entry["author"].split(" and ")]
    if short:
        return f"{authors[0]} {entry['year']}"
    names = authors[0] + (" et al." if len(authors) > 2 else f" and {authors[1]}" if len(authors) == 2 else "")
    venue = entry.get("journal") or entry.get("booktitle") or entry.get("eprint", "")
    doi = f", doi:{entry['doi']}" if "doi" in entry else f", arXiv:{entry['eprint']}" if "eprint" in entry else ""
    return f"{names} ({entry['year']}). {without_accents(entry['title'])}. {without_accents(venue)}{doi}"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")

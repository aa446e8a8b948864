"""The map of losses: every loss in the field of its category, and a line for every relation, as SVG with links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lossodyssey.guide.relations import Relation, drawn, relations

COLUMNS = (("distribution", "boundary"), ("compound", "partial"), ("region", "structure"))
"""The categories from left to right, each column from top to bottom: sums stand between what they are sums of."""
ROW, CHIP, HEAD, LETTER = 22, 17, 34, 6.1
WIDE, APART, BESIDE = 190, 150, 84
"""Pixels of a column, between two of them, and outside the outer ones, for lines within a column."""
ROUNDS = 12
Places = Mapping[str, tuple[int, float]]
"""Column and height of each loss."""


def relations_map() -> str:
    """Return the map as an SVG element, whose colours are names that the page around it gives their values."""
    edges = _edges()
    order = _ordered(edges)
    places = _places(order)
    width = 2 * BESIDE + 3 * WIDE + 2 * APART
    height = max(y for _, y in places.values()) + ROW
    lines = [_line(ends, kind, told, places) for (ends, (kind, told)) in edges.items()]
    chips = [_chip(name, *place, related=any(name in ends for ends in edges)) for name, place in places.items()]
    return "\n".join(
        [
            f'<svg role="img" aria-label="Losses by category, and the relations between them" '
            f'viewBox="0 0 {width} {height:g}">',
            f"<style>{_style(edges)}</style>",
            *_legend(),
            *_titles(order),
            *lines,
            *chips,
            "</svg>",
        ]
    )


def _edges() -> dict[tuple[str, str], tuple[str, list[str]]]:
    """Return the pairs of different losses that are related: the kind of the line, and the relations in words."""
    known = {card.name for card in drawn()}
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for relation in relations():
        left, rights = relation.ends
        for right in rights:
            if right != left and {left, right} <= known:
                kind, told = found.setdefault((left, right), (_kind(relation), []))
                told.append(relation.told)
                # One equality is more than any number of sums or functions.
                found[left, right] = (min(kind, _kind(relation), key=("equal", "through", "sum").index), told)
    return found


def _kind(relation: Relation) -> str:
    if len(relation.ends[1]) > 1:
        return "sum"
    return "equal" if relation.through == "x" else "through"


def _ordered(edges: Mapping[tuple[str, str], object]) -> dict[str, list[str]]:
    """Return the losses of each category in an order with few crossings: near the mean height of their relatives."""
    by_category = {category: [] for column in COLUMNS for category in column}  # type: dict[str, list[str]]
    for card in sorted(drawn(), key=lambda card: card.name):
        by_category[card.category].append(card.name)
    for _ in range(ROUNDS):
        heights = {name: y for name, (_, y) in _places(by_category).items()}
        wanted = {name: _mean_height(name, edges, heights) for name in heights}
        # A stable sort keeps losses without relatives, which come last, in the order of the alphabet.
        by_category = {
            category: sorted(names, key=lambda name: wanted[name]) for category, names in by_category.items()
        }
    return by_category


def _mean_height(name: str, edges: Mapping[tuple[str, str], object], heights: Mapping[str, float]) -> float:
    near = [heights[b if a == name else a] for a, b in edges if name in (a, b)]
    return sum(near) / len(near) if near else float("inf")


def _places(order: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, float]]:
    places = {}
    for number, column in enumerate(COLUMNS):
        y = float(HEAD)
        for category in column:
            y += HEAD
            for name in order[category]:
                places[name] = (number, y)
                y += ROW
            y += ROW / 2
    return places


def _left(column: int) -> float:
    return BESIDE + column * (WIDE + APART)


def _line(ends: tuple[str, str], kind: str, told: Sequence[str], places: Places) -> str:
    """Return the curve between two losses: outside of their column, or from one column to the next."""
    (first, y1), (second, y2) = (places[name] for name in ends)
    y1, y2 = y1 + CHIP / 2, y2 + CHIP / 2
    if first == second:
        outward = 1 if first == 2 else -1
        x = _left(first) + (WIDE if outward > 0 else 0)
        bend = outward * min(22 + 0.16 * abs(y2 - y1), BESIDE - 4)
        path = f"M{x:g} {y1:g}C{x + bend:g} {y1:g} {x + bend:g} {y2:g} {x:g} {y2:g}"
    else:
        x1, x2 = (_left(first) + WIDE, _left(second)) if first < second else (_left(first), _left(second) + WIDE)
        bend = (x2 - x1) / 2
        path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    title = escape("\n".join(told).replace("`", ""))
    return f'<path class="e {kind} e-{ends[0]} e-{ends[1]}" d="{path}"><title>{title}</title></path>'


def _chip(name: str, column: int, y: float, *, related: bool) -> str:
    x = _left(column)
    lone = "" if related else ' class="lone"'
    return (
        f'<a href="losses/{name}.html" id="n-{name}"><rect x="{x:g}" y="{y:g}" width="{WIDE}" height="{CHIP}" rx="4"/>'
        f'<text x="{x + 8:g}" y="{y + 12.5:g}"{lone}>{name}</text></a>'
    )


def _titles(order: Mapping[str, Sequence[str]]) -> list[str]:
    places = _places(order)
    titles = []
    for number, column in enumerate(COLUMNS):
        for category in column:
            y = places[order[category][0]][1] - 8
            titles.append(f'<text class="title" x="{_left(number):g}" y="{y:g}">{category.capitalize()}</text>')
    return titles


def _legend() -> list[str]:
    entries = (
        ("equal", "the same, for the right hyper-parameters"),
        ("sum", "a part of the sum"),
        ("through", "a function of it"),
    )
    parts, x = [], float(BESIDE)
    for kind, says in entries:
        parts.append(
            f'<path class="{kind}" d="M{x:g} 14H{x + 26:g}"/><text class="says" x="{x + 33:g}" y="18">{says}</text>'
        )
        x += 33 + LETTER * len(says) + 32
    return parts


def _style(edges: Mapping[tuple[str, str], object]) -> str:
    names = sorted({name for ends in edges for name in ends})
    chosen = ",".join(f".map:has(#n-{name}:is(:hover,:focus)) .e-{name}" for name in names)
    return (
        ".map path{fill:none;stroke-width:1.3}.map .equal{stroke:var(--accent)}.map .sum{stroke:var(--second)}"
        ".map .through{stroke:var(--accent);stroke-dasharray:4 3}.map .e{opacity:.55}"
        ".map rect{fill:var(--paper);stroke:var(--soft)}.map text{font-size:11px;fill:var(--ink)}"
        ".map .lone{fill:var(--muted)}.map .title{font-size:14px;font-weight:bold}.map .says{fill:var(--muted)}"
        ".map a:is(:hover,:focus) rect{stroke:var(--accent);stroke-width:2}"
        f".map:has(a:is(:hover,:focus)) .e{{opacity:.08}}{chosen}{{opacity:1;stroke-width:2}}"
    )

"""Small SVG files for the documentation, whose colours follow a light or dark screen."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from lossodyssey.report.figures.style import svg

LIGHT = {
    "paper": "#ffffff",
    "ink": "#16202a",
    "muted": "#5c6772",
    "line": "#dde2e7",
    "soft": "#a9b4bf",
    "accent": "#1f6fb2",
}
DARK = {
    "paper": "#12171c",
    "ink": "#e8edf1",
    "muted": "#9fabb6",
    "line": "#3b4650",
    "soft": "#62707d",
    "accent": "#5aa9e6",
}
SECOND, FAINT = "#d9822b", "#9cc4e4"


def embedded(figure: Figure, key: str, title: str) -> str:
    """Render a figure to an SVG file of its own; equal figures give equal text."""
    return file_of(slim(svg(figure, key, title)))


def file_of(element: str, kind: str = "") -> str:
    """Return an SVG element as a file, with the colours that it names and a font; `kind` is a class of its own."""
    start, rest = element.split(">", 1)
    names = f"drawn {kind}".strip()
    opening = f'{start} xmlns="http://www.w3.org/2000/svg" class="{names}" font-family="sans-serif">{colours()}'
    return f"{opening}\n{rest.strip()}\n"


def colours() -> str:
    """Return the style sheet that gives the names of colours their values, for light and dark screens."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in own.items()) for own in (LIGHT, DARK))
    both = f"--second:{SECOND};--faint:{FAINT}"
    return (
        f"<style>.drawn{{{light};{both}}}@media(prefers-color-scheme:dark){{.drawn{{{dark};{both}}}}}"
        ".drawn *{stroke-linejoin:round}</style>"
    )


def slim(text: str) -> str:
    """Return an SVG element without names, groups and blanks that change nothing of its look."""
    text = re.sub(r"<defs>.*?</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">|</g>|<!--.*?-->| id="[^"]*"', "", text)
    text = re.sub(r' d="[^"]*"', lambda found: _path(found[0]), text)
    text = re.sub(r' style="[^"]*"', lambda found: re.sub(r"([:;]) ", r"\1", found[0]), text)
    return re.sub(r"\n\s*", "\n", re.sub(r"\n\s*\n+", "\n", text))


def _path(text: str) -> str:
    """Return a path with one decimal, which is a seventh of a pixel of a scene at most."""
    text = re.sub(r"(\d+\.\d)\d+", r"\1", text)
    return re.sub(r" ?([MLz]) ?", r"\1", text.replace("\n", ""))

"""What the site adds to the Markdown: the losses in its navigation, and formulas that browsers draw themselves."""

from __future__ import annotations

import html
import re

from generate import by_category
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
COUNT = re.compile(r"(?<![A-Za-z\\])([TF][PN])(?![A-Za-z])")
FUNCTION = re.compile(r"\\(log|ln) ")


def on_config(config: MkDocsConfig) -> None:
    """Append every loss to the navigation."""
    groups = [{title: [f"losses/{card.name}.md" for card in cards]} for title, cards in by_category().items()]
    config.nav = [*(config.nav or []), {"The losses": ["losses/README.md", *groups]}]


def on_page_content(content: str, **_: object) -> str:
    """Write formulas as MathML."""
    return FORMULA.sub(mathml, content)


def mathml(formula: re.Match[str]) -> str:
    """One formula, counts set upright as names, functions apart from their argument."""
    latex = FUNCTION.sub(r"\\\1\\,", COUNT.sub(r"\\mathrm{\1}", html.unescape(formula["latex"])))
    return convert(latex, display="block" if formula["tag"] == "div" else "inline")

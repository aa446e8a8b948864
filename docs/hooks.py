"""The site adds to the Markdown: losses in its navigation, formulas and drawings that follow its colours."""

from __future__ import annotations

import html
import re
from pathlib import Path

from generate import by_category
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
PICTURE = re.compile(r'<img alt="[^"]*" src="(?P<source>[^":]+\.svg)" ?/?>')
COUNT = re.compile(r"(?<![A-Za-z\\])([TF][PN])(?![A-Za-z])")
FUNCTION = re.compile(r"\\(log|ln) ")


def on_config(config: MkDocsConfig) -> None:
    """Append every loss to the navigation."""
    groups = [{title: [f"losses/{card.name}.md" for card in cards]} for title, cards in by_category().items()]
    config.nav = [*(config.nav or []), {"The losses": ["losses/README.md", *groups]}]


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Write formulas as MathML, and drawings into the page."""
    folder = Path(str(page.file.abs_src_path)).parent
    return PICTURE.sub(lambda found: drawing(found, folder), FORMULA.sub(mathml, content))


def drawing(picture: re.Match[str], folder: Path) -> str:
    """A drawing as a part of its page: its links lead somewhere, and its colours are those that the reader chose."""
    file = folder / picture["source"]
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if 'class="drawn' not in text:
        return picture[0]
    # The first style sheet names the colours for a file that stands alone; here the site's own does.
    text = re.sub(r"<style>.*?</style>", "", text, count=1, flags=re.DOTALL)
    return f'<span class="drawing" data-search-exclude tabindex="0">{text}</span>'


def mathml(formula: re.Match[str]) -> str:
    """One formula, counts set upright as names, functions apart from their argument."""
    latex = FUNCTION.sub(r"\\\1\\,", COUNT.sub(r"\\mathrm{\1}", html.unescape(formula["latex"])))
    return convert(latex, display="block" if formula["tag"] == "div" else "inline")

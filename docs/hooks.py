"""The site adds to the Markdown: losses in its navigation, its version, tables from the code, formulas and drawings."""

from __future__ import annotations

import html
import re
from pathlib import Path

from generate import by_category
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

from lossodyssey.metrics.measure import MEASURES, MEASURES_OF_PROBABILITIES, Measure

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
PICTURE = re.compile(r'<img alt="[^"]*" src="(?P<source>[^":]+\.svg)" ?/?>')
COUNT = re.compile(r"(?<![A-Za-z\\])([TF][PN])(?![A-Za-z])")
FUNCTION = re.compile(r"\\(log|ln) ")
LATEST = re.compile(r"^## (\S+) \((.+)\)$", re.MULTILINE)
MEASURES_MARK = "<!-- measures -->"


def on_config(config: MkDocsConfig) -> None:
    """Append every loss to the navigation, and name the version on every page."""
    groups = [{title: [f"losses/{card.name}.md" for card in cards]} for title, cards in by_category().items()]
    config.nav = [*(config.nav or []), {"The losses": ["losses/README.md", *groups]}]
    config.copyright = f"LossOdyssey {version()}. {config.copyright}"


def version() -> str:
    """Return the version that the pages describe, with its day or the word that it is not released."""
    changelog = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
    found = LATEST.search(changelog.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("CHANGELOG.md has no heading '## VERSION (DATE)'; the site's pages name the version")
    return f"{found[1]} ({found[2]})"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the table of measures where a page asks for it."""
    return markdown.replace(MEASURES_MARK, measures()) if MEASURES_MARK in markdown else markdown


def measures() -> str:
    """Return every measure with its unit, direction, range and definition as a table."""
    head = ["| measure | unit | better | range | undefined | definition |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(measure_row, {**MEASURES, **MEASURES_OF_PROBABILITIES}.values())])


def measure_row(measure: Measure) -> str:
    """Return the row of one measure; `at` is the value that some of them take."""
    low, high = (f"{end:g}" for end in measure.range)
    definition = " ".join(measure.definition.split())
    taken = f" `at`: {measure.parameter}." if measure.parameter else ""
    cells = (f"`{measure.name}`", measure.unit or "-", measure.better, f"{low} to {high}", measure.undefined)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in (*cells, definition + taken)) + " |"


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

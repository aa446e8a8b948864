"""The site builds without a warning, shows every example as a tab and leads to every loss."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lossodyssey as lo

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path for path in sorted((ROOT / "examples").iterdir()) if path.suffix in (".py", ".sh")]
LOSSES = [card.name for card in lo.atlas() if card.category != "custom"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the site needs Material for MkDocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> dict[str, str]:
    return {str(path.relative_to(site)): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


def text_of(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def test_the_front_page_shows_every_example_in_a_tab(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    tabs = [text_of(block) for block in front.split('<div class="tabbed-block">')[1:]]
    assert len(tabs) == len(EXAMPLES)
    for path in EXAMPLES:
        (tab,) = [tab for tab in tabs if path.read_text(encoding="utf-8").strip() in tab]
        assert f"examples/{path.name}" in tab.split("\n\n")[0], "a line above the code says how to run it"


@pytest.mark.parametrize("page", ["index.html", "losses/index.html"])
def test_the_navigation_leads_to_every_loss(site: Path, page: str) -> None:
    navigation = pages(site)[page].split("md-nav--primary")[1].split('class="md-content"')[0]
    folder = (site / page).parent
    reached = {(folder / target).resolve() for target in re.findall(r'href="([^"#]+)"', navigation)}
    assert {site / "losses" / f"{name}.html" for name in LOSSES} <= reached


def test_formulas_are_drawn(site: Path) -> None:
    for name, page in pages(site).items():
        article = re.sub(r"<(code|pre|script|math)\b.*?</\1>", "", page, flags=re.DOTALL)
        assert "arithmatex" not in article and "$" not in text_of(article), name
    assert "<mfrac>" in pages(site)["losses/Dice.html"]


def test_pages_ask_no_other_machine(site: Path) -> None:
    for name, page in pages(site).items():
        assert not re.search(r'<(script|img|iframe)[^>]* src="(https?:)?//|<link[^>]* href="(https?:)?//', page), name

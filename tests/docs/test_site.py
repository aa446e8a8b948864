"""The site builds without a warning, shows every example, leads to every loss, and is searched without a server."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lossodyssey as lo

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path for path in sorted((ROOT / "examples").iterdir()) if path.suffix in (".py", ".sh")]
LOSSES = [card.name for card in lo.atlas() if card.category != "custom"]
MODULES = ("auxiliary", "data", "distance", "fingerprint", "metrics", "ranking", "report", "table")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the site needs Material for MkDocs")
    pytest.importorskip("mkdocstrings", reason="the reference needs mkdocstrings")
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


def test_the_reference_holds_every_public_name(site: Path) -> None:
    reference = {name: page for name, page in pages(site).items() if name.startswith("api/")}
    own = {name for name in dir(lo) if not name.startswith("_") and hasattr(import_module("lossodyssey.public"), name)}
    whole = "".join(reference.values())
    lacking = [name for name in sorted(own - set(LOSSES) - {"annotations"}) if f"lossodyssey.{name}" not in whole]
    assert lacking == [], "give it a line in docs/api"
    for module in MODULES:
        page = "".join(page for page in reference.values() if f"lossodyssey.{module}" in page)
        listed = import_module(f"lossodyssey.{module}").__all__
        assert [name for name in listed if not re.search(rf"\b{name}\b", page)] == [], module


def test_every_page_names_the_version(site: Path) -> None:
    for name, page in pages(site).items():
        if name != "404.html":
            assert f"LossOdyssey {lo.__version__} (" in page.split('class="md-footer"')[1], name


def test_every_name_is_in_the_index_of_the_search(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    words = set(re.findall(r"\w+", " ".join(f"{part['title']} {part['text']}" for part in index["docs"])))
    measures = import_module("lossodyssey.metrics").MEASURES
    aliases = [alias for card in lo.atlas() for alias in card.aliases]
    assert {*LOSSES, *aliases, *measures} - words == set()


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("Criterion", "api/calls.html"),
        ("file_ending", "layout.html"),
        ("DiceTopK", "losses/DiceTopK.html"),
        ("HD95", "api/measures.html"),
    ],
)
def test_the_search_answers_from_a_disk(site: Path, tmp_path: Path, word: str, page: str) -> None:
    address = f"{(site / 'index.html').as_uri()}?q={word}"
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path}", address]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = re.findall(r'<a href="([^"?]*)[^"]*" class="md-search-result__link"', shown)
    assert (site / page).as_uri() in found[:10]

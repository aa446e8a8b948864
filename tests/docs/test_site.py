"""The site builds without a warning, shows every example, leads to every loss, and is searched without a server."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lossodyssey as lo

from .links import dead
from .walk import BROWSER, ask, walk

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [path for path in sorted((ROOT / "examples").iterdir()) if path.suffix in (".py", ".sh")]
LOSSES = [card.name for card in lo.atlas() if card.category != "custom"]
MODULES = ("auxiliary", "data", "distance", "fingerprint", "metrics", "ranking", "report", "table")
BROWSING = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium")
ANSWERS = {
    "Criterion": "api/calls.html",
    "DiceTopK": "losses/DiceTopK.html",
    "HD95": "api/measures.html",
    "Hausdorff": "losses/HausdorffDT.html",
    "Tversky": "losses/Tversky.html",
    "calibration": "third_shelf.html",
    "class imbalance": "api/weights.html",
    "clDice": "losses/CenterlineDice.html",
    "deep supervision": "context.html",
    "file_ending": "layout.html",
    "learning rate": "plans.html",
    "nnU-Net": "integrations.html",
    "spacing": "context.html",
}


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


def test_every_link_leads_somewhere(site: Path) -> None:
    assert dead(site) == []


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("a.html#one", True),
        ("#one", True),
        ("/folder/b.html", True),
        ("https://example.org/c", True),
        ("a.html#two", False),
        ("c.html", False),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, target: str, there: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.html").write_text("")
    (tmp_path / "a.html").write_text(f"<h2 id='one'>One</h2><a href='{target}'>")
    assert dead(tmp_path) == ([] if there else [f"a.html: {target}"])


@BROWSING
def test_the_search_answers_from_a_disk(site: Path, tmp_path: Path) -> None:
    found = ask(site, tmp_path, list(ANSWERS))
    assert [word for word, page in ANSWERS.items() if page not in found[word]] == []


@BROWSING
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)], ids=["phone, dark", "desk, light"])
def test_every_page_fits_the_screen_and_can_be_read(site: Path, tmp_path: Path, width: int, dark: bool) -> None:
    seen = walk(site, tmp_path, width, dark=dark)
    assert len(seen) == len(pages(site)) - 1
    good = {"wide": 0, "pale": [], "missing": [], "scheme": "slate" if dark else "default"}
    assert {page: found for page, found in seen.items() if found != good} == {}


@BROWSING
def test_what_cannot_be_read_is_found(tmp_path: Path) -> None:
    dark = "style='color:#333;background:#222'"
    faults: dict[str, tuple[str, dict[str, object]]] = {
        "wide": ("<p style='width:400px'>wide", {"wide": 10}),
        "text": (f"<p {dark}>text", {"pale": ["text"]}),
        "drawing": (f"<svg {dark}><text y='9' fill='#333'>drawing</text></svg>", {"pale": ["drawing"]}),
        "hidden": (f"<p {dark}><i style='opacity:0'>hidden</i>", {}),
    }
    for name, (body, _) in faults.items():
        (tmp_path / f"{name}.html").write_text(f"<!doctype html><style>body {{ margin: 0 }}</style><body>{body}")
    good = {"wide": 0, "pale": [], "missing": []}
    expected = {f"{name}.html": good | fault for name, (_, fault) in faults.items()}
    assert walk(tmp_path, tmp_path, 390, dark=True) == expected

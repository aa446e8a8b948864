"""What strangers look for in a project is there, whole, and says the same as the rest."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
yaml = pytest.importorskip("yaml")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def plain(name: str) -> str:
    """A name without accents, whether they are written as TeX or as letters."""
    letters = unicodedata.normalize("NFKD", re.sub(r'[{}\\"]', "", name))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def bibliography() -> dict[str, list[str]]:
    """The authors of every paper of the bibliography, by what finds it: DOI or arXiv number."""
    text = (ROOT / "src/lossodyssey/losses/papers.bib").read_text(encoding="utf-8")
    found = {}
    for entry in text.split("\n@")[1:]:
        fields = dict(re.findall(r"^\s*(\w+) = \{(.*)\},?$", entry, re.MULTILINE))
        found[fields.get("doi") or fields.get("eprint", "")] = [plain(name) for name in fields["author"].split(" and ")]
    return found


def test_the_citation_names_all_authors_of_its_papers() -> None:
    papers = bibliography()
    references = read(ROOT / "CITATION.cff")["references"]
    assert len(references) == 3
    for paper in references:
        key = paper.get("doi") or paper["url"].rsplit("/", 1)[1]
        authors = [plain(f"{author['family-names']}, {author['given-names']}") for author in paper["authors"]]
        assert authors == papers[key], paper["title"]


def test_every_form_asks_for_something_and_hosts_can_read_it() -> None:
    assert len(FORMS) == 3
    for path in FORMS:
        form = read(path)
        assert {"name", "description", "body"} <= set(form), path.name
        fields = {field["id"]: field for field in form["body"]}
        assert len(fields) == len(form["body"]), f"{path.name}: ids are not unique"
        assert all(field["attributes"]["label"] for field in fields.values()), path.name
        assert any(field.get("validations", {}).get("required") for field in fields.values()), path.name


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_files_and_make_targets_that_they_name_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"(?<!\w)((?:docs|tests)/[\w/]+\.\w+)", text):
        assert (ROOT / path).exists(), path

"""What is generated from the code is fresh, and what the README shows runs."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PIXELS = r"data:image/png;base64,([^\"]*)"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def says_the_same(path: Path, text: str) -> bool:
    """Whether a file holds `text`, up to the last digit of its numbers, which processors round differently."""
    number = r"-?\d+\.?\d*(?:e-?\d+)?"
    written = path.read_text(encoding="utf-8")
    pictures = [re.findall(PIXELS, words) for words in (written, text)]
    if len(pictures[0]) != len(pictures[1]) or not all(map(looks_the_same, *pictures)):
        return False
    written, text = (re.sub(PIXELS, "", words) for words in (written, text))
    if re.sub(number, "", written) != re.sub(number, "", text):
        return False
    old, new = ([float(word) for word in re.findall(number, words)] for words in (written, text))
    return new == pytest.approx(old, rel=0.01, abs=0.11 if path.suffix == ".svg" else 1e-9)


def looks_the_same(old: str, new: str) -> bool:
    """Whether two encoded pictures show the same: colours have steps, which the last digit of a number may cross."""
    first, second = (np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))).astype(int) for each in (old, new))
    if first.shape != second.shape:
        return False
    opacity = np.abs(first[..., 3] - second[..., 3])
    return bool(opacity.max() <= 12 and (opacity > 0).mean() < 0.1)


def test_generated_pages_are_fresh() -> None:
    files = generator().generated()
    stale = [path.name for path, text in files.items() if not path.exists() or not says_the_same(path, text)]
    assert not stale, "run `make pages`"
    assert set((ROOT / "docs" / "losses").iterdir()) <= set(files)


def test_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == "Dice() + 0.5 * Focal(gamma=3.0)"


def test_links_of_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_row_of_the_roster_is_answered_in_the_literature() -> None:
    roster = ROOT.parent / "shared" / "ROSTER.csv"
    if not roster.is_file():
        pytest.skip("the roster is not here")
    answered = {row["name"]: row for row in read(ROOT / "docs" / "literature" / "rows.csv")}
    assert [row["name"] for row in read(roster) if row["name"] not in answered] == []
    unsaid = [name for name, row in answered.items() if not row["losses"] and not row["remark"]]
    assert unsaid == [], "a row without a loss says why"


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

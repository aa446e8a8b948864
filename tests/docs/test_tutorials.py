"""The tutorials run in their smallest form, and their pages show the scripts as they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["nnunet_study", "own_loss_study", "own_pictures", "own_pipeline", "paper_again", "plain_loop"]


@pytest.fixture(scope="module")
def journeys() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "docs"))
    import journeys

    yield journeys
    sys.path.remove(str(ROOT / "docs"))
    sys.modules.pop("journeys")
    sys.modules.pop("tutorials")


@pytest.fixture(scope="module")
def script(journeys: ModuleType) -> ModuleType:
    found: ModuleType = journeys.tutorials
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs(
    script: ModuleType, journeys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in ("typer", "matplotlib", "PIL"):
        pytest.importorskip(module, reason="the tutorials need the extra all")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = script.SCRIPTS / f"{name}.py"
    said = list(script.outputs(path, tmp_path, **journeys.SMALLEST))
    assert any(said) and len(said) == len(script.cells(path.read_text(encoding="utf-8")))
    assert all((tmp_path / picture).is_file() for picture in script.PICTURE.findall(path.read_text(encoding="utf-8")))
    monkeypatch.undo()
    for journey in journeys.JOURNEYS:
        if journey.tutorial == name:
            assert (tmp_path / journey.answer).stat().st_size > 10_000
            shown = next(line for line in journeys.PAGE.read_text().splitlines() if f"/{name}.md" in line)
            assert f" | {journeys.taken().counted} | " in shown, "run python docs/journeys.py"
    sys.modules.pop("shell", None)


def test_the_plan_for_nnunet_is_read(script: ModuleType, tmp_path: Path) -> None:
    plan_file = pytest.importorskip("lossodyssey.bench.plan_file", reason="plans need the extra bench")
    (text,) = re.findall(
        r'write_text\("""(.*?)"""', (script.SCRIPTS / "nnunet_study.py").read_text(encoding="utf-8"), re.DOTALL
    )
    plan = plan_file.parse_plan(text, "plan.yaml")
    assert plan.engine == "nnunet" and [loss.stages for loss in plan.losses] == [("DiceCE()",), ("DiceTopK()",)]


def test_there_is_a_page_for_each(script: ModuleType) -> None:
    assert [path.stem for path in script.scripts()] == NAMES
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f"tutorials/{name}.md" in navigation for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_the_script(script: ModuleType, name: str) -> None:
    path = script.SCRIPTS / f"{name}.py"
    shown = (script.PAGES / f"{name}.md").read_text(encoding="utf-8")
    silent = [""] * len(script.cells(path.read_text(encoding="utf-8")))
    outputs = re.compile(rf"\n{script.OUTPUT}.*?\n```\n", re.DOTALL)
    assert outputs.sub("", shown) == script.page(path, silent), f"run python docs/tutorials.py {name}"
    assert all((script.PAGES / picture).is_file() for picture in re.findall(r"\]\((\w+/\w+\.png)\)", shown))


def test_the_gallery_names_the_command_of_every_picture() -> None:
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    sections = text.split("\n## ")[1:]
    taken = {path.stem for path in (ROOT / "docs" / "gallery").iterdir()}
    assert taken == set(re.findall(r"\]\(gallery/(\w+)\.png\)", text))
    assert all(re.search(r"^`(lossodyssey|make) [^`]+`", section, re.MULTILINE) for section in sections)

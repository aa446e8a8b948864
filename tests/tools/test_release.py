"""A release is made of commits alone, from files that agree, and tagged only when it is asked for."""

from __future__ import annotations

import importlib.util
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = "# Changelog\n\n## 1.2.0 (2026-01-31)\n\n- New.\n\n### Part\n\n- More.\n\n## 1.1.0 (2025-12-01)\n\n- Old.\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(root: Path, *words: str) -> str:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", root, *author, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: ModuleType) -> Path:
    """A committed project of three files that agree, whose build is a wheel written by hand."""
    root = tmp_path / "project"
    (root / "src" / "lossodyssey").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (root / "src" / "lossodyssey" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (root / "CITATION.cff").write_text("version: 1.2.0\n")
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / ".gitignore").write_text("dist/\n")
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "Begin")
    for key, value in {"NAME": "A", "EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", value)
    monkeypatch.setattr(script, "build", lambda root, out: [wheel(out, ["lossodyssey/__init__.py"])])
    monkeypatch.setattr(script, "try_wheel", lambda path, version: "tried")
    return root


def wheel(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lossodyssey-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in [*names, "lossodyssey-1.2.0.dist-info/METADATA"]:
            archive.writestr(name, "")
    return path


def test_dry_makes_notes_and_no_tag(script: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([], tree) == 0
    assert (tree / "dist" / "1.2.0" / "notes.md").read_text() == "- New.\n\n### Part\n\n- More.\n"
    assert git(tree, "tag") == "" and "--tag would make v1.2.0" in capsys.readouterr().out


def test_the_tag_carries_the_notes_with_their_headings(script: ModuleType, tree: Path) -> None:
    assert script.main(["--tag"], tree) == 0
    assert "- New.\n\n### Part\n\n- More." in git(tree, "tag", "--list", "v1.2.0", "--format", "%(contents)")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("CHANGELOG.md", "2026-01-31", "unreleased", "write the day"),
        ("CHANGELOG.md", "## 1.2.0", "## 1.2", "has no section '## 1.2.0 (DATE)'"),
        ("CITATION.cff", "1.2.0", "1.1.0", "'CITATION.cff': '1.1.0'"),
    ],
)
def test_refuses_files_that_disagree(
    script: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    (tree / file).write_text((tree / file).read_text().replace(old, new))
    assert script.main(["--tag"], tree) == 1
    assert file in (errors := capsys.readouterr().err) and "not committed" in errors
    git(tree, "commit", "--quiet", "--all", "-m", "Change")
    assert script.main(["--tag"], tree) == 1
    assert said in capsys.readouterr().err and git(tree, "tag") == ""


def test_refuses_a_tag_that_exists_and_another_branch(
    script: ModuleType, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tree, "tag", "v1.2.0")
    git(tree, "switch", "--quiet", "--create", "side")
    assert script.main(["--tag"], tree) == 1
    errors = capsys.readouterr().err
    assert "the tag v1.2.0 exists" in errors and "the branch is 'side'" in errors


def test_a_wheel_holds_the_package_and_nothing_else(script: ModuleType, tmp_path: Path) -> None:
    tracked = ["src/lossodyssey/__init__.py", "src/lossodyssey/losses/papers.bib"]
    whole = ["lossodyssey/__init__.py", "lossodyssey/losses/papers.bib"]
    script.check_wheel(wheel(tmp_path / "a", whole), tracked)
    with pytest.raises(ValueError, match=r"lacks 1 files of the package, the first is lossodyssey/losses/papers\.bib"):
        script.check_wheel(wheel(tmp_path / "b", whole[:1]), tracked)
    with pytest.raises(ValueError, match="outside of the package, the first is tests/a"):
        script.check_wheel(wheel(tmp_path / "c", [*whole, "tests/a.py"]), tracked)


def test_the_files_of_this_project_agree_on_its_version(script: ModuleType) -> None:
    date, notes = script.section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), script.version(ROOT))
    assert date and notes

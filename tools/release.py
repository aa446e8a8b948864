"""Make a release: build from a clean clone, check the wheel, write the notes; with --tag, tag it.

    python tools/release.py           # dry: everything but the tag
    python tools/release.py --tag

The files and the notes go to dist/. Nothing is pushed or uploaded: the last lines say which commands do that.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = {
    "pyproject.toml": r'^version = "(.+)"$',
    "src/lossodyssey/__init__.py": r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
}
SECTION = r"^## {version} \((?P<date>[^)]*)\)\n(?P<notes>.*?)(?=^## |\Z)"
TRIAL = """
import torch, lossodyssey as lo
assert lo.__version__ == {version!r}, lo.__version__
assert lo.__file__.startswith({folder!r}), lo.__file__
for card in lo.atlas():
    card()
lo.DiceCE()(torch.zeros(1, 2, 8, 8, requires_grad=True), torch.ones(1, 8, 8, dtype=torch.long)).backward()
print(len(lo.atlas()), "losses")
"""


def version(root: Path) -> str:
    """Return the version that all files agree on."""
    found = {name: re.search(rule, _read(root / name), re.MULTILINE) for name, rule in VERSION.items()}
    told = {name: match[1] if match else None for name, match in found.items()}
    (first, *others) = set(told.values())
    if others or first is None:
        raise ValueError(f"the files name these versions: {told}; expected the same in all")
    return first


def section(changelog: str, version: str) -> tuple[str, str]:
    """Return the date and the notes of a version from the text of the changelog."""
    found = re.search(SECTION.format(version=re.escape(version)), changelog, re.MULTILINE | re.DOTALL)
    if not found or not found["notes"].strip():
        raise ValueError(f"CHANGELOG.md has no section '## {version} (DATE)' with notes; write it")
    return found["date"], found["notes"].strip() + "\n"


def obstacles(root: Path, version: str, date: str) -> Iterator[str]:
    """Yield the reasons against a tag, one sentence each."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        yield f"CHANGELOG.md dates {version} as '{date}'; write the day, such as 2026-01-31, and commit"
    if _git(root, "tag", "--list", f"v{version}"):
        yield f"the tag v{version} exists; raise the version in {', '.join(VERSION)}"
    if (branch := _git(root, "branch", "--show-current")) != "main":
        yield f"the branch is '{branch}'; release from main"


def refuse_dirty(root: Path) -> None:
    """Raise where the tree holds anything that is not committed: the release is made of commits alone."""
    if changed := _git(root, "status", "--porcelain"):
        raise ValueError(f"these files are not committed; commit, stash or remove them:\n{changed}")


def build(root: Path, out: Path) -> list[Path]:
    """Build the source archive and the wheels of the last commit, from a clone that holds nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        _run("git", "clone", "--quiet", str(root), str(clone))
        _run(sys.executable, "-m", "build", "--outdir", str(out), str(clone))
    return sorted(out.glob("*.whl"))


def check_wheel(wheel: Path, tracked: list[str]) -> None:
    """Raise where a wheel lacks a file of the package that git tracks, or holds one outside of the package."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    if lacking := sorted({name.removeprefix("src/") for name in tracked} - held):
        raise ValueError(f"{wheel.name} lacks {len(lacking)} files of the package, the first is {lacking[0]}")
    strange = sorted(name for name in held if not name.startswith(("lossodyssey/", "lossodyssey-")))
    if strange:
        raise ValueError(f"{wheel.name} holds files outside of the package, the first is {strange[0]}")


def try_wheel(wheel: Path, version: str) -> str:
    """Return what a wheel prints that is installed in a folder of its own, computes a loss and runs the command."""
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, str(wheel))
        there = {**os.environ, "PYTHONPATH": folder}
        said = _run(sys.executable, "-c", TRIAL.format(version=version, folder=folder), cwd=folder, env=there)
        _run(sys.executable, "-m", "lossodyssey", "list", cwd=folder, env=there)
    return said


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Make the release; return 1, with the reason, where it cannot be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", action="store_true", help="tag the commit once everything holds")
    try:
        release(root, tag=parser.parse_args(arguments).tag)
    except (ValueError, subprocess.CalledProcessError) as error:
        print(f"not released: {error}", *filter(None, [getattr(error, "stderr", None)]), sep="\n", file=sys.stderr)
        return 1
    return 0


def release(root: Path, *, tag: bool) -> None:
    """Check, build and write the notes; tag the commit where that is asked for and nothing speaks against it."""
    refuse_dirty(root)
    number = version(root)
    date, notes = section(_read(root / "CHANGELOG.md"), number)
    against = list(obstacles(root, number, date))
    if tag and against:
        raise ValueError("; ".join(against))
    out = root / "dist" / number
    wheels = build(root, out)
    tracked = _git(root, "ls-files", "src/lossodyssey").splitlines()
    for wheel in wheels:
        check_wheel(wheel, tracked)
        print(f"{wheel.name}: {len(tracked)} files, {try_wheel(wheel, number).strip()}")
    path = out / "notes.md"
    path.write_text(notes, encoding="utf-8")
    print(f"built in {out}, with {path.name}")
    if tag:
        _git(root, "tag", "--annotate", f"v{number}", "--file", str(path), "--cleanup", "verbatim")
        print(f"tagged v{number}; next: git push origin v{number}; python -m twine upload {out}/*.whl {out}/*.tar.gz")
    else:
        print(*(f"before the tag: {reason}" for reason in against), f"dry: --tag would make v{number}", sep="\n")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _git(root: Path, *arguments: str) -> str:
    return _run("git", "-C", str(root), *arguments).strip()


def _run(*command: str, cwd: str | None = None, env: dict[str, str] | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd, env=env).stdout


if __name__ == "__main__":
    sys.exit(main())

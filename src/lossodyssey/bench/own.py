"""Custom losses that earlier runs keep: a comparison goes on with them where no file is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lossodyssey.bench.record import Record, read_record
from lossodyssey.core.atlas import ALIASES, CARDS, RESERVED
from lossodyssey.core.door import load_offered
from lossodyssey.core.sources import FOLDER, Source

CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")


def reopen(output: Path, texts: Sequence[str]) -> list[str]:
    """Load losses that the texts name, and that nothing else offers, from the copies that the runs in `output` keep.

    Return a line for each copy, because it is code that is executed: none where every name is known.

    Raises:
        ValueError: the runs keep several versions of a loss, or a copy that is missing or changed.
    """
    if not _unknown(texts):
        return []
    load_offered()
    kept: dict[str, dict[str, Path]] = {name: {} for name in _unknown(texts)}
    for run, record in _records(output):
        for copy, about in record.sources.items():
            for name in kept.keys() & set(about.get("losses", ())):
                kept[name][str(about.get("sha256"))] = run / FOLDER / Path(copy).name
    return list(dict.fromkeys(_open(name, versions) for name, versions in kept.items() if versions))


def _unknown(texts: Sequence[str]) -> list[str]:
    called = dict.fromkeys(name for text in texts for name in CALLED.findall(text))
    return [name for name in called if name not in CARDS and name not in ALIASES and name not in RESERVED]


def _records(output: Path) -> Iterator[tuple[Path, Record]]:
    for path in sorted((output / "runs").glob("*/run.json")):
        try:
            yield path.parent, read_record(path.parent)
        except (OSError, ValueError):
            continue


def _open(name: str, versions: dict[str, Path]) -> str:
    """Execute the one version of a loss that is kept; return a line that says so."""
    if len(versions) > 1:
        shown = ", ".join(map(str, versions.values()))
        raise ValueError(
            f"{name}: the runs keep {len(versions)} versions ({shown}); give the one you mean with --import"
        )
    ((sha256, path),) = versions.items()
    if not path.is_file():
        raise ValueError(f"{path}: no such file; it holds the loss {name} of this run, so give yours with --import")
    source = Source(path.name, path.read_bytes(), path=str(path.absolute()))
    if source.sha256 != sha256:
        raise ValueError(f"{path}: is not as the run left it; give the file of the loss {name} with --import")
    try:
        source.load()
    except (Exception, SystemExit) as problem:
        raise ValueError(f"{path}: {type(problem).__name__}: {problem}") from problem
    return f"{name}: executed from the copy that its run keeps, {path}"

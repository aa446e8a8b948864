"""A folder of images and masks as the data of a comparison: adopted into its output, and again only when it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.folders import walked
from lossodyssey.data.adopt.understanding import Understanding, understand
from lossodyssey.data.adopt.writing import write
from lossodyssey.data.contents import read_files
from lossodyssey.data.grids import size_file

VERSION = 1
"""The version of the rules that understand a folder; another version adopts the folder again."""


def is_raw(folder: Path) -> bool:
    """Return whether a path is that of a folder which is not a data set yet."""
    return folder.is_dir() and not (folder / "dataset.json").exists()


def adopted(folder: Path, output: Path, on_new: Callable[[Understanding, Path], None]) -> tuple[Path, bool]:
    """Return the data set that a folder becomes in `output`, and whether it was there already.

    `on_new` is called before anything is written, and may refuse.

    Raises:
        ValueError: the folder cannot be understood.
    """
    # A separate memory: with its own one, the comparison must still notice that data changed under its runs.
    memory = output / "adopted" / "contents.json"
    files = list(walked(folder))
    # A file beside a picture that says how large its pixels are is a part of it.
    files += [beside for path in files if (beside := size_file(path))]
    contents = read_files([str(path.resolve()) for path in files], memory)
    names = [path.relative_to(folder).as_posix() for path in files]
    text = "\n".join([str(VERSION), str(folder.resolve()), *names, *contents.digests.values()])
    target = output.resolve() / "adopted" / hashlib.sha256(text.encode()).hexdigest()[:12] / folder.resolve().name
    if (target / "dataset.json").is_file():
        return target, True
    found = understand(Choices(folder=folder))
    on_new(found, target)
    write(found, target)
    contents.remember(memory)
    return target, False

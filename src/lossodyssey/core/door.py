"""The open door: custom losses, from a file, a module, the environment or an installed package.

import lossodyssey as lo

lo.load_losses("mine.py")
lo.parse("Dice() + 0.5 * HalfDice()")
"""

from __future__ import annotations

import os
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from lossodyssey.core import atlas
from lossodyssey.core.sources import Source, read_file

VARIABLE = "LOSSODYSSEY_IMPORT"
"""The environment variable that names files and modules, parted as in PATH: other programs' processes read it."""

GROUP = "lossodyssey.losses"
"""The group of entry points by which an installed package offers modules of losses."""

LATEST: dict[Path, Source] = {}
"""The content of each file when it was loaded last."""

TRIED: set[str] = set()
"""The names that the variable and installed packages offered before: each is loaded once."""


def load_losses(source: str | Path) -> tuple[atlas.Card, ...]:
    """Load the losses that a Python file or a module defines; return their cards of the atlas.

    `source` is the path of a file, or the dotted name of a module as `import` takes it. A file stands alone: it may
    import installed packages, but not its neighbours. Loaded again it changes nothing, and where it was edited
    meanwhile its new losses replace the old ones.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file or module defines no loss, takes a name that is taken, or raises; the text names the file
            and the line.
    """
    text = str(source)
    if isinstance(source, Path) or text.endswith(".py") or "/" in text or os.sep in text or Path(text).is_file():
        return _from_file(Path(source))
    return _from_module(text)


def _from_file(path: Path) -> tuple[atlas.Card, ...]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a Python file that defines losses")
    source, place = read_file(path), path.resolve()
    try:
        with atlas.all_or_nothing():
            old = LATEST.get(place)
            if old is not None and old != source:
                old.put_away()
            cards = _cards(source.load())
            LATEST[place] = source
    except (Exception, SystemExit) as problem:
        raise ValueError(_located(problem, path, source.path)) from problem
    return cards


def _from_module(name: str) -> tuple[atlas.Card, ...]:
    place = _file_of(name)
    try:
        with atlas.all_or_nothing():
            cards = _cards(import_module(name))
    except (Exception, SystemExit) as problem:
        raise ValueError(_located(problem, place, place)) from problem
    return cards


def _file_of(name: str) -> str:
    """Return where a module is.

    Raises:
        ValueError: Python finds no such module.
    """
    spec = None
    with suppress(ImportError, ValueError):
        spec = find_spec(name)
    if spec is None:
        hint = "expected the path of a Python file, or a module that Python can import"
        if Path(f"{name}.py").is_file():
            hint = f"a file is named with its ending: {name}.py"
        raise ValueError(f"no module named {name!r}; {hint}")
    return spec.origin or name


def _cards(module: ModuleType) -> tuple[atlas.Card, ...]:
    """Return the cards of losses that a module, or a package with its parts, defines or hands on; at least one."""
    inside, handed = f"{module.__name__}.", [value for value in vars(module).values() if callable(value)]
    own = [card for card in atlas.CARDS.values() if card.category == atlas.OWN]
    cards = [
        card
        for card in own
        if f"{card.build.__module__}.".startswith(inside) or any(card.build is value for value in handed)
    ]
    if not cards:
        raise ValueError("defines no loss; expected a class that derives from a base such as lossodyssey.OverlapLoss")
    return tuple(cards)


def _located(problem: BaseException, shown: str | Path, path: str) -> str:
    """Return the error in a file, with the line that raised it, as one line of text."""
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == path]
    if isinstance(problem, SyntaxError) and problem.filename == path:
        lines.append(problem.lineno)
    said = " ".join((problem.msg if isinstance(problem, SyntaxError) else str(problem)).split())
    # The refusals of this package are ValueErrors that say it all; other errors need their type to be understood.
    kind = "" if isinstance(problem, ValueError) and said else f"{type(problem).__name__}: "
    return f"{shown}:{lines[-1]}: {kind}{said}" if lines else f"{shown}: {kind}{said}"


def load_offered() -> None:
    """Load, each once, the sources that the variable `LOSSODYSSEY_IMPORT` names and those of installed packages.

    A package whose losses cannot be loaded is named in a warning, and does not keep the others away.

    Raises:
        ValueError: a source that the variable names cannot be loaded.
    """
    for text in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if text not in TRIED:
            TRIED.add(text)
            _load_named(text)
    for point in entry_points(group=GROUP):
        if (key := f"{point.name} = {point.value}") not in TRIED:
            TRIED.add(key)
            _load_point(point)


def _load_named(text: str) -> None:
    try:
        load_losses(text)
    except (ValueError, OSError) as problem:
        TRIED.discard(text)
        raise ValueError(f"the variable {VARIABLE}: {problem}") from None


def _load_point(point: EntryPoint) -> None:
    try:
        with atlas.all_or_nothing():
            point.load()
        _from_module(point.module)
    except (Exception, SystemExit) as problem:
        by = f" of {point.dist.name}" if point.dist else ""
        said = problem if isinstance(problem, ValueError) else f"{type(problem).__name__}: {problem}"
        warnings.warn(
            f"entry point {point.name!r} ({point.value}){by} gives no losses: {said}", RuntimeWarning, stacklevel=4
        )


atlas.FINDERS.append(load_offered)

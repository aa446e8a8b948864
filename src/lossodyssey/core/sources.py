"""The source of custom losses: kept whole, so that it travels with a run and opens again anywhere."""

from __future__ import annotations

import ast
import copyreg
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import ExecutionLoader
from importlib.util import decode_source, find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from lossodyssey.atomic import writing
from lossodyssey.core import atlas
from lossodyssey.core.loss import Loss

PREFIX = "lossodyssey_own_"
"""Begins the names of modules that are made of files; their content's hash follows."""

FOLDER = "losses"
"""Where a run keeps the sources of its losses."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file as it was when it was read.

    `name` is that of the file, or the dotted name of a `module` that Python's own import finds; a file's module is
    named after its content, so that two files of one name do not clash, and an edited file is another.
    """

    name: str
    content: bytes = field(repr=False)
    module: str = ""
    path: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.module:
            object.__setattr__(self, "module", PREFIX + self.sha256[:16])

    @property
    def sha256(self) -> str:
        """The hash of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_file(self) -> bool:
        """Whether this was given as a file, and not by the name of a module."""
        return self.module.startswith(PREFIX)

    @property
    def losses(self) -> list[str]:
        """Names of the losses in the atlas that come from here."""
        return [name for name, card in atlas.CARDS.items() if card.build.__module__ == self.module]

    def load(self) -> ModuleType:
        """Execute the source, unless that was done, and put its losses into the atlas.

        An error in the source is raised, and everything is undone.

        A module is imported by its name where Python finds the same content there, else executed from the content.
        """
        known = sys.modules.get(self.module)
        if known is None and not self.is_file:
            if _content(_place(self.module)) == self.content:
                return import_module(self.module)
            return Source(f"{self.name}.py", self.content, path=self.path).load()
        with atlas.all_or_nothing():
            return self._again(known) if known else self._execute()

    def _execute(self) -> ModuleType:
        # The loader reads no file: what is executed is what was hashed, and no bytecode of an older file.
        spec = spec_from_file_location(self.module, self.path or self.name, loader=_Loader(self))
        assert spec is not None and spec.loader is not None
        module = sys.modules[self.module] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.module]
            raise
        for name in self.losses:
            if isinstance(cls := atlas.CARDS[name].build, type):
                copyreg.pickle(cls, _reduced)
        return module

    def _again(self, module: ModuleType) -> ModuleType:
        """Put the losses of a module that was executed, and put away since, back into the atlas."""
        for card, aliases in SHELF.pop(self.module, ()):
            atlas.file(card, aliases)
        return module

    def put_away(self) -> None:
        """Take the losses that come from here out of the atlas; objects that were made of them keep working."""
        cards = [atlas.CARDS[name] for name in self.losses]
        SHELF[self.module] = [(card, atlas.forget(card.name)) for card in cards]


SHELF: dict[str, list[tuple[atlas.Card, Mapping[str, Any]]]] = {}
"""Losses that were put away, by module, with their aliases."""


class _Loader(ExecutionLoader):
    """Executes a source from memory; tracebacks show its lines."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_filename(self, fullname: str) -> str:
        return self.source.path or self.source.name

    def get_source(self, fullname: str) -> str:
        return decode_source(self.source.content)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.source.content, self.get_filename(fullname))


def _reduced(loss: Loss) -> tuple[Any, ...]:
    """Return the pickled form of a loss with its source, so that processes that never saw the file can read it."""
    usual: tuple[Any, ...] = loss.__reduce_ex__(2)  # type: ignore[assignment]
    return (_rebuilt, (read_module(type(loss).__module__), type(loss).__name__), *usual[2:])


def _rebuilt(source: Source, name: str) -> Loss:
    module = sys.modules.get(source.module) or source.load()
    cls: type[Loss] = getattr(module, name)
    return cls.__new__(cls)


def read_file(path: Path) -> Source:
    """Read a file of losses.

    Raises:
        OSError: the file cannot be read.
    """
    return Source(path.name, path.read_bytes(), path=str(path.absolute()))


def read_module(name: str) -> Source | None:
    """Return the source of a module that was imported or opened; None where it has none, as a notebook's."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if isinstance(loader := getattr(spec, "loader", None), _Loader):
        return loader.source
    content = _content(getattr(spec, "origin", None))
    return None if spec is None or content is None else Source(name, content, name, path=spec.origin)


def _place(module: str) -> str | None:
    """Return the file that Python's import would read for a module; its parent packages are imported."""
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        return None
    return found.origin if found else None


def _content(origin: str | None) -> bytes | None:
    try:
        return Path(origin or "").read_bytes() if origin and origin.endswith(".py") else None
    except OSError:
        return None


def sources_of(loss: Loss) -> tuple[Source, ...]:
    """Return the sources of the parts of a loss from outside this package: its classes, their bases, its presets.

    A class without a source of its own, such as one of the script that runs, is left out.
    """
    classes = {base for each in loss.modules() if isinstance(each, Loss) for base in type(each).__mro__}
    names = {node.id for node in ast.walk(ast.parse(repr(loss), mode="eval")) if isinstance(node, ast.Name)}
    builds = [atlas.card(name).build for name in names if name in atlas.CARDS]
    modules = {cls.__module__ for cls in classes if issubclass(cls, Loss)} | {build.__module__ for build in builds}
    own = sorted(name for name in modules if name.split(".")[0] not in ("lossodyssey", "__main__", "__mp_main__"))
    found = [source for name in own if (source := read_module(name))]
    return tuple(sorted(found, key=lambda source: (source.name, source.sha256)))


def copies(sources: tuple[Source, ...]) -> dict[str, Source]:
    """Return the sources under the names of their copies; the second of one name has its hash in it."""
    named: dict[str, Source] = {}
    for source in sources:
        stem = source.name.removesuffix(".py")
        name = f"{stem}.py" if f"{stem}.py" not in named else f"{stem}-{source.sha256[:8]}.py"
        named[name] = source
    return named


def keep(sources: tuple[Source, ...], folder: Path) -> None:
    """Write copies of the sources into `losses/` of the folder of a run."""
    for name, source in copies(sources).items():
        path = folder / FOLDER / name
        if _content(str(path)) != source.content:
            with writing(path) as draft:
                draft.write_bytes(source.content)


def facts(sources: tuple[Source, ...]) -> dict[str, dict[str, Any]]:
    """Return the facts of a record about the sources: by the name of the copy its hash, its module and its losses."""
    return {
        name: {
            "sha256": source.sha256,
            "module": "" if source.is_file else source.module,
            "losses": sorted(source.losses),
        }
        for name, source in copies(sources).items()
    }

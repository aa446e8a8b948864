"""Folders of images and masks where a command takes a data set: adopted on the way, shown, refused where doubtful."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lossodyssey.bench.plan import Plan
from lossodyssey.cli.adopt import beside, confirm, draw, refuse, show

if TYPE_CHECKING:
    from lossodyssey.data import Dataset
    from lossodyssey.data.adopt import Understanding


def settled(plan: Plan, output: Path, data: Path | None) -> Plan:
    """Return the plan with a data set in `output` for every folder of images and masks that it names.

    Raises:
        ValueError: a folder cannot be understood without help from the user.
    """
    names = [settled_name(planned.name, output, data) for planned in plan.datasets]
    datasets = tuple(replace(planned, name=name) for planned, name in zip(plan.datasets, names, strict=True))
    return plan if datasets == plan.datasets else replace(plan, datasets=datasets)


def settled_name(name: str, output: Path, data: Path | None) -> str:
    """Return the name of a data set; of a folder of images and masks that of the data set made of it in `output`.

    Raises:
        ValueError: the folder cannot be understood without help from the user.
    """
    if not _is_raw(name, data):
        return name
    target, known = _adopted(Path(name), output, _accept)
    typer.echo(f"as understood before, in {target}" if known else f"as a data set: {target}")
    return str(target)


@contextmanager
def read_once(name: str, data: Path | None) -> Iterator[Dataset]:
    """Yield a data set for as long as the context lasts, also one made of a folder of images and masks.

    Raises:
        ValueError: there is no such set, or the folder cannot be understood without help from the user.
    """
    from lossodyssey.data.places import find_dataset

    if not _is_raw(name, data):
        yield find_dataset(name, data)
        return
    with tempfile.TemporaryDirectory() as folder:
        target, _ = _adopted(Path(name), Path(folder), _check)
        yield find_dataset(target)


def _is_raw(name: str, data: Path | None) -> bool:
    from lossodyssey.data.adopt import is_raw
    from lossodyssey.data.places import MADE, local_folder

    return local_folder(name, data) is None and name not in MADE and is_raw(Path(name))


def _adopted(folder: Path, output: Path, on_new: Callable[[Understanding, Path], None]) -> tuple[Path, bool]:
    from lossodyssey.data.adopt import adopted

    typer.echo(f"{folder} has no dataset.json: taken as a folder of images and masks")
    try:
        return adopted(folder, output, on_new)
    except ValueError as error:
        how = (
            f"lossodyssey data adopt {shlex.quote(str(folder))} -o NEW, with the options that are named, then take NEW"
        )
        raise ValueError(f"{error}. Do it by {how}") from None


def _check(found: Understanding, target: Path) -> None:
    show(found)
    refuse(found)
    confirm(found, target, yes=False, ask=False)


def _accept(found: Understanding, target: Path) -> None:
    _check(found, target)
    draw(found, beside(target))

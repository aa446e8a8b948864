"""`run.json`: the choices of a run, its end and its cost."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from lossodyssey.atomic import write_text
from lossodyssey.bench.measures import ARGMAX, DECODINGS, own_names
from lossodyssey.metrics.score import DEFAULT

Status = Literal["running", "finished", "diverged", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Content of `run.json`.

    `digest` identifies loss, data, split, engine and settings; `reason` is empty unless the run diverged or failed;
    `clipped` is the share of steps with a clipped gradient, None where the engine does not tell; `seconds` is the
    time of training alone and `parts` that of its parts, where the engine tells; `peak_memory_bytes` is that of the
    process on the CPU and of the tensors on a GPU.
    `written` is the label that each region writes, where the network predicts regions in place of classes; `ignore`
    is the true label of voxels that do not count. `cases` are those that the run scores, 0 in older records, by
    which a table that was cut is found. `purpose` is "search" for runs that look for a setting on validation cases.
    `name` is the user's own for the loss; `files` are fingerprints of what the run left, by which damage is found;
    `notes` say what was repaired or left out. `backend` is the back end that computed the losses, empty until the run
    has trained. `metrics` and `decoding` are those that the run's table holds. `sources` are the files of losses of the
    user's own, by the names of their copies in `losses/`: the `sha256` of each, its `module` where it was one, and its
    `losses`.
    """

    expression: str
    dataset: str
    seed: int
    held_out: int
    digest: str
    engine: str
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    device: str
    versions: dict[str, str]
    status: Status
    fold: int = 0
    purpose: str = "table"
    written: tuple[int, ...] = ()
    cases: int = 0
    ignore: int | None = None
    reason: str = ""
    clipped: float | None = None
    seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    name: str = ""
    metrics: tuple[str, ...] = DEFAULT
    decoding: tuple[str, ...] = (ARGMAX,)
    files: Mapping[str, str] = field(default_factory=dict)
    backend: str = ""
    notes: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name of the loss in the run's own table."""
        return self.name or self.expression


def write_record(folder: Path, record: Record) -> None:
    """Write `folder/run.json`, whole or not at all."""
    write_text(folder / "run.json", json.dumps(asdict(record), indent=2) + "\n")


def read_record(folder: Path) -> Record:
    """Read `folder/run.json`; FileNotFoundError or ValueError say what is wrong with a folder that holds no run."""
    path = folder / "run.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the folder of a run, such as demo/runs/dice-...-seed0")
    try:
        fields = _frozen(json.loads(path.read_text(encoding="utf-8")))
        fields["settings"] = _frozen(fields["settings"])
        record = Record(**fields)
        _check(record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not the record of a run ({error})") from None
    if record.status not in get_args(Status):
        raise ValueError(f"{path}: status is {record.status!r}; expected one of {', '.join(get_args(Status))}")
    return record


def _check(record: Record) -> None:
    """Raise TypeError where a field is not of the kind that later reading relies on."""
    texts = ("expression", "name", "dataset", "digest", "engine", "device", "backend", "status", "reason", "purpose")
    kinds: dict[str, Any] = {
        **dict.fromkeys(texts, str),
        "seed": int,
        "fold": int,
        "held_out": int,
        "cases": int,
        "settings": Mapping,
        "files": Mapping,
        "sources": Mapping,
        "parts": Mapping,
    }
    kinds |= dict.fromkeys(("classes", "channels", "notes", "metrics", "decoding"), tuple)
    kinds["seconds"] = (int, float)
    kinds["ignore"] = (int, type(None))

    for name, kind in kinds.items():
        if not isinstance(getattr(record, name), kind):
            raise TypeError(f"{name} is {getattr(record, name)!r:.60}")
    own_names(record.metrics)
    if not set(record.decoding) <= set(DECODINGS):
        raise TypeError(f"decoding is {record.decoding!r:.60}")
    for name, about in record.sources.items():
        if not isinstance(about, Mapping):
            raise TypeError(f"sources[{name!r}] is {about!r:.60}")


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions that a result depends on: Python, this package, torch, numpy and `packages`."""
    found = {"python": platform.python_version()}
    for package in ("lossodyssey", "torch", "numpy", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found

"""Facts of training for the report: one summary per run, read from run folders."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lossodyssey.ranking.verdict import Cost


@dataclass(frozen=True)
class Curve:
    """A training curve: loss value and learning rate at each recorded step."""

    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    learning_rates: tuple[float, ...] = ()

    def points(self) -> Iterator[tuple[float, float, float]]:
        """Return (step, loss, learning rate) one by one."""
        return zip(self.steps, self.losses, self.learning_rates, strict=True)


@dataclass(frozen=True)
class Look:
    """The score of one class of a validation case after a number of steps; NaN where it is not defined."""

    step: int
    case: str
    class_name: str
    value: float


@dataclass(frozen=True)
class RunSummary:
    """One training run. `seconds` and `peak_memory_bytes` are NaN where they were not measured.

    `loss` is the name of the loss in tables: the user's own `name` for it where there is one, else its `expression`,
    the text in full. `ignore` is the true label of voxels that do not count. `purpose` is "table" where the run makes
    the table, `watched` its scores on validation cases along the training.
    """

    loss: str
    dataset: str
    seed: int
    seconds: float = math.nan
    peak_memory_bytes: float = math.nan
    status: str = "finished"
    reason: str = ""
    device: str = ""
    engine: str = ""
    curve: Curve = Curve()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    name: str = ""
    expression: str = ""
    ignore: int | None = None
    purpose: str = "table"
    watched: tuple[Look, ...] = ()


def read_runs(folder: str | Path) -> list[RunSummary]:
    """Read every `runs/*/run.json` (with its `curve.csv`) below an output folder, in order of their names.

    A `validation.csv` beside it is read as well. Unknown keys are ignored.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a file cannot be read as a run; the text names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected the output folder of a benchmark")
    # The output folder of a comparison or its folder of runs: users point at either.
    inner = folder / "runs"
    return [read_run(path.parent) for path in sorted((inner if inner.is_dir() else folder).glob("*/run.json"))]


def costs(runs: Sequence[RunSummary]) -> dict[str, Cost]:
    """Average time and memory of the finished runs of each loss."""
    finished: dict[str, list[RunSummary]] = {}
    for run in runs:
        # A run that was killed or diverged early is cheap, and its time says nothing of the loss.
        if run.status == "finished" and not math.isnan(run.seconds):
            finished.setdefault(run.loss, []).append(run)
    return {
        loss: Cost(float(np.mean([run.seconds for run in own])), float(np.mean([run.peak_memory_bytes for run in own])))
        for loss, own in finished.items()
    }


def read_run(folder: Path) -> RunSummary:
    """Read the record and the curve of one run folder.

    Raises:
        ValueError: a file cannot be read; the text names it.
    """
    path = folder / "run.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return RunSummary(
            loss=str(facts.get("name") or facts["expression"]),
            name=str(facts.get("name") or ""),
            expression=str(facts["expression"]),
            dataset=str(facts.get("dataset", "")),
            seed=int(facts.get("seed", 0)),
            seconds=_float(facts.get("seconds")),
            peak_memory_bytes=_float(facts.get("peak_memory_bytes")),
            status=str(facts.get("status", "")),
            reason=str(facts.get("reason") or ""),
            device=str(facts.get("device") or ""),
            engine=str(facts.get("engine") or ""),
            settings=dict(facts.get("settings") or {}),
            versions=dict(facts.get("versions") or {}),
            command=str(facts.get("command") or ""),
            ignore=None if facts.get("ignore") is None else int(facts["ignore"]),
            curve=_read_curve(folder / "curve.csv"),
            purpose=str(facts.get("purpose") or "table"),
            watched=_read_watched(folder / "validation.csv"),
        )
    # A ValueError itself, and its text names the curve: the record beside it is whole.
    except _BrokenCurve:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a run's record ({error!r}); expected JSON with 'expression' and 'status'"
        ) from None


class _BrokenCurve(ValueError):
    """A curve that cannot be read, beside a record that can."""


def _float(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


def _read_curve(path: Path) -> Curve:
    if not path.is_file():
        return Curve()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return Curve(
            tuple(int(row["step"]) for row in rows),
            tuple(float(row["loss"] or "nan") for row in rows),
            tuple(float(row.get("learning_rate") or "nan") for row in rows),
        )
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise _BrokenCurve(
            f"{path}: not a training curve ({error!r}); the same lossodyssey train makes it again from the "
            "checkpoint, or remove it to leave this curve out"
        ) from None


def _read_watched(path: Path) -> tuple[Look, ...]:
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return tuple(Look(int(row["step"]), row["case"], row["class"], float(row["value"] or "nan")) for row in rows)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise _BrokenCurve(
            f"{path}: not a table of validation scores ({error!r}); the same lossodyssey train makes it again from the "
            "checkpoint, or remove it to leave these scores out"
        ) from None

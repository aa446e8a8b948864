"""The state of a comparison, read from the files of its output folder alone: it needs none of its processes."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from lossodyssey.bench.signs import Sign, alive, read_sign

PLAN = "plan.json"
STATES = ("finished", "running", "stopped", "failed", "diverged", "damaged")
ENDED = ("finished", "failed", "diverged")
SHOWN = ("name", "expression", "dataset", "fold", "seed", "purpose", "reason", "seconds")
SAMPLE = 200
"""Runs whose files are counted where there are more: the disk used by all is then an estimate."""


@dataclass(frozen=True, slots=True)
class Run:
    """The state of one run; `sign` is the last of its process, where it has not ended.

    A run is stopped where its process is gone before the end, and damaged where its record cannot be read.
    """

    folder: Path
    state: str
    facts: Mapping[str, Any]
    sign: Sign | None = None

    @property
    def label(self) -> str:
        """The run as a user names it."""
        loss = self.facts.get("name") or self.facts.get("expression") or self.folder.name
        fold = f", fold {self.facts['fold']}" if self.facts.get("fold") else ""
        seed = f", seed {self.facts['seed']}" if "seed" in self.facts else ""
        return f"{loss}{fold}{seed}"

    @property
    def phase(self) -> str:
        """The part of the comparison that it belongs to: first weights of later stages are planned with the table."""
        return "search" if self.facts.get("purpose") == "search" else "table"

    @property
    def reason(self) -> str:
        """Why it failed or diverged."""
        return str(self.facts.get("reason") or "")

    @property
    def seconds(self) -> float:
        """Seconds of its training, 0 where it has not ended."""
        value = self.facts.get("seconds")
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def left(self) -> float:
        """Share of the run that is still to be done."""
        if self.state in ENDED:
            return 0.0
        share = self.sign.done / self.sign.total if self.sign and self.sign.total else 0.0
        # The cases are scored after all steps; a look at validation cases does not say how many steps are done.
        return {"scoring": 0.0, "validating": 0.5}.get(self.sign.phase if self.sign else "", 1.0 - share)


@dataclass(frozen=True)
class State:
    """The state of a comparison. `planned` counts the runs of each phase; it is empty where they are not known."""

    folder: Path
    runs: Sequence[Run]
    planned: Mapping[str, int]

    def of(self, state: str) -> list[Run]:
        """Return the runs in one state."""
        return [run for run in self.runs if run.state == state]

    @cached_property
    def counts(self) -> dict[str, Counter[str]]:
        """The number of runs by phase and state; those that have not begun are waiting."""
        found: dict[str, Counter[str]] = {phase: Counter() for phase in self.planned}
        for run in self.runs:
            found.setdefault(run.phase, Counter())[run.state] += 1
        for phase, number in self.planned.items():
            found[phase]["waiting"] = max(number - found[phase].total(), 0)
        return found

    @property
    def surplus(self) -> int:
        """The number of runs in the folder beyond those that are planned."""
        begun = Counter(run.phase for run in self.runs)
        return sum((begun - Counter(self.planned)).values()) if self.planned else 0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the planned runs have ended, None where none is under way or nothing tells how long they take.

        The estimate assumes as many parallel runs as now, each as long as the finished runs of its phase.
        """
        if not self.planned or not self.of("running"):
            return None
        spent: dict[str, list[float]] = {}
        for run in self.of("finished"):
            spent.setdefault(run.phase, []).append(run.seconds)
        if not spent:
            return None
        usual = fmean(second for own in spent.values() for second in own)
        work = 0.0
        for phase, counts in self.counts.items():
            shares = sum(run.left for run in self.runs if run.phase == phase and run.state not in ENDED)
            work += (shares + counts["waiting"]) * (fmean(spent[phase]) if phase in spent else usual)
        return work / len(self.of("running"))

    @cached_property
    def disk(self) -> int:
        """Bytes of the folder on the disk, an estimate where there are very many runs."""
        every = max(1, len(self.runs) // SAMPLE)
        counted = self.runs[::every]
        own = sum(_used(self.folder, without="runs"))
        return own + sum(sum(_used(run.folder)) for run in counted) * len(self.runs) // max(len(counted), 1)

    @property
    def disk_is_estimate(self) -> bool:
        """Whether only some of the runs were looked at for the disk used."""
        return len(self.runs) >= 2 * SAMPLE

    def facts(self) -> dict[str, Any]:
        """Return everything for scripts, ready for JSON."""
        total = sum(self.counts.values(), Counter[str]())
        return {
            "folder": str(self.folder),
            "planned": sum(self.planned.values()) if self.planned else None,
            "counts": {state: total[state] for state in (*STATES, "waiting")},
            "phases": {phase: {"planned": self.planned.get(phase), **counts} for phase, counts in self.counts.items()},
            "surplus": self.surplus,
            "seconds_left": self.seconds_left,
            "disk_bytes": self.disk,
            "disk_is_estimate": self.disk_is_estimate,
            "runs": [_facts(run) for run in self.runs if run.state != "finished"],
        }


def read_state(folder: Path) -> State:
    """Read the state of the comparison in an output folder.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no comparison, or its plan cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected the output folder of a comparison")
    runs, planned = folder / "runs", read_plan(folder / PLAN)
    if not runs.is_dir() and not planned:
        raise ValueError(f"{folder}: holds neither runs nor {PLAN}; expected the output folder of a comparison")
    names = sorted(entry.path for entry in os.scandir(runs) if entry.is_dir()) if runs.is_dir() else []
    return State(folder, [_read(Path(name)) for name in names], planned)


def read_plan(path: Path) -> dict[str, int]:
    """Return the number of planned runs by phase; nothing where there is no plan.

    Raises:
        ValueError: the plan cannot be read.
    """
    phases = _plan(path).get("phases", [])
    found: Counter[str] = Counter()
    try:
        for phase in phases:
            found[str(phase["name"]).partition(",")[0]] += int(phase["runs"])  # "search, stage 2"
    except (ValueError, TypeError, KeyError) as error:
        raise _no_plan(path, error) from None
    return dict(found)


def read_runs_planned(path: Path) -> set[str]:
    """Return the names of all runs of a plan; nothing where there is no plan, or not all of them are known yet.

    Raises:
        ValueError: the plan cannot be read.
    """
    runs = _plan(path).get("runs", [])
    if not isinstance(runs, list):
        raise _no_plan(path, f"runs is {runs!r:.60}")
    return {str(name) for name in runs}


def _plan(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
        content["phases"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _no_plan(path, error) from None
    return dict(content)


def _no_plan(path: Path, seen: object) -> ValueError:
    return ValueError(
        f'{path}: not a plan ({seen!r}); expected {{"phases": [{{"name": "table", "runs": 12}}]}}, which the '
        "command that makes the comparison writes again"
    )


def _read(folder: Path) -> Run:
    try:
        facts = json.loads((folder / "run.json").read_bytes())
        status = facts["status"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Run(folder, "damaged", {})
    # Of ten thousand records, what is not shown would only take memory and time.
    facts = {name: facts[name] for name in SHOWN if name in facts}
    if status in ENDED:
        return Run(folder, status, facts)
    if status != "running":
        return Run(folder, "damaged", {})
    sign = read_sign(folder)
    return Run(folder, "running" if alive(sign) else "stopped", facts, sign)


def _used(folder: Path, without: str = "") -> Iterator[int]:
    """Yield the bytes of every file below a folder; one that is removed meanwhile takes none."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _used(Path(entry.path)) if entry.name != without else ()
            continue
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        yield getattr(facts, "st_blocks", 0) * 512 or facts.st_size


def _facts(run: Run) -> dict[str, Any]:
    about = {name: run.facts.get(name) for name in SHOWN}
    found: dict[str, Any] = {"folder": run.folder.name, "state": run.state, **about}
    if run.sign:
        sign = run.sign
        found |= {"phase": sign.phase, "done": sign.done, "total": sign.total, "loss": sign.loss}
        found |= {"learning_rate": sign.learning_rate, "host": sign.host, "pid": sign.pid}
        found["seconds_since_sign"] = silence(sign)
    return found


def silence(sign: Sign) -> float:
    """Return the seconds since a sign of life; 0 where the clock of its machine is ahead."""
    return max(time.time() - sign.time, 0.0)

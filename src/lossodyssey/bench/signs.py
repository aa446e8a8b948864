"""Signs of life: how far a run is, written by its process for any observer, and whether that process still runs."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossodyssey.atomic import write_text
from lossodyssey.bench.claims import machine_name, process_started

if TYPE_CHECKING:
    from lossodyssey.bench.job import Progress

NAME = "progress.json"
EVERY = 2.0
"""Seconds between two signs of a run."""
SILENT = 300.0
"""Seconds without a sign after which a run of another machine counts as stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Content of `progress.json`; `time` is by the clock of the machine, the process is named as in a claim."""

    phase: str
    done: int
    total: int
    loss: float | None
    learning_rate: float | None
    time: float
    host: str
    pid: int
    machine: str
    started: str


class Signs:
    """Writes signs of this process to the folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.path, self.last = folder / NAME, -math.inf
        pid = os.getpid()
        self.process: dict[str, Any] = {"host": socket.gethostname(), "pid": pid}
        self.process |= {"machine": machine_name(), "started": process_started(pid)}

    def begin(self) -> None:
        """Say that the run has begun, long before its first step."""
        self._write({"phase": "starting", "done": 0, "total": 0, "loss": None, "learning_rate": None})

    def tell(self, progress: Progress) -> None:
        """Say how far the run is, at most every few seconds."""
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            self._write({name: _finite(value) for name, value in asdict(progress).items() if name != "picture"})

    def end(self) -> None:
        """Take the last sign away, where the record tells of the end."""
        self.path.unlink(missing_ok=True)

    def _write(self, facts: Mapping[str, Any]) -> None:
        # A full disk ends a run at its checkpoint and tables, which matter; a missing sign alone does not.
        with suppress(OSError):
            write_text(self.path, json.dumps({**facts, "time": time.time(), **self.process}) + "\n")


def read_sign(folder: Path) -> Sign | None:
    """Return the last sign of a run, None where there is none to be read."""
    try:
        sign = Sign(**json.loads((folder / NAME).read_bytes()))
        numbers = (sign.done, sign.total, sign.time, sign.pid, sign.loss or 0.0, sign.learning_rate or 0.0)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return sign if all(isinstance(number, (int, float)) for number in numbers) and 0 < sign.pid < 2**31 else None


def alive(sign: Sign | None) -> bool:
    """Return whether the process that gave a sign still runs; for one on another machine, whether it gave it lately.

    This is the only place that decides it.
    """
    if sign is None:
        return False
    if sign.machine and sign.machine == machine_name():
        return process_started(sign.pid) == sign.started
    return abs(time.time() - sign.time) < SILENT


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Claims: which process executes a run, so that no two do it at the same time.

A claim is a file in the folder of the run. Its process creates it, where creation fails if the file is there, and
rewrites it every few seconds. Nothing relies on file locks, which network file systems lack, nor on the clocks of two
machines: a waiting process measures with its own clock for how long a claim has not changed.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

NAME = "claim.json"
SIZE = 1024
"""Bytes of a claim: always the same, so that rewriting it needs no new space on the disk."""
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: from one `beat` of a claim to the next, until one without a beat is `stale`, and between looks."""

    beat: float = 5.0
    stale: float = 60.0
    look: float = 2.0


TIMING = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Content of a claim: `machine` tells machine and boot, `started` when the process began, both empty if unknown.

    `progress` is how far the run is: phase, done, total, loss and learning rate.
    """

    token: str
    host: str
    pid: int
    machine: str
    started: str
    beat: int = 0
    progress: tuple[Any, ...] = ()


class Taken(Exception):
    """Another process executes the run."""

    def __init__(self, holder: Claim) -> None:
        self.holder = holder
        super().__init__(f"process {holder.pid} on {holder.host or 'a machine unknown'} executes this run")


class Lost(BaseException):
    """The run was taken over by another process; like SystemExit, nothing may record it as an error of the run."""


class Held:
    """The claim of this process on a run, which a thread keeps alive until it is released."""

    def __init__(self, folder: Path, timing: Timing = TIMING) -> None:
        self.path, self.timing, self.lost = folder / NAME, timing, False
        self.beats = 0
        self.progress: tuple[Any, ...] = ()
        token, host, pid = secrets.token_hex(8), socket.gethostname(), os.getpid()
        self.claim = Claim(token=token, host=host, pid=pid, machine=machine_name(), started=process_started(pid))
        self._file = self.path.open("xb", buffering=0)
        try:
            self._write()
        except OSError:
            self.path.unlink()
            raise
        self._lock, self._released = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise Lost where another process has taken the run over."""
        with self._lock:
            content = _content(self.path)
        if self.lost or content is None or _parse(content).token != self.claim.token:
            self.lost = True
            raise Lost(f"{self.path.parent}: another process has taken over this run")

    def tell(self, progress: tuple[Any, ...]) -> None:
        """Say how far the run is, with the next beat; raise Lost where it is known to be taken over."""
        self.progress = progress
        if self.lost:
            self.check()

    def release(self) -> None:
        """Remove the claim, if it is still that of this process."""
        self._released.set()
        self._thread.join()
        with suppress(Lost):
            self.check()
            _remove(self.path, self.claim.token)
        self._file.close()

    def _beat(self) -> None:
        while not self._released.wait(self.timing.beat):
            self.beats += 1
            # A disk may fail for a while without the run being given up: other processes wait longer than that.
            with suppress(OSError, Lost):
                self.check()
                with self._lock:
                    self._write()

    def _write(self) -> None:
        """Write in place: a process that takes over moves the file away, so this never writes to another's claim."""
        claim = replace(self.claim, beat=self.beats, progress=self.progress)
        self._file.seek(0)
        self._file.write(json.dumps(asdict(claim)).ljust(SIZE - 1).encode() + b"\n")
        os.fsync(self._file.fileno())


class Watch:
    """Watches the claim of a run from another process, and removes a stale claim."""

    def __init__(self, folder: Path, timing: Timing = TIMING) -> None:
        self.path, self.timing = folder / NAME, timing
        self.content: bytes | None = None
        self.changes, self.since = 0, 0.0

    def holder(self) -> Claim | None:
        """Return the claim of the process that executes the run, None where there is no such process."""
        content = _content(self.path)
        if content is None:
            return None
        if content != self.content:
            self.content, self.since = content, time.monotonic()
            self.changes += 1
        claim = _parse(content)
        if time.monotonic() - self.since > self.timing.stale or _process(claim) == GONE:
            _remove(self.path, claim.token, content)
            return None
        return claim

    @property
    def alive(self) -> bool:
        """Whether the claim was seen to change, or its process to run."""
        claim = _parse(self.content or b"")
        return self.changes > 1 or bool(claim.started and _process(claim) == claim.started)


@contextmanager
def claimed(folder: Path, timing: Timing = TIMING) -> Iterator[Held]:
    """Hold the claim on the run of this folder; wait where that of another process may be stale.

    Raises:
        Taken: another process executes the run.
    """
    held = _take(folder, timing)
    try:
        yield held
    finally:
        held.release()


def _take(folder: Path, timing: Timing) -> Held:
    folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(folder, timing)
    while True:
        try:
            return Held(folder, timing)
        except FileExistsError:
            holder = watch.holder()
            if holder and watch.alive:
                raise Taken(holder) from None
            if holder:
                time.sleep(timing.beat / 5)


def _content(path: Path) -> bytes | None:
    """Read the file again, which makes a network file system ask its server; None where it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parse(content: bytes) -> Claim:
    """Read a claim; the owner of a damaged claim, or of one that is still empty, is unknown."""
    try:
        fields = json.loads(content)
        claim = Claim(**{**fields, "progress": tuple(fields["progress"])})
        if isinstance(claim.pid, int) and 0 < claim.pid < 2**31 and isinstance(claim.host, str):
            return claim
    except (ValueError, TypeError, KeyError):
        pass
    return Claim(token="", host="", pid=0, machine="", started="")


def _remove(path: Path, token: str, content: bytes | None = None) -> None:
    """Remove a claim, where it is still of this token, and still of this content.

    Of several processes that remove one claim, only one can rename it. If the renamed claim is not the one that was
    read a moment ago, it is put back; its process gives up if a third has created a claim in between.
    """
    aside = path.with_name(f".taken-{secrets.token_hex(6)}.{NAME}")  # no draft, which another process removes
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    found = _content(aside) or b""
    if _parse(found).token != token or content not in (None, found):
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def machine_name() -> str:
    """Name this boot of this machine and its process namespace (containers have their own); empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def process_started(pid: int) -> str:
    """Return when a process of this machine began, in ticks since the boot: `gone` if it ended, empty if unknown."""
    if not machine_name():
        return ""
    try:
        os.kill(pid, 0)
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except ProcessLookupError:
        return GONE
    except OSError:  # of another user, hidden
        return ""
    return GONE if facts[0] in "ZX" else facts[19]


def _process(claim: Claim) -> str:
    """Return when the process of a claim began: `gone` if it ended or its number is another's, empty if unknown."""
    if not claim.machine or claim.machine != machine_name():
        return ""
    started = process_started(claim.pid)
    return GONE if started and started != claim.started else started

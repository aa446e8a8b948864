"""Claims: which process executes a run, so that no two do it at the same time.

A claim is a file in the folder of the run. Its process creates it, where creation fails if the file is there, and
rewrites it every few seconds. Nothing relies on file locks, which network file systems lack, nor on the clocks of two
machines: a waiting process measures with its own clock for how long a claim has not changed.
"""

from __future__ import annotations

import hashlib
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
PATIENCE = 20
"""Times that a process tries to remove its own claim while another looks whether to."""


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
        self._lock, self._released = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._file = self.path.open("xb", buffering=0)
        try:
            self._write()
            self._thread.start()
        except BaseException:  # a full disk, no more threads, a signal: nobody may wait for a claim that will not beat
            self._abandon()
            raise

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
        self._file.close()
        with suppress(Lost):
            for _ in range(PATIENCE):
                self.check()
                if _remove(self.path, self.claim.token):
                    break
                time.sleep(self.timing.beat / 50)

    def _abandon(self) -> None:
        """Remove a claim that could not be made; that of another process, which stands in its place by now, stays."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                self.path.unlink()
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
        """Write in place: a process that takes over makes a new file, so this never writes to another's claim."""
        claim = replace(self.claim, beat=self.beats, progress=self.progress)
        self._file.seek(0)
        self._file.write(json.dumps(asdict(claim), default=float).ljust(SIZE - 1).encode() + b"\n")
        os.fsync(self._file.fileno())


class Watch:
    """Watches the claim of a run from another process, and removes a stale claim."""

    def __init__(self, folder: Path, timing: Timing = TIMING) -> None:
        self.path, self.timing = folder / NAME, timing
        self.content: bytes | None = None
        self.changes = 0
        self.looked = self.silent = self.barred = 0.0

    def holder(self) -> Claim | None:
        """Return the claim of the process that executes the run, None where there is no such process."""
        content, passed = _content(self.path), self._passed()
        if content is None:
            self.content = None
            return None
        if content != self.content:
            self.content, self.silent, self.barred = content, 0.0, 0.0
            self.changes += 1
        else:
            self.silent += passed
        claim = _parse(content)
        ended = self.silent > self.timing.stale or _process(claim) == GONE
        return None if ended and self._removed(claim, content, passed) else claim

    def _passed(self) -> float:
        """Return the seconds since the last look, a sixth of a stale claim's at most.

        Where a disk or this process stood still for long, the owner may have stood still, too: it must have the time to
        beat again before its silence counts.
        """
        before, self.looked = self.looked, time.monotonic()
        return min(self.looked - before, self.timing.stale / 6)

    def _removed(self, claim: Claim, content: bytes, passed: float) -> bool:
        """Remove a claim that ended. Another process that is about to, for as long as a stale claim, was killed."""
        if _remove(self.path, claim.token, content):
            return True
        self.barred += passed
        if self.barred > self.timing.stale:
            _right(self.path, claim.token).unlink(missing_ok=True)
            self.barred = 0.0
        return False

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
        _tidy(held)
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


def _tidy(held: Held) -> None:
    """Remove what killed processes left beside a claim: rights to earlier claims, of which none is left to remove."""
    own = _right(held.path, held.claim.token)
    with suppress(OSError):  # they are in nobody's way
        for right in held.path.parent.glob(f".taken-*.{NAME}"):
            if right != own:
                right.unlink(missing_ok=True)


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
        texts = (claim.token, claim.host, claim.machine, claim.started)
        if isinstance(claim.pid, int) and 0 < claim.pid < 2**31 and all(isinstance(text, str) for text in texts):
            return claim
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return Claim(token="", host="", pid=0, machine="", started="")


def _remove(path: Path, token: str, content: bytes | None = None) -> bool:
    """Remove a claim, where it is still of this token and content; return False where another process is about to.

    Only who creates the file that stands for the right to it may remove a claim. So nothing happens to the claim
    between the look at it and its removal, and a claim that was made in the meantime stays.
    """
    right = _right(path, token)
    try:
        right.open("xb").close()
    except FileExistsError:
        return False
    try:
        found = _content(path)
        if found is not None and _parse(found).token == token and content in (None, found):
            path.unlink(missing_ok=True)
    finally:
        right.unlink(missing_ok=True)
    return True


def _right(path: Path, token: str) -> Path:
    """Return the file that stands for the right to remove the claim of a token; not named like a half-written file."""
    return path.with_name(f".taken-{hashlib.sha256(token.encode(errors='replace')).hexdigest()[:12]}.{path.name}")


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
    return GONE if started and claim.started and started != claim.started else started

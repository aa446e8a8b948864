"""Downloads that go on where they were interrupted, checked by pooch before they are used."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossodyssey.data.catalogue import Entry

Progress = Callable[[int, int], None]
CHUNK = 1 << 16  # bytes; those of a chunk that does not arrive whole are lost
PARTIAL = 206  # HTTP's status of a response that begins where it was asked to
BEYOND = 416  # HTTP's status where the requested start lies after the end


@dataclass(frozen=True)
class Resuming:
    """A downloader for pooch: what an earlier one left in `part` is not asked for again.

    Pooch compares the checksum of the whole file, so that a part of another file is noticed.
    """

    part: Path
    progress: Progress
    timeout: float

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url` to `part`, and move it to `output_file` when it is whole."""
        with _alone(self.part):
            done = self.part.stat().st_size if self.part.exists() else 0
            with self._answer(url, done) as answer:
                if answer.status_code == BEYOND:
                    # A whole file whose process was killed before the move, or another file: the checksum tells.
                    answer = self._answer(url, done := 0)
                answer.raise_for_status()
                self._receive(answer, done if answer.status_code == PARTIAL else 0)
            shutil.move(self.part, output_file)

    def _answer(self, url: str, start: int) -> Any:
        import requests

        # Without content encoding, so that bytes are those of the file and can be counted.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        return requests.get(url, stream=True, timeout=self.timeout, headers=headers)

    def _receive(self, answer: Any, start: int) -> None:
        length = int(answer.headers.get("Content-Length") or 0)
        total = start + length if length else 0
        # A server that does not know parts sends all again.
        with self.part.open("ab" if start else "wb") as file:
            try:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    self.progress(file.tell(), total)
            finally:
                empty = not file.tell()
        if empty:
            self.part.unlink()


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep a second process from writing to the same part; the lock ends with the process, however that ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(part.with_name(f"{part.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise ConnectionError("another process downloads it; wait until it is done") from None
    finally:
        if not lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)


def retrieve(entry: Entry, keep: Path, scratch: Path, progress: Progress, timeout: float) -> Path:
    """Download the archive of `entry` to the folder `scratch`; a part that is interrupted stays in `keep`.

    Raises:
        ValueError: the archive is another than the catalogue expects; its part is gone.
        OSError: the download fails.
    """
    import pooch

    # MD5 is the checksum that the mirror publishes; it guards against broken downloads, not against attackers.
    part = keep / f".part-{entry.name}-{entry.md5[:8]}"
    with _quiet(pooch.get_logger()):
        try:
            found = pooch.retrieve(
                entry.archive, f"md5:{entry.md5}", "archive.tar", scratch, downloader=Resuming(part, progress, timeout)
            )
        except OSError:
            raise
        except ValueError as error:
            got = re.search(r"got (\w+)", str(error))
            raise ValueError(
                f"{entry.archive}: MD5 checksum {got[1] if got else 'differs'}, expected {entry.md5}; the download is "
                "incomplete or the file has changed, try again"
            ) from None
    return Path(found)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)

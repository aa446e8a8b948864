from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from lossodyssey.data import download, fetch, find_dataset
from lossodyssey.data.catalogue import BY_NAME
from lossodyssey.data.resuming import CHUNK

NAME = "Task04_Hippocampus"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def serve(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve bytes as the archive of a known set; a checksum of its own unless one is given."""

    def offer(content: bytes, md5: str = "") -> None:
        (tmp_path / "served" / "set.tar").write_bytes(content)
        entry = replace(BY_NAME[NAME], archive=f"{server}/set.tar", md5=md5 or hashlib.md5(content).hexdigest())
        monkeypatch.setattr(download, "BY_NAME", {NAME: entry})

    return offer


def packed(root: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(root, NAME)
    return buffer.getvalue()


def with_member(content: bytes, member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO(content)
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_set_is_downloaded_once_with_progress(folder: Any, serve: Any, tmp_path: Path) -> None:
    content = packed(folder.root)
    serve(content)
    steps: list[tuple[int, int]] = []
    where = fetch(NAME, tmp_path / "data", lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(content), len(content))
    assert [case.name for case in find_dataset(NAME, tmp_path / "data").cases] == ["a", "b"]
    assert left_in(tmp_path / "data") == [NAME]
    serve(b"no longer there")
    assert fetch(NAME, tmp_path / "data") == where


def test_a_wrong_checksum_leaves_nothing(folder: Any, serve: Any, tmp_path: Path) -> None:
    serve(packed(folder.root), md5="0" * 32)
    with pytest.raises(ValueError, match=r"set\.tar: MD5 checksum \w{32}, expected 0{32}"):
        fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        (f"{NAME}/../../outside", tarfile.REGTYPE),
        ("/tmp/outside", tarfile.REGTYPE),
        ("Other/file", tarfile.REGTYPE),
        (f"{NAME}/link", tarfile.SYMTYPE),
        (f"{NAME}/device", tarfile.CHRTYPE),
    ],
)
def test_members_that_would_leave_the_folder_are_refused(
    folder: Any, serve: Any, tmp_path: Path, name: str, kind: bytes
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    member.size = 3 if kind == tarfile.REGTYPE else 0
    serve(with_member(packed(folder.root), member))
    with pytest.raises(ValueError, match=rf"member '{name}' is not a plain file below {NAME}/; not unpacked"):
        fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == []
    assert not (tmp_path / "outside").exists()


def test_an_archive_that_is_none(serve: Any, tmp_path: Path) -> None:
    serve(b"<html>moved</html>" * 100)
    with pytest.raises(ValueError, match="not a whole tar archive"):
        fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_an_archive_with_a_broken_data_set(folder: Any, serve: Any, tmp_path: Path) -> None:
    (folder.root / "labelsTr" / "a.nii.gz").unlink()
    serve(packed(folder.root))
    with pytest.raises(FileNotFoundError, match="label of case 'a' is missing"):
        fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_offline_is_one_line_with_the_address_and_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/set.tar"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "BY_NAME", {NAME: replace(BY_NAME[NAME], archive=url)})
    with pytest.raises(ConnectionError, match=rf"{url}: download failed .*{NAME}") as caught:
        fetch(NAME, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path / "data") == []


def test_a_file_that_is_not_on_the_server(folder: Any, serve: Any, tmp_path: Path) -> None:
    serve(b"")
    (tmp_path / "served" / "set.tar").unlink()
    with pytest.raises(ConnectionError, match=r"set\.tar: download failed \(.*not found.*\)"):
        fetch(NAME, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Task4_Hipocampus", "did you mean Task04_Hippocampus"),
        ("phantom", "generated on first use"),
        ("CHASE_DB1", "get it from https://"),
    ],
)
def test_a_set_that_cannot_be_downloaded(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fetch(name, tmp_path)


class Breaking(Quiet):
    """Sends the first answers in part only, as a connection that is lost, and notes what is asked for."""

    asked: list[str | None]
    breaks: int
    ranges: bool

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        self.asked.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        lost = len(self.asked) <= self.breaks
        self.wfile.write(content[start : start + len(content) // 3] if lost else content[start:])
        self.close_connection = True


@pytest.fixture
def broken(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the server break off its first answers; gives the list of the ranges that it was asked for."""

    def begin(breaks: int, ranges: bool = True) -> list[str | None]:
        monkeypatch.setattr(Quiet, "asked", [], raising=False)
        monkeypatch.setattr(Quiet, "breaks", breaks, raising=False)
        monkeypatch.setattr(Quiet, "ranges", ranges, raising=False)
        monkeypatch.setattr(Quiet, "do_GET", Breaking.do_GET)
        asked: list[str | None] = Quiet.asked  # type: ignore[attr-defined]
        return asked

    return begin


def part(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize("ranges", [True, False], ids=["a server of parts", "a server of whole files"])
def test_a_download_goes_on_where_it_was_interrupted(
    folder: Any, serve: Any, broken: Any, tmp_path: Path, ranges: bool
) -> None:
    (folder.root / "notes.txt").write_bytes(bytes(range(256)) * 3000)
    content = packed(folder.root)
    serve(content)
    asked = broken(2, ranges)
    for _ in range(2):
        with pytest.raises(ConnectionError, match=r"set\.tar: download failed .*goes on where this one ended"):
            fetch(NAME, tmp_path / "data")
    kept = part(tmp_path / "data").stat().st_size
    first = len(content) // 3 // CHUNK * CHUNK
    assert kept == (2 if ranges else 1) * first > 0
    steps: list[tuple[int, int]] = []
    fetch(NAME, tmp_path / "data", lambda done, total: steps.append((done, total)))
    assert asked == [None, f"bytes={first}-", f"bytes={kept}-"]
    assert steps[-1] == (len(content), len(content))
    assert left_in(tmp_path / "data") == [NAME]


def test_a_part_that_is_whole_is_asked_for_anew_and_checked(
    folder: Any, serve: Any, broken: Any, tmp_path: Path
) -> None:
    (folder.root / "notes.txt").write_bytes(bytes(range(256)) * 3000)
    content = packed(folder.root)
    serve(content)
    broken(1)
    with pytest.raises(ConnectionError):
        fetch(NAME, tmp_path / "data")
    part(tmp_path / "data").write_bytes(content)
    fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == [NAME]


def test_a_part_of_another_file_is_noticed_and_gone(folder: Any, serve: Any, broken: Any, tmp_path: Path) -> None:
    (folder.root / "notes.txt").write_bytes(bytes(range(256)) * 3000)
    serve(packed(folder.root))
    broken(1)
    with pytest.raises(ConnectionError):
        fetch(NAME, tmp_path / "data")
    kept = part(tmp_path / "data")
    kept.write_bytes(b"x" * kept.stat().st_size)
    with pytest.raises(ValueError, match=r"set\.tar: MD5 checksum \w{32}, expected \w{32}"):
        fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == []
    fetch(NAME, tmp_path / "data")


def test_two_processes_do_not_write_one_part(folder: Any, serve: Any, broken: Any, tmp_path: Path) -> None:
    (folder.root / "notes.txt").write_bytes(bytes(range(256)) * 3000)
    serve(packed(folder.root))
    broken(1)
    with pytest.raises(ConnectionError):
        fetch(NAME, tmp_path / "data")
    kept = part(tmp_path / "data")
    with FileLock(kept.with_name(f"{kept.name}.lock")), pytest.raises(ConnectionError, match="another process"):
        fetch(NAME, tmp_path / "data")


def test_what_interrupts_a_download_leaves_its_part(folder: Any, serve: Any, tmp_path: Path) -> None:
    (folder.root / "notes.txt").write_bytes(bytes(range(256)) * 3000)
    serve(packed(folder.root))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(NAME, tmp_path / "data", stop)
    assert part(tmp_path / "data").name.startswith(f".part-{NAME}-")
    fetch(NAME, tmp_path / "data")
    assert left_in(tmp_path / "data") == [NAME]

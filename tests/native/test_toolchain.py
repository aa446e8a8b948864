"""The cached library: compiled once, loaded only where it is whole, kept where nobody else can write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossodyssey import native
from lossodyssey.native import toolchain

pytestmark = pytest.mark.skipif(native.library() is None, reason="no C compiler")

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a few bytes": lambda content: content[:100],
    "zeros inside": lambda content: content[:4096] + bytes(len(content) - 4096),
}
LOADED = "from lossodyssey import native; print(native.library() is not None)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-O0")  # compiling at -O3 takes seconds
    return tmp_path / "lossodyssey" / "native"


def loaded() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)


def test_it_is_compiled_once(cache: Path) -> None:
    _, path = toolchain.build(())
    made = path.stat().st_mtime_ns
    assert toolchain.build(())[1] == path and list(cache.iterdir()) == [path]
    assert path.stat().st_mtime_ns == made


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_made_again(damage: str, cache: Path) -> None:
    path = native.attempt().path
    assert path is not None and path.parent == cache
    whole = path.read_bytes()
    path.unlink()  # what this process has loaded must not change
    path.write_bytes(DAMAGES[damage](whole))
    done = loaded()
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    (path,) = cache.iterdir()
    assert len(path.read_bytes()) == len(whole)


def test_what_cannot_be_read_as_a_file_is_passed_over(cache: Path) -> None:
    _, path = toolchain.build(())
    path.unlink()
    path.with_name(path.name.replace(path.name.split(".")[1], "0" * 24)).mkdir()
    assert toolchain.build(())[1] == path


def test_a_whole_library_that_this_machine_cannot_load_is_left_to_the_others(cache: Path) -> None:
    _, path = toolchain.build(())
    key, content = path.name.split(".")[0], b"for another system"
    other = cache / f"{key}.{toolchain._digest(content)}.so"
    path.unlink()
    other.write_bytes(content)
    assert toolchain.build(())[1] == path and other.read_bytes() == content


def test_flags_of_the_user_make_another_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = toolchain.build(())[1]
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-DNAME='a b' -O1")
    second = toolchain.build(())[1]
    assert first != second and set(cache.iterdir()) == {first, second}


def test_a_library_without_the_functions_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-fvisibility=hidden")
    with pytest.raises(toolchain.Broken, match=r"\.so lacks lo_"):
        toolchain.build(())


def test_an_error_of_the_compiler_is_repeated(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-include no-such-file.h")
    with pytest.raises(toolchain.Broken, match=r"failed: .*error.*no-such-file\.h"):
        toolchain.build(())


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_can_write_to_is_not_used(mode: int, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(mode)
    with pytest.raises(toolchain.Unavailable, match="can be written to by others"):
        toolchain.cache_folder()


def test_a_folder_of_another_user_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: cache.stat().st_uid + 1)
    with pytest.raises(toolchain.Unavailable, match="belongs to another user"):
        toolchain.cache_folder()

"""The cached library: compiled once, loaded only where it is whole, kept where nobody else can write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossodyssey import native
from lossodyssey.native import compiler, toolchain

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
    path = toolchain.build("baseline").path
    made = path.stat().st_mtime_ns
    assert toolchain.build("baseline").path == path and list(cache.iterdir()) == [path]
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
    path = toolchain.build("baseline").path
    path.unlink()
    path.with_name(path.name.replace(path.name.split(".")[1], "0" * 24)).mkdir()
    assert toolchain.build("baseline").path == path


def test_a_whole_library_that_this_machine_cannot_load_is_left_to_the_others(cache: Path) -> None:
    path = toolchain.build("baseline").path
    key, content = path.name.split(".")[0], b"for another system"
    other = cache / f"{key}.{toolchain._digest(content)}.so"
    path.unlink()
    other.write_bytes(content)
    assert toolchain.build("baseline").path == path and other.read_bytes() == content


def test_flags_of_the_user_make_another_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = toolchain.build("baseline").path
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-DNAME='a b' -O1")
    second = toolchain.build("baseline").path
    assert first != second and set(cache.iterdir()) == {first, second}


def test_a_library_without_the_functions_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-fvisibility=hidden")
    with pytest.raises(toolchain.Broken, match=r"\.so lacks lo_"):
        toolchain.build("baseline")


def test_an_error_of_the_compiler_is_repeated(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-include no-such-file.h")
    with pytest.raises(toolchain.Broken, match=r"failed: .*error.*no-such-file\.h"):
        toolchain.build("baseline")


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


@pytest.fixture
def shipped(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library of a wheel, with no compiler at hand any more."""
    path = tmp_path / "wheel" / "library.so"
    path.parent.mkdir()
    path.write_bytes(compiler.compiled(compiler.variants()))
    monkeypatch.setattr(toolchain, "SHIPPED", path)
    monkeypatch.delenv("LOSSODYSSEY_CFLAGS")
    monkeypatch.setenv("CC", "no-such-compiler")
    return path


def test_the_library_of_a_wheel_needs_no_compiler_and_no_cache(shipped: Path, cache: Path) -> None:
    found = native.attempt()
    assert found.path == shipped and found.instructions == toolchain.instructions() and not found.remedy
    assert not cache.exists()


def test_flags_of_the_user_go_before_the_library_of_a_wheel(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSODYSSEY_CFLAGS", "-O0")
    assert native.attempt().reason == "no C compiler among no-such-compiler, which CC names"
    monkeypatch.delenv("CC")
    assert native.attempt().path != shipped


def test_a_library_of_a_wheel_that_cannot_be_loaded_is_told_and_replaced(
    shipped: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shipped.with_name("other.so")
    other.write_bytes(b"for another system")
    monkeypatch.setattr(toolchain, "SHIPPED", other)
    assert f"CC names; and {other} cannot be loaded" in native.attempt().reason
    monkeypatch.delenv("CC")
    monkeypatch.setattr(compiler, "FLAGS", ("-O0", "-fPIC"))
    found = native.attempt().path
    assert found is not None and found.parent == cache


def test_the_instructions_can_be_chosen_among_those_of_the_processor(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler.platform, "machine", lambda: "x86_64")  # type: ignore[attr-defined]
    monkeypatch.setattr(toolchain.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")  # type: ignore[attr-defined]
    assert toolchain.instructions() == "AVX2"
    monkeypatch.setenv("LOSSODYSSEY_INSTRUCTIONS", "baseline")
    assert toolchain.instructions() == "baseline"
    for wrong, why in {"AVX512": "which this processor or PyTorch on it lacks", "SSE": "which is no such set"}.items():
        monkeypatch.setenv("LOSSODYSSEY_INSTRUCTIONS", wrong)
        found = native.attempt()
        assert found.reason == f"LOSSODYSSEY_INSTRUCTIONS is '{wrong}', {why}"
        assert found.remedy == "unset it, or choose among baseline, AVX2"


@pytest.mark.parametrize(("machine", "capability"), [("aarch64", "SVE256"), ("x86_64", "DEFAULT")])
def test_other_processors_have_the_baseline(machine: str, capability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.platform, "machine", lambda: machine)  # type: ignore[attr-defined]
    monkeypatch.setattr(toolchain.torch.backends.cpu, "get_cpu_capability", lambda: capability)  # type: ignore[attr-defined]
    assert toolchain.instructions() == "baseline"

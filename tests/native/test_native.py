"""The compiled library: nothing needs it, and who goes without it is told why, once."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lossodyssey import native
from lossodyssey.native import compiler, openmp, toolchain

LOSS = """
import torch, lossodyssey as lo
from lossodyssey import native
logits = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
loss = lo.parse("DiceCE() + Boundary()")(logits, torch.arange(81).reshape(1, 9, 9) % 3)
loss.backward()
print(native.library() is not None, f"{loss.item():.5f}", f"{logits.grad.abs().sum().item():.5f}")
"""
LARGE = """
import sys, torch, lossodyssey as lo
for side in (16, 200, 200):
    loss = lo.DiceCE()(torch.zeros(1, 2, side, side), torch.zeros(1, side, side).long())
    print(side, f"{loss.item():.3f}")
    print(side, file=sys.stderr, flush=True)
"""
TOGETHER = """
import threading
from lossodyssey import native
together, found = threading.Barrier(6), []
def first_use():
    together.wait()
    found.append(native.library())
threads = [threading.Thread(target=first_use) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(found), len(set(map(id, found))), found[0] is not None, native.outcome().openmp)
"""
FORKED = """
import os, threading, time, warnings
from lossodyssey import native
warnings.simplefilter("ignore")  # Python's, about forks and threads, which is the case at hand
threading.Thread(target=native.library).start()
time.sleep(0.2)
if (child := os.fork()) == 0:
    os._exit(0 if native.library() is not None else 1)
print(os.waitpid(child, 0)[1], native.library() is not None)
"""
FORKED_WITH_THREADS = """
import os, signal, torch
from lossodyssey import native
z, labels = torch.arange(120000.0).reshape(3, 40000).div(1e5), torch.arange(40000) % 3
def compute():
    s, tables = torch.empty(3, 40000), torch.zeros(2, 1, 3, 6, dtype=torch.float64)
    outputs = (None, 0, None, 0, None, 0, tables, s, None, torch.empty(2 * 4 * 256), 2)
    native.call("lo_softmax", z, 120000, 40000, 1, 3, 40000, labels, 8, 0, 0, None, 0, *outputs)
    return s.numpy().tobytes()
whole, threads = compute(), len(os.listdir("/proc/self/task"))
if (child := os.fork()) == 0:
    signal.alarm(60)
    os._exit(0 if compute() == whole else 1)  # PyTorch's own operations would wait for the threads of the parent
print(threads >= 2, os.waitpid(child, 0)[1])
"""
IN_EACH = """
import json, os, sys, lossodyssey
code, environments = json.loads(sys.argv[1])
for folder, variables in environments.items():
    if os.fork() == 0:
        os.environ.update(variables)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY), number)
        exec(code)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
NEEDS_COMPILER = pytest.mark.skipif(native.library() is None, reason="no C compiler")
BROKEN = {
    "unbalanced quote in CC": ({"CC": 'gcc "-O2'}, "CC is 'gcc \"-O2': No closing quotation", "correct or unset CC"),
    "unbalanced quote in flags": ({"LOSSODYSSEY_CFLAGS": "-DX='"}, "No closing quotation", "LOSSODYSSEY_CFLAGS"),
    "CC without a program": ({"CC": "no-such-compiler -O1"}, "no C compiler among no-such-compiler", "unset it"),
    "CC that fails": ({"CC": shutil.which("false") or "no compiler"}, "exit code 1|no compiler", "set CC"),
    "CC that does nothing": ({"CC": shutil.which("true") or "no compiler"}, "no library|no compiler", "set CC"),
    "unknown user": ({"XDG_CACHE_HOME": "~unknown"}, "under ~unknown: .*home", "set XDG_CACHE_HOME"),
    "cache in a file": ({"XDG_CACHE_HOME": os.devnull}, "Not a directory", "set XDG_CACHE_HOME"),
}


def process(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a fresh process with this environment does."""
    quick = {"XDG_CACHE_HOME": str(folder), "LOSSODYSSEY_CFLAGS": "-O0"}  # compiling at -O3 takes seconds
    everything = os.environ | quick | environment
    return subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True)


def outcome(folder: Path, **environment: str) -> tuple[list[str], str]:
    """What a fresh process prints of a loss, and what it writes to standard error."""
    done = process(LOSS, folder, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def slow_compiler(folder: Path) -> tuple[str, Path]:
    """A compiler that takes its time, and the file that gets a line for each of its calls."""
    wrapper, calls = folder / "slow-cc", folder / "calls"
    found = compiler.compiler()[0]
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nsleep 0.5\nexec {found} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    return str(wrapper), calls


@NEEDS_COMPILER
def test_the_loss_is_the_same_with_and_without_compiled_code(tmp_path: Path) -> None:
    (used, *expected), said = outcome(tmp_path, LOSSODYSSEY_CFLAGS="")
    assert used == "True" and said == ""
    (used, *found), said = outcome(tmp_path, CC="no-such-compiler")
    assert used == "False" and found == expected
    assert said.count("no compiled code: no C compiler among no-such-compiler") == 1


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with what a process that has only imported the package, forked for each breakage, prints of a loss."""
    folders = {kind: tmp_path_factory.mktemp("broken") for kind in BROKEN}
    variables = {str(folders[kind]): {"XDG_CACHE_HOME": str(folders[kind])} | BROKEN[kind][0] for kind in BROKEN}
    subprocess.run([sys.executable, "-c", IN_EACH, json.dumps([LOSS, variables])], check=True)
    return folders


@pytest.mark.parametrize("kind", BROKEN)
def test_whatever_is_broken_the_loss_is_computed_and_the_reason_told_once(
    kind: str, broken: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, reason, remedy = BROKEN[kind]
    if "XDG_CACHE_HOME" in variables and native.library() is None:
        pytest.skip("no C compiler")
    said = (broken[kind] / "err").read_text()
    used, *_ = (broken[kind] / "out").read_text().split() or [said]
    assert used == "False" and said.count("no compiled code") == 1
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", variables.get("XDG_CACHE_HOME", str(tmp_path)))
    found = native.attempt()
    assert found.library is None and found.least == 0 and remedy in found.remedy
    with pytest.raises(toolchain.Unavailable, match=reason):
        toolchain.find()


@NEEDS_COMPILER
def test_a_user_without_a_home_has_no_compiled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    found = native.attempt()
    assert found.library is None and "under ~/.cache" in found.reason and "set XDG_CACHE_HOME" in found.remedy


@pytest.mark.parametrize("switch", ["0", "off"])
def test_it_is_switched_off_in_silence(switch: str, tmp_path: Path) -> None:
    (used, *_), said = outcome(tmp_path, LOSSODYSSEY_NATIVE=switch, CC="no-such-compiler")
    assert used == "False" and said == ""
    done = process(LARGE, tmp_path, LOSSODYSSEY_NATIVE=switch)
    assert done.returncode == 0 and done.stderr.split() == ["16", "200", "200"]


def test_without_a_compiler_only_large_inputs_say_so(tmp_path: Path) -> None:
    done = process(LARGE, tmp_path, PATH="/nowhere", CC="")
    assert done.returncode == 0 and done.stdout.split() == ["16", "1.693", "200", "1.693", "200", "1.693"]
    before, said = done.stderr.split("16\n")
    assert before == "" and said.count("no compiled code: no C compiler among cc, gcc, clang") == 1
    assert "install gcc or clang" in said.partition("200\n")[0]


def test_what_no_one_thought_of_is_a_reason_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise MemoryError("at noon")

    monkeypatch.delenv("LOSSODYSSEY_NATIVE", raising=False)
    monkeypatch.setattr(toolchain, "find", failing)
    assert native.attempt().reason == "MemoryError: at noon"


@NEEDS_COMPILER
def test_threads_that_come_first_together_get_one_library(tmp_path: Path) -> None:
    command, calls = slow_compiler(tmp_path)
    done = process(TOGETHER, tmp_path, CC=command)
    assert done.stdout.split() == ["6", "1", "True", str(native.outcome().openmp)], done.stderr
    assert len(calls.read_text().splitlines()) == len(compiler.sources()) + 1  # and to link them


@NEEDS_COMPILER
def test_processes_that_come_first_together_get_a_library_each(tmp_path: Path) -> None:
    command, _ = slow_compiler(tmp_path)
    everything = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "CC": command, "LOSSODYSSEY_CFLAGS": "-O0"}
    calls = [subprocess.Popen([sys.executable, "-c", LOSS], env=everything, stdout=subprocess.PIPE) for _ in range(2)]
    assert [call.communicate()[0].split()[0] for call in calls] == [b"True", b"True"]
    assert len(list((tmp_path / "lossodyssey" / "native").iterdir())) == 1


@NEEDS_COMPILER
def test_a_process_that_is_forked_while_another_thread_compiles_does_not_wait_for_it(tmp_path: Path) -> None:
    command, _ = slow_compiler(tmp_path)
    assert process(FORKED, tmp_path, CC=command).stdout.split() == ["0", "True"]


@NEEDS_COMPILER
def test_without_threads_of_pytorch_there_is_one_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "runtime", lambda: None)
    found = native.attempt()
    assert found.library is not None and not found.openmp and found.remedy == ""
    assert found.reason == "one thread: PyTorch has no OpenMP"


@NEEDS_COMPILER
def test_a_process_that_is_forked_from_one_with_threads_computes_the_same_with_one(tmp_path: Path) -> None:
    done = process(FORKED_WITH_THREADS, tmp_path, OMP_NUM_THREADS="2")
    assert done.stdout.split() == ["True", "0"], done.stdout + done.stderr


@NEEDS_COMPILER
def test_the_threads_are_those_of_pytorch() -> None:
    if "OpenMP" not in torch.__config__.parallel_info().partition("ATen parallel backend:")[2]:
        pytest.skip("a PyTorch without OpenMP")
    assert native.outcome().openmp and native.outcome().reason == ""

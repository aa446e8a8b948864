"""The compiled library: where it comes from, and that nothing needs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lossodyssey import native

LOSS = """
import logging; logging.basicConfig(level=logging.INFO, format="%(message)s")
import torch, lossodyssey as lo
from lossodyssey import native
logits = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
loss = lo.parse("DiceCE() + Boundary()")(logits, torch.arange(81).reshape(1, 9, 9) % 3)
loss.backward()
print(native.library() is not None, f"{loss.item():.5f}", f"{logits.grad.abs().sum().item():.5f}")
"""
NEEDS_COMPILER = pytest.mark.skipif(native.library() is None, reason="no C compiler")


def outcome(folder: Path, **environment: str) -> tuple[list[str], str]:
    """What a fresh process with this environment prints, and its log."""
    everything = os.environ | {"XDG_CACHE_HOME": str(folder)} | environment
    done = subprocess.run([sys.executable, "-c", LOSS], env=everything, capture_output=True, text=True, check=True)
    return done.stdout.split(), done.stderr


@NEEDS_COMPILER
def test_the_loss_is_the_same_with_and_without_compiled_code(tmp_path: Path) -> None:
    (used, *expected), _ = outcome(tmp_path)
    assert used == "True"
    (used, *found), log = outcome(tmp_path, CC="no-such-compiler")
    assert used == "False" and found == expected
    assert "no compiled kernels at all: no C compiler among no-such-compiler" in log


@NEEDS_COMPILER
def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = native._compiled([])
    made = library.stat().st_mtime_ns
    assert native._compiled([]) == library and list(library.parent.iterdir()) == [library]
    assert library.stat().st_mtime_ns == made


@pytest.mark.parametrize("variables", [{"LOSSODYSSEY_NATIVE": "0"}, {"CC": shutil.which("false") or "no compiler"}])
def test_there_is_none_where_it_is_switched_off_or_fails(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert native.library.__wrapped__() is None


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "lossodyssey" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="can be written to by others"):
        native._cache_folder()

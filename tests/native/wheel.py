"""Build a wheel, install it where no compiler is found, and show what it computes by: `make test-wheel`.

It fetches the build's own requirements. PyTorch, numpy and scipy are those of the environment that runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOSS = """
import json, torch, lossodyssey as lo
from lossodyssey import native
logits = torch.randn(2, 3, 40, 40, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)
loss = lo.DiceCE()(logits, torch.arange(128000).reshape(2, 40, 40, 40) % 3)
loss.backward()
found = native.outcome()
print(json.dumps([str(found.path), found.instructions, found.reason, loss.item(), logits.grad.abs().sum().item()]))
"""
VARIANTS = ("baseline", "AVX2", "AVX512")


def main() -> None:
    """Go through it all, and end with an error at what is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        said, pure = built(place / "pure", PATH=str(place))
        assert pure.name.endswith("-py3-none-any.whl"), pure.name
        assert "NO COMPILED CODE IN THIS WHEEL: no C compiler among cc, gcc, clang" in said, said
        _, wheel = built(place / "whole")
        assert "-py3-none-" in wheel.name and "-any" not in wheel.name, wheel.name
        python = installed(wheel, place / "environment")
        used(python, place)
        print(f"{wheel.name}: {wheel.stat().st_size} bytes, and {pure.name} without a compiler")


def built(folder: Path, **environment: str) -> tuple[str, Path]:
    """Return what the build says, and the wheel."""
    pip = [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(pip, env=plain(**environment), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return done.stdout + done.stderr, wheel


def installed(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment that has the wheel, and sees the packages of this one behind it."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True)
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "behind.pth").write_text(sysconfig.get_path("purelib"))
    return python


def used(python: Path, place: Path) -> None:
    """Compute a loss by every variant and by PyTorch, with no compiler in the path."""
    settings = {"PATH": "/nowhere", "XDG_CACHE_HOME": str(place / "cache")}
    _, _, reason, *expected = computed(python, **settings, LOSSODYSSEY_NATIVE="0")
    assert reason == "switched off by LOSSODYSSEY_NATIVE"
    path, best, *_ = computed(python, **settings)
    assert path == str(next(python.parent.parent.glob("lib/*/site-packages")) / "lossodyssey" / "native" / "library.so")
    for variant in VARIANTS[: VARIANTS.index(best) + 1]:
        found, chosen, _, *values = computed(python, **settings, LOSSODYSSEY_INSTRUCTIONS=variant)
        assert (found, chosen) == (path, variant)
        assert all(abs(a - b) <= 1e-5 * abs(b) for a, b in zip(values, expected, strict=True)), (values, expected)
        print(f"{variant}: {values}, PyTorch: {expected}")
    assert not (place / "cache").exists()
    env = run([str(python), "-m", "lossodyssey", "env", "--json"], **settings)
    assert json.loads(env)["library"] == path and json.loads(env)["shipped"] is True
    assert json.loads(env)["compiler"]["command"] is None


def computed(python: Path, **environment: str) -> list[str]:
    """Return path, variant, reason, and the values of a loss, in a fresh process."""
    found: list[str] = json.loads(run([str(python), "-W", "error", "-c", LOSS], **environment))
    return found


def run(command: list[str], **environment: str) -> str:
    """Return what a command prints, from a folder without this project."""
    done = subprocess.run(command, env=plain(**environment), cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain(**changes: str) -> dict[str, str]:
    """Return the environment without what leads to this project or to a compiler of the user's choice."""
    hidden = ("CC", "PYTHONPATH", "LOSSODYSSEY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | changes


if __name__ == "__main__":
    main()

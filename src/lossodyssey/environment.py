"""Facts about this machine that decide results and speed: versions, compiler, processor, back ends.

`lossodyssey env` shows them. The module needs nothing but the base install, so that the back end can be asked for
where the command line cannot run.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import lossodyssey
from lossodyssey import native
from lossodyssey.kernels import has_triton
from lossodyssey.native import toolchain
from lossodyssey.native.compiler import Unavailable
from lossodyssey.native.compiler import compiler as c_compiler

EXTRAS = {
    "bench": (
        "monai",
        "nibabel",
        "pillow",
        "typer",
        "rich",
        "pyyaml",
        "pandas",
        "tifffile",
        "platformdirs",
        "pooch",
        "filelock",
    ),
    "formats": ("SimpleITK", "imagecodecs"),
    "report": ("matplotlib", "jinja2"),
    "fast": ("edt",),
    "measures": ("scikit-image",),
    "structure": ("scikit-image", "connected-components-3d"),
    "topology": ("gudhi",),
    "nnunet": ("nnunetv2",),
    "keras": ("keras",),
    "slurm": ("submitit",),
    "ray": ("ray",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
}
"""The packages of each extra of pyproject.toml that a user may install."""
OTHERS = ("numpy", "scipy", "triton", "lightning")


def backend(device: torch.device) -> str:
    """Return the back end that computes the losses on `device`, and why if it is not the fastest one."""
    if device.type == "cuda":
        return f"Triton {_version('triton')}" if has_triton() else "PyTorch: Triton is not installed"
    if device.type != "cpu":
        return f"PyTorch: there is no other code for {device.type}"
    found = native.outcome()
    if found.library is None:
        return f"PyTorch: {found.reason}"
    return f"compiled, {found.instructions}, {'OpenMP' if found.openmp else found.reason}"


def facts() -> dict[str, Any]:
    """Return everything that a report of an error needs of this machine, ready for JSON."""
    found = native.outcome()
    return {
        "lossodyssey": {"version": lossodyssey.__version__, "folder": str(Path(__file__).parent)},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": platform.platform(),
        "torch": {"version": torch.__version__, "cuda": torch.version.cuda},
        "processor": _processor(),
        "compiler": _compiler(),
        "backends": {"cpu": backend(torch.device("cpu")), "cuda": _on_cuda()},
        "remedy": found.remedy,
        "cache": _cache(),
        "library": None if found.path is None else str(found.path),
        "shipped": found.path == toolchain.SHIPPED,
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "packages": {name: _version(name) for name in OTHERS},
    }


def as_text(found: dict[str, Any]) -> str:
    """Return `facts()` as lines of a name and what it is."""
    processor, compiler = found["processor"], found["compiler"]
    lines = {
        "lossodyssey": "{version}, {folder}".format(**found["lossodyssey"]),
        "Python": "{version}, {executable}".format(**found["python"]),
        "system": found["system"],
        "torch": f"{found['torch']['version']}, CUDA {found['torch']['cuda'] or 'not built in'}",
        "processor": "{machine}, {instructions}, {cores} cores, {threads} threads".format(**processor),
        "compiler": f"{compiler['command']}: {compiler['version']}" if compiler["command"] else compiler["problem"],
        "on the CPU": found["backends"]["cpu"],
        "to fix it": found["remedy"],
        "on a GPU": found["backends"]["cuda"],
        "library": f"{found['library']}{', of the wheel' * found['shipped']}" if found["library"] else "",
        "cache": found["cache"],
        **{f"[{extra}]": _listed(names) for extra, names in found["extras"].items()},
        "others": _listed(found["packages"]),
    }
    return "\n".join(f"{name:<12} {text}" for name, text in lines.items() if text)


def _listed(packages: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {number or '(not installed)'}" for name, number in packages.items())


def _processor() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": usable,
        "threads": torch.get_num_threads(),
    }


def _compiler() -> dict[str, str | None]:
    """Return the command of the C compiler with the first line that it says of its version."""
    try:
        command = c_compiler()
    except Unavailable as problem:
        return {"command": None, "version": None, "problem": str(problem)}
    try:
        done = subprocess.run([command[0], "--version"], capture_output=True, text=True, timeout=20, errors="replace")
        said = (done.stdout or done.stderr).strip().partition("\n")[0]
    except (OSError, subprocess.SubprocessError) as problem:
        said = str(problem)
    return {"command": " ".join(command), "version": said or "says no version", "problem": None}


def _cache() -> str:
    try:
        return str(toolchain.cache_folder())
    except Unavailable as problem:
        return str(problem)


def _on_cuda() -> str:
    if not torch.cuda.is_available():
        return "no GPU that PyTorch can use"
    return f"{backend(torch.device('cuda'))} ({torch.cuda.get_device_name()})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

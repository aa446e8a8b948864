"""The step of a wheel's build that compiles the C code into it, for every set of instructions of this kind of machine.

Where it cannot be compiled, the wheel is one of Python alone and says so; a machine that installs it and has a compiler
makes the library at first use. An editable install does so, too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

FOLDER = Path("lossodyssey", "native")


class CompiledCode(BuildHookInterface):  # type: ignore[type-arg]
    """Add the library to a wheel, and name the platform that it is for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library, unless the wheel is editable or LOSSODYSSEY_NATIVE=0 asks for one without."""
        if version == "editable" or os.environ.get("LOSSODYSSEY_NATIVE", "").strip() == "0":
            return
        compiler = _load(Path(self.root, "src", FOLDER, "compiler.py"))
        try:
            content = compiler.compiled(compiler.variants())
        except compiler.Unavailable as problem:
            self.app.display_warning(
                f"NO COMPILED CODE IN THIS WHEEL: {problem}. To have it: {problem.remedy}. The losses compute the same "
                "without it, in a multiple of the time"
            )
            return
        self._scratch = tempfile.TemporaryDirectory()
        made = Path(self._scratch.name, "library.so")
        made.write_bytes(content)
        build_data["force_include"][str(made)] = str(FOLDER / made.name)
        # The library knows neither Python nor PyTorch; it depends on the platform alone.
        build_data["pure_python"], build_data["tag"] = False, f"py3-none-{_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the library that is in the wheel by now."""
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()


def _platform() -> str:
    """Return this machine as part of a wheel's name, without a claim on others.

    On Linux it names no C library: `auditwheel` finds the oldest one that will do, and renames the wheel. Python's own
    name on macOS may stand for two processors and an older system, of which the compiler knows nothing.
    """
    name = next(platform_tags()) if sys.platform == "darwin" else sysconfig.get_platform()
    return re.sub(r"\W", "_", name)


def _load(path: Path) -> Any:
    found = importlib.util.spec_from_file_location("compiler", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module

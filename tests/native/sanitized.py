"""Run the tests of the compiled code on a build with checks: `make sanitize` sets the compiler's flags and the rest.

Without the checks there would be nothing to run, so it ends with an error where they are not in the library.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lossodyssey import native

FOLDERS = ("kernels", "distance")


def main() -> int:
    """Return the exit code of the tests, or say why they would show nothing."""
    found = native.outcome()
    if found.library is None:
        sys.exit(f"error: {found.reason}")
    if not hasattr(found.library, "__asan_init") or b"__ubsan" not in Path(str(found.path)).read_bytes():
        sys.exit(f"error: {found.path} has no checks; LOSSODYSSEY_CFLAGS is {os.environ.get('LOSSODYSSEY_CFLAGS')!r}")
    folder = Path(__file__).parent.parent
    return pytest.main([*(str(folder / name) for name in FOLDERS), "-q", "-p", "no:cacheprovider", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

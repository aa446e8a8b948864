"""Run the tests of the compiled code on a build with checks: `make sanitize` sets the compiler's flags and the rest.

Without the checks there would be nothing to run, so it ends with an error where they are not in the library.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lossodyssey import native

FOLDERS = ("kernels", "distance", "auxiliary")
OTHERS = "not (fused or triton or chunked or edt or scipy) and not test_skeleton"
"""The back ends that do not reach the C code."""
ROUNDING = "test_extreme_logits_stay_finite and 0.0-compiled"
"""Checks keep the compiler from vector instructions, so that a block is summed in one float32 and not in eight: equal
numbers then lose 2.4e-6, where this test allows 1e-6."""


def main() -> int:
    """Return the exit code of the tests, or say why they would show nothing."""
    found = native.outcome()
    if found.library is None:
        sys.exit(f"error: {found.reason}")
    if not hasattr(found.library, "__asan_init") or b"__ubsan" not in Path(str(found.path)).read_bytes():
        sys.exit(f"error: {found.path} has no checks; LOSSODYSSEY_CFLAGS is {os.environ.get('LOSSODYSSEY_CFLAGS')!r}")
    folder = Path(__file__).parent.parent
    tests = [str(folder / name) for name in FOLDERS]
    return pytest.main([*tests, "-q", "-k", f"{OTHERS} and not ({ROUNDING})", "-p", "no:cacheprovider", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

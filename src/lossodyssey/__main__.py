"""`python -m lossodyssey` and the command `lossodyssey`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from lossodyssey.cli import run
    except ModuleNotFoundError as missing:
        sys.exit(f"error: the command line needs {missing.name}: pip install 'lossodyssey[all]'")
    run()


if __name__ == "__main__":
    main()

"""`python -m lossodyssey` and the command `lossodyssey`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        from lossodyssey.cli import application, run

        app = application()
    except ModuleNotFoundError as missing:
        if sys.argv[1:] == ["env"]:  # it says which extras are missing, so it must not need them
            from lossodyssey.environment import as_text, facts

            sys.exit(print(as_text(facts())))
        sys.exit(f'error: the command line needs {missing.name}: pip install ".[all]"')
    run(app)


if __name__ == "__main__":
    main()

"""The command line: `run` reads which verb is asked for, and `verbs.py` imports no more than that one needs."""

from __future__ import annotations

import os
import sys
from typing import Any


def application() -> Any:
    """Return the application with the verb that the command names in working order.

    Raises:
        ModuleNotFoundError: an extra that it needs is not installed.
    """
    from lossodyssey.cli.verbs import join

    # Completing a word needs the options of whatever verb comes first on the line that is being typed.
    completes = "_LOSSODYSSEY_COMPLETE" in os.environ
    return join(None if completes else next(iter(sys.argv[1:]), ""))


def run(app: Any = None) -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    app = app or application()
    try:
        app()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None

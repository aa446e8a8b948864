"""The command line: `run` joins the verbs of `verbs.py`, or goes straight to one that needs little."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def application() -> Any:
    """Return the application that the command's verb belongs to.

    Raises:
        ModuleNotFoundError: an extra that it needs is not installed.
    """
    # `status` is asked again and again: it does not wait for the libraries that train.
    return import_module(f"{__name__}.{'status' if sys.argv[1:2] == ['status'] else 'verbs'}").app


def run() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    app = application()
    try:
        app()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None

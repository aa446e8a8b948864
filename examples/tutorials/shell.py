"""How the tutorials call a command; in a terminal you type it as it stands."""

import shlex
import subprocess
import sys


def sh(command: str) -> None:
    """Run a command and print the text that a terminal would show."""
    words = shlex.split(command)
    # The package of this Python, whatever the terminal would find.
    own = [sys.executable, "-m", *words] if words[0] == "lossodyssey" else words
    done = subprocess.run(own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}")

"""How the tutorials do what their reader does: type a command as it stands, write a file, change one."""

import shlex
import subprocess
import sys
from pathlib import Path

COMMANDS: list[str] = []
BY_HAND: list[str] = []


def sh(command: str) -> None:
    """Run a command and print the text that a terminal would show."""
    COMMANDS.append(command)
    words = shlex.split(command)
    # The package, and the programs, of this Python, whatever the terminal would find.
    own = {"lossodyssey": [sys.executable, "-m", "lossodyssey"], "python": [sys.executable]}.get(words[0], words[:1])
    done = subprocess.run([*own, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}")


def write(name: str, text: str) -> None:
    """Write a file that the reader would write in an editor."""
    BY_HAND.append(f"`{name}` written")
    Path(name).write_text(text.lstrip("\n"), encoding="utf-8")


def edit(name: str, changes: dict[str, str]) -> None:
    """Replace pieces of a file as the reader would in an editor, and print each before and after."""
    BY_HAND.append(f"{len(changes)} lines of `{name}` changed")
    text = Path(name).read_text(encoding="utf-8")
    for before, after in changes.items():
        if text.count(before) != 1:
            raise SystemExit(f"{name}: holds {before!r} {text.count(before)} times; expected once")
        text = text.replace(before, after)
        print(f"- {before}\n+ {after}")
    Path(name).write_text(text, encoding="utf-8")

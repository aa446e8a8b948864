"""Write the pages of the tutorials: their scripts cell by cell, with what each cell printed when it was run.

    python docs/tutorials.py            # runs all of examples/tutorials
    python docs/tutorials.py plain_loop

A script is a plain program; `# %%` begins a cell, `# %% [markdown]` one of text, as in Jupytext's percent format.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "examples" / "tutorials"
PAGES = ROOT / "docs" / "tutorials"
CELL = re.compile(r"^# %%(?: \[(markdown)\])?\n", re.MULTILINE)
COMMAND = re.compile(r"sh\(f?(?P<quote>['\"])(?P<command>.*)(?P=quote)\)")
PICTURE = re.compile(r"\]\((\w+\.png)\)")
OUTPUT = "```text\n"
MOST_LINES = 40


def scripts() -> list[Path]:
    """List the tutorials, in the order of their names."""
    return sorted(path for path in SCRIPTS.glob("*.py") if path.name != "shell.py")


def cells(text: str) -> list[tuple[bool, str]]:
    """Part a script into its cells: whether each is text, and its content without the comment signs of text."""
    parts = CELL.split(text)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [(bool(kind), uncommented(body) if kind else body.strip("\n")) for kind, body in pairs]


def uncommented(body: str) -> str:
    """Return the text of comment lines."""
    return "\n".join(line[2:] for line in body.strip().splitlines())


def outputs(path: Path, folder: Path, **constants: int) -> Iterator[str]:
    """Run the cells of a script in `folder`; yield what each printed, nothing for text.

    `constants` replace numbers that the script sets, such as STEPS.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for is_text, body in cells(path.read_text(encoding="utf-8")):
        printed = io.StringIO()
        if not is_text:
            for name, value in constants.items():
                body = re.sub(rf"^{name} = \d+$", f"{name} = {value}", body, flags=re.MULTILINE)
            with inside(folder), contextlib.redirect_stdout(printed):
                exec(compile(body, str(path), "exec"), names)
        yield printed.getvalue().replace(str(folder), ".")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in `folder`, with the helper of the tutorials at hand, in lines of a hundred signs without colours."""
    before, kept = Path.cwd(), dict(os.environ)
    os.environ.update(COLUMNS="100", NO_COLOR="1", TERM="dumb")
    sys.path.insert(0, str(SCRIPTS))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(SCRIPTS))
        os.environ.clear()
        os.environ.update(kept)


def page(path: Path, printed: Sequence[str]) -> str:
    """Return a tutorial as Markdown; without what was `printed` it is what the page must hold beside."""
    parts = []
    for (is_text, body), said in zip(cells(path.read_text(encoding="utf-8")), printed, strict=True):
        parts.append(PICTURE.sub(rf"]({path.stem}/\1)", body) if is_text else code(body))
        if said.strip():
            parts.append(f"{OUTPUT}{shortened(said)}\n```")
    source = f"examples/tutorials/{path.name}"
    parts.insert(1, f"The program is `{source}`; `python docs/tutorials.py {path.stem}` runs it and writes this page.")
    return "\n\n".join(parts) + "\n"


def code(body: str) -> str:
    """Return a cell as a block: of the shell where it only calls a command, else of Python."""
    command = COMMAND.fullmatch(body)
    if command and "{" not in command["command"]:
        return f"```sh\n{command['command']}\n```"
    return f"```python\n{body}\n```"


def shortened(said: str) -> str:
    """Return what was printed, less the middle of it where it is long."""
    lines = [line.rstrip() for line in said.rstrip().splitlines()]
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"... {len(lines) - MOST_LINES} lines", *lines[-half:]]
    return "\n".join(lines)


def write(path: Path) -> None:
    """Run a tutorial and write its page and its pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        text = page(path, list(outputs(path, folder)))
        (PAGES / f"{path.stem}.md").write_text(text, encoding="utf-8")
        for picture in PICTURE.findall(path.read_text(encoding="utf-8")):
            (PAGES / path.stem).mkdir(exist_ok=True)
            shutil.copyfile(folder / picture, PAGES / path.stem / picture)
    print(f"docs/tutorials/{path.stem}.md")


def main(names: Sequence[str]) -> None:
    """Write the pages of the tutorials of these names, or of all."""
    PAGES.mkdir(exist_ok=True)
    for path in scripts():
        if not names or path.stem in names:
            write(path)


if __name__ == "__main__":
    main(sys.argv[1:])

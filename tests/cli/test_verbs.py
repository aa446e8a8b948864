"""The command starts with what its verb needs, and the help with nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from lossodyssey.cli.verbs import GROUPS, PLACES, join

STARTED = """
import sys
from lossodyssey.__main__ import main
sys.argv = ["lossodyssey", *{arguments}]
try:
    main()
except SystemExit:
    pass
print(sorted({{"torch", "numpy", "scipy", "pandas", "monai", "matplotlib"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], [], ["no-such-verb"]])
def test_the_help_needs_nothing_of_what_trains(arguments: list[str]) -> None:
    code = STARTED.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr
    said = done.stdout + done.stderr
    if arguments != ["no-such-verb"]:
        assert all(name in said for name in (*PLACES, *GROUPS))
        assert "Show one loss: formula, advice, hyper-parameters, paper." in said
    else:
        assert "No such command 'no-such-verb'" in said


def lines(app: typer.Typer) -> dict[str, tuple[str, str]]:
    """The name, and what is said of it, of each verb of an application."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    return {name: (found.help, found.get_short_help_str(200)) for name, found in commands.items()}


def test_what_is_said_of_a_verb_does_not_depend_on_which_one_works() -> None:
    whole = lines(join())
    assert list(whole) == [*PLACES, *GROUPS] and all(said for said, _ in whole.values())
    assert lines(join("")) == whole and lines(join("list")) == whole


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_works_when_it_is_asked_for(group: str) -> None:
    assert get_command(join(group)).commands[group].commands  # type: ignore[attr-defined]
    assert not get_command(join("list")).commands[group].commands  # type: ignore[attr-defined]


def test_only_the_verb_at_hand_has_options() -> None:
    commands = get_command(join("evaluate")).commands  # type: ignore[attr-defined]
    assert type(commands["evaluate"]).__name__ == "ManyValues" and len(commands["evaluate"].params) > 5
    assert len(commands["rank"].params) <= 1  # its help

"""The lint rule of English finds every pattern in every place, says where, and leaves good texts alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import english  # noqa: E402

BAD = {
    "that is none": "Read a file; a file that is none is refused.",
    "is no X": "Compute the sum. A loss that is no sum is left alone.",
    "is no X at the end": "Skip the pair where a map is no loss",
    "so many": "Look at every so many planes.",
    "What": "Return the rows. What is left stays.",
    "What, a paragraph": "Return the rows.\n\n    What is left stays.",
    "Those that": "Return the rows. Those that are left stay.",
    "walk": "Run one walk over the logits.",
    "walked": "Return once the tree is walked.",
    "price": "Return errors priced by distance.",
    "slope": "Return values and slopes.",
    "worth": "Name the threads that are worth it.",
}
PLACES = {
    "docstring": 'def f():\n    """{}"""\n',
    "class": 'class A:\n    """The first.\n\n    {}\n    """\n',
    "attribute": 'A = 1\n"""{}"""\n',
    "comment": "A = 1\n# {}\n",
    "error": 'def f(a):\n    raise ValueError(f"a is {{a}}. {}")\n',
}
GOOD = '''"""What of it? Words of code stay: `walk(price)`. There is no other sum: it is no longer, and where there
is no value it is no larger."""

import functools

PRICE = 1
"""The weight of an error, where there is no other; `slope` is a name."""


class A:
    """A plain thing."""

    @property
    def value(self):
        """The value."""

    @functools.cached_property
    def size(self):
        """Number of values."""

    def total(self):
        """Sum the values, which say what they are.

        Raises:
            ValueError: there is no value.
        """
        # The slope of `f`: no matter, since those that follow stand inside a sentence.
        raise ValueError("no value: expected one, such as 1")


@measure("DSC")
def dice(pair):
    """Dice similarity coefficient."""


@preset(paper="zhu2019")
def DiceFocal():
    """Dice plus focal loss."""


def bare(slope, price):
    return slope * price
'''


def place(name: str, text: str) -> str:
    return PLACES[name].format(text if name == "class" else " ".join(text.split()) if name != "docstring" else text)


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("what", sorted(BAD))
def test_every_pattern_is_found_in_every_place(what: str, where: str) -> None:
    text = place(where, BAD[what])
    found = english.problems(text)
    assert len(found) == 1, found
    line, message = found[0]
    assert message.split("'")[1].split()[0].lower() in text.splitlines()[line - 1].lower()
    assert ": " in message


def test_every_pattern_of_the_rule_has_a_bad_example() -> None:
    told = {
        message.split(": ", 1)[1] for text in BAD.values() for _, message in english.problems(place("comment", text))
    }
    assert told == set(english.PATTERNS.values())


@pytest.mark.parametrize(
    "begun", ["The value.", "Sum of the values.", "return the value.", "Whether it holds.", "What holds."]
)
def test_a_function_begins_with_a_verb(begun: str) -> None:
    for code in (f'def f():\n    """{begun}"""', f'class A:\n    async def _f(self):\n        """{begun}"""'):
        assert any("begin the docstring" in message for _, message in english.problems(code)), code


def test_good_texts_pass() -> None:
    assert english.problems(GOOD.replace("The slope of `f`", "The gradient of `f`")) == []
    assert [line for line, _ in english.problems(GOOD)] == [GOOD[: GOOD.index("# The slope")].count("\n") + 1]


def test_a_sentence_may_run_over_several_comments() -> None:
    found = english.problems("A = 1\n# A loss that is\n# no sum is left,\n# as before.\nB = 2  # a walk\n")
    assert [line for line, _ in found] == [3, 5]


def test_every_folder_is_read() -> None:
    names = {path.relative_to(english.ROOT).as_posix() for path in english.files()}
    assert {"src/lossodyssey/cards.py", "src/lossodyssey/kernels/plain.py", "benchmarks/clock.py"} <= names


def test_the_command_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("A = 1\n\n# What it is.\n", encoding="utf-8")
    command = [sys.executable, str(HERE / "english.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{path}:3: 'What'")


def test_the_checked_folders_are_clean() -> None:
    done = subprocess.run([sys.executable, str(HERE / "english.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

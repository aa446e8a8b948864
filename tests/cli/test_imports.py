"""Losses of one's own at the command line: `--import`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lossodyssey.data import write_phantom

pytestmark = pytest.mark.usefixtures("own_atlas")
ROOT = Path(__file__).parents[2]

OVERLAP = '''import lossodyssey as lo


class HalfDice(lo.OverlapLoss, range=(0, 1)):
    """Half Dice: the prediction counts half."""

    def formula(self, s, g, tp):
        return 1 - 1.5 * tp / (0.5 * s + g + self.smooth)
'''
VOXEL = """import lossodyssey as lo


class Steep(lo.VoxelLoss):
    power: lo.Positive = 3.0

    def formula(self, log_p, labels):
        return (-log_p) ** self.power
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=6)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {"HalfDice": tmp_path / "mine.py", "Steep": tmp_path / "yours.py"}
    for path, text in zip(found.values(), (OVERLAP, VOXEL), strict=True):
        path.write_text(text)
    return found


Call = Callable[..., tuple[int, str, str]]


def command(*arguments: object) -> tuple[int, str, str]:
    """Run the command in a process of its own, which knows no losses but the atlas's."""
    words = [sys.executable, "-m", "lossodyssey", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


def test_losses_are_trained_from_a_file_and_again_without_it(
    call: Call, data: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shared = ("--steps", 4, "--seeds", 1, "--held-out", 2, "--data", data, "-o", out)
    losses = ("--loss", "HalfDice()", "--loss", "Dice() + Steep(power=2)")
    imports = [word for path in files.values() for word in ("--import", path)]
    code, output, errors = call("train", "phantom", *imports, *losses, *shared)
    assert code == 0, errors
    runs = sorted((out / "runs").iterdir())
    copies = [path.relative_to(run).as_posix() for run in runs for path in (run / "losses").iterdir()]
    assert sorted(copies) == ["losses/mine.py", "losses/yours.py"]
    assert "HalfDice()" in (out / "report.html").read_text() and "executed" not in output

    for path in files.values():
        path.unlink()
    code, output, errors = command("train", "phantom", *losses, *shared)
    assert code == 0, errors
    assert output.count("executed from the copy that its run keeps") == 2
    assert sorted((out / "runs").iterdir()) == runs, "nothing is trained again"
    code, _, errors = call("predict", runs[0], data / "phantom" / "imagesTr", "-o", tmp_path / "new")
    assert code == 0, errors


def test_the_example_is_trained_as_it_says(call: Call, data: Path, tmp_path: Path) -> None:
    out, example = tmp_path / "out", ROOT / "examples" / "own_loss.py"
    shared = ("--steps", 3, "--seeds", 1, "--held-out", 2, "--data", data, "-o", out)
    code, output, errors = call("train", "phantom", "--import", example, "--loss", "HalfDice()", *shared)
    assert code == 0, errors
    assert "One loss was trained" in output
    (record,) = [json.loads(path.read_text()) for path in (out / "runs").glob("*/run.json")]
    assert record["status"] == "finished" and record["expression"] == "HalfDice()"
    assert record["sources"]["own_loss.py"]["losses"] == ["HalfDice"]


@pytest.mark.parametrize("name", ["HalfDice", "Steep"])
def test_own_losses_are_listed_and_shown(call: Call, files: dict[str, Path], name: str) -> None:
    code, output, errors = call("list", "--json", "--import", files[name])
    assert code == 0, errors
    (card,) = [card for card in json.loads(output) if card["name"] == name]  # other tests file losses of their own
    assert card["category"] == "custom"
    code, output, errors = call("show", name, "--markdown", "--import", files[name])
    assert code == 0, errors
    assert f"# {name}\n" in output and f"- defined in {files[name]}" in output
    code, output, errors = call("nnunet", "names", "--import", files[name])
    assert f"nnUNetTrainerLO_{name}\n" in output, errors


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("train", ("phantom", "--loss", "Dice()")),
        ("demo", ()),
        ("list", ()),
        ("show", ("Dice",)),
        ("nnunet", ("names",)),
    ],
)
def test_every_verb_refuses_a_file_that_does_not_serve(
    call: Call, verb: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"{OVERLAP}\n\nclass Dice(HalfDice):\n    pass\n")
    code, _, errors = call(verb, *arguments, "--import", path)
    assert (
        code == 2 and errors.startswith(f"error: {path}:11: a loss 'Dice' exists already") and errors.count("\n") == 1
    )
    code, _, errors = call(verb, *arguments, "--import", tmp_path / "absent.py")
    assert (
        code == 2
        and errors == f"error: {tmp_path / 'absent.py'}: no such file; expected a Python file that defines losses\n"
    )

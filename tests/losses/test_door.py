"""Losses of one's own: from a file, a module, the environment, an installed package; and what is refused."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lossodyssey as lo
from lossodyssey.core.atlas import ALIASES, CARDS
from lossodyssey.core.door import GROUP, TRIED, VARIABLE
from lossodyssey.core.sources import sources_of
from lossodyssey.guide.pages import page

pytestmark = pytest.mark.usefixtures("own_atlas")

HALF = '''
import lossodyssey as lo


class HalfDice(lo.OverlapLoss, range=(0, 1)):
    """Half Dice: the prediction counts by its `share`."""

    share: lo.Fraction = 0.5

    def formula(self, s, g, tp):
        return 1 - (1 + self.share) * tp / (self.share * s + g + self.smooth)
'''
STEEP = """
from __future__ import annotations

import lossodyssey as lo


class Steep(lo.VoxelLoss, paper="Doe 2026", range=(0, float("inf")), aliases={"SteepTwo": {"power": 2}}):
    power: lo.Positive = 3

    def formula(self, log_p: object, labels: object) -> object:
        return (-log_p) ** self.power


@lo.preset(aliases=["SD"])
def SteepDice() -> lo.Sum:
    return lo.Dice() + Steep()
"""
PLAIN = """import lossodyssey as lo


class {name}(lo.OverlapLoss{facts}):
    def formula(self, tp):
        return -tp
"""
VIEW = """import lossodyssey as lo


class Twice(lo.ViewLoss):
    loss: lo.Loss = lo.Dice()

    def views(self, pair):
        yield 1.0, pair
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


def plain(name: str, facts: str = "") -> str:
    return PLAIN.format(name=name, facts=facts)


def names(cards: tuple[lo.Card, ...]) -> list[str]:
    return [card.name for card in cards]


@pytest.mark.parametrize(
    ("text", "found", "expression"),
    [
        (HALF, ["HalfDice"], "HalfDice(share=0.25)"),
        (STEEP, ["Steep", "SteepDice"], "SteepDice() + 0.5 * Steep(power=2.0)"),
    ],
    ids=["overlap", "voxel and preset"],
)
def test_a_file_brings_its_losses(write: Write, text: str, found: list[str], expression: str) -> None:
    path = write(text)
    assert names(lo.load_losses(path)) == found == names(lo.load_losses(str(path)))
    loss = lo.parse(expression)
    assert repr(loss) == expression and repr(lo.parse(repr(loss))) == expression
    assert [lo.card(name).category for name in found] == ["custom"] * len(found)
    assert str(path) in page(lo.card(found[0]))
    logits, labels = torch.zeros(2, 3, 4, 4, requires_grad=True), torch.arange(32).reshape(2, 4, 4) % 3
    loss(logits, labels).backward()
    assert logits.grad is not None and float(logits.grad.abs().sum()) > 0


def test_formulas_of_the_file_are_what_is_computed(write: Write) -> None:
    lo.load_losses(write(HALF))
    lo.load_losses(write(STEEP, "other/mine.py"))
    logits, labels = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.arange(32).reshape(2, 4, 4) % 3
    assert float(lo.parse("HalfDice(share=1, smooth=0)")(logits, labels)) == pytest.approx(
        float(lo.Dice(smooth=0)(logits, labels))
    )
    assert float(lo.parse("Steep(power=1)")(logits, labels)) == pytest.approx(float(lo.CrossEntropy()(logits, labels)))
    assert repr(lo.parse("SD()")) == "SteepDice()" and repr(lo.parse("SteepTwo()")) == "Steep(power=2.0)"


# Python 3.10 calls a decorator on the line of what is decorated, newer ones on its own.
DECORATED = 3 if sys.version_info >= (3, 11) else 4


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (plain("Dice"), 4, "a loss 'Dice' exists already (lossodyssey.losses.region.dice)"),
        (plain("DiceCE"), 4, "a loss 'DiceCE' exists already"),
        (plain("CE"), 4, "a loss 'CE' exists already, as another name of CrossEntropy"),
        (plain("UnifiedFocal"), 4, "as another name of "),
        (plain("Ramp"), 4, "'Ramp' cannot be"),
        (plain("TwoPhase"), 4, "'TwoPhase' cannot be"),
        (plain("Mine", ", aliases=['Dice']"), 4, "the alias 'Dice' is the name of a loss"),
        (plain("Mine", ", aliases=['CE']"), 4, "the alias 'CE' is another name of CrossEntropy"),
        (plain("Mine", ", aliases=['Step']"), 4, "the alias 'Step' is a word"),
        (plain("Mine", ", aliases=['Mine']"), 4, "the alias 'Mine' is the name of a loss"),
        (f"{plain('Mine')}\n\n1 / 0\n", 9, "ZeroDivisionError: division by zero"),
        ("import lossodyssey\n\nimport no_such_package\n", 3, "ModuleNotFoundError: No module named 'no_such_package'"),
        ("import lossodyssey\n\nclass Mine:\n    def f(self) return 1\n", 4, "SyntaxError: "),
        ("import sys\n\nsys.exit(3)\n", 3, "SystemExit: 3"),
        (plain("Mine").replace("tp", "hits"), 4, "TypeError: Mine.formula asks for 'hits'"),
        (plain("Mine").replace("    def", "    share: float\n\n    def"), 4, "Mine.share has no default"),
        (
            "@lo.preset()\ndef Dice():\n    return lo.Jaccard()\n".replace("@", "import lossodyssey as lo\n\n@"),
            DECORATED,
            "exists",
        ),
    ],
)
def test_what_a_file_may_not_do_names_its_line(write: Write, text: str, line: int, problem: str) -> None:
    path = write(text)
    cards, aliases = dict(CARDS), {alias: list(claims) for alias, claims in ALIASES.items()}
    with pytest.raises(ValueError) as refusal:
        lo.load_losses(path)
    assert str(refusal.value).startswith(f"{path}:{line}: ") and problem in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert cards == CARDS and aliases == ALIASES, "what the file defined before its mistake is gone as well"


def test_a_file_without_a_loss_and_places_without_a_file_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty\.py: defines no loss; expected a class"):
        lo.load_losses(write("x = 1\n", "empty.py"))
    with pytest.raises(FileNotFoundError, match=r"absent\.py: no such file"):
        lo.load_losses(tmp_path / "absent.py")
    with pytest.raises(FileNotFoundError, match="no such file"):
        lo.load_losses(tmp_path)
    with pytest.raises(ValueError, match="no module named 'own_absent'"):
        lo.load_losses("own_absent")
    with pytest.raises(ValueError, match=r"no module named 'own_absent\.losses'"):
        lo.load_losses("own_absent.losses")
    with pytest.raises(ValueError, match="defines no loss"):
        lo.load_losses("json")


def test_a_file_named_without_its_ending_is_hinted_at(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(HALF, "own_here.py").parent)
    with pytest.raises(ValueError, match=r"its ending: own_here\.py"):
        lo.load_losses("own_here")


def test_files_of_one_name_do_not_clash_and_one_loss_in_two_files_is_refused(write: Write) -> None:
    first, second = write(plain("First"), "a/mine.py"), write(plain("Second"), "b/mine.py")
    assert names(lo.load_losses(first)) == ["First"] and names(lo.load_losses(second)) == ["Second"]
    again = write(f"# another file\n{plain('First')}", "c/mine.py")
    with pytest.raises(ValueError) as refusal:
        lo.load_losses(again)
    assert f"{again}:5: a loss 'First' exists already ({first})" in str(refusal.value)
    assert names(lo.load_losses(write(plain("First"), "copy/mine.py"))) == ["First"], "a copy is the same file"


def test_an_edited_file_replaces_its_losses_and_objects_go_on(write: Write) -> None:
    path = write(plain("Mine", ", aliases=['Other']"))
    lo.load_losses(path)
    old, logits, labels = lo.parse("Other()"), torch.zeros(1, 2, 4), torch.ones(1, 4, dtype=torch.long)
    path.write_text(path.read_text().replace("-tp", "-2 * tp").replace("Other", "Another"))
    lo.load_losses(path)
    assert float(lo.parse("Another()")(logits, labels)) == pytest.approx(2 * float(old(logits, labels)))
    assert repr(copy.deepcopy(old)) == "Mine()" and "Other" not in ALIASES
    path.write_text(path.read_text().replace("-2 * tp", "-tp").replace("Another", "Other"))
    lo.load_losses(path)
    assert float(lo.parse("Other()")(logits, labels)) == float(old(logits, labels))
    path.write_text("1 / 0\n")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        lo.load_losses(path)
    assert repr(lo.parse("Other()")) == "Mine()", "a broken edit leaves the last whole version"


@pytest.mark.parametrize("expression", ["HalfDice(share=0.25)", "Dice() + Ramp(1, 0.5) * HalfDice()"])
def test_losses_are_copied_and_pickled(write: Write, tmp_path: Path, expression: str) -> None:
    path = write(HALF)
    lo.load_losses(path)
    loss = lo.parse(expression)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(twin) == expression and twin is not loss
    (tmp_path / "loss.pkl").write_bytes(pickle.dumps(loss))
    path.unlink()
    code = f"import pickle; print(pickle.load(open({str(tmp_path / 'loss.pkl')!r}, 'rb')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == expression, done.stderr


@pytest.mark.parametrize("name", ["own_module", "own_package.inner"])
def test_modules_are_imported_by_name(write: Write, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = write(HALF, f"{name.replace('.', '/')}.py")
    if "." in name:
        write("", "own_package/__init__.py")
    monkeypatch.syspath_prepend(path.parents[name.count(".")])
    assert names(lo.load_losses(name)) == ["HalfDice"] == names(lo.load_losses(name))
    (source,) = sources_of(lo.parse("HalfDice()"))
    assert (source.name, source.module, source.content) == (name, name, path.read_bytes())
    del sys.modules[name], CARDS["HalfDice"]
    assert source.load().__name__ == name
    del sys.modules[name], CARDS["HalfDice"]
    path.write_text("1 / 0\n")
    assert source.load().__name__ != name and lo.card("HalfDice"), (
        "where the module is another now, the kept one counts"
    )


def test_a_broken_module_names_its_line(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(f"{HALF}\n\nundefined\n", "own_broken.py")
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(ValueError) as refusal:
        lo.load_losses("own_broken")
    assert str(refusal.value).startswith(f"{path}:{HALF.count(chr(10)) + 3}: NameError")
    assert "HalfDice" not in CARDS


@pytest.mark.parametrize(
    ("expression", "files"),
    [
        ("Dice() + CE()", []),
        ("HalfDice()", ["half.py"]),
        ("SteepDice()", ["steep.py"]),
        ("0.5 * HalfDice() + Steep() + Dice()", ["half.py", "steep.py"]),
    ],
)
def test_sources_are_those_of_what_the_expression_uses(write: Write, expression: str, files: list[str]) -> None:
    lo.load_losses(write(HALF, "half.py"))
    lo.load_losses(write(STEEP, "steep.py"))
    assert [source.name for source in sources_of(lo.parse(expression))] == files


def test_a_loss_inside_a_view_has_its_source(write: Write) -> None:
    lo.load_losses(write(HALF, "half.py"))
    lo.load_losses(write(VIEW, "view.py"))
    assert [source.name for source in sources_of(lo.parse("Twice(loss=HalfDice())"))] == ["half.py", "view.py"]
    assert [source.name for source in sources_of(lo.parse("Twice()"))] == ["view.py"]


def offer(folder: Path, text: str) -> None:
    """Make an installed package of a folder: metadata as pip leaves them."""
    metadata = folder / "own_offer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-offer\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{text}")


def test_installed_packages_are_asked_when_a_name_is_not_found(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(HALF, "own_half.py")
    write(STEEP, "own_steep.py")
    offer(tmp_path, "half = own_half\nsteep = own_steep:Steep\n")
    monkeypatch.syspath_prepend(tmp_path)
    lo.parse("Dice() + CE()")
    assert "own_half" not in sys.modules, "nothing is loaded that is not needed"
    assert repr(lo.parse("Dice() + SD()")) == "Dice() + SteepDice()"
    assert lo.card("HalfDice").build.__module__ == "own_half"


def test_an_entry_point_that_fails_is_named_and_breaks_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(HALF, "own_half.py")
    write(f"{plain('Early')}{plain('Dice')}", "own_taken.py")
    write("x = 1\n", "own_empty.py")
    offer(tmp_path, "a = own_absent\nb = own_taken\nc = own_empty\nd = own_half\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning) as heard:
        assert repr(lo.parse("HalfDice()")) == "HalfDice()"
    said = [str(warning.message) for warning in heard]
    assert len(said) == 3
    assert "entry point 'a' (own_absent) of own-offer gives no losses: ModuleNotFoundError" in said[0]
    assert "entry point 'b'" in said[1] and "'Dice' exists already" in said[1] and "defines no loss" in said[2]
    assert "Early" not in CARDS and CARDS["Dice"].category == "region"
    with warnings.catch_warnings(), pytest.raises(ValueError, match="unknown loss 'Earli'"):
        warnings.simplefilter("error")
        lo.parse("Earli()")


def test_the_variable_names_files(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    half, steep = write(HALF, "half.py"), write(STEEP, "steep.py")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(half), str(steep)]))
    assert repr(lo.parse("HalfDice() + Steep()")) == "HalfDice() + Steep()"
    monkeypatch.setenv(VARIABLE, str(half.with_name("absent.py")))
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"the variable {VARIABLE}: .*absent\.py: no such file"):
            lo.parse("Absent()")
    assert str(half) in TRIED

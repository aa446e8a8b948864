"""Many losses named at once: a category, all, or those of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import lossodyssey as lo
from lossodyssey.cli.choosing import chosen
from lossodyssey.data import Dataset, read_dataset, write_phantom

from .conftest import Call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=2)
    return read_dataset(folder)


def test_a_category_names_its_losses_and_gives_a_partner_to_those_that_need_one(data: Dataset) -> None:
    found = chosen(lambda: data, None, "boundary", None)
    names = {card.name for card in lo.atlas() if card.category == "boundary"}
    assert "DiceCE() + Boundary()" in found and "RegionWise()" in found
    assert {text.removeprefix("DiceCE() + ").removesuffix("()") for text in found} <= names


def test_what_cannot_be_trained_with_its_defaults_is_left_out_with_a_line(
    data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = chosen(lambda: replace(data, classes={0: "background", 1: "liver"}), None, "structure", None)
    said = capsys.readouterr().out
    assert "TopologicalInteraction is left out: it needs 3 classes with the background, and there are 2" in said
    assert not any("TopologicalInteraction" in text for text in found)
    assert len(found) + said.count(" is left out: ") == len([c for c in lo.atlas() if c.category == "structure"])


def test_texts_and_a_file_are_joined(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# two of mine\nDice()  # plain\n\nmine = 0.5 * Dice() + Focal()\n")
    found = chosen(lambda: data, ["TopK()"], "", tmp_path / "mine.txt")
    assert found == ["TopK()", "Dice()", "mine = 0.5 * Dice() + Focal()"]


def test_nothing_and_an_unknown_category_and_an_empty_file_are_refused(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"--losses: .* has no loss"):
        chosen(lambda: data, None, "", tmp_path / "none.txt")
    with pytest.raises(ValueError, match="--loss: none is named"):
        chosen(lambda: data, None, "", None)
    with pytest.raises(ValueError, match=r"--category is 'edges'; expected one of .*boundary"):
        chosen(lambda: data, None, "edges", None)


def test_the_version_is_printed(call: Call) -> None:
    code, output, _ = call("--version")
    assert code == 0 and output == f"lossodyssey {lo.__version__}\n"


def test_names_of_losses_are_whole_in_the_list(call: Call) -> None:
    _, output, _ = call("list")
    assert all(f" {card.name} " in output for card in lo.atlas()) and "…" not in output

"""The losses that the page of own losses shows are whole, and its table lists the properties that are computed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lossodyssey as lo
from lossodyssey.core.checks import PROPERTIES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own_losses.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.usefixtures("own_atlas")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_loss_of_the_page_has_every_property(tmp_path: Path, number: int) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BLOCKS[number], encoding="utf-8")
    (card,) = lo.load_losses(path)
    assert card.summary.endswith(".")
    findings = lo.check_loss(card())
    assert all(finding.holds for finding in findings), findings


def test_the_page_shows_a_loss_of_four_bases_and_lists_the_properties() -> None:
    bases = re.findall(r"^class \w+\(lo\.(\w+)", "\n".join(BLOCKS), re.MULTILINE)
    assert sorted(bases) == ["GridLoss", "OverlapLoss", "ViewLoss", "VoxelLoss"]
    assert set(re.findall(r"^\| (\w+) \|", PAGE, re.MULTILINE)) - {"base", "property"} == set(PROPERTIES)

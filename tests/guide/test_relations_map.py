"""The map shows every loss once, and every relation of the table; the relations themselves are held elsewhere."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import lossodyssey as lo
from lossodyssey.guide.relations import drawn, presets, relations
from lossodyssey.guide.relations_map import relations_map

LOSSES = Path(__file__).resolve().parents[2] / "docs" / "losses"
MAP = ElementTree.fromstring(relations_map())


def test_every_loss_is_there_once_and_leads_to_its_page() -> None:
    links = [link.get("href", "") for link in MAP.iter("a")]
    assert sorted(links) == sorted(f"losses/{card.name}.html" for card in drawn())
    assert all((LOSSES / Path(link).name).with_suffix(".md").is_file() for link in links)


def test_every_relation_of_two_losses_is_a_line() -> None:
    lines = {
        tuple(re.findall(r"e-(\w+)", path.get("class", "")))
        for path in MAP.iter("path")
        if path.find("title") is not None
    }
    expected = {(left, right) for each in relations() for left, rights in [each.ends] for right in rights}
    assert lines == {ends for ends in expected if ends[0] != ends[1]}


def test_no_two_losses_cover_each_other() -> None:
    boxes = [(float(box.get("x", 0)), float(box.get("y", 0)), float(box.get("height", 0))) for box in MAP.iter("rect")]
    for x in {box[0] for box in boxes}:
        heights = sorted((y, high) for other, y, high in boxes if other == x)
        assert all(y + high < after for (y, high), (after, _) in pairwise(heights))


def test_a_preset_is_related_to_each_of_its_parts() -> None:
    found = {relation.left: relation.ends[1] for relation in presets()}
    assert found["DiceTopK()"] == ("Dice", "TopK")
    assert set(found) == {f"{card.name}()" for card in lo.atlas() if card.preset and card.category != "as_released"}

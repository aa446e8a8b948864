"""The papers behind losses."""

from __future__ import annotations

import pytest

from lossodyssey.core.atlas import Card, atlas
from lossodyssey.guide.cite import bibtex, keys_of


def test_a_preset_is_cited_before_its_parts_and_each_paper_once() -> None:
    assert keys_of("DiceTopK(batch=True)") == ["brugnara2020", "drozdzal2016", "wu2016"]
    text = bibtex(["DiceTopK", "Dice() + Boundary()"])
    keys = [line.partition("{")[2].rstrip(",") for line in text.splitlines() if line.startswith("@")]
    assert keys == ["brugnara2020", "drozdzal2016", "wu2016", "kervadec2019"]
    assert text.endswith("}\n") and "author" in text


def test_names_of_models_have_no_paper_and_unknown_losses_are_refused() -> None:
    assert keys_of("SwinUNETR 2") == []
    with pytest.raises(ValueError, match="Dicee"):
        bibtex(["Dicee"])


@pytest.mark.parametrize("card", [card for card in atlas() if card.paper], ids=lambda card: card.name)
def test_every_paper_of_the_atlas_has_an_entry(card: Card) -> None:
    assert f"{{{card.paper}," in bibtex([card.name])

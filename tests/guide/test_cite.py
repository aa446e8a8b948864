"""The papers behind losses."""

from __future__ import annotations

import pytest

import lossodyssey as lo
from lossodyssey.core.atlas import CARDS, Card, atlas
from lossodyssey.guide.cite import bibtex, keys_of, references
from lossodyssey.report import RunSummary


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


def test_a_page_cites_what_the_runs_say_a_name_stands_for_and_what_networks_began_with() -> None:
    runs = [
        RunSummary("mine", "A", 0, expression="DiceTopK()"),
        RunSummary("Focal()", "A", 0, expression="Focal()", purpose="start"),
        RunSummary("of another table", "A", 0, expression="Boundary()"),
    ]
    found = references(["mine", "Tversky() after Lovasz()"], runs)
    assert [text.split(" ")[0] for text in found] == ["Brugnara", "Drozdzal", "Wu", "Salehi", "Berman", "Lin"]


def test_the_paper_of_a_loss_of_ones_own_is_cited_as_it_is_said() -> None:
    class Cited(lo.Dice, paper="Doe and Roe 2026"):
        """Dice of nobody else."""

    try:
        assert references(["Cited()"])[0] == "Doe and Roe 2026"
        assert bibtex(["Cited"]).startswith("@misc{doeandroe2026,\n  note = {Doe and Roe 2026},\n}\n")
    finally:
        CARDS.pop("Cited")

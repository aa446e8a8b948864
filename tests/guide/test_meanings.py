"""Every hyper-parameter of the atlas says what it means, and the table holds nothing that no loss has."""

from __future__ import annotations

import pytest

import lossodyssey as lo
from lossodyssey.guide.meanings import Meaning, meaning, owners, sentence, table
from lossodyssey.guide.pages import hyper_parameters

CARDS = [card for card in lo.atlas() if card.category != "custom"]


def test_every_hyper_parameter_has_a_meaning() -> None:
    silent = [
        f"{card.name}.{field.name}" for card in CARDS for field in card.fields if not meaning(card, field.name).text
    ]
    assert silent == [], "add a line to guide/meanings.csv, or name it between backticks in the docstring"


def test_every_line_of_the_table_serves_a_loss() -> None:
    served = {(owner, field.name) for card in CARDS for field in card.fields for owner in owners(card)}
    assert set(table()) - served == set()


def test_the_nearest_line_holds() -> None:
    assert meaning(lo.card("Tversky"), "alpha").text == "weight of false positives"
    assert meaning(lo.card("AsymmetricSimilarity"), "beta").text.startswith("of the F-beta score")
    assert meaning(lo.card("DiceTopK"), "percent") == meaning(lo.card("TopK"), "percent")
    assert meaning(lo.card("ContourDice"), "tolerance").unit == "mm or voxels"
    assert meaning(lo.card("ContourDice"), "batch") == meaning(lo.card("Dice"), "batch")


@pytest.mark.usefixtures("own_atlas")
def test_a_loss_of_ones_own_is_told_by_its_docstring() -> None:
    class Shifted(lo.VoxelLoss):
        """Shifted: a loss. The `shift` is taken from the logarithm; `power` is something else."""

        shift: lo.NonNegative = 0.5
        power: lo.NonNegative = 2.0

        def formula(self, log_p, labels):  # type: ignore[no-untyped-def]
            return (self.shift - log_p) ** self.power

    card = lo.card("Shifted")
    assert meaning(card, "shift") == Meaning("The `shift` is taken from the logarithm;")
    assert (
        "| `shift` | The `shift` is taken from the logarithm; | - | number in [0, inf) | `0.5` |"
        in hyper_parameters(card)
    )
    assert sentence(card.doc, "absent") == ""

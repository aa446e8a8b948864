"""The atlas and its typing surface."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossodyssey as lo
from lossodyssey.core.atlas import papers
from lossodyssey.guide.pages import page

CARDS = [card for card in lo.atlas() if card.category != "custom"]
LOSSES = Path(lo.losses.__file__).parent  # type: ignore[attr-defined]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_is_complete(card: lo.Card) -> None:
    assert card.summary.endswith(".") and len(card.summary) < 200
    assert card.paper in papers()
    assert card.range[0] < card.range[1]
    assert getattr(lo, card.name) is card.build
    assert card.name in page(card) and papers()[card.paper]["year"] in page(card)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'Tversky'"):
        lo.card("tverski")

"""A measure has one card: the listed one, or its own."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from lossodyssey.cards import CARDS, Card
from lossodyssey.metrics.masks import MaskPair
from lossodyssey.metrics.measure import MEASURES, measure, table_facts


@pytest.fixture
def unlisted() -> Iterator[str]:
    yield "my_gap"
    MEASURES.pop("my_gap", None)


def constant(pair: MaskPair) -> float:
    return 1.0


def test_a_measure_that_is_not_listed_brings_its_card_and_the_table_says_its_direction(unlisted: str) -> None:
    made = measure(unlisted, card=Card("lower", "mm"))(constant)
    assert (made.better, made.unit, made.range) == ("lower", "mm", (0.0, math.inf))
    assert table_facts(f"{unlisted}@2", 30.0) == {"greatest": 30.0, "better": "lower"}


@pytest.mark.parametrize("metric, greatest", [("HD95", 30.0), ("DSC", math.nan), ("NSD@2", math.nan)])
def test_the_table_needs_no_direction_of_a_listed_measure(metric: str, greatest: float) -> None:
    facts = table_facts(metric, 30.0)
    assert facts["better"] == ""
    assert facts["greatest"] == pytest.approx(greatest, nan_ok=True)


@pytest.mark.parametrize("name, card", [("my_gap", None), ("DSC", CARDS["DSC"])])
def test_both_cards_or_none_are_refused(name: str, card: Card | None) -> None:
    with pytest.raises(ValueError, match=f"measure '{name}': expected .*card="):
        measure(name, card=card)

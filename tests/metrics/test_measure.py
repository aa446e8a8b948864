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
    assert table_facts(f"{unlisted}@2", 30.0, True) == {"greatest": 30.0, "better": "lower", "lengths": "mm"}


@pytest.mark.parametrize(
    "metric, greatest, lengths",
    [("HD95", 30.0, "px"), ("DSC", math.nan, ""), ("NSD@2", math.nan, ""), ("volume_error", math.nan, "px")],
)
def test_the_table_needs_no_direction_of_a_listed_measure(metric: str, greatest: float, lengths: str) -> None:
    facts = table_facts(metric, 30.0, False)
    assert (facts["better"], facts["lengths"]) == ("", lengths)
    assert facts["greatest"] == pytest.approx(greatest, nan_ok=True)


@pytest.mark.parametrize("name, card", [("my_gap", None), ("DSC", CARDS["DSC"])])
def test_both_cards_or_none_are_refused(name: str, card: Card | None) -> None:
    with pytest.raises(ValueError, match=f"measure '{name}': expected .*card="):
        measure(name, card=card)

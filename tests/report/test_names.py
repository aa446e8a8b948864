from __future__ import annotations

import pytest

from lossodyssey.report.names import LONGEST, short_names, shortened


def test_short_texts_stay_and_long_ones_get_their_place() -> None:
    long = "Dice(smooth=1.0) + 0.5 * Focal(gamma=2.0) + TopK(percent=10.0)"
    names = short_names(["DiceTopK()", long])
    assert names["DiceTopK()"] == "DiceTopK()"
    assert names[long].startswith("L2 Dice(smooth=1.0) + 0.5") and names[long].endswith("…")
    assert shortened(names.items()) == [(names[long], long)]


@pytest.mark.parametrize("texts", [[f"{'x' * 80}{i}" for i in range(40)], ["a  b", "a b", "a\nb"], ["", " "]])
def test_names_are_short_and_unlike_each_other(texts: list[str]) -> None:
    names = list(short_names(texts).values())
    assert len(set(names)) == len(texts)
    assert all(0 < len(name) <= LONGEST and "\n" not in name for name in names)

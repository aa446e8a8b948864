"""Every measure that this package computes can be ranked, or is signed and refused."""

from __future__ import annotations

import pytest

from lossodyssey.metrics import MEASURES
from lossodyssey.ranking.measures import measure

SIGNED = {"volume_error", "relative_volume_error"}


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_points_the_same_way_for_scoring_and_ranking(name: str) -> None:
    if name in SIGNED:
        with pytest.raises(ValueError, match="which way it points"):
            measure(name)
    else:
        assert measure(name).higher_is_better == (MEASURES[name].better == "higher")

"""Which way metrics point: known names in people's spellings, and no guess about any other."""

from __future__ import annotations

import math

import pytest

from lossodyssey.cards import CARDS
from lossodyssey.metrics import MEASURES
from lossodyssey.ranking.measures import measure, measures
from lossodyssey.table import Row


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_points_the_same_way_for_scoring_and_ranking(name: str) -> None:
    assert MEASURES[name].card is CARDS[name]
    assert measure(name).higher_is_better == (MEASURES[name].better == "higher")
    assert measure(name).signed == (MEASURES[name].better == "nearer 0")


@pytest.mark.parametrize(
    "name, like",
    [
        ("dice", "DSC"), ("Dice Score", "DSC"), ("DICE_COEFFICIENT", "DSC"), ("DSC (%)", "DSC"), ("dsc [%]", "DSC"),
        ("Jaccard", "IoU"), ("NSD@2", "NSD"), ("nsd_2mm", "NSD"), ("NSD (1.5 mm)", "NSD"), ("Surface Dice", "NSD"),
        ("Normalized Surface Distance", "NSD"), ("HD95_voxel", "HD95"), ("hd 95", "HD95"), ("Hausdorff-95", "HD95"),
        ("HD95%", "HD95"), ("95% HD", "HD95"), ("HD95 (mm)", "HD95"), ("hd95_mm", "HD95"), ("ASSD [mm]", "ASSD"),
        ("Sensitivity", "recall"), ("RAVD", "relative_volume_error"),
    ],
)  # fmt: skip
def test_usual_spellings_are_known(name: str, like: str) -> None:
    assert measure(name) == measure(like)


@pytest.mark.parametrize(
    "name",
    [
        "dice_loss",
        "IoU_std",
        "precision_drop",
        "DSC_error",
        "HD95_rank",
        "1-DSC",
        "dice_ET",
        "delta NSD",
        "loss",
        "",
        "mm",
    ],
)
def test_what_only_begins_like_a_known_name_is_asked_about(name: str) -> None:
    with pytest.raises(ValueError, match=r"--higher .* --lower"):
        measure(name)
    assert measure(name, {name: True}).higher_is_better
    assert not measure(name, {name: False}).higher_is_better


def test_the_question_quotes_names_for_the_shell_and_offers_a_near_one() -> None:
    with pytest.raises(ValueError, match=r"--higher 'my score'"):
        measure("my score")
    with pytest.raises(ValueError, match="if it is DSC, call it so"):
        measure("Dice cooefficient")


@pytest.mark.parametrize(
    "name, clear, share", [("DSC", 0.1, True), ("HD95", 10, False), ("ECE", 0.1, False), ("betti_error", 2, False)]
)
def test_a_clear_amount_and_whether_it_is_a_share(name: str, clear: float, share: bool) -> None:
    assert (measure(name).clear, measure(name).is_share) == (clear, share)
    assert math.isnan(measure("mine", {"mine": True}).clear)


def test_a_column_of_the_table_says_what_a_name_does_not() -> None:
    rows = [Row("a", "A", 0, 0, "1", "x", "mine", 1.0, better=better) for better in ("lower", "")]
    assert not measures(rows, ["mine"])["mine"].higher_is_better
    assert measures(rows, ["mine"], {"mine": True})["mine"].higher_is_better
    wrong = [Row("a", "A", 0, 0, "1", "x", "mine", 1.0, better=better) for better in ("lower", "higher")]
    for table in (wrong, [Row("a", "A", 0, 0, "1", "x", "mine", 1.0, better="bigger")]):
        with pytest.raises(ValueError, match="column better holds"):
            measures(table, ["mine"])

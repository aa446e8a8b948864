"""The microscope shows what a loss computes, for every loss of the atlas, in files that need nothing else."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import lossodyssey as lo
from lossodyssey.guide.look.scenes import SIDE, scenes, shifted_disc
from lossodyssey.guide.look.sight import Look, is_scheduled, look, maps, pulled, region_wise

pytest.importorskip("matplotlib", reason="the pictures need matplotlib")

from lossodyssey.guide.look.embedded import embedded
from lossodyssey.guide.look.figure import NARROW, figure, one_scene
from lossodyssey.guide.look.page import dragged, page
from lossodyssey.guide.look.sheet import without_single
from lossodyssey.report.figures import style

CARDS = [card for card in lo.atlas() if card.category != "custom"]
SMOOTH = ("Dice()", "CrossEntropy()", "Boundary()", "RegionWise()", "Jaccard()", "MumfordShah()", "DiceCE()")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_loss_can_be_looked_at(card: lo.Card) -> None:
    seen = look(card())
    assert len(seen.values) == len(seen.gradients) == 25
    assert [pull.pull.shape for pull in seen.pulls] == [(SIDE, SIDE)] * 5
    released = card.category == "as_released"
    assert released or all(np.isfinite(pull.pull).all() and np.isfinite(pull.value) for pull in seen.pulls)
    assert released or any(pull.most for pull in seen.pulls), "a loss that pulls at nothing shows nothing"
    assert {made.name.partition("[")[0] for made in seen.maps} >= pictured(card)
    text = embedded(figure([seen], columns=NARROW, predictions=False), card.name, card.name)
    drawn = ElementTree.fromstring(text)
    # The five pulls, and two scenes for each map.
    assert len(drawn.findall(".//{*}image")) == 5 + 2 * len(seen.maps)
    assert len(text) < 40_000


def pictured(card: lo.Card) -> set[str]:
    """The names of the maps that a loss asks for, which are more than a number per class."""
    return {name for name in card.needs if name != "class_frequency"}


@pytest.mark.parametrize("text", SMOOTH)
def test_the_pull_is_the_way_down(text: str) -> None:
    loss, scene = lo.parse(text), shifted_disc(3)
    pull = pulled(loss, scene)
    step = 1e-3 / pull.most * torch.from_numpy(pull.pull)
    moved = type(scene)("", "", scene.labels, scene.logits + torch.stack([-step, step]))
    # To first order the value falls by twice the step times the squared pull: two logits move, in opposite ways.
    fall = 2 * float((step * torch.from_numpy(pull.pull)).sum())
    assert pulled(loss, moved).value - pull.value == pytest.approx(-fall, rel=0.05)


def test_the_pull_of_cross_entropy_is_truth_minus_probability() -> None:
    for scene in scenes():
        expected = (scene.truth.double() - scene.probability) / SIDE**2
        np.testing.assert_allclose(pulled(lo.CrossEntropy(), scene).pull, expected, atol=1e-12)


def test_scenes_are_wrong_in_the_way_they_say() -> None:
    wrong = {scene.name: (scene.probability > 0.5) != scene.truth for scene in scenes()}
    assert list(wrong) == ["shifted disc", "missed lesion", "broken vessel", "merged cells", "speckle"]
    assert all(10 <= int(errors.sum()) <= 150 for errors in wrong.values())
    assert not any(scene.truth.all() or not scene.truth.any() for scene in scenes())


def test_losses_about_pairs_of_classes_see_layers() -> None:
    for loss in (lo.NonAdjacency(), lo.TopologicalInteraction()):
        seen = look(loss)
        assert seen.pulls[-1].scene.name == "breached layer" and seen.pulls[-1].most
        assert seen.silent == ("shifted disc", "missed lesion", "broken vessel", "merged cells")


def test_schedules_are_moved_in_a_copy() -> None:
    loss = lo.DiceBoundary()
    early, late = look(loss, 0.0), look(loss, 1.0)
    assert is_scheduled(loss) and not is_scheduled(lo.DiceCE())
    assert early.text == "DiceBoundary(), at 0% of the training" and look(lo.DiceCE()).text == "DiceCE()"
    assert early.values == pytest.approx(look(lo.Dice()).values)
    ends = lo.parse("0.01 * Dice() + 0.99 * Boundary()")
    assert late.values == pytest.approx(look(ends).values)
    assert float(loss.get_buffer("progress")) == 0


def test_class_weights_by_frequency_are_those_of_the_scene() -> None:
    scene = scenes()[1]
    counts = lo.count_classes([scene.labels], 2)
    told = lo.with_class_weights(lo.parse("WCE()"), counts)
    np.testing.assert_allclose(pulled(lo.parse("WCE()"), scene).pull, pulled(told, scene).pull)


def test_region_wise_maps_are_those_of_the_other_losses() -> None:
    seen = scenes()
    shown = maps(lo.RegionWise(), seen)
    assert [made.name for made in shown] == ["rectified", "1 - 2 g", "d (1 - 2 g)", "phi[zero=none]"]
    assert "rectified" not in [made.name for made in region_wise(seen)]
    others = ("HausdorffDT(alpha=1, one_sided=True, square=False)", "Boundary(zero='none')")
    for made, text in zip(shown[2:], others, strict=True):
        for scene, values in zip(seen, made.values, strict=True):
            s = scene.probability.numpy()
            # dL/dz = (map / N) s (1 - s) where the loss is the mean of s times the map.
            expected = -values * s * (1 - s) / SIDE**2
            np.testing.assert_allclose(pulled(lo.parse(text), scene).pull, expected, atol=1e-9)


def test_single_pixels_have_no_outline() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1, 1] = mask[0, 5] = mask[3:, 3:] = True
    mask[4, 4] = False
    expected = np.zeros((6, 6), bool)
    expected[3:, 3:] = True
    np.testing.assert_array_equal(without_single(mask), expected)


def both() -> list[Look]:
    return [look(lo.Dice()), look(lo.Boundary())]


def test_equal_looks_give_equal_files() -> None:
    first, second = (style.save(figure(both()), "look") for _ in range(2))
    assert first == second and set(first) == {"look.png", "look.svg", "look.pdf"}
    assert "<b>Dice" not in first["look.svg"].decode() and "Boundary()" in first["look.svg"].decode()


def test_one_scene_is_compared_under_the_names_of_losses() -> None:
    scene = scenes()[1]
    drawn = style.svg(one_scene({"Dice()": pulled(lo.Dice(), scene), "<Focal()>": pulled(lo.Focal(), scene)}), "k", "t")
    assert "&lt;Focal()&gt;" in drawn and drawn.count("<image") == 2


def test_the_page_is_whole_and_holds_the_numbers() -> None:
    seen = [look(lo.Dice()), look(lo.ReleasedTopKThreshold())]
    text = page("Dice & <others>", figure(seen, columns=NARROW), "caption", dragged(seen))
    assert "Dice &amp; &lt;others&gt;" in text and "<others>" not in text
    # It asks nothing of the network: every address is a part of the file.
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    dice, nothing = data["losses"]
    assert dice["values"] == pytest.approx(seen[0].values, rel=1e-5)
    assert dice["shifts"][5]["value"] == pytest.approx(seen[0].pulls[0].value, rel=1e-5)
    assert [shift["value"] for shift in dice["shifts"]] == sorted(shift["value"] for shift in dice["shifts"])
    assert None in nothing["values"], "what is not a number is told as such"

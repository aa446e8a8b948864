"""A hyper-parameter that follows the Dice scores of validation data."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossodyssey as lo

TEXT = "Dice() + TvMFDice(kappa=FromDice(32))"


def batch(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 6, 7, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, 6, 7), generator=generator)


def value(kappa: Any, dice: Any = None, **fields: Any) -> float:
    loss = lo.TvMFDice(kappa=kappa, **fields)
    if dice is not None:
        lo.observe(loss, dice=dice)
    return loss(*batch()).item()


def test_each_class_has_its_score_times_the_most() -> None:
    assert value(lo.FromDice(32), 0) == value(0.0)
    assert value(lo.FromDice(32), [0.25, 0.5]) == value((8.0, 16.0))
    assert value(lo.FromDice(32), torch.tensor([0.25, 0.5])) == value((8.0, 16.0))


def test_the_background_has_the_mean_of_the_others_or_a_score_of_its_own() -> None:
    assert value(lo.FromDice(32), [0.25, 0.5], background=True) == value((12.0, 8.0, 16.0), background=True)
    assert value(lo.FromDice(32), [1.0, 0.25, 0.5], background=True) == value((32.0, 8.0, 16.0), background=True)


def test_a_class_without_a_score_keeps_its_last_one() -> None:
    loss = lo.parse(TEXT)
    for scores in (0, [0.5, math.nan], [math.nan, 0.25]):
        lo.observe(loss, dice=scores)
    assert loss(*batch()) == (lo.Dice() + lo.TvMFDice(kappa=(16.0, 8.0)))(*batch())


def test_it_is_text_like_every_other_value() -> None:
    for text in (TEXT, "TvMFDice(kappa=FromDice(0.5), power=1)", "Marginal(loss=TvMFDice(kappa=FromDice(8)))"):
        assert repr(lo.parse(text)) == text
    for text in ("FromDice(32)", "FromDice(32) * Dice()", "Dice(smooth=FromDice(1))", "TvMFDice(kappa=FromDice(0))"):
        with pytest.raises(ValueError, match="expected"):
            lo.parse(text)


def test_a_loss_that_was_told_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"FromDice\(32\) follows .* was told none: call observe\(loss, dice=0\)"):
        lo.parse(TEXT)(*batch())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.5, 0], "expected a number in 0..1"),
        ([[0.5]], "expected a number in 0..1"),
        ([], "expected a number in 0..1"),
        ([0.1, 0.2, 0.3], "was told 2 Dice scores before, and now 3"),
    ],
    ids=str,
)
def test_scores_that_are_none_are_refused(scores: Any, message: str) -> None:
    loss = lo.parse(TEXT)
    lo.observe(loss, dice=[0.5, 0.5])
    with pytest.raises(ValueError, match=message):
        lo.observe(loss, dice=scores)
    lo.observe(lo.DiceCE(), dice=0.5)


def test_scores_of_other_classes_than_those_that_count_are_refused() -> None:
    with pytest.raises(ValueError, match="was told 4 Dice scores, but 2 classes count"):
        value(lo.FromDice(32), [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("scores", [0, [0.5, 0.25]], ids=str)
def test_a_checkpoint_keeps_the_last_scores(scores: Any) -> None:
    module = nn.ModuleList([lo.Criterion(TEXT), lo.DiceHausdorff()])
    lo.observe(module, dice=scores)
    file = io.BytesIO()
    torch.save(lo.schedule_state(module), file)
    file.seek(0)
    again = nn.ModuleList([lo.Criterion(TEXT), lo.DiceHausdorff()])
    lo.load_schedule_state(again, torch.load(file, weights_only=True))
    assert again[0](*batch()) == module[0](*batch()) and module.state_dict() == {}


def test_check_loss_tells_a_copy() -> None:
    loss = lo.parse(TEXT)
    findings = lo.check_loss(loss)
    assert all(finding.holds for finding in findings if finding.name != "least"), findings
    with pytest.raises(ValueError, match="was told none"):
        loss(*batch())

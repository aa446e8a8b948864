"""Presets keep their name, take the hyper-parameters of their parts, and compute what their parts compute."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels
from lossodyssey.core.atlas import CARDS
from lossodyssey.core.loss import written_out
from lossodyssey.core.presets import preset
from lossodyssey.core.text import meaning
from lossodyssey.guide.pages import page

PRESETS = [card for card in lo.atlas() if card.preset and card.category != "custom"]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, 7, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 3, (2, 6, 7), generator=generator)


@pytest.mark.parametrize("card", PRESETS, ids=lambda card: card.name)
def test_a_preset_prints_as_itself_and_computes_its_sum(card: lo.Card) -> None:
    loss = card()
    assert repr(loss) == f"{card.name}()"
    assert written_out(loss) == card.same_as
    apart = lo.parse(card.same_as)
    torch.testing.assert_close(loss(*batch()), apart(*batch()), rtol=1e-12, atol=0, equal_nan=True)
    assert meaning(loss) == meaning(apart)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("DiceFocal(gamma=3)", "DiceFocal(gamma=3.0)"),
        ("DiceFocal(gamma=2, dice=1)", "DiceFocal()"),
        ("0.5 * DiceTopK()", "0.5 * DiceTopK()"),
        ("DiceTopK() + Boundary()", "DiceTopK() + Boundary()"),
        ("2 * (DiceCE() + 0.5 * Focal())", "2 * DiceCE() + Focal()"),
        ("Ramp(0, 1) * DiceTopK() + Dice()", "Ramp(0, 1) * DiceTopK() + Dice()"),
        ("DiceCE(ce=Ramp(0, 1))", "DiceCE(ce=Ramp(0, 1))"),
        ("DiceBoundary(alpha=0.5)", "DiceBoundary(alpha=0.5)"),
        ("TwoPhase(DiceCE(), DiceTopK())", "Step(1, 0, 0.5) * DiceCE() + Step(0, 1, 0.5) * DiceTopK()"),
        ("Dice() + TopK()", "Dice() + TopK()"),
        ("AsymmetricUnifiedFocal(region_weight=None)", "AsymmetricUnifiedFocal(region_weight=None)"),
        ("DiceCE(class_weights=[1, 2, 2], batch=True)", "DiceCE(batch=True, class_weights=(1.0, 2.0, 2.0))"),
        ("DiceCenterline(smooth=1)", "DiceCenterline(smooth=1.0)"),
        ("-0.5 * DiceCE() + 2 * Dice()", "-0.5 * DiceCE() + 2 * Dice()"),
    ],
)
def test_text_keeps_the_structure_and_gives_the_loss_back(text: str, canonical: str) -> None:
    loss = lo.parse(text)
    again = lo.parse(repr(loss))
    assert repr(loss) == repr(again) == canonical
    assert written_out(again) == written_out(loss)
    assert all(isinstance(leaf, lo.Loss) and not isinstance(leaf, lo.Sum) for _, leaf in loss.terms)


def test_a_sum_with_presets_makes_one_pass_over_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    run_pass = kernels.run_pass
    monkeypatch.setattr(kernels, "run_pass", lambda *given: passes.append(1) or run_pass(*given))
    lo.parse("0.5 * DiceTopK() + DiceFocal() + CrossEntropy()")(*batch())
    assert passes == [1]


@pytest.mark.parametrize(
    ("loss", "changes", "text"),
    [
        (lo.DiceCE(), {"batch": True}, "DiceCE(batch=True)"),
        (lo.DiceFocal(gamma=3), {"gamma": 1, "smooth": 1}, "DiceFocal(gamma=1.0, smooth=1.0)"),
        (lo.DiceCE(batch=True), {"batch": False}, "DiceCE()"),
        (lo.DiceTopK() + lo.Tversky(), {"batch": True}, "DiceTopK(batch=True) + Tversky(batch=True)"),
        (lo.Combo(), {"delta": 0.3}, "0.5 * SymmetricFocal(delta=0.3, gamma=0.0) + 0.5 * Dice(batch=True, smooth=1.0)"),
        (
            lo.Combo() + lo.Dice(),
            {"gamma": 1, "batch": True},
            "0.5 * SymmetricFocal(delta=0.5, gamma=1.0) + 0.5 * Dice(batch=True, smooth=1.0) + Dice(batch=True)",
        ),
    ],
)
def test_but_keeps_the_name_where_the_preset_can_say_the_change(
    loss: lo.Loss, changes: dict[str, object], text: str
) -> None:
    before = repr(loss)
    changed = loss.but(**changes)
    assert repr(changed) == text
    assert written_out(lo.parse(text)) == written_out(changed)
    assert repr(loss) == before


def test_but_agrees_with_the_keyword_and_refuses_what_no_part_has() -> None:
    wanted = {"batch", "background", "absent"}
    overlapping = [card for card in PRESETS if wanted <= {field.name for field in card.fields if field.of_parts}]
    assert len(overlapping) > 8
    for card in overlapping:
        for field in sorted(wanted):
            value = "skip" if field == "absent" else True
            assert repr(card().but(**{field: value})) == repr(card(**{field: value}))
        with pytest.raises(ValueError, match="has no hyper-parameter 'bach', did you mean 'batch'"):
            card().but(bach=True)


def test_keywords_reach_every_part_that_has_them() -> None:
    loss = lo.DiceCE(batch=True, background=True, smooth=1, class_weights=(1, 2, 2))
    parts = "Dice(background=True, batch=True, smooth=1.0, class_weights=(1.0, 2.0, 2.0))"
    assert written_out(loss) == f"{parts} + CrossEntropy(class_weights=(1.0, 2.0, 2.0))"
    assert repr(lo.DiceTopK(batch=True, background=False)) == "DiceTopK(batch=True)"
    assert "Boundary(zero='none', background=True)" in written_out(lo.DiceBoundary(background=True, zero="none"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DiceTopK(gamma=1)", "DiceTopK has no hyper-parameter 'gamma'"),
        ("DiceTopK(bach=True)", "did you mean 'batch'"),
        ("DiceCE(batch=1)", "Dice.batch is 1, expected True or False"),
        ("DiceCE(smooth=-1)", "Dice.smooth is -1.0, expected a number in"),
        ("DiceFocal(gamma='two')", "DiceFocal.gamma is 'two', expected number"),
        ("DiceCE(ce=True)", "DiceCE.ce is True"),
        ("Combo(alpha=1.5)", r"Combo.alpha is 1.5, expected a number in \[0, 1\]"),
        ("Combo(gamma=1)", "Combo has no hyper-parameter 'gamma'"),
        ("DiceHausdorff(square=False)", "DiceHausdorff has no hyper-parameter 'square'"),
        ("DiceBoundary(alpha=0.5, over=0.1)", "alpha=0.5 is constant"),
        ("SymmetricUnifiedFocal(region_weight=0, smooth=1)", "has no hyper-parameter 'smooth'"),
        ("DiceCE(ce=0, normalization='weights')", "has no hyper-parameter 'normalization'"),
    ],
)
def test_keywords_are_checked(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)


def test_what_an_argument_of_the_preset_means_stays() -> None:
    assert written_out(lo.DiceFocal(gamma=3)) == "Dice() + Focal(gamma=3.0)"
    weighted = lo.ExponentialLogarithmic(class_weights=(1, 2))
    assert written_out(weighted) == "0.8 * LogarithmicDice() + 0.2 * ExponentialCE(class_weights=(1.0, 2.0))"
    assert repr(lo.DiceFocal(0.5, 1.0)) == "DiceFocal(dice=0.5)"


def test_keywords_are_documented_and_in_the_signature() -> None:
    text = page(lo.card("DiceTopK"))
    assert "| `batch` | one unit for the whole batch" in text and "| True or False | `False` |" in text
    assert "Handed to every part that has them: `square`, `background`, `batch`" in text
    assert "In full `Dice() + TopK()`, where" in text
    assert "`1e-05 in Dice, 1.0 in CenterlineDice`" in page(lo.card("DiceCenterline"))
    assert inspect.signature(lo.DiceTopK).parameters["batch"].default is False


def test_a_preset_of_the_user_has_all_this_too() -> None:
    def DiceLovasz(dice: float = 0.5) -> lo.Sum:
        """Dice plus Lovasz."""
        return dice * lo.Dice() + lo.Lovasz()

    try:
        build = preset()(DiceLovasz)
        assert repr(build(dice=1, batch=False)) == "DiceLovasz(dice=1.0, batch=False)"
        assert repr(lo.parse("DiceLovasz(classes='all')")) == "DiceLovasz(classes='all')"
        assert written_out(build(batch=True)) == "0.5 * Dice(batch=True) + Lovasz()"
    finally:
        CARDS.pop("DiceLovasz", None)


def test_copies_keep_the_name_until_a_term_is_changed_by_hand() -> None:
    loss = lo.DiceTopK() + lo.Boundary()
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(twin) == "DiceTopK() + Boundary()"
        twin.leaves[0].smooth = 1.0
        assert repr(twin) == "Dice(smooth=1.0) + TopK() + Boundary()"
    assert repr(loss) == "DiceTopK() + Boundary()"


def test_class_weights_of_a_training_set_keep_the_name() -> None:
    loss = lo.parse("DiceCE(class_weights='inverse_frequency') + ExponentialLogarithmic()")
    weighted = lo.with_class_weights(loss, [4, 1])
    assert repr(weighted) == "DiceCE(class_weights=(0.625, 2.5)) + ExponentialLogarithmic()"
    inside = lo.with_class_weights(lo.parse("DiceTopK() + WCE()"), [4, 1])
    assert repr(inside) == "DiceTopK() + CrossEntropy(class_weights=(0.625, 2.5))"


def test_summands_are_told_apart_under_the_name_of_their_preset() -> None:
    loss = 0.5 * lo.DiceTopK() + lo.Boundary() + lo.Dice()
    summands = loss.summands(*batch())
    assert list(summands) == ["0.5 * DiceTopK(): Dice()", "0.5 * DiceTopK(): TopK()", "Boundary()", "Dice()"]
    torch.testing.assert_close(torch.stack(list(summands.values())).sum(), loss(*batch()))
    assert list(lo.DiceCE(ce=0.5).summands(*batch())) == [
        "DiceCE(ce=0.5): Dice()",
        "DiceCE(ce=0.5): 0.5 * CrossEntropy()",
    ]


ENDS = [
    ("SymmetricUnifiedFocal(region_weight=0, delta=0.5, gamma=2)", "0.5 * Focal()"),
    ("AsymmetricUnifiedFocal(region_weight=0, gamma=2)", "AsymmetricFocal(delta=0.6)"),
    ("SymmetricUnifiedFocal(region_weight=1, delta=0.5, gamma=0)", "Dice(background=True, smooth=2e-7)"),
    ("AsymmetricUnifiedFocal(region_weight=1)", "AsymmetricFocalTversky(delta=0.6, gamma=0.5)"),
    ("Combo(alpha=0)", "Dice(batch=True, smooth=1)"),
    ("Combo(alpha=1)", "0.5 * CrossEntropy()"),
    ("ExponentialLogarithmic(dice=0)", "0.2 * ExponentialCE()"),
    ("ExponentialLogarithmic(ce=0)", "0.8 * LogarithmicDice()"),
    ("DiceBoundary(alpha=1)", "Dice()"),
    ("DiceBoundary(alpha=0)", "Boundary()"),
    ("DiceTopK(dice=0)", "TopK()"),
    ("DiceCenterline(centerline=0)", "0.5 * Dice()"),
    ("0 * Boundary() + Dice()", "Dice()"),
    ("0 * DiceBoundary() + Dice()", "Dice()"),
]


@pytest.mark.parametrize(("text", "same"), ENDS)
def test_a_term_of_weight_zero_drops_out(text: str, same: str) -> None:
    loss = lo.parse(text)
    torch.testing.assert_close(loss(*batch()), lo.parse(same)(*batch()), rtol=1e-12, atol=0)
    assert repr(lo.parse(repr(loss))) == repr(loss)
    assert len(loss.terms) == 1


@pytest.mark.parametrize("text", ["DiceCE(dice=0, ce=0)", "ExponentialLogarithmic(dice=0, ce=0)", "0 * Dice()"])
def test_a_loss_without_a_term_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="every weight is 0"):
        lo.parse(text)


def test_a_sum_whose_weights_are_all_zero_is_refused_when_called() -> None:
    with pytest.raises(ValueError, match=r"0 \* Dice\(\): every weight is 0"):
        (0 * lo.Dice())(*batch())
    assert repr(0 * lo.Dice() + lo.CrossEntropy()) == "0 * Dice() + CrossEntropy()"


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 10**400])
def test_a_weight_that_is_no_finite_number_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        weight * lo.Dice()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("DiceTopK()", "Dice() + TopK()", True),
        ("DiceCE()", "CrossEntropy() + Dice()", True),
        ("2 * Dice()", "Dice() + Dice()", True),
        ("DiceCE(ce=0)", "Dice()", True),
        ("DiceTopK()", "DiceTopK(percent=20)", False),
        ("DiceBoundary()", "DiceBoundary(over=0.5)", False),
        ("Dice()", "Dice(batch=True)", False),
    ],
)
def test_losses_are_compared_by_what_they_compute(first: str, second: str, same: bool) -> None:
    assert (meaning(lo.parse(first)) == meaning(lo.parse(second))) is same


def test_a_preset_changed_by_hand_is_written_out_wherever_it_stands() -> None:
    logits, labels = torch.randn(2, 3, 6, 7), torch.randint(3, (2, 6, 7))
    changed = lo.DiceTopK()
    changed.terms[0][1].smooth = 1.0  # type: ignore[attr-defined]
    for loss, texts in (
        (0.5 * changed, ["0.5 * Dice(smooth=1.0)", "0.5 * TopK()"]),
        (lo.Focal() + changed, ["Focal()", "Dice(smooth=1.0)", "TopK()"]),
        (lo.Ramp(1, 0) * changed, ["Ramp(1, 0) * Dice(smooth=1.0)", "Ramp(1, 0) * TopK()"]),
        (changed, ["Dice(smooth=1.0)", "TopK()"]),
    ):
        assert repr(loss) == " + ".join(texts)
        assert list(loss.summands(logits, labels)) == texts
        assert torch.equal(lo.parse(repr(loss))(logits, labels), loss(logits, labels))


@pytest.mark.parametrize(
    ("loss", "answer"),
    [
        (lo.DiceTopK(), r"^DiceTopK takes no 'class_weights' here; .*: DiceTopK\(class_weights=...\)"),
        (2 * lo.DiceCE() + lo.Focal(), r"^Sum takes no 'class_weights' here; .*: loss.but\(class_weights=...\)"),
    ],
)
def test_hyper_parameters_in_a_call_are_answered_by_the_way_to_set_them(loss: lo.Loss, answer: str) -> None:
    logits, labels = torch.randn(2, 3, 6, 7), torch.randint(3, (2, 6, 7))
    for call in (loss, loss.summands):
        with pytest.raises(ValueError, match=answer):
            call(logits, labels, class_weights=(1, 2, 3))

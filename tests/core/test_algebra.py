"""Sums, their text, and everything that `parse` refuses."""

from __future__ import annotations

import pytest
import torch

import lossodyssey as lo


def test_text_of_a_sum_is_the_call_that_rebuilds_it() -> None:
    loss = lo.Dice() + 0.5 * lo.Focal(gamma=3) + lo.Ramp(0, 1) * lo.TopK(percent=20)
    assert repr(loss) == "Dice() + 0.5 * Focal(gamma=3.0) + Ramp(0, 1) * TopK(percent=20.0)"
    assert repr(lo.parse(repr(loss))) == repr(loss)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("DiceCE( )", "DiceCE()"),
        ("DiceCE(ce=1, dice=0.50)", "DiceCE(dice=0.5)"),
        ("2 * (Dice() + 0.5 * Focal(gamma=3))", "2 * Dice() + Focal(gamma=3.0)"),
        ("Dice() * 2", "2 * Dice()"),
        ("  Dice( smooth = 1e-5 ) ", "Dice()"),
        ("CrossEntropy(class_weights=[1, 2])", "CrossEntropy(class_weights=(1.0, 2.0))"),
        ("Ramp(1, 0.01, over=0.1) * Dice()", "Ramp(1, 0.01, 0.1) * Dice()"),
    ],
)
def test_spellings_of_one_loss_share_one_text(text: str, canonical: str) -> None:
    assert repr(lo.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "Dice().forward",
        "Dice",
        "Dice() - Dice()",
        "Dice() if True else Dice()",
        "[Dice() for _ in range(3)]",
        "lambda: Dice()",
        "Dice(**{'smooth': 1})",
        "True * Dice()",
        "1 + 2",
        "'Dice()'",
        "",
        "Dice(",
        "Dice()\0",
        "(" * 1_000_000 + "Dice()" + ")" * 1_000_000,
        "-" * 4000 + "1",
        "(" * 1000 + "Dice()" + ")" * 1000,
        "9**9**9 * Dice()",
        "f'{1}' * Dice()",
    ],
)
def test_anything_but_a_loss_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|characters") as refusal:
        lo.parse(text)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Dise()", "did you mean 'Dice'"),
        ("dice()", "did you mean 'Dice'"),
        ("Dice(smoth=1)", "did you mean 'smooth'"),
        ("DiceCE(sce=1)", "did you mean 'ce'"),
        ("Dice(1e-5)", "by name"),
        ("Focal(gamma=-1)", r"Focal.gamma is -1.0, expected a number in \[0, inf\)"),
        ("Focal(gamma='two')", "Focal.gamma is 'two', expected number"),
        ("Focal(gamma=True)", "expected number"),
        ("TopK(percent=0)", "TopK.percent is 0.0"),
        ("Dice(absent='never')", "'smooth', 'skip'"),
        ("Dice(batch=1)", "Dice.batch is 1, expected True or False"),
        ("Dice", r"'Dice' is a name alone; expected a call, as Dice\(\)"),
        ("0.5 * CE + Focal()", r"'CE' is a name alone; expected a call, as CE\(\)"),
        ("Ramp * Dice()", r"'Ramp' is a name alone; expected a call, as Ramp\(\)"),
        ("Tverski", "unknown loss 'Tverski', did you mean 'Tversky'"),
        ("DiceCE(dice='x')", "expected number or schedule"),
        ("HausdorffErosion(erosions=2.5)", "erosions is 2.5, expected whole number"),
        ("Ramp(1) * Dice()", "Ramp"),
        ("Ramp(1, 0, 2) * Dice()", "Ramp.over is 2"),
    ],
)
def test_mistakes_are_named_with_the_fix(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        lo.parse(text)


def test_misspelt_field_in_python_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'smooth'"):
        lo.Dice(smoth=1)  # type: ignore[call-arg]


def test_sum_is_the_weighted_sum_of_its_parts() -> None:
    logits, labels = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randint(0, 3, (2, 8, 8))
    loss = lo.Dice() + 0.5 * lo.Focal() + 3 * lo.Lovasz()
    apart = lo.Dice()(logits, labels) + 0.5 * lo.Focal()(logits, labels) + 3 * lo.Lovasz()(logits, labels)
    torch.testing.assert_close(loss(logits, labels), apart)
    summands = loss.summands(logits, labels)
    assert list(summands) == ["Dice()", "0.5 * Focal()", "3 * Lovasz()"]
    torch.testing.assert_close(sum(summands.values()), apart)


def test_but_changes_a_field_throughout_a_sum_and_copies() -> None:
    loss = lo.Dice() + lo.CrossEntropy() + lo.Ramp(0, 1) * lo.Tversky()
    changed = loss.but(batch=True)
    assert repr(changed) == "Dice(batch=True) + CrossEntropy() + Ramp(0, 1) * Tversky(batch=True)"
    assert repr(loss) == "Dice() + CrossEntropy() + Ramp(0, 1) * Tversky()"
    with pytest.raises(ValueError, match="did you mean 'batch'"):
        loss.but(bach=True)


def test_schedules_follow_advance() -> None:
    logits, labels = torch.randn(1, 2, 4, 4), torch.randint(0, 2, (1, 4, 4))
    dice, ce = float(lo.Dice()(logits, labels)), float(lo.CrossEntropy()(logits, labels))
    loss = lo.parse("Ramp(1, 0.01) * Dice() + Step(0, 1, 0.5) * CrossEntropy()")
    for progress, weights in ((0.0, (1, 0)), (0.5, (0.505, 1)), (1.0, (0.01, 1))):
        lo.advance(loss, progress)
        assert float(loss(logits, labels)) == pytest.approx(weights[0] * dice + weights[1] * ce)
    wave = lo.Cosine(1, 0) * lo.Dice()
    lo.advance(wave, 0.5)
    assert float(wave(logits, labels)) == pytest.approx(dice / 2)
    with pytest.raises(ValueError, match="progress is 2"):
        lo.advance(loss, 2)


def test_only_losses_and_numbers_combine() -> None:
    with pytest.raises(TypeError, match="only losses can be added"):
        lo.Dice() + 1  # type: ignore[operator]
    with pytest.raises(TypeError, match="a weight is a number"):
        "2" * lo.Dice()  # type: ignore[operator]
    assert repr(sum([lo.Dice(), lo.CrossEntropy()])) == "Dice() + CrossEntropy()"

"""Relatives of Dice: powers of errors, angles, a function of a loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import lossodyssey as lo


def batch(*space: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


def test_larger_powers_cost_less_until_the_prediction_is_hard() -> None:
    logits, labels = batch(6, 7)
    soft, hard = ([float(lo.DicePlusPlus(q=q)(scale * logits, labels)) for q in (1, 2, 3)] for scale in (1.0, 1000.0))
    assert soft[0] > soft[1] > soft[2]
    assert hard == pytest.approx([float(lo.Dice()(1000 * logits, labels))] * 3, rel=1e-6)


def test_sums_of_own_values_are_pooled_like_the_counts() -> None:
    logits, labels = batch(6, 7)
    for fields in ({"batch": True}, {"pooled": True}, {"background": True, "class_weights": (0.5, 1.0, 2.0)}):
        same = [float(loss.but(**fields)(logits, labels)) for loss in (lo.DicePlusPlus(q=1), lo.Dice())]  # type: ignore[attr-defined]
        assert same[0] == pytest.approx(same[1])


def test_a_formula_may_not_ask_for_what_nothing_makes() -> None:
    with pytest.raises(TypeError, match=r"asks for 'mistakes'; expected one of .* or a method of the loss"):

        class Nothing(lo.OverlapLoss, abstract=True):
            def formula(self, tp: Tensor, mistakes: Tensor) -> Tensor:
                return tp


def test_noise_counts_less_the_smaller_the_power() -> None:
    """Beside a mask with small errors everywhere, one wrong voxel costs a smaller share."""
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6] = 1
    wrong = labels.clone()
    wrong[:, 0, 0] = 1
    logits = 2.0 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
    shares = [float(loss(logits, wrong) / loss(logits, labels)) for loss in map(robust, (1.0, 1.5, 2.0))]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def robust(gamma: float) -> lo.Loss:
    return lo.NoiseRobustDice(gamma=gamma)


def test_angles_do_not_change_with_the_scale_of_the_prediction() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6] = 1
    s = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = [float(lo.TvMFDice()((share * s).logit(), labels)) for share in (0.9, 0.3)]
    assert values[0] == pytest.approx(values[1])
    cosine = float((s[0, 0] * labels[0]).sum() / (s.norm() * labels.double().norm()))
    assert float(lo.TvMFDice(kappa=0, power=1)(s.logit(), labels)) == pytest.approx(1 - cosine)
    rising = [float(lo.TvMFDice(kappa=kappa)(s.logit(), labels)) for kappa in (0, 2, 8, 32)]
    assert rising == sorted(rising)


def test_concentrations_are_one_for_each_class_that_counts() -> None:
    logits, labels = batch(6, 7)
    same = [float(lo.TvMFDice(kappa=kappa)(logits, labels)) for kappa in (4.0, (4.0, 4.0))]
    assert same[0] == pytest.approx(same[1])
    with pytest.raises(ValueError, match=r"TvMFDice.kappa is .* but 2 classes count"):
        lo.TvMFDice(kappa=(4.0, 4.0, 4.0))(logits, labels)


def test_log_cosh_is_a_function_of_its_loss() -> None:
    logits, labels = batch(6, 7)
    leaf = logits.requires_grad_()
    x, y = lo.Tversky()(leaf, labels), lo.LogCosh(loss=lo.Tversky())(leaf, labels)
    assert float(y.detach()) == pytest.approx(math.log(math.cosh(float(x.detach()))))
    inner, outer = (torch.autograd.grad(value, leaf)[0] for value in (x, y))
    torch.testing.assert_close(outer, torch.tanh(x.detach()) * inner)
    assert lo.LogCosh(loss=lo.parse("0.5 * Dice() + 0.5 * Jaccard()")).bounds() == (0, math.log(math.cosh(1)))


@pytest.mark.parametrize("text", ["DiceCE()", "CrossEntropy()", "2 * Dice()", "MatthewsCorrelation()", "-1 * Dice()"])
def test_log_cosh_refuses_losses_beyond_1(text: str) -> None:
    with pytest.raises(ValueError, match=r"LogCosh.loss is .* expected a loss in \[0, 1\]"):
        lo.LogCosh(loss=lo.parse(text))


def test_semimetric_and_metric_are_names_of_dice_and_jaccard() -> None:
    assert repr(lo.parse("DiceSemimetric()")) == "Dice()" and repr(lo.parse("JaccardMetric()")) == "Jaccard()"
    with pytest.raises(ValueError, match="the name settles square=False"):
        lo.parse("DiceSemimetric(square=True)")


def test_the_jaccard_metric_of_soft_masks_is_a_metric() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.rand(1, 1, 6, 6, generator=generator, dtype=torch.float64) for _ in range(3))
    loss = lo.Jaccard(smooth=0)

    def distance(s: Tensor, g: Tensor) -> float:
        return float(loss(s.logit(), g, link="sigmoid"))

    assert distance(a, b) == pytest.approx(distance(b, a)) and distance(a, a) == pytest.approx(0, abs=1e-12)
    assert distance(a, c) <= distance(a, b) + distance(b, c)

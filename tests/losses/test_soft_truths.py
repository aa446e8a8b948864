"""Overlap of soft truths: the truth itself is the best prediction; of hard truths nothing changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo

OVERLAPS = [
    "Dice()",
    "Dice(square=True)",
    "Dice(pooled=True)",
    "Dice(batch=True, background=True)",
    "Jaccard()",
    "Jaccard(pooled=True)",
    "Tversky()",
    "Tversky(pooled=True)",
    "Tversky(alpha=0.8, beta=0.1)",
    "FocalTversky()",
    "AsymmetricSimilarity()",
    "GeneralizedDice()",
    "GeneralizedDice(weight_type='uniform')",
    "PenaltyGeneralizedDice()",
    "LogarithmicDice()",
    "SymmetricFocalTversky()",
    "AsymmetricFocalTversky()",
    "DicePlusPlus()",
    "DicePlusPlus(pooled=True, q=1.5)",
    "TverskyPlusPlus()",
    "NoiseRobustDice()",
    "LogCosh()",
    "MatthewsCorrelation()",
    "MatthewsCorrelation(pooled=True)",
    "GeneralizedWassersteinDice()",
]


def shares(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).softmax(1)


def at(loss: lo.Loss, s: Tensor, g: Tensor, link: str = "softmax") -> float:
    return float(loss(s.logit() if link == "sigmoid" else s.log(), g, link=link))


@pytest.mark.parametrize("text", OVERLAPS)
def test_a_truth_of_one_half_is_best_predicted_as_one_half(text: str) -> None:
    loss, g = lo.parse(text), torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    values = [at(loss, torch.full_like(g, s), g, "sigmoid") for s in (0.01, 0.3, 0.5, 0.7, 0.99)]
    assert values[2] == pytest.approx(0, abs=1e-6) and min(values) == values[2]
    assert values[0] > values[1] > values[2] < values[3] < values[4]


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("text", [*OVERLAPS, "Lovasz()", "TvMFDice()"])
def test_the_truth_is_the_best_prediction(text: str, link: str) -> None:
    loss, g = lo.parse(text), shares(2, 3, 5, 6)
    least = at(loss, g, g, link)
    assert least == pytest.approx(0, abs=1e-6)
    for share in (0.05, 0.4, 1.0):
        for seed in (1, 2):
            other = (1 - share) * g + share * shares(2, 3, 5, 6, seed=seed)
            assert at(loss, other, g, link) >= least
    truth = g.log() if link == "softmax" else g.logit()
    (slope,) = torch.autograd.grad(lo.Dice(square=True)(truth.requires_grad_(), g, link=link), truth)
    assert slope.abs().max() < 1e-6


@pytest.mark.parametrize("background", [True, False])
def test_overlap_is_the_l1_form_that_the_literature_calls_semimetric(background: bool) -> None:
    """(|s| + |g| - |s - g|) / 2 in place of the product: Dice semimetric and Jaccard metric losses."""
    for g in (shares(2, 3, 7, 5), torch.nn.functional.one_hot(shares(2, 3, 7, 5).argmax(1), 3).movedim(-1, 1).double()):
        s = shares(2, 3, 7, 5, seed=3)
        size, apart = (s + g).sum((2, 3)), (s - g).abs().sum((2, 3))
        both = (size - apart) / 2
        kept = slice(0 if background else 1, None)
        dice = (1 - 2 * both / size)[:, kept].mean()
        jaccard = (1 - both / (size - both))[:, kept].mean()
        assert at(lo.Dice(smooth=0, background=background), s, g) == pytest.approx(float(dice))
        assert at(lo.Jaccard(smooth=0, background=background), s, g) == pytest.approx(float(jaccard))


@pytest.mark.parametrize("text", ["Dice(smooth=0)", "Jaccard(smooth=0)", "Dice(smooth=0, square=True)"])
def test_hard_truths_are_counted_by_the_product(text: str) -> None:
    s, loss = shares(2, 3, 7, 5, seed=3), lo.parse(text)
    g = torch.nn.functional.one_hot(shares(2, 3, 7, 5).argmax(1), 3).movedim(-1, 1).double()
    tp, size = (s * g).sum((2, 3)), (s + g).sum((2, 3))
    squares = (s * s + g).sum((2, 3))
    wanted = {"Dice(smooth=0)": 1 - 2 * tp / size, "Jaccard(smooth=0)": 1 - tp / (size - tp)}
    assert at(loss, s, g) == pytest.approx(float(wanted.get(text, 1 - 2 * tp / squares)[:, 1:].mean()))


def test_the_weights_of_voxels_reach_soft_overlaps() -> None:
    s, g, weight = shares(2, 3, 6, 6, seed=1), shares(2, 3, 6, 6), shares(2, 3, 6, 6, seed=2)[:, 0]
    least, most = torch.minimum(s, g), torch.maximum(s, g)
    w = weight[:, None]
    jaccard = 1 - (w * least).sum((2, 3)) / (w * most).sum((2, 3))
    found = lo.Jaccard(smooth=0)(s.log(), g, weight=weight)
    assert float(found) == pytest.approx(float(jaccard[:, 1:].mean()))

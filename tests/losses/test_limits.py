"""Values that every implementation must give: perfect, all wrong and uniform predictions, and an empty foreground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import BoundaryDistance, from_key

M, E = 60.0, 1e-5  # logits of a confident prediction; the default smooth
Value = Callable[["Truth"], "Tensor | float"]


@dataclass(frozen=True)
class Truth:
    """Labels in which every sample has every class, with what the limit values are made of."""

    labels: Tensor
    classes: int

    @cached_property
    def g(self) -> Tensor:
        return torch.nn.functional.one_hot(self.labels.flatten(1), self.classes).transpose(1, 2).double()

    @cached_property
    def wrong(self) -> Tensor:
        """The prediction of class g + 1 everywhere, (N, C, V)."""
        return self.g.roll(1, 1)

    @property
    def G(self) -> Tensor:
        return self.g.sum(2)

    @property
    def S(self) -> Tensor:
        return self.wrong.sum(2)

    @property
    def V(self) -> int:
        return self.g.shape[2]

    def logits(self, one_hot: Tensor) -> Tensor:
        return (M * one_hot).reshape(len(self.g), self.classes, *self.labels.shape[1:])

    def map(self, kind: str) -> Tensor:
        return from_key(kind)(self.labels, self.classes).flatten(2).double()

    def two_sided(self, one_hot: Tensor) -> Tensor:
        return BoundaryDistance()(one_hot.reshape(self.logits(one_hot).shape).bool(), self.classes).flatten(2)


def blobs(*space: int, classes: int) -> Truth:
    """Connected regions of every class, of different size in each of two samples."""
    position = torch.arange(torch.Size(space).numel()).reshape(space)
    first = (position * classes // position.numel()).clamp(max=classes - 1)
    second = (position**2 * classes // position.numel() ** 2).clamp(max=classes - 1)
    truth = Truth(torch.stack([first, second.flip(0)]), classes)
    assert (truth.G > 0).all()
    return truth


TRUTHS = [blobs(6, 7, classes=3), blobs(4, 5, 6, classes=2), blobs(9, 5, classes=4)]


def foreground(values: Tensor) -> Tensor:
    """Mean over samples and foreground classes of (N, C) or (N, C, V)."""
    return values[:, 1:].mean()


def voxels(weight: Value, uniform: Callable[[int], float] = log) -> tuple[Value, Value, Value]:
    """Limits of a weighted voxel loss, given its mean weight."""
    return (
        lambda t: 0.0,
        lambda t: M * torch.as_tensor(weight(t)),
        lambda t: uniform(t.classes) * torch.as_tensor(weight(t)),
    )


def scaled(t: Truth, prices: list[float]) -> Tensor:
    """The mean over voxels of their class's price."""
    return (t.g * torch.tensor(prices[: t.classes]).double()[:, None]).sum(1).mean()


def priced(a: float, b: float, q: float = 1.0) -> tuple[Value, Value, Value]:
    """Limits of a power of a Tversky loss."""
    return (
        lambda t: 0.0,
        lambda t: foreground((1 - E / (a * t.S + b * t.G + E)) ** q),
        lambda t: foreground(tversky_of_uniform(t, a, b, E) ** q),
    )


def tversky_of_uniform(t: Truth, a: float, b: float, smooth: float) -> Tensor:
    hit = t.G / t.classes
    errors = a * (t.V - t.G) / t.classes + b * (t.G - hit)
    return 1 - (hit + smooth) / (hit + errors + smooth)


def generalised(t: Truth) -> Tensor:
    w = t.G**-2
    return 1 - 2 * (w * t.G).sum(1) / (w * (t.V + t.classes * t.G)).sum(1)


def ell(t: Truth, overlap: Tensor, total: Tensor, ce: float) -> Tensor:
    return 0.8 * (-((overlap + 1) / (total + 1)).log()).pow(0.3).mean() + 0.2 * ce**0.3


def unified(t: Truth, *, symmetric: bool) -> Tensor:
    x = tversky_of_uniform(t, 0.4, 0.6, 1e-7)
    x = torch.cat([x[:, :1].sqrt() if symmetric else x[:, :1], x[:, 1:].sqrt()], 1)
    miss = (1 - 1 / t.classes) ** 0.5
    price = scaled(t, [0.4 * miss, *[0.6 * (miss if symmetric else 1)] * 3])
    return 0.5 * x.mean() + 0.5 * price * log(t.classes)


def prices(t: Truth) -> Tensor:
    return scaled(t, [0.4, 0.6, 0.6, 0.6])


def hausdorff(t: Truth) -> Tensor:
    field = t.two_sided(t.g) ** 2 + t.two_sided(t.wrong) ** 2
    return foreground((t.g - t.wrong) ** 2 * field)


W = [0.5, 1.0, 2.0, 4.0]
ONE: Value = lambda t: 1.0  # noqa: E731
LIMITS: dict[str, tuple[Value, Value, Value]] = {
    "CrossEntropy()": voxels(ONE),
    "TopK(percent=20)": voxels(ONE),
    "TopKThreshold(threshold=0.4)": voxels(ONE, lambda c: log(c) if 1 / c < 0.4 else 0.0),
    "CrossEntropy(class_weights={W})": voxels(lambda t: scaled(t, W)),
    "Focal(gamma=3)": voxels(ONE, lambda c: (1 - 1 / c) ** 3 * log(c)),
    "DistancePenalisedCE()": voxels(lambda t: 1 + t.map("penalty").mean()),
    "UNetWeightMapCE()": voxels(lambda t: t.map("border").mean()),
    "Dice()": (
        lambda t: 0.0,
        lambda t: foreground(1 - E / (t.S + t.G + E)),
        lambda t: foreground(1 - (2 * t.G / t.classes + E) / (t.V / t.classes + t.G + E)),
    ),
    "Dice(smooth=0)": (lambda t: 0.0, ONE, lambda t: foreground(1 - 2 * t.G / (t.V + t.classes * t.G))),
    "Dice(square=True, smooth=0)": (
        lambda t: 0.0,
        ONE,
        lambda t: foreground(1 - 2 * t.classes * t.G / (t.V + t.classes**2 * t.G)),
    ),
    "Jaccard()": priced(1, 1),
    "Jaccard(smooth=0)": (lambda t: 0.0, ONE, lambda t: foreground(1 - t.G / (t.V + (t.classes - 1) * t.G))),
    "Tversky()": priced(0.3, 0.7),
    "AsymmetricSimilarity()": priced(4 / 13, 9 / 13),
    "FocalTversky()": priced(0.3, 0.7, 0.75),
    "SensitivitySpecificity(r=0.2, smooth=0)": (
        lambda t: 0.0,
        lambda t: 0.2 + 0.8 * foreground(t.S / (t.V - t.G)),
        lambda t: 0.2 * (1 - 1 / t.classes) ** 2 + 0.8 / t.classes**2,
    ),
    "GeneralizedDice()": (lambda t: 0.0, ONE, lambda t: generalised(t).mean()),
    "PenaltyGeneralizedDice()": (
        lambda t: 0.0,
        ONE,
        lambda t: (3.5 * generalised(t) / (1 + 2.5 * generalised(t))).mean(),
    ),
    "Lovasz()": (lambda t: 0.0, ONE, lambda t: 1 - 1 / t.classes),
    "ExponentialLogarithmic()": (
        lambda t: 0.0,
        lambda t: ell(t, torch.zeros_like(t.G), t.S + t.G, M),
        lambda t: ell(t, 2 * t.G / t.classes, t.V / t.classes + t.G, log(t.classes)),
    ),
    "SymmetricUnifiedFocal()": (
        lambda t: 0.0,
        lambda t: 0.5 + 0.5 * M * prices(t),
        lambda t: unified(t, symmetric=True),
    ),
    "AsymmetricUnifiedFocal()": (
        lambda t: 0.0,
        lambda t: 0.5 + 0.5 * M * prices(t),
        lambda t: unified(t, symmetric=False),
    ),
    "RegionWise()": (
        lambda t: (t.map("rectified") * t.g).mean(),
        lambda t: 1 / t.classes,
        lambda t: t.map("rectified").mean() / t.classes,
    ),
    "Boundary()": (
        lambda t: foreground(t.map("phi") * t.g),
        lambda t: foreground(t.map("phi") * t.wrong),
        lambda t: foreground(t.map("phi")) / t.classes,
    ),
    "HausdorffDT()": (
        lambda t: 0.0,
        hausdorff,
        lambda t: foreground((1 / t.classes - t.g) ** 2 * t.two_sided(t.g) ** 2),
    ),
}


@pytest.mark.parametrize("truth", TRUTHS, ids=["2d", "3d", "four classes"])
@pytest.mark.parametrize("text", LIMITS)
def test_perfect_wrong_and_uniform_predictions(text: str, truth: Truth) -> None:
    loss = lo.parse(text.replace("{W}", str(tuple(W[: truth.classes]))))
    predictions = (truth.g, truth.wrong, torch.zeros_like(truth.g))
    for prediction, limit in zip(predictions, LIMITS[text], strict=True):
        value, expected = float(loss(truth.logits(prediction), truth.labels)), float(limit(truth))
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-7)  # maps are float32


SAME_AS_EMPTY = [
    "Dice()",
    "Dice(square=True)",
    "Jaccard()",
    "Tversky()",
    "AsymmetricSimilarity()",
    "FocalTversky()",
    "SensitivitySpecificity()",
    "GeneralizedDice()",
    "GeneralizedDice(absent_weight='zero')",
    "PenaltyGeneralizedDice()",
    "Lovasz()",
    "SymmetricUnifiedFocal()",
    "AsymmetricUnifiedFocal()",
    "LogarithmicDice()",
    "CrossEntropy()",
    "Boundary()",
    "HausdorffDT()",
]
NOTHING = Truth(torch.zeros(2, 6, 7, dtype=torch.long), 2)


@pytest.mark.parametrize("text", SAME_AS_EMPTY)
def test_empty_prediction_of_an_empty_foreground_is_perfect(text: str) -> None:
    assert float(lo.parse(text)(NOTHING.logits(NOTHING.g), NOTHING.labels)) == pytest.approx(0, abs=1e-9)


def test_region_wise_rewards_a_background_that_fills_the_sample() -> None:
    assert float(lo.RegionWise()(NOTHING.logits(NOTHING.g), NOTHING.labels)) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dice()", 1),
        ("Jaccard()", 1),
        ("Tversky()", 1),
        ("FocalTversky()", 1),
        ("SensitivitySpecificity(r=0.2)", 0.8),
        ("GeneralizedDice()", 1),
        ("Lovasz()", 1),
        ("Boundary()", 0),
        ("HausdorffDT()", 0),
        ("CrossEntropy()", M),
    ],
)
def test_full_prediction_of_an_empty_foreground(text: str, expected: float) -> None:
    value = float(lo.parse(text)(NOTHING.logits(NOTHING.wrong), NOTHING.labels))
    assert value == pytest.approx(expected, rel=2 * E)  # up to smooth / V

"""Hyper-parameters that are trained: the T-loss, and what every such loss does in sums, copies and checkpoints."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from scipy.stats import multivariate_t
from torch import Tensor, nn

import lossodyssey as lo


def batch(*space: int, classes: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


def residuals(logits: Tensor, labels: Tensor) -> Tensor:
    """The differences (samples and foreground classes, voxels)."""
    g = nn.functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)
    return (logits.softmax(1) - g)[:, 1:].flatten(0, 1).flatten(1)


@pytest.mark.parametrize("nu", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_the_log_density_of_scipy(nu: float, classes: int) -> None:
    logits, labels = batch(5, 6, classes=classes)
    density = multivariate_t(df=nu, shape=torch.eye(30).numpy())
    expected = -density.logpdf(residuals(logits, labels).numpy()).mean()
    found = lo.RobustT(nu=nu, normalization="none")(logits, labels)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert lo.RobustT(nu=nu)(logits, labels).item() == pytest.approx(expected / 30, rel=1e-12)


def test_a_large_nu_is_half_the_squared_error_and_a_constant() -> None:
    logits, labels = batch(5, 6)
    squared = residuals(logits, labels).square().sum(1).mean()
    found = lo.RobustT(nu=math.exp(20), normalization="none")(logits, labels)
    assert found.item() == pytest.approx(squared.item() / 2 + 15 * math.log(2 * math.pi), abs=1e-4)


def test_large_errors_pull_less() -> None:
    labels = torch.zeros(1, 20, 20, dtype=torch.long)
    slopes = []
    for wrong in (4, 40, 400):
        z = torch.zeros(1, 2, 400, dtype=torch.float64)
        z[:, 1, :wrong] = 4
        leaf = z.reshape(1, 2, 20, 20).requires_grad_()
        lo.RobustT(normalization="none")(leaf, labels).backward()
        assert leaf.grad is not None
        slopes.append(float(leaf.grad[0, 1, 0, 0]))
    assert slopes[0] > slopes[1] > slopes[2] > 0


def test_the_slope_of_nu_is_that_of_differences() -> None:
    logits, labels = batch(5, 6)
    loss = lo.RobustT(nu=2.0, normalization="none")
    loss(logits, labels).backward()
    low, high = (lo.RobustT(nu=2 * math.exp(step), normalization="none")(logits, labels) for step in (-1e-5, 1e-5))
    assert loss.log_nu.grad.item() == pytest.approx((high - low).item() / 2e-5, rel=1e-6)


def test_single_precision_keeps_the_digits_of_a_large_image() -> None:
    logits, labels = batch(512, 512)
    wide, single = (lo.RobustT(normalization="none")(z, labels).item() for z in (logits, logits.float()))
    assert single == pytest.approx(wide, rel=1e-6)


TEXTS = ["RobustT()", "0.5 * Dice() + Ramp(0, 1) * RobustT()", "Marginal(loss=DiceCE() + RobustT(), hidden=(1,))"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_number_reaches_an_optimizer_wherever_the_loss_stands(text: str) -> None:
    torch.manual_seed(0)
    network, criterion = nn.Conv2d(1, 3, 3, padding=1), lo.Criterion(text)
    images = torch.randn(2, 1, 8, 8)
    labels = (images[:, 0] > 0.3).long() * 2
    optimizer = torch.optim.Adam([*network.parameters(), *criterion.parameters()], 1e-2)
    for step in range(5):
        lo.advance(criterion, step / 4)
        optimizer.zero_grad()
        criterion(network(images), labels).backward()
        optimizer.step()
    (value,) = lo.trained_values(criterion).values()
    assert value.item() != pytest.approx(1, abs=1e-6) and repr(criterion.loss) == text, (
        "the text is that of the beginning"
    )
    again = lo.Criterion(text)
    again.load_state_dict(criterion.state_dict())
    for twin in (again, copy.deepcopy(criterion)):
        assert list(lo.trained_values(twin).values()) == [value]
    assert list(lo.trained_values(again.loss.but()).values()) == [1], "a changed loss begins anew"


def test_a_copy_is_trained_by_itself() -> None:
    first = lo.RobustT()
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.log_nu.add_(1)
    assert first.trained("nu") == 1 and second.trained("nu").item() == pytest.approx(math.e)


@pytest.mark.parametrize("value", [0, -1, math.inf, "a"])
def test_a_beginning_that_has_no_logarithm_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"RobustT\.nu is .*, expected"):
        lo.RobustT(nu=value)  # type: ignore[arg-type]


@pytest.mark.usefixtures("own_atlas")
def test_a_loss_of_ones_own_has_numbers_that_are_trained() -> None:
    class Sharpened(lo.VoxelLoss, range=(0, math.inf)):
        """Cross entropy to a power that is trained."""

        power: lo.Trainable = 2.0

        def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
            return (-log_p) ** self.trained("power").to(log_p)

    logits, labels = batch(5, 6)
    loss = Sharpened(power=3.0)
    assert repr(loss) == "Sharpened(power=3.0)" and lo.card("Sharpened").fields[0].type == "number in (0, inf), trained"
    (parameter,) = loss.parameters()
    loss(logits, labels).backward()
    slope = parameter.grad
    low, high = (Sharpened(power=3 * math.exp(step))(logits, labels) for step in (-1e-5, 1e-5))
    assert slope is not None and slope.item() == pytest.approx((high - low).item() / 2e-5, rel=1e-6)

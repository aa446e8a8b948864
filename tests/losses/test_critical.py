"""Losses at chosen points: what `points` may ask for, and what the base makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo


class Worst(lo.CriticalLoss, abstract=True):
    """One minus s at the true voxel that has the least."""

    def points(self, s: Tensor, g: Tensor) -> tuple[Tensor]:
        assert not s.requires_grad and s.ndim == 2
        return (torch.where(g > 0, s, 2).argmin(),)

    def formula(self, s: Tensor) -> Tensor:
        return 1 - s


class Asking(lo.CriticalLoss, abstract=True):
    """Keeps what it was given."""

    def points(self, image: Tensor, spacing: Tensor, exclusive: bool, valid: Tensor, weight: Tensor) -> tuple[Tensor]:
        self.given: dict[str, Any] = {
            "image": image,
            "spacing": spacing,
            "exclusive": exclusive,
            "valid": valid,
            "weight": weight,
        }
        return (torch.arange(2),)

    def formula(self, s: Tensor) -> Tensor:
        return s.sum()


class Unknown(lo.CriticalLoss, abstract=True):
    """Asks for something that there is not."""

    def points(self, s: Tensor, depth: Tensor) -> tuple[Tensor]:
        raise AssertionError("not reached")


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 3, (2, 4, 5), generator=generator)


@pytest.mark.parametrize("background", [False, True])
def test_the_mean_over_samples_and_classes_has_a_slope_at_the_points_alone(background: bool) -> None:
    logits, labels = batch()
    s = logits.softmax(1)
    least = [s[n, c][labels[n] == c].min() for n in range(2) for c in range(0 if background else 1, 3)]
    leaf = logits.clone().requires_grad_()
    value = Worst(background=background)(leaf, labels)
    torch.testing.assert_close(value.detach(), 1 - torch.stack(least).mean())
    (gradient,) = torch.autograd.grad(value, leaf)
    assert int(gradient.any(1).sum()) <= len(least) and gradient.any()


def test_samples_without_a_voxel_that_counts_are_not_asked() -> None:
    logits, labels = batch()
    labels[1] = 255
    torch.testing.assert_close(Worst()(logits, labels, ignore=255), Worst()(logits[:1], labels[:1]))
    assert Worst()(logits, torch.full_like(labels, 255), ignore=255) == 0
    assert Worst()(logits[:0], labels[:0]) == 0


def test_points_get_what_they_name() -> None:
    logits, labels = batch()
    loss, image, weight = Asking(), torch.rand(2, 2, 4, 5), torch.ones(2, 4, 5)
    weight[1, 0, 0] = 0
    loss(logits, labels, image=image, spacing=(2.0, 0.5), weight=weight)
    assert loss.needs_image and loss.given["exclusive"] is True
    torch.testing.assert_close(loss.given["image"], image[1].double())
    torch.testing.assert_close(loss.given["spacing"], torch.tensor([2, 0.5], dtype=torch.float64))
    assert torch.equal(loss.given["valid"], weight[1] > 0)
    torch.testing.assert_close(loss.given["weight"], weight[1].double())


def test_a_missing_image_and_an_unknown_name_are_refused() -> None:
    logits, labels = batch()
    with pytest.raises(ValueError, match="looks at the image, and the call has none"):
        Asking()(logits, labels)
    with pytest.raises(
        ValueError, match=r"Unknown\.points asks for 'depth', expected one of s, g, log_p, predicted, true"
    ):
        Unknown()(logits, labels)

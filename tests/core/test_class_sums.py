"""Class sums of overlap losses: pooled as the paper prints them, and under maps made of the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import Closeness, SignedDistance

E = 1e-3
WEIGHTS = (0.5, 2.0, 3.0)
Printed = Callable[[Tensor, Tensor, Tensor], Tensor]


def batch(link: str = "softmax") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, target, and s and g (N, C, V); no sample has class 2 twice, the second lacks class 1."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 3, 6, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 6, 5), generator=generator)
    labels[1][labels[1] == 1] = 0
    if link == "sigmoid":
        regions = torch.stack([labels >= 0, labels == 1, labels >= 1], 1)
        return logits, regions, logits.sigmoid().flatten(2), regions.flatten(2).double()
    g = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).flatten(2).double()
    return logits, labels, logits.softmax(1).flatten(2), g


def total(x: Tensor) -> Tensor:
    """The sum over classes and voxels of x (units, C, V)."""
    return x.sum((1, 2))


def sensitivity_specificity(s: Tensor, g: Tensor, w: Tensor) -> Tensor:
    """Eq. 7."""
    missed = total(w * g * (s - g) ** 2) / (total(w * g) + E)
    false = total(w * (1 - g) * (s - g) ** 2) / (total(w * (1 - g)) + E)
    return 0.05 * missed + 0.95 * false


def squared_dice(s: Tensor, g: Tensor, w: Tensor) -> Tensor:
    """Eq. 8."""
    return 1 - (2 * total(w * s * g) + E) / (total(w * s**2) + total(w * g**2) + E)


def dice(s: Tensor, g: Tensor, w: Tensor) -> Tensor:
    """Eq. 9."""
    return 1 - (2 * total(w * s * g) + E) / (total(w * s) + total(w * g) + E)


def jaccard(s: Tensor, g: Tensor, w: Tensor) -> Tensor:
    """Eq. 10."""
    return 1 - (total(w * s * g) + E) / (total(w * (s + g - s * g)) + E)


def tversky(s: Tensor, g: Tensor, w: Tensor) -> Tensor:
    """Eq. 14."""
    tp, fp, fn = total(w * s * g), total(w * s * (1 - g)), total(w * (1 - s) * g)
    return 1 - (tp + E) / (tp + 0.3 * fp + 0.7 * fn + E)


PRINTED: dict[str, Printed] = {
    "SensitivitySpecificity()": sensitivity_specificity,
    "Dice(square=True)": squared_dice,
    "Dice()": dice,
    "Jaccard()": jaccard,
    "Tversky()": tversky,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "background": {"background": True},
    "weights": {"background": True, "class_weights": WEIGHTS},
    "absent": {"background": True, "absent": "skip"},
    "batch": {"batch": True},
    "all": {"batch": True, "class_weights": WEIGHTS, "absent": "skip"},
}


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("text", PRINTED)
def test_pooled_losses_are_the_printed_formula(text: str, options: str, link: Any) -> None:
    logits, target, s, g = batch(link)
    given = OPTIONS[options]
    loss = lo.parse(text).but(pooled=True, smooth=E, **given)
    first = 0 if link == "sigmoid" or given.get("background") else 1
    w = (
        torch.ones(1, 3, 1, dtype=torch.float64)
        if "class_weights" not in given
        else torch.tensor(WEIGHTS)[None, :, None]
    )
    s, g, w = s[:, first:], g[:, first:], w[:, first:].double()
    if given.get("batch"):
        s, g = (x.transpose(0, 1).flatten(1)[None] for x in (s, g))
    if given.get("absent") == "skip":
        w = w * (g.sum(2, keepdim=True) > 0)
    found = loss(logits, target, link=link)
    torch.testing.assert_close(found, PRINTED[text](s, g, w).mean(), rtol=1e-12, atol=0)
    apart = lo.parse(text).but(smooth=E, **given)(logits, target, link=link)
    assert abs(float(apart - found)) > 1e-6, "the mean over classes is another number"


@pytest.mark.parametrize("text", PRINTED)
def test_voxels_that_do_not_count_leave_the_pooled_sums(text: str) -> None:
    logits, target, s, g = batch()
    weight = torch.rand(2, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weight[:, ::4] = 0
    found = lo.parse(text).but(pooled=True, smooth=E)(logits, target, weight=weight.reshape(2, 6, 5))
    expected = PRINTED[text](s[:, 1:], g[:, 1:], weight[:, None].expand(-1, 2, -1))
    torch.testing.assert_close(found, expected.mean(), rtol=1e-12, atol=0)


class Foreground(lo.OverlapLoss, abstract=True):
    """Asks which classes are foreground."""

    def formula(self, tp: Tensor, foreground: Tensor) -> Tensor:
        return tp * foreground


def test_pooling_is_refused_where_a_formula_tells_foreground() -> None:
    with pytest.raises(ValueError, match=r"Foreground\.pooled is True, but the formula tells foreground"):
        Foreground(pooled=True)
    with pytest.raises(ValueError, match="pooled"):
        lo.AsymmetricUnifiedFocal(pooled=True)  # type: ignore[call-arg]


class Near(lo.OverlapLoss, abstract=True):
    """One minus the share of what is predicted that is close to the truth, and a signed distance."""

    closeness: lo.Positive = 2.0

    def auxiliaries(self) -> dict[str, lo.Auxiliary]:
        return {"near": Closeness(), "phi": SignedDistance()}

    def formula(self, s: Tensor, s_near: Tensor, g_near: Tensor, s_phi: Tensor, g: Tensor) -> Tensor:
        return 1 - s_near / (s + 1) + self.closeness * (s_phi / (g + 1) + g_near)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("case", ["plain", "ignore", "weight", "class weights", "pooled"])
def test_sums_under_maps_are_those_by_hand(case: str, batched: bool) -> None:
    logits, labels, s, g = batch()
    given: dict[str, Any] = {"maps": lo.maps_for(Near(), labels, 3)}
    near, phi = (given["maps"][key].flatten(2).double() for key in (Closeness().key, SignedDistance().key))
    weight, share = torch.ones(2, 1, 30, dtype=torch.float64), torch.tensor([1.0, 1.0, 1.0])
    if case in ("ignore", "weight"):
        weight = torch.rand(2, 1, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        weight = (weight > 0.4).double() if case == "ignore" else weight
        if case == "ignore":
            labels = torch.where(weight.reshape(2, 6, 5) > 0, labels, 255)
        given |= {"ignore": 255} if case == "ignore" else {"weight": weight.reshape(2, 6, 5)}
    loss = Near(batch=batched, pooled=case == "pooled")
    if case in ("class weights", "pooled"):
        loss, share = loss.but(class_weights=WEIGHTS), torch.tensor(WEIGHTS)
    sums = [(weight * x)[:, 1:].sum(2) for x in (s, near * s, near * g, phi * s, g)]
    share = share[1:].double()
    if batched:
        sums = [x.sum(0, keepdim=True) for x in sums]
    if case == "pooled":
        sums, share = [(x * share).sum(1, keepdim=True) for x in sums], torch.ones(1).double()
    values = loss.formula(*sums)
    expected = (values * share).sum() / (share.sum() * len(values))
    torch.testing.assert_close(loss(logits, labels, **given), expected, rtol=1e-6, atol=0)


def test_the_sums_of_one_map_for_all_classes() -> None:
    class Evenly(lo.OverlapLoss, abstract=True):
        def auxiliaries(self) -> dict[str, lo.Auxiliary]:
            return {"even": lo.auxiliary.InverseSize()}

        def formula(self, s_even: Tensor, g_even: Tensor) -> Tensor:
            return s_even + 2 * g_even

    logits, labels, s, g = batch()
    even = lo.maps_for(Evenly(), labels, 3)["inverse_size"].flatten(2).double()
    expected = (even * (s + 2 * g))[:, 1:].sum(2).mean()
    torch.testing.assert_close(Evenly()(logits, labels), expected, rtol=1e-6, atol=0)


def test_an_unknown_sum_is_refused_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.formula asks for 'hits'; expected one of s, g, tp, .* s_x or g_x"):

        class Wrong(lo.OverlapLoss, abstract=True):
            def formula(self, tp: Tensor, hits: Tensor) -> Tensor:
                return tp


def test_a_sum_under_a_map_that_nothing_makes_is_refused_when_a_loss_is_made() -> None:
    class Lacking(lo.OverlapLoss, abstract=True):
        def formula(self, s_near: Tensor) -> Tensor:
            return s_near

    with pytest.raises(ValueError, match=r"asks for 's_near', but auxiliaries\(\) has no such entry; .* not there"):
        Lacking()

    class Misspelt(Near, abstract=True):
        def formula(self, s_naer: Tensor) -> Tensor:
            return s_naer

    with pytest.raises(ValueError, match=r"asks for 's_naer'.* g_near, g_phi, s_near, s_phi"):
        Misspelt()

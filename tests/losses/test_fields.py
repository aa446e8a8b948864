"""No field of a loss is without effect: some value of it changes the loss or its gradient on some input."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.fields import Field

CLASSES = 3
NUMBERS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 40.0)
FIELDS = [(card.name, field.name) for card in lo.atlas() if card.category != "custom" for field in card.fields]
FIELDS.remove(("SignedDistanceRegression", "head"))  # it asks for another call, see tests/training/test_heads.py
"""Every hyper-parameter of every loss, those that presets hand to their parts among them."""

Inputs = tuple[tuple[Tensor, Tensor, dict[str, Any]], ...]


@cache
def inputs() -> Inputs:
    """Two samples of objects: an absent class, a class in one sample only, two objects of a class, regions."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, CLASSES, 14, 16, generator=generator, dtype=torch.float64)
    image = torch.rand(2, 1, 14, 16, generator=generator)
    labels = torch.zeros(2, 14, 16, dtype=torch.long)
    labels[0, 1:5, 1:7] = labels[1, 2:4, 2:14] = 1
    labels[0, 8:11, 9:13] = 1
    labels[0, 5:7, 7:9] = 1  # touches the first object at a corner
    labels[0, 9:13, 2:6] = 2
    everywhere = labels.clone()
    everywhere[0, 5:8, 3:7] = 2  # touches class 1
    everywhere[1, 8:13, 3:9] = 2
    context: dict[str, Any] = {"image": image, "spacing": (1.0, 2.0)}
    annotated = torch.tensor([[True, True, False], [True, True, True]])
    regions = torch.stack([everywhere >= 0, everywhere >= 1, everywhere >= 2], 1)
    confident = 9 * torch.nn.functional.one_hot(everywhere, CLASSES).movedim(-1, 1).double() + logits
    return (
        (logits, everywhere, context),
        (logits, labels, context),
        (confident, everywhere, context),
        (confident.flip(1), everywhere, context),
        (logits, everywhere, {**context, "annotated": annotated}),
        (logits, labels.clamp(max=0), context),
        (logits, regions, {**context, "link": "sigmoid"}),
    )


def outcome(loss: lo.Loss, logits: Tensor, target: Tensor, context: dict[str, Any]) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    lo.advance(loss, 0.5)
    value = loss(leaf, target, **context)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def values_of(card: lo.Card, field: Field) -> Iterator[Any]:
    """Values that the field may take, its default left out."""
    if field.name == "class_weights":
        yield (0.2, 1.0, 3.0)
    elif field.name == "hidden":
        yield (1,)
    elif field.name == "betti":
        yield ((1, (2, 0)),)
    elif field.name == "dimensions":
        yield (0,)
    elif field.name in RELATIONS:
        yield RELATIONS[field.name]
    elif field.name == "rare":
        yield (2,)
    elif field.name == "class_counts":
        yield (900.0, 90.0, 10.0)
    elif field.name == "clip":
        yield None
    elif field.name == "loss":
        yield from (lo.Focal(), lo.Jaccard())
    elif field.type.replace(" or ", "").isdigit():
        yield from map(int, field.type.split(" or "))
    elif field.type == "tuple of numbers":
        yield (1.5, 4)
    elif field.type == "True or False":
        yield not field.default
    elif "'" in field.type:
        yield from (choice.strip("' ") for choice in field.type.replace(",", " or ").split(" or ") if "'" in choice)
    elif field.type == "1 or 2":
        yield from (1, 2)
    if "number" in field.type or "weight" in field.type:
        yield from NUMBERS
        yield from (0, 1, 2, 3)


RELATIONS = {
    "forbidden": ((0, 2),),
    "inclusion": ((1, 2),),
    "distances": ((0, 1, 2), (1, 0, 1), (2, 1, 0)),
    "tree": ((1, 2), 0),
}
"""Pairs of classes, and how far classes are apart."""

BESIDE: dict[Any, dict[str, Any]] = {
    "normalization": {"class_weights": (0.2, 1.0, 3.0)},  # what the mean is divided by is a question of weights
    ("HausdorffErosion", "alpha"): {"renormalize": True},
    ("HausdorffErosion", "erosions"): {"renormalize": True},
    ("PersistenceMatching", "matching"): {"background": True},  # the two agree unless there are several to choose from
    ("AsymmetricFocalDice", "gamma"): {"rare": (1,)},
    ("AsymmetricLargeMarginDice", "gamma"): {"rare": (1,)},
    ("MarginCalibration", "tau"): {"class_counts": (900.0, 90.0, 10.0)},
    ("MarginCalibration", "upsilon"): {"class_counts": (900.0, 90.0, 10.0)},
}
"""What a field has its effect beside, as its docstring says."""


@cache
def usual(loss: str, k: int) -> tuple[Tensor, Tensor]:
    """The loss with its defaults on the k-th input."""
    return outcome(lo.card(loss)(), *inputs()[k])


def changes(card: lo.Card, name: str, value: Any) -> bool:
    """Whether a value of the field changes something; a value that is refused does not."""
    beside = BESIDE.get((card.name, name), BESIDE.get(name, {}))
    for k, given in enumerate(inputs()):
        try:
            changed = outcome(card(**{name: value}, **beside), *given)
        except ValueError:
            continue
        before = outcome(card(**beside), *given) if beside else usual(card.name, k)
        if not all(torch.equal(x.nan_to_num(7.5), y.nan_to_num(7.5)) for x, y in zip(changed, before, strict=True)):
            return True
    return False


@pytest.mark.parametrize(("loss", "name"), FIELDS)
def test_a_field_has_an_effect(loss: str, name: str) -> None:
    card = lo.card(loss)
    field = next(field for field in card.fields if field.name == name)
    assert any(changes(card, name, value) for value in values_of(card, field)), f"{loss}.{name} changes nothing"


LOGITS, LABELS = torch.zeros(4, CLASSES, 1, 4), torch.tensor([0, 1, 2, 2]).expand(4, 1, 4)
LOGITS[:, 0, :, 0] = LOGITS[:, 2, :, 1:] = 100


@pytest.mark.parametrize(
    ("weights", "pooled", "mean"),
    [
        ((1, 0, 0), 0, 0),
        ((0, 1, 0), 1, 1),
        ((0, 0, 1), 0.2, 0.2),
        ((0.3, 0.7, 0), 0.7 / 1.3, 0.7),
        ((1, 1, 1), 0.25, 0.4),
    ],
)
def test_weights_reach_pooled_sums_as_in_kornia(weights: tuple[float, ...], pooled: float, mean: float) -> None:
    """Class 0 is right, class 1 missed, class 2 right in two of three: kornia's own input of weighted Dice.

    0.8615 for (0.3, 0.7, 0), as kornia before 0.9.0 has it, comes of squared weights in the overlap alone: there a
    perfect prediction would cost 1 - 0.58 / 1.
    """
    dice = lo.Dice(background=True, smooth=0, class_weights=weights)
    assert float(dice(LOGITS, LABELS)) == pytest.approx(mean, abs=1e-6)
    generalized = lo.GeneralizedDice(weight_type="uniform", class_weights=weights)
    for loss in (dice.but(pooled=True), generalized):
        assert float(loss(LOGITS, LABELS)) == pytest.approx(pooled, abs=1e-6)
        perfect = 100 * torch.nn.functional.one_hot(LABELS, CLASSES).movedim(-1, 1).float()
        assert float(loss(perfect, LABELS)) == pytest.approx(0, abs=1e-6)
    penalty = lo.PenaltyGeneralizedDice(weight_type="uniform", class_weights=weights)
    assert float(penalty(LOGITS, LABELS)) == pytest.approx(3.5 * pooled / (1 + 2.5 * pooled), abs=1e-6)


@pytest.mark.parametrize("name", ["GeneralizedDice", "PenaltyGeneralizedDice"])
@pytest.mark.parametrize("given", [{"smooth": 1.0}, {"pooled": True}, {"absent": "skip"}])
def test_what_a_formula_has_no_use_for_is_refused(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{name} has no hyper-parameter '{next(iter(given))}'"):
        lo.card(name)(**given)
    with pytest.raises(ValueError, match=f"{name} has no hyper-parameter"):
        lo.parse(f"{name}({next(iter(given))}={next(iter(given.values()))!r})")

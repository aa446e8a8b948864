"""What a step is told: batches made ahead, their spacing, image, annotated classes and auxiliaries."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

import lossodyssey as lo
from lossodyssey.data import augmentation
from lossodyssey.data.patches import CachedCase
from lossodyssey.training import batches
from lossodyssey.training.batches import Batch, Batches
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit
from lossodyssey.training.truth import build_criterion

SMALL = Settings(
    steps=4, epoch=2, patch=(16, 16), features=(4, 8), foreground=1.0, schedule="constant", warmup=0, device="cpu"
)


def stretched(cases: Sequence[CachedCase], *spacings: tuple[float, float]) -> list[CachedCase]:
    """The cases with these spacings in turn."""
    return [replace(case, spacing=spacings[k % len(spacings)]) for k, case in enumerate(cases)]


def made(text: str | lo.Loss, cases: Sequence[CachedCase], step: int = 0, **options: Any) -> Batch:
    loss = lo.parse(text) if isinstance(text, str) else text
    criterion = build_criterion(loss, options.get("regions", ()), options.get("ignore"))
    return Batches(criterion, cases, SMALL, **{"classes": 2, "seed": 0} | options).make(step)


def curve_by_hand(text: str, cases: Sequence[CachedCase], spacing: tuple[float, float] | None) -> list[float]:
    """The losses of a training written down step by step, with the loss called as a user would."""
    network = build_network(SMALL, dimensions=2, channels=1, classes=2, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), SMALL.learning_rate)
    losses = []
    for step in range(SMALL.steps):
        rng = np.random.default_rng((0, step))
        parameters = augmentation.draw(rng, cases, batch=2, patch=(16, 16), foreground=1.0, flip_axes=())
        images, labels = augmentation.apply(parameters, cases, (16, 16))
        loss = lo.parse(text)(network(images), labels, spacing=spacing)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(network.parameters(), SMALL.clip)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("text", ["Boundary()", "Dice() + 0.1 * HausdorffDT()"])
def test_the_curve_on_anisotropic_data_is_that_of_the_loss_with_the_spacing(cases: list[CachedCase], text: str) -> None:
    anisotropic = stretched(cases, (3.0, 0.5))
    outcome = fit(lo.parse(text), anisotropic, SMALL, classes=2, seed=0)
    curve = [loss for _, loss, _ in outcome.curve]
    assert curve == curve_by_hand(text, anisotropic, (3.0, 0.5))
    in_voxels = curve_by_hand(text, anisotropic, None)
    assert abs(curve[0] - in_voxels[0]) > 0.01 * abs(in_voxels[0])


def test_each_sample_has_the_spacing_of_its_case(cases: list[CachedCase]) -> None:
    mixed = stretched(cases, (3.0, 0.5), (1.0, 2.0))
    seen = set()
    for step in range(8):
        batch = made("Boundary()", mixed, step)
        rng = np.random.default_rng((0, step))
        parameters = augmentation.draw(rng, mixed, batch=2, patch=(16, 16), foreground=1.0, flip_axes=())
        assert batch.context.spacing == [mixed[place.case].spacing for place in parameters.places]
        seen.add(tuple(batch.context.spacing))
    assert ((3.0, 0.5), (1.0, 2.0)) in seen or ((1.0, 2.0), (3.0, 0.5)) in seen


@pytest.mark.parametrize(
    "options", [{}, {"ignore": 1, "classes": 3}, {"regions": ((1,), (1, 2)), "ignore": 2}], ids=str
)
@pytest.mark.parametrize("text", ["Boundary()", "UNetWeightMapCE()", "Dice() + Boundary() + DistancePenalisedCE()"])
def test_auxiliaries_are_those_that_the_loss_would_make(
    cases: list[CachedCase], text: str, options: dict[str, Any]
) -> None:
    loss = lo.parse(text)
    batch = made(text, stretched(cases, (3.0, 0.5), (1.0, 2.0)), **options)
    assert isinstance(batch.context.auxiliary, dict) and set(batch.context.auxiliary) == set(
        wanted.key for _, leaf in loss.terms for wanted in leaf.auxiliaries().values()
    )
    criterion = build_criterion(loss, options.get("regions", ()), options.get("ignore"))
    logits = torch.randn(2, len(options.get("regions", ())) or options.get("classes", 2), 16, 16)
    bare = replace(batch.context, auxiliary={})
    assert torch.equal(criterion(logits, batch.target, batch.context), criterion(logits, batch.target, bare))


def test_a_loss_without_need_gets_no_auxiliary_and_no_image(cases: list[CachedCase]) -> None:
    context = made("DiceCE()", cases).context
    assert context.auxiliary == {} and context.image is None and context.annotated is None


class Witness(lo.Loss, range=(0, 100)):
    """Notes what it is told, and returns the mean of the probabilities."""

    needs_image = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.told: list[tuple[Tensor, Tensor | None]] = []

    def of(self, pair: lo.Pair) -> Tensor:
        assert pair.image is not None
        self.told.append((pair.image.clone(), pair.annotated))
        return pair.s.mean(dtype=torch.float64)


def test_the_image_patch_and_the_annotated_classes_reach_the_loss(cases: list[CachedCase]) -> None:
    partial = [replace(case, annotated=(True, False, True)) if k % 2 else case for k, case in enumerate(cases)]
    loss = Witness()
    fit(loss, partial, SMALL, classes=3, seed=0)
    expected = [made(loss, partial, step, classes=3) for step in range(SMALL.steps)]
    for (image, annotated), batch in zip(loss.told, expected, strict=True):
        assert torch.equal(image, batch.images) and annotated is not None
        assert batch.context.annotated.tolist() == annotated.tolist()
    rows = [tuple(row) for _, annotated in loss.told if annotated is not None for row in annotated.tolist()]
    assert set(rows) == {(True, True, True), (True, False, True)}


@pytest.mark.parametrize("first", [0, 2])
def test_batches_made_ahead_are_those_made_one_by_one(cases: list[CachedCase], first: int) -> None:
    source = Batches(lo.Criterion("Boundary()"), cases, SMALL, classes=2, seed=0, flip_axes=(0,))
    ahead = list(source.ahead(first, 5))
    assert len(ahead) == 5 - first
    for step, batch in enumerate(ahead, first):
        again = source.make(step)
        assert torch.equal(batch.images, again.images) and torch.equal(batch.target, again.target)
        assert torch.equal(batch.context.auxiliary["phi"], again.context.auxiliary["phi"])  # type: ignore[call-overload]
    assert list(source.ahead(5, 5)) == []


def test_the_next_batch_is_made_in_a_thread_that_ends_with_the_training(
    cases: list[CachedCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []

    def apply(*arguments: Any) -> Any:
        seen.append((threading.current_thread().name, torch.get_num_threads()))
        return augmentation.apply(*arguments)

    monkeypatch.setattr(batches, "augmentation", SimpleNamespace(draw=augmentation.draw, apply=apply))
    outcome = fit(lo.Dice(), cases, SMALL, classes=2, seed=0)
    assert len(seen) == len(outcome.curve) == SMALL.steps
    assert seen == [("batches_0", torch.get_num_threads())] * SMALL.steps
    wild = replace(SMALL, steps=50, optimizer="sgd", learning_rate=1e30)
    assert fit(lo.CrossEntropy(), cases, wild, classes=2, seed=0).reason
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_what_goes_wrong_in_the_thread_is_raised_by_the_training(
    cases: list[CachedCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, steps = Batches.make, list[int]()

    def broken(self: Batches, step: int) -> Batch:
        if step == 2:
            raise OSError("no more memory for batches")
        return make(self, step)

    monkeypatch.setattr(Batches, "make", broken)
    with pytest.raises(OSError, match="no more memory for batches"):
        fit(lo.Dice(), cases, SMALL, classes=2, seed=0, on_step=lambda step, loss, rate: steps.append(step))
    assert steps == [1, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_without_augmentation_a_patch_is_what_the_case_holds_there(cases: list[CachedCase]) -> None:
    plain = replace(SMALL, augmentation=False)
    source = Batches(build_criterion(lo.Dice()), cases, plain, classes=2, seed=0, flip_axes=(0, 1))
    for step in range(8):
        batch, rng = source.make(step), np.random.default_rng((0, step))
        drawn = augmentation.draw(rng, cases, batch=2, patch=(16, 16), foreground=1.0, flip_axes=(0, 1))
        for place, image, labels in zip(drawn.places, batch.images, batch.target, strict=True):
            inside = tuple(slice(start, start + 16) for start in place.start)
            assert torch.equal(image, cases[place.case].image[(slice(None), *inside)])
            assert torch.equal(labels, cases[place.case].labels[inside].long())

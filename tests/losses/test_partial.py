"""Partial labels, and losses that count objects alike: by their weights, and by the cells around them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import Cells as CellsOf
from lossodyssey.auxiliary import Components, InverseSize
from lossodyssey.core.merging import log_odds, merged_logits
from lossodyssey.core.pair import Pair


def batch(*space: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (2, *space), generator=generator)


def lesions() -> Tensor:
    """A large object and a small one in one sample, one object in the other."""
    labels = torch.zeros(2, 12, 14, dtype=torch.long)
    labels[0, 1:6, 1:6] = 1
    labels[0, 9:11, 10:12] = 1
    labels[1, 4:7, 3:9] = 1
    return labels


def sure(labels: Tensor, classes: int = 2) -> Tensor:
    return 60.0 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


LEAF = "Marginal(loss=Dice(background=True, smooth=0), hidden=(2,), form='leaf')"


def test_the_leaf_form_takes_every_prediction_at_label_0_for_false() -> None:
    logits, labels = batch(5, 6)
    s, g = logits.softmax(1), torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    one = 1 - 2 * (s[:, 1] * g[:, 1]).sum((1, 2)) / (s[:, 1] + g[:, 1]).sum((1, 2))
    wanted = (1 + one.mean() + 1) / 3
    torch.testing.assert_close(lo.parse(LEAF)(logits, labels), wanted)
    unlabelled = labels.masked_fill(labels == 2, 0)
    torch.testing.assert_close(lo.parse(LEAF)(logits, unlabelled), wanted)


@pytest.mark.parametrize("text", ["Marginal(form='leaf')", "Exclusion()", "Marginal()"])
def test_with_everything_annotated_it_is_the_inner_loss(text: str) -> None:
    logits, labels = batch(5, 6)
    everything = torch.ones(2, 3, dtype=torch.bool)
    for context in ({}, {"annotated": everything}):
        torch.testing.assert_close(lo.parse(text)(logits, labels, **context), lo.DiceCE()(logits, labels))


def test_exclusion_counts_where_hidden_classes_overlap_annotated_ones() -> None:
    logits, labels = batch(5, 6, classes=4)
    loss, s = lo.Exclusion(hidden=(2, 3), penalty=1.5), logits.softmax(1)
    e = (labels == 1).double()
    dice = sum(2 * (s[:, c] * e).sum((1, 2)) / (s[:, c] + e).sum((1, 2)) for c in (2, 3)) / 2
    cross = sum((e * (1 + s[:, c]).log()).mean((1, 2)) for c in (2, 3))
    wanted = lo.Marginal(hidden=(2, 3))(logits, labels) + 1.5 * (dice + cross).mean()  # type: ignore[union-attr]
    torch.testing.assert_close(loss(logits, labels), wanted, rtol=1e-5, atol=0)
    apart = logits.clone()
    apart[:, 2:] -= 1000 * (labels == 1)[:, None]
    torch.testing.assert_close(loss(apart, labels), lo.Marginal(hidden=(2, 3))(apart, labels))


def test_exclusion_follows_the_annotations_of_each_sample() -> None:
    logits, labels = batch(5, 6, classes=3)
    annotated = torch.tensor([[True, True, False], [True, False, False]])
    leaf = logits.clone().requires_grad_()
    lo.Exclusion()(leaf, labels, annotated=annotated).backward()
    assert leaf.grad is not None and leaf.grad[0].any() and not leaf.grad[1].any()
    first = lo.Exclusion(penalty=3)(logits, labels, annotated=annotated) - lo.Marginal()(
        logits, labels, annotated=annotated
    )
    alone = lo.Exclusion(penalty=3, hidden=(2,))(logits[:1], labels[:1]) - lo.Marginal(hidden=(2,))(
        logits[:1], labels[:1]
    )
    torch.testing.assert_close(first, alone / 2)


def test_exclusion_is_not_for_regions() -> None:
    logits, labels = batch(5, 6)
    regions = torch.stack([labels >= 0, labels >= 1, labels >= 2], 1)
    with pytest.raises(ValueError, match="regions, which may overlap"):
        lo.Exclusion(hidden=(2,))(logits, regions, link="sigmoid")
    with pytest.raises(ValueError, match=r"Exclusion.hidden is \(0,\)"):
        lo.Exclusion(hidden=(0,))(logits, labels)


def test_without_limits_every_object_has_the_same_weight() -> None:
    labels = lesions()
    weights, numbers = InverseSize(clip=None)(labels, 2)[0, 0], Components()(labels, 2)[0, 1]
    shares = [float(weights[numbers == k].sum()) for k in (0, 1, 2)]
    assert shares == pytest.approx([56.0] * 3)
    logits = torch.randn(2, 2, 12, 14, dtype=torch.float64)
    wanted = lo.CrossEntropy()(logits, labels, weight=InverseSize(clip=None)(labels, 2))
    torch.testing.assert_close(lo.InverseWeighting(loss=lo.CrossEntropy(), clip=None)(logits, labels), wanted)


def test_an_object_of_half_the_image_leaves_the_loss_as_it_is() -> None:
    labels = torch.zeros(1, 6, 8, dtype=torch.long)
    labels[:, 3:] = 1
    logits = torch.randn(1, 2, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(lo.InverseWeighting()(logits, labels), lo.DiceCE()(logits, labels))


@pytest.mark.parametrize("text", ["TopK()", "Dice() + Lovasz()", "CenterlineDice()"])
def test_losses_that_see_no_weights_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"InverseWeighting.loss has the term .* only whether the weight"):
        lo.InverseWeighting(loss=lo.parse(text))
    with pytest.raises(ValueError, match="clip"):
        lo.InverseWeighting(clip=(1.0,))


def test_weights_leave_given_maps_of_the_labels_as_they_are() -> None:
    labels, logits = lesions(), torch.randn(2, 2, 12, 14, dtype=torch.float64)
    loss = lo.InverseWeighting(loss=lo.DistancePenalisedCE())
    nothing = {key: torch.zeros_like(found) for key, found in lo.maps_for(lo.DistancePenalisedCE(), labels, 2).items()}
    value = loss(logits, labels, auxiliary=nothing)
    torch.testing.assert_close(value, lo.InverseWeighting(loss=lo.CrossEntropy())(logits, labels))


@pytest.mark.parametrize("text", ["Dice()", "CrossEntropy()", "Focal() + 2 * DicePlusPlus()"])
def test_one_component_is_the_inner_loss(text: str) -> None:
    labels, logits = lesions()[1:], torch.randn(1, 2, 12, 14, dtype=torch.float64)
    found = lo.ConnectedComponents(loss=lo.parse(text))(logits, labels)
    torch.testing.assert_close(found, lo.parse(text)(logits, labels))


@pytest.mark.parametrize(
    "text", ["Dice()", "Dice(square=True)", "Tversky()", "Focal()", "NoiseRobustDice() + PolyCE()"]
)
def test_cells_are_as_if_each_were_a_sample(text: str) -> None:
    loss, (logits, labels) = lo.parse(text), batch(12, 14, seed=2)
    labels = torch.where(torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) > 0.8, labels, 0)
    ignored = torch.rand(labels.shape, generator=torch.Generator().manual_seed(2)) > 0.7
    target = labels.masked_fill(ignored, 255)
    cells, means = CellsOf()(torch.where(ignored, 3, labels), 3), []
    for n in range(2):
        for c in (1, 2):
            u = (logits[n, c] - logits[n, [k for k in range(3) if k != c]].logsumexp(0))[None, None]
            parts = [cells[n, c] == k for k in cells[n, c].unique()]
            values = [loss(u, labels[n : n + 1] == c, weight=(part & ~ignored[n])[None]) for part in parts]
            counted = [value for value, part in zip(values, parts, strict=True) if (part & ~ignored[n]).any()]
            means.append(torch.stack(counted).mean())
    found = lo.ConnectedComponents(loss=loss)(logits, target, ignore=255)
    torch.testing.assert_close(found, torch.stack(means).mean())


def test_a_missed_small_object_costs_its_share() -> None:
    labels = lesions()[:1]
    missed = labels.clone()
    missed[:, 8:] = 0
    loss = lo.ConnectedComponents(loss=lo.Dice(smooth=0))
    assert float(loss(sure(missed), labels)) == pytest.approx(0.5)
    assert float(lo.Dice(smooth=0)(sure(missed), labels)) < 0.08


def test_cells_partition_the_voxels() -> None:
    labels, logits = lesions(), torch.randn(2, 2, 12, 14, dtype=torch.float64)
    pair = Pair(logits, labels)
    view = pair.against_rest().in_cells(CellsOf()(labels, 2)[:, 1:].flatten(2) - 1)
    for values in (view.s * view.g, view.s * (1 - view.g), view.g):
        torch.testing.assert_close(view.total(values).reshape(2, 1, 2).sum(2), values.sum(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Lovasz()", "cannot be added up by cells"),
        ("TopK()", "cannot be added up by cells"),
        ("DistancePenalisedCE()", "cannot be added up by cells"),
        ("Dice(batch=True)", "leave batch out"),
        ("Dice() + CrossEntropy(class_weights=(1, 2))", "leave class_weights out"),
    ],
)
def test_losses_that_cannot_be_made_by_cells_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"ConnectedComponents.loss has the term .*{reason}"):
        lo.ConnectedComponents(loss=lo.parse(text))


@pytest.mark.parametrize(
    "text", ["DiceCE()", "Dice(square=True)", "Focal()", "NoiseRobustDice()", "Tversky(absent='skip')"]
)
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_blobs_by_sums_are_those_one_by_one(text: str, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, (logits, labels) = lo.Blobs(loss=lo.parse(text)), batch(12, 14, seed=3)
    generator = torch.Generator().manual_seed(1)
    labels = torch.where(torch.rand(labels.shape, generator=generator) > 0.8, labels, 0)
    labels[1] = 0  # without objects
    weight = torch.rand(labels.shape, generator=generator, dtype=logits.dtype) * (labels != 2)
    target = labels if link == "softmax" else torch.stack([labels == c for c in range(3)], 1)
    logits.requires_grad_()

    def value_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        value = loss(logits, target, link=link, weight=weight)
        return value, torch.autograd.grad(value, logits)[0]

    at_once = value_and_gradient()
    monkeypatch.setattr("lossodyssey.losses.partial.blobs.by_cells", lambda leaf: False)
    torch.testing.assert_close(at_once, value_and_gradient())


def test_a_blob_loss_that_is_no_formula_of_sums_goes_object_by_object() -> None:
    logits, labels = batch(12, 14, seed=3)
    for text in ("Lovasz()", "Dice(background=True)", "CrossEntropy(class_weights=(1, 2))"):
        assert torch.isfinite(lo.Blobs(loss=lo.parse(text))(logits, labels))


@pytest.mark.parametrize("groups", [[[0, 1], [2, 3]], [[0, 1, 3], [2]], [[0], [3, 1], [2]]], ids=str)
def test_unions_have_the_logits_and_both_derivatives_of_a_log_sum_exp(groups: list[list[int]]) -> None:
    z = torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = torch.stack([z[:, group].logsumexp(1) for group in groups], 1)
    torch.testing.assert_close(merged_logits(z, groups), expected)
    for function in (lambda x: merged_logits(x, groups), log_odds):
        assert torch.autograd.gradcheck(function, z) and torch.autograd.gradgradcheck(function, z)
    odds = torch.stack([z[:, c] - z[:, [k for k in range(4) if k != c]].logsumexp(1) for c in (1, 2, 3)], 1)
    torch.testing.assert_close(log_odds(z), odds)


def test_unions_in_blocks_are_those_of_whole_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    z = torch.randn(2, 3, 3000, generator=torch.Generator().manual_seed(0))
    found = []
    for block in (1, 1 << 20):
        monkeypatch.setattr("lossodyssey.core.merging.BLOCK", block)
        x = z.clone().requires_grad_()
        value = log_odds(x)
        found.append((value.detach(), torch.autograd.grad((value**2).sum(), x)[0]))
    torch.testing.assert_close(*found, rtol=0, atol=0)

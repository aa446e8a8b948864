"""The criterion, and what the pair says of input that does not fit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import lossodyssey as lo


def test_scales_are_weighted_and_targets_follow() -> None:
    labels = torch.randint(0, 3, (2, 8, 8, 4))
    logits = [torch.randn(2, 3, 8, 8, 4), torch.randn(2, 3, 4, 4, 4), torch.randn(2, 3, 2, 2, 2)]
    small = [labels, labels[:, ::2, ::2], labels[:, ::4, ::4, ::2]]
    values = [float(lo.DiceCE()(z, y)) for z, y in zip(logits, small, strict=True)]
    criterion = lo.Criterion("DiceCE()")
    expected = sum(w * v for w, v in zip((4 / 7, 2 / 7, 1 / 7), values, strict=True))
    assert float(criterion(logits, small)) == pytest.approx(expected)
    nnunet = lo.Criterion(lo.DiceCE(), scales=(1, 0.5, 0))
    assert float(nnunet(logits, small)) == pytest.approx(2 / 3 * values[0] + 1 / 3 * values[1])
    assert criterion(logits, labels).isfinite() and criterion(logits, labels[:, None]).isfinite()


def test_a_single_target_is_brought_to_each_scale_by_nearest_voxels() -> None:
    labels = torch.randint(0, 3, (1, 6, 6))
    logits = [torch.randn(1, 3, 6, 6), torch.randn(1, 3, 3, 3)]
    nearest = F.interpolate(labels[:, None].double(), (3, 3), mode="nearest-exact")[:, 0].long()
    criterion = lo.Criterion("CrossEntropy()")
    assert torch.equal(criterion(logits, labels), criterion(logits, [labels, nearest]))


def test_ignore_and_link_reach_the_loss() -> None:
    logits, labels = torch.randn(2, 3, 6, 6), torch.randint(0, 3, (2, 6, 6))
    assert torch.equal(lo.Criterion("Dice()", ignore=2)(logits, labels), lo.Dice()(logits, labels, ignore=2))
    regions = torch.rand(2, 3, 6, 6) > 0.5
    assert torch.equal(
        lo.Criterion("Dice()", link="sigmoid")(logits, regions), lo.Dice()(logits, regions, link="sigmoid")
    )


@pytest.mark.parametrize(
    ("logits", "target", "context", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), 5), {}, "class 5, but logits have 3 channels.*ignore=5"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1), {}, "class -1"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5).long(), {}, r"target has shape \(2, 4, 5\)"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, 3), {}, "movedim"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), 0.5), {}, "not whole numbers"),
        (torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), {}, "expected 1 at every voxel"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 2.0), {}, "expected 0 to 1"),
        (torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), {"ignore": 1}, "`weight`"),
        (torch.zeros(2, 3, 4, 4).long(), torch.zeros(2, 4, 4).long(), {}, "floating point"),
        (torch.zeros(2, 3), torch.zeros(2).long(), {}, "one spatial axis"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long(), {"link": "relu"}, "link is .relu."),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long(), {"weight": torch.ones(2, 4)}, "weight has shape"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long(), {"spacing": (1, 1, 1)}, "one per spatial axis"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4).long(), {"spacing": (1, 0)}, "positive numbers"),
    ],
)
def test_input_that_does_not_fit_is_named(
    logits: torch.Tensor, target: torch.Tensor, context: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lo.Dice()(logits, target, **context)  # type: ignore[arg-type]


def test_class_weights_have_one_length() -> None:
    logits, labels = torch.zeros(1, 3, 4), torch.zeros(1, 4).long()
    for loss in (lo.Dice(class_weights=(1, 2)), lo.CrossEntropy(class_weights=(1, 2))):
        with pytest.raises(ValueError, match="2 numbers, but there are 3 classes"):
            loss(logits, labels)


SUMS = {
    "Dice() + 0.5 * Focal()": ["Dice()", "0.5 * Focal()"],
    "Ramp(1, 0) * Dice() + Ramp(0, 1) * Boundary()": ["Ramp(1, 0) * Dice()", "Ramp(0, 1) * Boundary()"],
    "Ratio('batch') * Dice() + HausdorffDT()": ["Ratio('batch') * Dice()", "HausdorffDT()"],
    "0.25 * TopK() + 0.25 * TopK()": ["0.25 * TopK()"],
    "Lovasz()": ["Lovasz()"],
}


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize("text", SUMS)
def test_summands_are_the_loss_in_parts(text: str, scales: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(2, 3, n, n, generator=generator).requires_grad_() for n in (8, 4, 2)[:scales]]
    labels = torch.randint(0, 4, (2, 8, 8), generator=generator)
    weight = torch.rand(2, 8, 8, generator=generator)
    criterion = lo.Criterion(text, ignore=3, scales=(1, 0.5, 0)[:scales])
    lo.advance(criterion, 0.25)
    output = logits if scales > 1 else logits[0]
    loss = criterion(output, labels, weight=weight, spacing=(2.0, 1.0))
    summands = criterion.summands(output, labels, weight=weight, spacing=(2.0, 1.0))
    assert list(summands) == SUMS[text] and all(value.shape == () for value in summands.values())
    torch.testing.assert_close(sum(summands.values()), loss)
    slopes = [torch.autograd.grad(total, logits, allow_unused=True) for total in (loss, sum(summands.values()))]
    torch.testing.assert_close(*(tuple(slope for slope in each if slope is not None) for each in slopes))


@pytest.mark.parametrize("text", ["Dice() + 2 * CrossEntropy()", "Tversky(beta=0.5)"])
def test_a_loss_gives_its_summands_without_a_criterion(text: str) -> None:
    logits, regions = torch.randn(2, 3, 6, 6, dtype=torch.float16), torch.rand(2, 3, 6, 6) > 0.5
    loss = lo.parse(text)
    summands = loss.summands(logits, regions, link="sigmoid")
    assert list(summands) == text.split(" + ") and {value.dtype for value in summands.values()} == {torch.float32}
    torch.testing.assert_close(sum(summands.values()), loss(logits, regions, link="sigmoid"))


def test_scales_that_do_not_fit_are_named() -> None:
    logits, labels = [torch.zeros(1, 2, 4), torch.zeros(1, 2, 2)], torch.zeros(1, 4).long()
    with pytest.raises(ValueError, match="3 weights, but logits come in 2 scales"):
        lo.Criterion("Dice()", scales=(1, 1, 1))(logits, labels)
    with pytest.raises(ValueError, match="one target per scale"):
        lo.Criterion("Dice()")(logits, [labels])
    with pytest.raises(ValueError, match="at least one above 0"):
        lo.Criterion("Dice()", scales=(0, 0))


def test_criterion_prints_what_it_is_and_stays_out_of_checkpoints() -> None:
    criterion = lo.Criterion("DiceCE()", ignore=255)
    assert repr(criterion) == "Criterion(DiceCE(), ignore=255)"
    assert criterion.state_dict() == {}

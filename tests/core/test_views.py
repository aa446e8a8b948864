"""Losses on other views of the pair: merged classes, objects one by one, and losses nested in losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core import counts

HIDDEN = (2, 3)
INNER = [
    "Dice()",
    "DiceCE()",
    "Tversky(alpha=0.2, beta=0.8, batch=True)",
    "Focal()",
    "TopK(percent=30)",
    "Lovasz()",
    "CenterlineDice(iterations=3)",
    "Boundary()",
    "GeneralizedDice()",
    "Dice(background=True, square=True, absent='skip')",
    "MumfordShah(length=0.1)",
    "0.5 * Dice() + Ramp(1, 0.2) * Boundary()",
    "Perimeter() + SkeletonRecall()",
]
NESTED = "0.5 * Blobs(loss=Tversky(alpha=0.5)) + Marginal(loss=DiceCE(), hidden=(2, 3))"


def batch(*space: int, classes: int = 4, samples: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits, float64, and labels in connected regions."""
    generator = torch.Generator().manual_seed(seed)
    space = space or (8, 6)
    logits = 2 * torch.randn(samples, classes, *space, generator=generator, dtype=torch.float64)
    coarse = torch.randint(0, classes, (samples, *(size // 2 for size in space)), generator=generator)
    for axis in range(1, 1 + len(space)):
        coarse = coarse.repeat_interleave(2, axis)
    return logits, coarse


def merged(logits: Tensor, labels: Tensor, hidden: tuple[int, ...] = HIDDEN) -> tuple[Tensor, Tensor]:
    """The hidden classes as a part of the background, by hand."""
    kept = [c for c in range(1, logits.shape[1]) if c not in hidden]
    rest = logits[:, [0, *hidden]].logsumexp(1)
    table = torch.zeros(256, dtype=torch.long)
    table[kept] = torch.arange(1, len(kept) + 1)
    table[255] = 255
    return torch.stack([rest, *(logits[:, c] for c in kept)], 1), table[labels]


def image(logits: Tensor) -> Tensor:
    return torch.arange(logits[:, 0].numel(), dtype=torch.float64).sin().reshape(logits[:, :1].shape)


def value_and_gradient(loss: lo.Loss, logits: Tensor, target: Tensor, **given: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, target, image=image(logits), **given)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def assert_close(found: Any, expected: Any, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


CONTEXTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ignore": {"ignore": 255},
    "weight": {"weight": torch.rand(2, 8, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)},
    "spacing": {"spacing": torch.tensor([[1.0, 2.0], [3.0, 0.5]])},
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("text", INNER)
def test_marginal_is_the_loss_with_hidden_classes_in_the_background(text: str, context: str) -> None:
    logits, labels = batch()
    labels[:, :2, :3] = 255 if context == "ignore" else 1
    inner, given = lo.parse(text), CONTEXTS[context]

    def by_hand(z: Tensor, target: Tensor, **known: Any) -> Tensor:
        return inner(*merged(z, target), **known)  # type: ignore[no-any-return]

    found = value_and_gradient(lo.Marginal(loss=inner, hidden=HIDDEN), logits, labels, **given)
    assert_close(found, value_and_gradient(by_hand, logits, labels, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", INNER)
def test_probability_that_moves_between_hidden_classes_changes_nothing(text: str) -> None:
    logits, labels = batch()
    moved = logits.clone()
    share = torch.rand(2, 2, 8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(1)
    moved[:, 2:4] = logits[:, 2:4].logsumexp(1, keepdim=True) + share.log()
    relabelled = torch.where(labels == 2, 3, labels)
    loss = lo.Marginal(loss=lo.parse(text), hidden=HIDDEN)
    expected = loss(logits, labels, image=image(logits))
    assert_close(loss(moved, labels, image=image(logits)), expected)
    assert_close(loss(logits, relabelled, image=image(logits)), expected)
    assert abs(float(loss(logits.flip(1), labels, image=image(logits)) - expected)) > 1e-6


@pytest.mark.parametrize("text", INNER)
def test_each_sample_follows_its_annotated_classes(text: str) -> None:
    logits, labels = batch(samples=4)
    annotated = torch.ones(4, 4, dtype=torch.bool)
    annotated[:, 0] = False  # says nothing: the background is what is left
    annotated[torch.tensor([0, 2]), 2:] = False
    annotated[3, 1:] = False  # nothing to learn from
    inner, pair = lo.parse(text), torch.tensor([0, 2])
    images = image(logits)
    first = inner(*merged(logits[pair], labels[pair]), image=images[pair])
    second = inner(logits[1:2], labels[1:2], image=images[1:2])
    found = lo.Marginal(loss=inner)(logits, labels, annotated=annotated, image=images)
    assert_close(found, (2 * first + second) / 3)


@pytest.mark.parametrize("text", INNER)
@pytest.mark.parametrize("annotated", [None, True], ids=["not said", "all"])
def test_full_annotation_is_the_loss_itself(text: str, annotated: bool | None) -> None:
    logits, labels = batch()
    given = {} if annotated is None else {"annotated": torch.ones(2, 4, dtype=torch.bool)}
    found = value_and_gradient(lo.Marginal(loss=lo.parse(text)), logits, labels, **given)
    assert_close(found, value_and_gradient(lo.parse(text), logits, labels), 0)


def test_given_auxiliary_values_serve_where_nothing_is_merged() -> None:
    logits, labels = batch()
    given = {"auxiliary": {"phi": torch.rand(2, 4, 8, 6, dtype=torch.float64)}}
    everything = torch.ones(2, 4, dtype=torch.bool)
    expected = lo.Boundary()(logits, labels, **given)
    assert torch.equal(lo.Marginal(loss=lo.Boundary())(logits, labels, annotated=everything, **given), expected)
    with_maps = lo.Marginal(loss=lo.Boundary(), hidden=HIDDEN)
    assert torch.equal(with_maps(logits, labels, **given), with_maps(logits, labels))


@pytest.mark.parametrize("weights", [(0.5, 2.0, 3.0, 4.0), (0.5, 2.0)], ids=["of all classes", "of the classes left"])
@pytest.mark.parametrize("name", ["Dice", "CrossEntropy", "GeneralizedDice"])
def test_class_weights_are_those_of_the_classes_that_are_left(name: str, weights: tuple[float, ...]) -> None:
    logits, labels = batch()
    build = getattr(lo, name)
    found = lo.Marginal(loss=build(class_weights=weights), hidden=HIDDEN)(logits, labels)
    assert_close(found, build(class_weights=(0.5, 2.0))(*merged(logits, labels)))
    assert abs(float(found - build()(*merged(logits, labels)))) > 1e-6 or name == "Dice"


def test_soft_truths_are_merged_by_their_sums() -> None:
    logits, labels = batch()
    soft = 0.8 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).double() + 0.05
    by_hand = torch.stack([soft[:, [0, 2, 3]].sum(1), soft[:, 1]], 1)
    for text in ("Dice()", "CrossEntropy()", "Focal()"):
        found = lo.Marginal(loss=lo.parse(text), hidden=HIDDEN)(logits, soft)
        assert_close(found, lo.parse(text)(merged(logits, labels)[0], by_hand))


@pytest.mark.parametrize("text", ["Dice()", "CrossEntropy()", "Lovasz()", "Boundary()", "MumfordShah()"])
def test_regions_that_are_hidden_are_left_out(text: str) -> None:
    logits, labels = batch()
    regions = torch.stack([labels >= c for c in range(4)], 1)
    given = {"link": "sigmoid", "image": image(logits)}
    loss, kept = lo.parse(text), torch.tensor([0, 1])
    found = lo.Marginal(loss=loss, hidden=HIDDEN)(logits, regions, **given)
    assert_close(found, loss(logits[:, kept], regions[:, kept], **given))
    annotated = torch.tensor([[True, True, False, False], [True, True, True, True]])
    apart = [
        loss(logits[:1, kept], regions[:1, kept], link="sigmoid", image=image(logits)[:1]),
        loss(logits[1:], regions[1:], link="sigmoid", image=image(logits)[1:]),
    ]
    assert_close(lo.Marginal(loss=loss)(logits, regions, annotated=annotated, **given), torch.stack(apart).mean())


@pytest.mark.parametrize("view", ["Marginal(loss=Lovasz(), hidden=(0, 2, 3))", "Blobs(loss=Lovasz())"])
def test_one_region_of_several_keeps_the_errors_of_regions(view: str) -> None:
    """Only a head of one channel is a hinge: whether others are hidden must not change the kind of the loss."""
    logits = 30 * batch(samples=1)[0]
    regions = torch.zeros(1, 4, 8, 6, dtype=torch.bool)
    regions[:, 1, 2:5, 1:4] = True
    found = lo.parse(view)(logits, regions, link="sigmoid")
    twice = lo.Lovasz()(logits[:, [1, 1]], regions[:, [1, 1]], link="sigmoid")
    assert_close(found, twice, 1e-9)
    assert 0 < float(found) <= 1 < float(lo.Lovasz()(logits[:, 1:2], regions[:, 1:2], link="sigmoid"))


def test_coarser_scales_of_deep_supervision_hide_the_same_classes() -> None:
    logits, labels = batch()
    small = batch(4, 3, seed=1)[0]
    annotated = torch.tensor([[True, True, False, False], [True, True, True, True]])
    for given, criterion in (
        ({}, lo.Criterion("Marginal(loss=DiceCE(), hidden=(2, 3))")),
        ({"annotated": annotated}, lo.Criterion("Marginal(loss=DiceCE())")),
    ):
        values = [criterion.loss(z, y, **given) for z, y in ((logits, labels), (small, labels[:, 1::2, 1::2]))]
        assert_close(criterion([logits, small], labels, **given), 2 / 3 * values[0] + 1 / 3 * values[1])
    by_hand = [lo.DiceCE()(*merged(z, y)) for z, y in ((logits, labels), (small, labels[:, 1::2, 1::2]))]
    found = lo.Criterion("Marginal(loss=DiceCE(), hidden=(2, 3))")([logits, small], labels)
    assert_close(found, 2 / 3 * by_hand[0] + 1 / 3 * by_hand[1])


@pytest.mark.parametrize("hidden", [(0,), (4,), (1, 2, 3)])
def test_hidden_classes_that_cannot_be_hidden_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"Marginal.hidden is .*, but there are 4 classes: expected some of the classes 1"
    ):
        lo.Marginal(hidden=hidden)(*batch())


def squares(*corners: tuple[int, int], size: int = 3) -> Tensor:
    labels = torch.zeros(1, 12, 14, dtype=torch.long)
    for row, column in corners:
        labels[:, row : row + size, column : column + size] = 1
    return labels


@pytest.mark.parametrize(
    "text", [*INNER[:9], "Dice(class_weights=(1.0, 3.0))", "CrossEntropy(class_weights=(1.0, 3.0))"]
)
def test_one_object_is_the_inner_loss(text: str) -> None:
    logits, labels = batch(12, 14, classes=2, samples=1)[0], squares((2, 3))
    found = value_and_gradient(lo.Blobs(loss=lo.parse(text)), logits, labels)
    assert_close(found, value_and_gradient(lo.parse(text), logits, labels))


def test_equal_objects_cost_what_one_costs() -> None:
    pattern, tile = squares((4, 5))[0], torch.Generator().manual_seed(3)
    z = torch.randn(2, 12, 14, generator=tile, dtype=torch.float64)
    z[:, pattern == 0] = torch.tensor([40.0, -40.0], dtype=torch.float64)[:, None]  # no false positive
    one = lo.Dice()(z[None], pattern[None])
    for number in (1, 2, 4):
        found = lo.Blobs()(torch.cat([z] * number, 2)[None], torch.cat([pattern] * number, 1)[None])
        assert_close(found, one, 1e-9)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_a_term_does_not_see_the_voxels_of_other_objects(link: Any) -> None:
    corners = [(0, 0), (0, 6), (6, 2)]
    logits, labels = batch(12, 14, classes=2, samples=1)[0], squares(*corners)
    inner = lo.Tversky(alpha=0.2, beta=0.8) + lo.CrossEntropy()
    terms = []
    for corner in corners:
        own = squares(corner)
        terms.append(inner(logits, own, weight=(labels == own)))
    expected = torch.stack(terms).mean()
    if link == "sigmoid":
        logits = logits[:, 1:] - logits[:, :1]
    assert_close(lo.Blobs(loss=inner)(logits, labels, link=link), expected)


def test_objects_of_a_sample_are_averaged_before_samples_and_empty_samples_are_left_out() -> None:
    logits = batch(12, 14, classes=2, samples=3)[0]
    labels = torch.cat([squares((0, 0), (6, 6)), squares((3, 3)), squares()])
    alone = [lo.Blobs()(logits[n : n + 1], labels[n : n + 1]) for n in range(3)]
    assert float(alone[2]) == 0
    assert_close(lo.Blobs()(logits, labels), (alone[0] + alone[1]) / 2)


def test_objects_without_a_voxel_that_counts_are_no_objects() -> None:
    logits, labels = batch(12, 14, classes=2, samples=1)[0], squares((0, 0), (6, 6))
    kept = torch.ones_like(labels)
    kept[:, 5:] = 0
    assert_close(lo.Blobs()(logits, labels, weight=kept), lo.Dice()(logits[:, :, :5], labels[:, :5]))
    kept[:, 8] = 1  # one row of the second
    both = [lo.Dice()(logits, squares(each), weight=kept * (labels == squares(each))) for each in ((0, 0), (6, 6))]
    assert_close(lo.Blobs()(logits, labels, weight=kept), torch.stack(both).mean())


def test_touching_corners_are_one_object_or_two() -> None:
    logits, labels = batch(12, 14, classes=2, samples=1)[0], squares((0, 0), (3, 3))
    assert_close(lo.Blobs()(logits, labels), lo.Dice()(logits, labels))
    apart = lo.Blobs(connectivity="faces")(logits, labels)
    assert abs(float(apart - lo.Dice()(logits, labels))) > 1e-6


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("Blobs(loss=Dice(batch=True))", {}),
        ("Marginal(loss=Dice(batch=True))", {"annotated": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])}),
        ("Marginal(loss=Dice(batch=True))", {"annotated": torch.tensor([[1, 1, 0, 0]] * 2)}),
        ("Marginal(loss=Dice(batch=True))", {"annotated": torch.ones(2, 4, dtype=torch.bool)}),
        ("Marginal(loss=Blobs(loss=Dice(batch=True)), hidden=(2,))", {}),
    ],
    ids=["blobs", "two patterns", "one pattern", "all annotated", "nested"],
)
def test_parts_of_a_batch_wait_for_no_other_process(
    monkeypatch: pytest.MonkeyPatch, text: str, given: dict[str, Any]
) -> None:
    """The number of parts differs from process to process: a process that waited would wait for ever."""

    def refuse(table: Tensor) -> Tensor:
        raise AssertionError("waits for other processes")

    monkeypatch.setattr(counts, "over_ranks", refuse)
    assert lo.parse(text)(*batch(), **given).isfinite()
    with pytest.raises(AssertionError, match="waits"):
        lo.Marginal(loss=lo.Dice(batch=True), hidden=(2,))(*batch())


@pytest.mark.parametrize("text", ["Blobs(loss=Marginal())", "Marginal(loss=Marginal())", "Marginal(loss=Blobs())"])
def test_annotated_classes_follow_a_merger(text: str) -> None:
    logits, labels = batch()
    annotated = torch.tensor([[True, True, True, False], [True, True, False, True]])
    found = lo.parse(text)(logits, labels, annotated=annotated)
    assert found.isfinite() and float(found) > 0
    if text == "Marginal(loss=Marginal())":
        assert_close(found, lo.Marginal()(logits, labels, annotated=annotated))


@pytest.mark.parametrize("text", [NESTED, "Marginal(loss=Blobs(loss=Dice() + 0.5 * Focal(gamma=3.0)), hidden=(3,))"])
def test_nested_texts_are_read_and_written(text: str) -> None:
    loss = lo.parse(text)
    again = lo.parse(repr(loss))
    assert repr(again) == repr(loss)
    logits, labels = batch()
    assert torch.equal(again(logits, labels), loss(logits, labels))
    assert repr(loss) == text.replace("loss=DiceCE(), ", "")  # the default


def test_the_sum_of_views_is_the_sum_of_their_values() -> None:
    logits, labels = batch()
    apart = 0.5 * lo.Blobs(loss=lo.Tversky(alpha=0.5))(logits, labels)
    together = apart + lo.Marginal(loss=lo.DiceCE(), hidden=HIDDEN)(logits, labels)
    assert_close(lo.parse(NESTED)(logits, labels), together)
    summands = lo.parse(NESTED).summands(logits, labels)
    assert list(summands) == ["0.5 * Blobs(loss=Tversky(alpha=0.5))", "Marginal(hidden=(2, 3))"]


def test_but_changes_the_losses_inside() -> None:
    loss = lo.parse("Dice() + Marginal(loss=Dice() + CrossEntropy(), hidden=(2,))")
    assert repr(loss.but(batch=True)) == (
        "Dice(batch=True) + Marginal(loss=Dice(batch=True) + CrossEntropy(), hidden=(2,))"
    )
    changed = loss.terms[1][1].but(hidden=(3,), smooth=0.5)
    assert repr(changed) == "Marginal(loss=Dice(smooth=0.5) + CrossEntropy(), hidden=(3,))"
    assert "(2,)" in repr(loss)
    with pytest.raises(ValueError, match="gamma"):
        lo.Marginal().but(gamma=2)


def test_class_weights_from_the_labels_reach_the_losses_that_ask_for_them() -> None:
    frequent = "class_weights='inverse_frequency'"
    loss = lo.parse(f"Dice() + Marginal(loss=Blobs(loss=Tversky({frequent}) + CrossEntropy()), hidden=(2,))")
    with pytest.raises(ValueError, match="from the training labels"):
        loss(*batch())
    weighted = lo.with_class_weights(loss, [4, 2, 1, 1])
    assert repr(weighted) == (
        "Dice() + Marginal(loss=Blobs(loss=Tversky(class_weights=(0.5, 1.0, 2.0, 2.0)) + CrossEntropy()), hidden=(2,))"
    )
    logits, labels = batch()
    loss = lo.with_class_weights(lo.parse(f"Marginal(loss=CrossEntropy({frequent}), hidden=(2, 3))"), [4, 2, 1, 1])
    expected = lo.CrossEntropy(class_weights=(0.5, 1.0))(*merged(logits, labels))
    assert_close(loss(logits, labels), expected)


def test_schedules_inside_views_advance_and_are_kept() -> None:
    loss = lo.parse("CrossEntropy() + Marginal(loss=Ramp(1, 0) * Dice() + Focal(), hidden=(2, 3))")
    logits, labels = batch()
    rest = lo.CrossEntropy()(logits, labels) + lo.Focal()(*merged(logits, labels))
    dice = lo.Dice()(*merged(logits, labels))
    for progress, share in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        lo.advance(loss, progress)
        assert_close(loss(logits, labels), rest + share * dice, 1e-6)
    lo.advance(loss, 0.5)
    state = lo.schedule_state(loss)
    assert state["losses"] == ["1.0 * Focal() + Ramp(1, 0) * Dice()"]
    twin = lo.parse(repr(loss))
    assert not torch.equal(twin(logits, labels), loss(logits, labels))
    lo.load_schedule_state(twin, state)
    assert torch.equal(twin(logits, labels), loss(logits, labels))


def test_an_inner_loss_has_a_schedule_of_its_own() -> None:
    inner = lo.parse("Ramp(1, 0) * Dice() + Focal()")
    view = lo.Marginal(loss=inner, hidden=HIDDEN)
    lo.advance(inner, 1.0)
    logits, labels = batch()
    assert_close(view(logits, labels), (lo.Dice() + lo.Focal())(*merged(logits, labels)), 1e-6)

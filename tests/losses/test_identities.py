"""Losses that are equal, what changes no loss, and that no loss is NaN or flat where the references are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import from_key
from lossodyssey.guide.relations import THROUGH, Relation, relations

CARDS = [card for card in lo.atlas() if card.category not in ("custom", "as_released")]
MAP_LOSSES = [f"{card.name}()" for card in CARDS if card.needs]
PLAIN_LOSSES = [f"{card.name}()" for card in CARDS if not card.needs]
EVERY_LOSS = PLAIN_LOSSES + MAP_LOSSES
UNIFIED_FOCAL = [f"{card.name}()" for card in CARDS if card.paper == "yeung2021"]
SKELETAL = [f"{card.name}()" for card in CARDS if card.paper == "shit2021"]
SPATIAL = MAP_LOSSES + [text for text in PLAIN_LOSSES if not lo.parse(text).local]  # a voxel's neighbours matter
# Which line of two is kept, or which of many points, is a choice.
THINNED = [f"{card.name}()" for card in CARDS if "skeleton" in card.needs or "most" in card().known()]
THINNED.append("MorseSkeleton()")  # where two basins meet on a plateau
ASYMMETRIC = [f"{card.name}()" for card in CARDS if card.paper in ("yeung2021", "li2021")]
PRICED = [*ASYMMETRIC, "Combo()", "GeneralizedWassersteinDice()"]  # the background has a price of its own


def batch(*space: int, classes: int = 3, samples: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits, float64, and labels in connected regions."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(samples, classes, *space, generator=generator, dtype=torch.float64)
    coarse = torch.rand(samples, classes, *[max(size // 3, 1) for size in space], generator=generator)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(space)]
    return logits, torch.nn.functional.interpolate(coarse, space, mode=mode).argmax(1)


def value_and_gradient(loss: lo.Loss, logits: Tensor, labels: Tensor, **context: object) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    if loss.needs_image and "image" not in context:
        context["image"] = image_like(logits)
    value = loss(leaf, labels, **context)  # type: ignore[arg-type]
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def image_like(logits: Tensor) -> Tensor:
    """Return an image (N, 1, *S) that follows from the shape alone."""
    return torch.arange(logits[:, 0].numel(), dtype=torch.float64).sin().reshape_as(logits[:, :1])


def assert_same(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(first[0], second[0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(first[1], second[1], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("relation", relations(), ids=lambda relation: f"{relation.left} {relation.right}")
def test_related_losses(relation: Relation) -> None:
    for logits, labels in batches_of(relation):
        given = auxiliary_of(relation, labels, logits.shape[1])
        left = value_and_gradient(lo.parse(relation.left), logits, labels, **given)
        leaf = logits.clone().requires_grad_()
        right = THROUGH[relation.through](lo.parse(relation.right)(leaf, labels))
        assert_same(left, (right.detach(), torch.autograd.grad(right, leaf)[0]))


def batches_of(relation: Relation) -> list[tuple[Tensor, Tensor]]:
    """Logits and labels for which a relation says that it holds."""
    if relation.labels == "any":
        return [batch(7, 6), batch(4, 5, 3)]
    logits, labels = batch(9, 8, classes=2, samples=1)
    if relation.labels == "one object":
        labels = torch.zeros_like(labels)
        labels[:, 2:6, 3:7] = 1
    return [(logits, labels)]


def auxiliary_of(relation: Relation, labels: Tensor, classes: int) -> dict[str, dict[str, Tensor]]:
    """The auxiliary values that the left loss is given."""
    if relation.given is None:
        return {}
    name, other = relation.given
    made = from_key(name)(labels, classes)
    changed = torch.full_like(made, other) if isinstance(other, float) else from_key(other)(labels, classes)
    # The volume is of one class, whose maps are plain.
    assert labels.ndim > 3 or not torch.equal(made, changed), "the loss would make this itself"
    return {"auxiliary": {name: changed}}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("CrossEntropy(class_weights=(1, 1, 1))", "CrossEntropy()"),
        ("CrossEntropy(class_weights=(2, 2, 2), normalization='weights')", "CrossEntropy()"),
        ("OhemCE(threshold=0, min_kept=7)", "OhemCE(threshold=1e-9, min_kept=7)"),
        ("AsymmetricLargeMargin(rare=(1, 2))", "AsymmetricLargeMargin()"),
    ],
)
@pytest.mark.parametrize("space", [(7, 6), (4, 5, 3)], ids=["2d", "3d"])
def test_hyper_parameters_that_mean_the_same(text: str, same: str, space: tuple[int, ...]) -> None:
    logits, labels = batch(*space)
    first, second = (value_and_gradient(lo.parse(loss), logits, labels) for loss in (text, same))
    assert_same(first, second)


def test_generalised_dice_of_balanced_classes_is_the_mean_absolute_error() -> None:
    logits, labels = batch(3, 4)[0], torch.arange(12).remainder(3).reshape(1, 3, 4).expand(2, 3, 4)
    hit = logits.softmax(1).gather(1, labels[:, None]).mean()
    torch.testing.assert_close(lo.GeneralizedDice()(logits, labels), 1 - hit)


def test_lovasz_of_a_hard_prediction_is_the_jaccard_loss() -> None:
    logits, labels = batch(8, 8)
    hard = 60 * torch.nn.functional.one_hot(logits.argmax(1), 3).movedim(-1, 1).double()
    expected = lo.Jaccard(smooth=0, background=True, batch=True)(hard, labels)
    torch.testing.assert_close(lo.Lovasz()(hard, labels), expected)


def test_batch_of_repeated_samples_is_one_sample() -> None:
    logits, labels = batch(6, 6, samples=1)
    many = lo.Dice(batch=True, smooth=0.5)(logits.expand(5, -1, -1, -1), labels.expand(5, -1, -1))
    torch.testing.assert_close(many, lo.Dice(smooth=0.1)(logits, labels))


def test_map_constant_over_classes_gives_no_gradient() -> None:
    logits, labels = batch(6, 6)
    flat = torch.randn(2, 1, 6, 6).expand(2, 3, 6, 6)
    _, gradient = value_and_gradient(lo.RegionWise(), logits, labels, maps={"rectified": flat})
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_hausdorff_without_its_square_is_a_region_wise_loss() -> None:
    logits, labels = batch(6, 6)
    g = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    distance = torch.rand(2, 3, 6, 6)
    _, first = value_and_gradient(
        lo.HausdorffDT(alpha=1, one_sided=True, square=False, background=True),
        logits,
        labels,
        maps={"boundary_distance": distance},
    )
    _, second = value_and_gradient(lo.RegionWise(), logits, labels, maps={"rectified": distance * (1 - 2 * g)})
    torch.testing.assert_close(first, second)


def test_class_weights_and_absent_classes_change_the_mean_over_classes() -> None:
    logits, labels = batch(8, 8, classes=2, samples=1)
    widened = torch.cat([logits, torch.full_like(logits[:, :1], -50)], 1)
    expected = lo.Dice()(logits, labels)
    torch.testing.assert_close(lo.Dice(absent="skip")(widened, labels), expected)
    torch.testing.assert_close(lo.Dice(class_weights=(9, 2, 0))(widened, labels), expected)
    torch.testing.assert_close(lo.Dice()(widened, labels), expected / 2)


@pytest.mark.parametrize("text", [text for text in EVERY_LOSS if lo.parse(text).shift_free])
def test_logits_shifted_at_a_voxel(text: str) -> None:
    logits, labels = batch(6, 6)
    shifted = logits + 3 * torch.randn(2, 1, 6, 6, dtype=torch.float64)
    assert_same(value_and_gradient(lo.parse(text), shifted, labels), value_and_gradient(lo.parse(text), logits, labels))


@pytest.mark.parametrize("text", [text for text in EVERY_LOSS if text not in SPATIAL])
def test_voxels_in_another_order(text: str) -> None:
    logits, labels = batch(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    value, gradient = value_and_gradient(lo.parse(text), logits, labels)
    moved = value_and_gradient(lo.parse(text), logits[..., order], labels[..., order])
    assert_same(moved, (value, gradient[..., order]))


@pytest.mark.parametrize("text", [text for text in EVERY_LOSS if text not in THINNED])
def test_flips_and_right_angles(text: str) -> None:
    logits, labels = batch(6, 5, 4)
    value, gradient = value_and_gradient(lo.parse(text), logits, labels)
    for move in (lambda x: x.flip(-1), lambda x: x.flip(-3), lambda x: x.rot90(1, (-3, -2)), lambda x: x.mT):
        image = {"image": move(image_like(logits))} if lo.parse(text).needs_image else {}
        moved = value_and_gradient(lo.parse(text), move(logits), move(labels), **image)
        assert_same(moved, (value, move(gradient)), 1e-6)


@pytest.mark.parametrize("text", EVERY_LOSS)
def test_five_classes_in_a_volume_in_another_order(text: str) -> None:
    logits, labels = batch(6, 6, 6, classes=5)
    order = torch.tensor([0, 3, 1, 4, 2])  # the background keeps its place
    value, gradient = value_and_gradient(lo.parse(text), logits, labels)
    assert value.isfinite() and gradient.isfinite().all() and gradient.any()
    moved = value_and_gradient(lo.parse(text), logits[:, order], order.argsort()[labels])
    assert_same(moved, (value, gradient[:, order]))


@pytest.mark.parametrize("text", [text for text in PLAIN_LOSSES if text not in PRICED])
def test_background_is_a_class_like_any_other_where_it_has_no_price_of_its_own(text: str) -> None:
    loss = lo.parse(text)
    if "background" in loss.known():
        loss = loss.but(background=True)
    logits, labels = batch(6, 6)
    order = torch.tensor([1, 2, 0])
    value, gradient = value_and_gradient(loss, logits, labels)
    assert_same(value_and_gradient(loss, logits[:, order], order.argsort()[labels]), (value, gradient[:, order]))


@pytest.mark.parametrize("text", [text for text in EVERY_LOSS if text not in SKELETAL and lo.parse(text).monotone])
def test_more_of_the_true_class_never_costs_more(text: str) -> None:
    loss = lo.parse(text)
    logits, labels = batch(5, 5)
    generator = torch.Generator().manual_seed(2)
    # A voxel that leaves the mask of the prediction, or the kept set, changes what the others cost: a small step.
    step = 1e-4 if "Hausdorff" in text or "threshold" in loss.known() or not loss.one_graph else 1.5
    for _ in range(10):
        sample, row, column = (int(torch.randint(n, (), generator=generator)) for n in (2, 5, 5))
        better = logits.clone()
        better[sample, labels[sample, row, column], row, column] += step
        assert loss(better, labels) <= loss(logits, labels) + 1e-12


@pytest.mark.parametrize("text", EVERY_LOSS)
def test_perfect_float32_prediction_has_a_finite_gradient(text: str) -> None:
    _, labels = batch(6, 6)
    perfect = 40 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    value, gradient = value_and_gradient(lo.parse(text), perfect, labels)
    assert value.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize(
    "loss", [lo.GeneralizedDice(), lo.GeneralizedDice(absent_weight="zero"), lo.PenaltyGeneralizedDice()]
)
def test_absent_class_leaves_generalised_dice_its_gradient(loss: lo.Loss) -> None:
    logits, labels = batch(8, 8)
    present = value_and_gradient(loss, logits, labels)[1].norm()
    absent = value_and_gradient(loss, logits, labels.clamp(max=1))[1].norm()
    assert absent > present / 100
    for released in (lo.ReleasedGeneralizedDice(), lo.ReleasedGeneralizedDiceV1(), lo.ReleasedPenaltyGeneralizedDice()):
        assert value_and_gradient(released, logits, labels.clamp(max=1))[1].norm() < present / 1e4


def test_topk_keeps_a_voxel_of_the_smallest_input() -> None:
    logits, labels = batch(1, 2, samples=1)
    value, gradient = value_and_gradient(lo.TopK(percent=10), logits, labels)
    torch.testing.assert_close(value, -logits.log_softmax(1).gather(1, labels[:, None]).min())
    assert gradient.any()


def test_threshold_that_keeps_nothing_costs_nothing() -> None:
    logits, labels = batch(6, 6, classes=2)
    value, gradient = value_and_gradient(lo.TopKThreshold(threshold=0), logits, labels)
    assert value == 0 and not gradient.any()
    assert lo.ReleasedTopKThreshold(threshold=0.5)(logits, labels).isnan()
    assert lo.TopKThreshold(threshold=0.5)(logits, labels) > 0


def test_absent_class_predicted_absent_is_free_in_the_unified_focal_family() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    perfect = 40 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).float()
    for loss in (lo.SymmetricUnifiedFocal(), lo.AsymmetricUnifiedFocal()):
        assert float(loss(perfect, labels)) < 1e-3

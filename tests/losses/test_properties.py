"""Properties that every loss of the atlas has. A new loss is tested here the moment it exists."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossodyssey as lo
from lossodyssey import kernels

CLASSES = 3
VARIANTS = [
    "CrossEntropy(class_weights=(0.5, 1.0, 2.0))",
    "CrossEntropy(class_weights=(0.5, 1.0, 2.0), normalization='weights')",
    "Dice(square=True)",
    "Dice(batch=True, background=True, absent='skip')",
    "Dice(smooth=0.0)",
    "Tversky(alpha=0.1, beta=0.9, class_weights=(0.0, 1.0, 2.0))",
    "GeneralizedDice(absent_weight='zero', background=False)",
    "Lovasz(batch=False, classes='all')",
    "TopK(percent=100)",
    "HausdorffDT(one_sided=True)",
    "Dice(pooled=True)",
    "Tversky(pooled=True, absent='skip', class_weights=(0.5, 1.0, 2.0))",
    "SensitivitySpecificity(pooled=True)",
    "GeneralizedDice(class_weights=(0.5, 1.0, 2.0))",
    "Blobs(loss=DiceCE(), connectivity='faces')",
    "SkeletonRecall(per_class=True, batch=True)",
    "TverskyPlusPlus(pooled=True, q=1.5)",
    "AverageCalibrationError(binning='soft')",
    "RobustT(normalization='none', absent='skip', background=True) + 0.5 * Dice()",
    "Focal(gamma=0.5)",
    "Ramp(1, 0.01) * Dice() + Ramp(0.01, 1) * CrossEntropy() + 0.5 * Focal()",
]
# Losses as released keep the defects of published code on purpose: NaN, unbounded values, no gradient.
EXPRESSIONS = [f"{card.name}()" for card in lo.atlas() if card.category not in ("custom", "as_released")] + VARIANTS


@pytest.fixture(params=EXPRESSIONS)
def loss(request: pytest.FixtureRequest) -> lo.Loss:
    found = lo.parse(request.param)
    return WithImage(found) if found.needs_image else found  # type: ignore[return-value]


class WithImage(nn.Module):
    """A loss that looks at the image, called with an image that follows from the shape of the logits."""

    def __init__(self, loss: lo.Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, labels: Tensor, **context: Any) -> Tensor:
        shape = (len(logits), 1, *logits.shape[2:])
        image = torch.arange(math.prod(shape), dtype=torch.float64).sin().reshape(shape)
        return self.loss(logits, labels, image=image, **context)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "loss" else getattr(self.loss, name)

    def __repr__(self) -> str:
        return repr(self.loss)


@pytest.fixture(autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute as on large images; traced calls and soft labels take whole tensors all the same."""
    with kernels.forced(getattr(request, "param", "chunked")):
        yield


BOTH = pytest.mark.parametrize("backend", ["chunked", "compiled"], indirect=True)
"""For tests in float32, which have two ways on the CPU: chunks of PyTorch operations, and compiled code."""


def batch(
    *space: int, samples: int = 2, seed: int = 0, dtype: torch.dtype = torch.float32, block: int = 1
) -> tuple[Tensor, Tensor]:
    """Random logits and labels; labels in blocks of a side make few objects, for losses that look at each of them."""
    space = space or (5, 6)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, CLASSES, *space, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (samples, *(length // block for length in space)), generator=generator)
    for axis in range(1, labels.ndim):
        labels = labels.repeat_interleave(block, axis)
    return (2 * logits).to(dtype), labels


def confident(labels: Tensor, scale: float = 60.0, dtype: torch.dtype = torch.float64) -> Tensor:
    return scale * torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).to(dtype)


def value_and_gradient(loss: lo.Loss, logits: Tensor, labels: Tensor, **context: object) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, labels, **context)  # type: ignore[arg-type]
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def assert_same(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(first[0], second[0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(first[1], second[1], rtol=tolerance, atol=tolerance)


@BOTH
def test_value_and_gradient_are_finite(loss: lo.Loss) -> None:
    logits, labels = batch()
    for scale in (1.0, 40.0, 1e4):
        for prediction in (scale * logits.clamp(-1, 1), confident(labels, scale, torch.float32)):
            value, gradient = value_and_gradient(loss, prediction, labels)
            assert value.shape == () and value.isfinite() and gradient.isfinite().all(), f"logits up to {scale}"


def test_gradient_is_the_slope_of_the_value(loss: lo.Loss) -> None:
    logits, labels = batch(2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), logits.requires_grad_())


def test_second_gradient_is_the_slope_of_the_first(loss: lo.Loss) -> None:
    logits, labels = batch(2, 2, samples=1, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, labels), logits.requires_grad_())


def test_gradients_over_classes_sum_to_zero(loss: lo.Loss) -> None:
    if not loss.shift_free:
        pytest.skip("logits count beside their differences")
    _, gradient = value_and_gradient(loss, *batch(dtype=torch.float64))
    torch.testing.assert_close(gradient.sum(1), torch.zeros_like(gradient.sum(1)), rtol=0, atol=1e-12)


def test_value_lies_in_the_declared_range(loss: lo.Loss) -> None:
    low, high = loss.bounds()
    for seed in range(5):
        logits, labels = batch(seed=seed, dtype=torch.float64)
        for prediction in (logits, 30 * logits, confident(labels), confident((labels + 1) % CLASSES)):
            assert low - 1e-6 <= loss(prediction, labels).item() <= high + 1e-6


def test_perfect_prediction_is_a_minimum(loss: lo.Loss) -> None:
    if not loss.supervised:
        pytest.skip("never looks at the labels")
    if not loss.least_at_truth:
        pytest.skip("another prediction than the truth may cost less")
    for seed in range(5):
        logits, labels = batch(seed=seed, dtype=torch.float64)
        perfect = loss(confident(labels), labels).item()
        for prediction in (logits, confident((labels + 1) % CLASSES), confident(labels.roll(1, -1))):
            assert perfect <= loss(prediction, labels).item() + 1e-9


def test_confident_hit_costs_no_more_than_before(loss: lo.Loss) -> None:
    if not loss.monotone:
        pytest.skip("compares the whole")
    noise, labels = batch(dtype=torch.float64)
    # What a loss chooses by the hard prediction may change with it: so far off that every voxel stays wrong.
    wrong = noise - confident(labels, 5.0 if loss.one_graph else 15.0)
    assert loss(wrong + confident(labels, 1.0), labels) < loss(wrong, labels)


def test_ignored_voxels_have_no_influence(loss: lo.Loss) -> None:
    if not loss.local:
        pytest.skip("sees neighbours: taking voxels out moves others together")
    logits, labels = batch(12, dtype=torch.float64)
    kept = torch.tensor([0, 2, 3, 4, 7, 9, 11])
    marked = torch.full_like(labels, 255)
    marked[:, kept] = labels[:, kept]
    maps = lo.maps_for(loss, marked, CLASSES, ignore=255)
    cropped = {key: found[:, :, kept] for key, found in maps.items()}
    value, gradient = value_and_gradient(loss, logits, marked, ignore=255, maps=maps)
    expected = value_and_gradient(loss, logits[:, :, kept], labels[:, kept], maps=cropped)
    assert_same((value, gradient[:, :, kept]), expected, 1e-12)
    gradient[:, :, kept] = 0
    assert not gradient.any()


@pytest.mark.parametrize(
    ("dtype", "backend"),
    [(torch.float32, "chunked"), (torch.float32, "compiled"), (torch.float64, "chunked")],
    indirect=["backend"],
)
def test_nothing_in_an_ignored_voxel_reaches_value_or_gradient(loss: lo.Loss, dtype: torch.dtype) -> None:
    logits, labels = batch(8, 9, dtype=dtype)
    ignored = torch.rand(labels.shape, generator=torch.Generator().manual_seed(2)) > 0.6
    for context in ({"ignore": 255}, {"weight": ~ignored}):
        target = torch.where(ignored, 255, labels) if "ignore" in context else labels
        expected = value_and_gradient(loss, logits, target, **context)
        assert not expected[1].masked_select(ignored[:, None].expand_as(logits)).any()
        for other in (7.0, math.nan, math.inf, -math.inf):
            changed = logits.masked_fill(ignored[:, None], other)
            assert_same(value_and_gradient(loss, changed, target, **context), expected, 0)


def test_zero_weight_is_the_same_as_ignoring(loss: lo.Loss) -> None:
    logits, labels = batch(dtype=torch.float64)
    valid = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) > 0.4
    maps = lo.maps_for(loss, labels, CLASSES)
    ignored = value_and_gradient(loss, logits, torch.where(valid, labels, 7), ignore=7, maps=maps)
    for weight in (valid, valid.double(), valid[:, None]):
        assert_same(value_and_gradient(loss, logits, labels, weight=weight, maps=maps), ignored, 1e-12)


@BOTH
def test_everything_ignored_is_zero(loss: lo.Loss) -> None:
    logits, labels = batch()
    value, gradient = value_and_gradient(loss, logits, torch.full_like(labels, 255), ignore=255)
    assert value == 0 and not gradient.any()


def test_all_forms_of_the_target_agree(loss: lo.Loss) -> None:
    logits, labels = batch(dtype=torch.float64)
    expected = value_and_gradient(loss, logits, labels)
    one_hot = confident(labels, 1.0)
    targets = [labels[:, None], one_hot.long(), one_hot.bool(), one_hot.float(), one_hot, labels.double()]
    targets += [labels.to(dtype) for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32)]
    for target in targets:
        assert_same(value_and_gradient(loss, logits, target), expected, 1e-12)


def test_soft_labels_that_are_hard_agree(loss: lo.Loss) -> None:
    logits, labels = batch(dtype=torch.float64)
    almost = confident(labels, 1.0) * (1 - 1e-9) + 1e-9 / CLASSES
    assert_same(value_and_gradient(loss, logits, almost), value_and_gradient(loss, logits, labels), 1e-6)


def test_plane_is_a_flat_volume(loss: lo.Loss) -> None:
    logits, labels = batch(dtype=torch.float64)
    value, gradient = value_and_gradient(loss, logits, labels)
    flat = value_and_gradient(loss, logits[..., None], labels[..., None])
    assert_same((value, gradient), (flat[0], flat[1][..., 0]), 1e-12)


@BOTH
def test_empty_and_full_classes(loss: lo.Loss) -> None:
    logits, labels = batch()
    for label in range(CLASSES):
        full = torch.full_like(labels, label)
        for prediction in (logits, confident(full, 40.0, torch.float32), confident((full + 1) % CLASSES)):
            value, gradient = value_and_gradient(loss, prediction, full)
            assert value.isfinite() and gradient.isfinite().all(), f"class {label} everywhere"


@BOTH
def test_one_voxel_images(loss: lo.Loss) -> None:
    for space in ((1,), (1, 1), (1, 1, 1)):
        value, gradient = value_and_gradient(loss, *batch(*space, samples=1))
        assert value.isfinite() and gradient.isfinite().all()


@BOTH
def test_one_channel_head(loss: lo.Loss) -> None:
    if loss.fewest_classes > 2:
        pytest.skip("relates classes, and a region and its background say nothing")
    if "class_weights" in repr(loss):
        loss = loss.but(class_weights=None)
    noise, labels = batch()
    wrong = noise[:, :1] - 6 * (labels[:, None].clamp(max=1) - 0.5)
    value, gradient = value_and_gradient(loss, wrong, labels.clamp(max=1))
    assert value.isfinite() and gradient.isfinite().all() and gradient.any()


def test_regions_with_sigmoid(loss: lo.Loss) -> None:
    logits, labels = batch(2, 3, dtype=torch.float64)
    regions = torch.stack([labels >= 0, labels >= 1, labels >= 2], 1)
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, regions, link="sigmoid"), leaf)
    expected = value_and_gradient(loss, logits, regions, link="sigmoid")
    assert_same(value_and_gradient(loss, logits, regions.double(), link="sigmoid"), expected, 1e-12)
    almost = regions * (1 - 2e-9) + 1e-9
    assert_same(value_and_gradient(loss, logits, almost, link="sigmoid"), expected, 1e-6)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_answer_of_float32(loss: lo.Loss, dtype: torch.dtype) -> None:
    logits, labels = batch(16, 16, 16, dtype=dtype, block=4)
    value, gradient = value_and_gradient(loss, logits, labels)
    expected, slope = value_and_gradient(loss, logits.float(), labels)
    assert value.dtype == torch.float32 and gradient.dtype == dtype
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=0)
    # The gradient itself is stored in half precision: one rounding, or half of the smallest number.
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    # A summand with a gradient of its own is rounded before it is added.
    beside = not loss.local or getattr(loss, "own_sums", ())
    added = torch.finfo(dtype).eps * float(slope.abs().max()) if beside else 0.0
    torch.testing.assert_close(gradient.float(), slope, rtol=torch.finfo(dtype).eps, atol=float(smallest) + added)


@BOTH
def test_autocast_changes_nothing(loss: lo.Loss) -> None:
    logits, labels = batch()
    expected = value_and_gradient(loss, logits, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(value_and_gradient(loss, logits, labels), expected, 0)


def test_loss_survives_pickle_and_copy_and_keeps_out_of_checkpoints(loss: lo.Loss) -> None:
    logits, labels = batch()
    for twin in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), lo.parse(repr(loss))):
        assert repr(twin) == repr(loss)
        seeing = WithImage(twin) if twin.needs_image and not isinstance(twin, WithImage) else twin
        assert torch.equal(seeing(logits, labels), loss(logits, labels))
    # All that is kept is what trains.
    assert list(loss.state_dict()) == list(dict(loss.named_parameters()))
    assert len(loss.state_dict()) == len(lo.trained_values(loss))


# PyTorch looks at `.grad` of what lives across a graph break, and hides this warning unless warnings are errors.
BROKEN_GRAPH = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@BROKEN_GRAPH
def test_compiles_to_one_graph(loss: lo.Loss) -> None:
    torch.compiler.reset()
    logits, labels = batch(4, 6, block=2)
    compiled = torch.compile(loss, fullgraph=loss.one_graph, backend="eager")
    regions = torch.stack([labels >= 0, labels >= 1, labels >= 2], 1)
    weight = torch.tensor([[True, False, True], [True, True, True]])[..., None, None]
    calls: list[tuple[Tensor, dict[str, Any]]] = [
        (labels, {}),
        (labels.to(torch.uint8), {"ignore": (2, 255)}),
        (regions, {"link": "sigmoid", "weight": weight}),
    ]
    # What is in a target or a context is read for all summands at once; each of them is compiled with all of it here.
    # A loss that breaks the graph is compiled in many pieces, which takes ten times as long.
    for target, context in calls[:1] if isinstance(loss, lo.Sum) or not loss.one_graph else calls:
        expected = value_and_gradient(loss, logits, target, **context)
        assert_same(value_and_gradient(compiled, logits, target, **context), expected, 1e-5)


def test_works_under_function_transforms(loss: lo.Loss) -> None:
    if not loss.one_graph:
        pytest.skip("what it computes depends on values")
    logits, labels = batch(dtype=torch.float64)
    gradient = torch.func.grad(lambda z: loss(z, labels))(logits)
    torch.testing.assert_close(gradient, value_and_gradient(loss, logits, labels)[1])


@BOTH
def test_memory_layout_does_not_matter(loss: lo.Loss) -> None:
    logits, labels = batch(5, 6, 4)
    expected = value_and_gradient(loss, logits, labels)
    scattered = logits.to(memory_format=torch.channels_last_3d)
    turned = logits.transpose(2, 4).contiguous().transpose(2, 4)
    strided = torch.stack([logits, logits], -1)[..., 0]
    for prediction in (scattered, turned, strided):
        assert_same(value_and_gradient(loss, prediction, labels.transpose(1, 3).contiguous().transpose(1, 3)), expected)


@BOTH
def test_same_input_gives_the_same_bits_on_several_threads(loss: lo.Loss) -> None:
    logits, labels = batch(24, 24, 24, block=4)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first, second = (value_and_gradient(loss, logits, labels) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


@BOTH
def test_works_without_gradient(loss: lo.Loss) -> None:
    logits, labels = batch()
    expected, _ = value_and_gradient(loss, logits, labels)
    with torch.no_grad():
        assert torch.equal(loss(logits, labels), expected)

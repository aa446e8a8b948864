"""Shape descriptors: each of them written a second time, their bounds, the barrier and its schedule."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.losses.boundary.descriptors import Shape
from lossodyssey.losses.boundary.shape_descriptors import barrier

NAMES = ("size", "centroid", "spread", "length")
STEPS = {(5, 6): ((2.0, 0.5), (1.0, 3.0)), (4, 3, 5): ((2.0, 1.0, 0.5), (1.0, 3.0, 1.0))}
Gradient = tuple[Tensor, Tensor]


def only(name: str, margin: float = 0.0, **options: Any) -> lo.Loss:
    """The loss of one descriptor, which is 0 within its bounds."""
    return lo.ShapeDescriptors(**{**dict.fromkeys(NAMES), name: margin, "penalty": "quadratic", **options})


def square(row: int = 4, column: int = 3, *, height: int = 4, width: int = 5, size: int = 16) -> Tensor:
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[:, row : row + height, column : column + width] = 1
    return labels


def sure(labels: Tensor, height: float = 60.0) -> Tensor:
    return height * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()


def batch(*space: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(2, 3, *space, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 3, (2, *space), generator=generator)


def value_and_gradient(loss: lo.Loss, logits: Tensor, labels: Tensor, **context: Any) -> Gradient:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels, **context)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("space", STEPS, ids=["2d", "3d"])
def test_descriptors_written_a_second_time(space: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    valid = torch.rand(2, 1, *space, generator=generator) > 0.2
    x = torch.rand(2, 2, *space, generator=generator, dtype=torch.float64) * valid
    shape = Shape(x, valid, torch.tensor(STEPS[space]).double())
    for n, c in itertools.product(range(2), range(2)):
        steps, p = np.array(STEPS[space][n]), x[n, c].numpy()
        places = np.stack(np.meshgrid(*[range(k) for k in space], indexing="ij"), -1) * steps
        centre = (p[..., None] * places).reshape(-1, len(space)).sum(0) / p.sum()
        variance = (p[..., None] * (places - centre) ** 2).reshape(-1, len(space)).sum(0) / p.sum()
        assert float(shape.size[n, c]) == pytest.approx(p.sum() * steps.prod())
        assert shape.centroid[n, c].numpy() == pytest.approx(centre)
        assert shape.spread[n, c].numpy() == pytest.approx(np.sqrt(variance))
        assert float(shape.length[n, c]) == pytest.approx(steps_between(p, valid[n, 0].numpy(), steps))


def steps_between(p: Any, valid: Any, steps: Any) -> float:
    """The squared steps between all pairs of valid neighbours, one by one."""
    total, voxels = 0.0, list(itertools.product(*map(range, p.shape)))
    for i, j in itertools.combinations(voxels, 2):
        way = np.subtract(i, j)
        if np.abs(way).max() == 1 and valid[i] and valid[j]:
            weight = steps.prod() * np.linalg.norm(way) / np.linalg.norm(way * steps)
            total += weight * (p[i] - p[j]) ** 2
    return total


def test_descriptors_of_a_square() -> None:
    x, valid = square()[:, None].double(), torch.ones(1, 1, 16, 16, dtype=torch.bool)
    shape = Shape(x, valid, torch.ones(1, 2))
    assert float(shape.size) == 20 and shape.centroid.flatten().tolist() == [5.5, 5]
    assert shape.spread.flatten().tolist() == pytest.approx([math.sqrt(15 / 12), math.sqrt(24 / 12)])
    # 18 pairs across the faces of the contour, and twice as many diagonal ones, less one at each corner.
    assert float(shape.length) == 18 + 2 * 18 - 4


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_costs_nothing_and_bounds_are_where_the_margin_says(name: str) -> None:
    labels, placed = square(), name in ("centroid", "spread")
    assert float(only(name)(sure(labels), labels)) == pytest.approx(0, abs=1e-12)
    other = square(5, 3) if name == "centroid" else square(height=5)
    found = float(only(name)(sure(other), labels))
    shapes = [Shape(each[:, None].double(), torch.ones(1, 1, 16, 16) > 0, torch.ones(1, 2)) for each in (other, labels)]
    apart, true = (
        (getattr(shapes[0], name) - getattr(shapes[1], name))[0, 0, 0].item(),
        getattr(shapes[1], name)[0, 0, 0].item(),
    )
    assert found == pytest.approx(apart**2 / 256, rel=1e-6) and apart > 0
    for part, left in ((0.75, 0.25), (1.0, 0.0), (1.25, 0.0)):
        margin = part * apart if placed else part * apart / true
        value = only(name, margin)(sure(other), labels)
        assert float(value) == pytest.approx((left * apart) ** 2 / 256, abs=1e-9)
    if placed:
        relative = only(name, 0.5 * apart / true, relative=True)(sure(other), labels)
        assert float(relative) == pytest.approx((0.5 * apart) ** 2 / 256, rel=1e-6)


@pytest.mark.parametrize("shift", [1, 2, 4])
def test_only_the_centroid_sees_a_translation(shift: int) -> None:
    labels, moved = square(), square(4 + shift, 3)
    for name in ("size", "spread", "length"):
        assert float(only(name)(sure(moved), labels)) == pytest.approx(0, abs=1e-12)
    assert float(only("centroid")(sure(moved), labels)) == pytest.approx(shift**2 / 256)
    both = lo.ShapeDescriptors(centroid=0, t=5.0)
    values = [float(both(sure(square(4 + k, 3)), labels)) for k in (0, shift, shift + 1)]
    assert values == sorted(set(values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["flip", "turn", "transpose"])
def test_flips_and_quarter_turns_change_nothing(name: str, change: str) -> None:
    logits, labels = batch(7, 6)
    turned = {
        "flip": lambda x: x.flip(-1),
        "turn": lambda x: x.rot90(1, (-2, -1)),
        "transpose": lambda x: x.mT,
    }[change]
    for loss in (only(name), lo.ShapeDescriptors(t=3.0)):
        torch.testing.assert_close(loss(turned(logits), turned(labels)), loss(logits, labels))


@pytest.mark.parametrize("space", STEPS, ids=["2d", "3d"])
@pytest.mark.parametrize("name", NAMES)
def test_values_follow_the_spacing(name: str, space: tuple[int, ...]) -> None:
    (logits, labels), steps = batch(*space), torch.tensor(STEPS[space])
    power = {"size": len(space), "length": len(space) - 1}.get(name, 1)
    once, twice = (only(name)(logits, labels, spacing=k * steps) for k in (1, 2))
    torch.testing.assert_close(twice, 4.0**power * once, rtol=1e-9, atol=0)
    each = [only(name)(logits[n : n + 1], labels[n : n + 1], spacing=steps[n]) for n in range(2)]
    torch.testing.assert_close(only(name)(logits, labels, spacing=steps), torch.stack(each).mean())


@pytest.mark.parametrize("penalty", ["barrier", "quadratic"])
def test_absent_classes_have_no_place_and_no_extent(penalty: str) -> None:
    empty = torch.zeros(1, 8, 8, dtype=torch.long)
    for name in ("centroid", "spread"):
        value, gradient = value_and_gradient(only(name, penalty=penalty), sure(square(1, 1, size=8)), empty)
        assert value == 0 and not gradient.any()
    value, gradient = value_and_gradient(only("size", penalty="quadratic"), sure(square(1, 1, size=8), 3.0), empty)
    assert value > 0 and (gradient[:, 1] > 0).all()
    for labels in (empty, 1 - empty, square(1, 1, size=8)):
        for prediction in (sure(empty), sure(1 - empty), sure(empty, 0.0), sure(empty, 1e4), sure(1 - empty, 1e4)):
            value, gradient = value_and_gradient(lo.ShapeDescriptors(penalty=penalty), prediction.float(), labels)
            assert value.isfinite() and gradient.isfinite().all()


def test_limits_of_size_and_length() -> None:
    labels, full = square(), torch.ones_like(square())
    assert float(only("size")(sure(full), labels)) == pytest.approx((256 - 20) ** 2 / 256)
    assert float(only("size")(sure(0 * full), labels)) == pytest.approx(20**2 / 256)
    # Neither an empty nor a full image has a contour.
    for flat in (full, 0 * full):
        assert float(only("length")(sure(flat), labels)) == pytest.approx(50**2 / 256)


@pytest.mark.parametrize("t", [1.0, 5.0, 0.5])
def test_barrier_is_a_logarithm_and_its_tangent(t: float) -> None:
    edge = -1 / t**2
    z = torch.tensor([10 * edge, edge, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    values = barrier(z, torch.tensor(t, dtype=torch.float64))
    expected = [-math.log(10 / t**2) / t, 2 * math.log(t) / t, (2 * math.log(t) + 1) / t]
    assert values[:3].tolist() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    assert float((values[3] - values[2]).detach()) == pytest.approx(2 * t)
    assert gradient.tolist() == pytest.approx([t / 10, t, t, t])
    below, above = (barrier(torch.tensor(edge + step, dtype=torch.float64), torch.tensor(t)) for step in (-1e-9, 1e-9))
    assert float(above) == pytest.approx(float(below), abs=1e-7)


def test_t_follows_its_schedule_and_a_checkpoint() -> None:
    logits, labels = batch(6, 5)
    loss = lo.parse("Dice() + ShapeDescriptors(t=Geometric(2, 8))")
    for progress, t in ((0.0, 2), (0.5, 4), (1.0, 8)):
        lo.advance(loss, progress)
        torch.testing.assert_close(loss(logits, labels), lo.parse(f"Dice() + ShapeDescriptors(t={t})")(logits, labels))
    again = lo.parse(repr(loss))
    lo.load_schedule_state(again, lo.schedule_state(loss))
    torch.testing.assert_close(again(logits, labels), loss(logits, labels))
    assert lo.schedule_state(lo.ShapeDescriptors(t=2.0))["losses"] == []


def test_a_geometric_schedule_has_one_factor() -> None:
    logits, labels = batch(6, 5)
    loss = lo.Geometric(1, 100) * lo.Dice()
    assert repr(lo.parse(repr(loss))) == repr(loss) == "Geometric(1, 100) * Dice()"
    for progress, weight in ((0.0, 1), (0.25, math.sqrt(10)), (0.5, 10), (1.0, 100)):
        lo.advance(loss, progress)
        assert float(loss(logits, labels)) == pytest.approx(weight * float(lo.Dice()(logits, labels)), rel=1e-6)
    assert loss.bounds() == (0, 100)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict.fromkeys(NAMES), "constrains nothing: give a margin for size, centroid, spread or length"),
        ({"relative": True, "centroid": None, "spread": None}, "relative has an effect on centroid and spread"),
        ({"penalty": "quadratic", "t": 2.0}, 'is 2.0, but penalty="quadratic" has none'),
        ({"t": lo.Ramp(0, 5)}, "expected a schedule that stays above 0"),
        ({"t": 0.0}, r"t is 0.0, expected .*number in \(0, inf"),
        ({"size": 1.5}, r"size is 1.5, expected"),
    ],
    ids=["nothing", "relative", "quadratic", "ramp from 0", "zero", "size"],
)
def test_what_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        lo.ShapeDescriptors(**options)


@pytest.mark.parametrize("ends", [(0, 1), (1, 0), (-1, -2)], ids=str)
def test_a_factor_cannot_lead_to_zero(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="takes two numbers above 0"):
        lo.Geometric(*ends)


def test_voxels_that_do_not_count_leave_every_descriptor() -> None:
    logits, labels = batch(6, 8)
    marked = labels.clone()
    marked[:, :, 5:] = 255
    for name in NAMES:
        cropped = value_and_gradient(only(name), logits[..., :5], labels[..., :5])
        found = value_and_gradient(only(name), logits, marked, ignore=255)
        torch.testing.assert_close(found[0], cropped[0])
        torch.testing.assert_close(found[1][..., :5], cropped[1])
        assert not found[1][..., 5:].any()

"""Losses of contours: tolerances in millimetres, limits, and what moves, turns and scales them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

import lossodyssey as lo
from lossodyssey.kernels.contour import dilated, inner_contour

SURFACES = [
    "ContourDice()",
    "ContourDice(tolerance='auto')",
    "SurfaceDiceDilation()",
    "SurfaceDiceDilation(shape='ball')",
]
ALL = [*SURFACES, "BoundaryDoU()", "ActiveBoundary(share=0.3)"]


def sure(labels: Tensor, classes: int = 2, scale: float = 60.0) -> Tensor:
    return scale * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def disc(radius: float = 8.0, shift: tuple[int, ...] = (0, 0), size: int = 32) -> Tensor:
    axes = torch.meshgrid(*(torch.arange(size) - size / 2 - move for move in shift), indexing="ij")
    return (sum(axis**2 for axis in axes).sqrt() <= radius).long()[None]  # type: ignore[union-attr]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def value_and_gradient(loss: lo.Loss, logits: Tensor, labels: Tensor, **context: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels, **context)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("text", ALL)
def test_perfect_is_zero_and_moving_raises_the_value(text: str) -> None:
    loss, truth = lo.parse(text), disc()
    assert float(loss(sure(truth), truth)) == pytest.approx(0, abs=1e-12)
    values = [float(loss(sure(disc(shift=(0, step))), truth)) for step in (2, 4, 6)]
    assert 0 < values[0] < values[1] < values[2]


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("space", [(12, 12), (7, 8, 8)], ids=["plane", "volume"])
def test_flips_and_quarter_turns_change_nothing(text: str, space: tuple[int, ...]) -> None:
    loss, logits = lo.parse(text), noise(2, 3, *space)
    labels = torch.zeros(2, *space, dtype=torch.long)
    labels[..., 2:7, 3:6], labels[1, ..., 5:, 1:4] = 1, 2
    expected = loss(logits, labels)
    for axis in range(1, labels.ndim):
        torch.testing.assert_close(loss(logits.flip(axis + 1), labels.flip(axis)), expected)
    turned = loss(logits.rot90(1, (-2, -1)), labels.rot90(1, (-2, -1)))
    torch.testing.assert_close(turned, expected)


@pytest.mark.parametrize("text", SURFACES)
@pytest.mark.parametrize(("prediction", "value"), [("empty", 1.0), ("full", 1.0)])
def test_empty_and_full_predictions(text: str, prediction: str, value: float) -> None:
    truth = disc()
    found, gradient = value_and_gradient(lo.parse(text), sure(torch.full_like(truth, prediction == "full")), truth)
    assert float(found) == pytest.approx(value, abs=1e-9) and gradient.isfinite().all()


@pytest.mark.parametrize("text", [*SURFACES, "BoundaryDoU()"])
def test_a_class_without_voxels_is_left_out_of_the_mean(text: str) -> None:
    loss, truth, logits = lo.parse(text), disc(), noise(1, 3, 32, 32)
    both = torch.cat([truth, torch.zeros_like(truth)])
    expected, slope = value_and_gradient(loss.but(background=False), logits, truth)
    alone = loss(torch.cat([logits, logits]), both)
    torch.testing.assert_close(alone, expected)
    nothing, gradient = value_and_gradient(loss, logits, torch.zeros_like(truth))
    assert nothing == 0 and not gradient.any() and slope.any()


@pytest.mark.parametrize("text", ["ContourDice(tolerance={t})", "SurfaceDiceDilation(tolerance={t}, shape='ball')"])
def test_scaling_spacing_and_tolerance_together_changes_nothing(text: str) -> None:
    logits, truth = noise(1, 2, 32, 32), disc()
    values = [lo.parse(text.format(t=2.5 * k))(logits, truth, spacing=(1.0 * k, 1.5 * k)) for k in (1, 2, 0.1)]
    torch.testing.assert_close(values[1:], values[:1] * 2)
    assert not torch.equal(lo.parse(text.format(t=2.5))(logits, truth), values[0])


@pytest.mark.parametrize("loss", [lo.ContourDice(), lo.SurfaceDiceDilation()], ids=repr)
def test_the_value_falls_with_the_tolerance(loss: lo.Loss) -> None:
    prediction, truth = sure(disc(shift=(3, 2))), disc()
    values = [float(loss.but(tolerance=t)(prediction, truth)) for t in (0, 1, 2, 4, 8)]
    assert values == sorted(values, reverse=True) and values[0] > 0.5 and values[-1] < 0.5


@pytest.mark.parametrize(("spacing", "free"), [(None, 2), ((1.0, 1.0), 2), ((1.0, 2.0), 1), ((1.0, 0.5), 4)])
def test_a_contour_within_the_tolerance_costs_nothing(spacing: tuple[float, ...] | None, free: int) -> None:
    loss, truth = lo.ContourDice(tolerance=2.0), half_plane(8)
    values = [float(loss(sure(half_plane(8 + step)), truth, spacing=spacing)) for step in range(free + 2)]
    assert values == pytest.approx([0.0] * (free + 1) + [1.0], abs=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.5, 1.0), (3.0, 1.0, 0.8)], ids=str)
@pytest.mark.parametrize("shape", ["ball", "box"])
def test_dilation_is_the_one_of_scipy(spacing: tuple[float, ...], shape: str) -> None:
    x = noise(1, 2, *(9, 8, 7)[: len(spacing)])
    found = dilated(x, torch.tensor([spacing]), torch.tensor([2.5]), shape)  # type: ignore[arg-type]
    reach = [math.ceil(2.5 / step) for step in spacing]
    offsets = np.stack(
        np.meshgrid(*(np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)), indexing="ij")
    )
    footprint = (offsets**2).sum(0) <= 2.5**2 if shape == "ball" else np.ones(offsets.shape[1:], bool)
    for c in range(2):
        expected = ndimage.grey_dilation(x[0, c].numpy(), footprint=footprint, mode="constant", cval=-9)
        assert np.array_equal(found[0, c].numpy(), expected)


def test_a_spacing_per_sample_dilates_each_by_its_own() -> None:
    x, rows, reach = (
        noise(3, 1, 9, 9),
        torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 2.0]]),
        torch.tensor([2.0, 3.0, 2.0]),
    )
    together = dilated(x, rows, reach, "ball")
    apart = [dilated(x[n : n + 1], rows[n : n + 1], reach[n : n + 1], "ball") for n in range(3)]
    assert torch.equal(together, torch.cat(apart))


def test_a_ball_of_very_many_voxels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a ball of 5 at the spacing .*expected at most 4096.*shape=\"box\""):
        lo.ContourDice(tolerance=5)(noise(1, 2, 8, 8, 8), torch.zeros(1, 8, 8, 8).long(), spacing=(0.25, 0.25, 0.25))


@pytest.mark.parametrize("text", ["ContourDice()", "SurfaceDiceDilation()"])
def test_spacings_stay_in_one_compiled_graph(text: str) -> None:
    torch.compiler.reset()
    loss, logits, truth = lo.parse(text), noise(2, 2, 16, 16), disc(5, size=16).expand(2, -1, -1)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    rows = torch.tensor([[1.0, 0.7], [0.4, 1.0]])
    for found, expected in zip(
        value_and_gradient(compiled, logits, truth, spacing=rows),
        value_and_gradient(loss, logits, truth, spacing=rows),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)


def test_an_ignored_voxel_and_the_border_of_the_image_make_no_contour() -> None:
    x, valid = torch.ones(1, 1, 6, 6), torch.ones(1, 1, 6, 6, dtype=torch.bool)
    assert not inner_contour(x, valid).any()
    x[..., 2, 2] = 0
    valid[..., 2, 2] = False
    assert not inner_contour(x, valid).any()
    assert inner_contour(x, torch.ones_like(valid)).sum() == 8


def two_objects() -> Tensor:
    truth = torch.zeros(1, 16, 16, dtype=torch.long)
    truth[:, 2:7, 2:7], truth[:, 10:13, 10:13] = 1, 1
    return truth


@pytest.mark.parametrize(
    ("name", "expected"),
    [("perfect", 0), ("empty", 1), ("full", 1), ("inverse", 0.330), ("missed", 0.207), ("moved", 0.178)],
)
def test_surface_dice_has_the_limits_of_the_specification(name: str, expected: float) -> None:
    truth = two_objects()
    first = truth.clone()
    first[:, 10:13, 10:13] = 0
    prediction = {
        "perfect": truth,
        "empty": torch.zeros_like(truth),
        "full": torch.ones_like(truth),
        "inverse": 1 - truth,
        "missed": first,
        "moved": truth.roll(1, 2),
    }[name]
    loss = lo.SurfaceDiceDilation(tolerance=1.0)
    value = float(loss(20 * (prediction[:, None] - 0.5) * torch.tensor([-1.0, 1.0]).reshape(1, 2, 1, 1), truth))
    # The specification does not say where in the image the objects lie, which the inverse's wider band depends on.
    assert value == pytest.approx(expected, abs=4e-3 if name == "inverse" else 6e-4)


def test_volumetric_sddl_has_the_limits_of_the_specification() -> None:
    truth, loss = two_objects(), lo.VolumetricSDDL(tolerance=2.0)
    logits = {name: 20 * (mask[:, None] - 0.5) * torch.tensor([-1.0, 1.0]).reshape(1, 2, 1, 1) for name, mask in {
        "perfect": truth, "empty": torch.zeros_like(truth), "full": torch.ones_like(truth), "moved": truth.roll(1, 2),
    }.items()}  # fmt: skip
    found = {name: float(loss(z, truth)) for name, z in logits.items()}
    assert found == pytest.approx({"perfect": 0, "empty": 1.30, "full": 5.06, "moved": 0.405}, abs=6e-3)


@pytest.mark.parametrize(
    ("side", "alpha"), [(1, -1.0), (2, -1.0), (5, 2 * (1 - 16 / 25) - 1), (20, 2 * (1 - 76 / 400) - 1), (40, 0.8)]
)
def test_boundary_dou_takes_alpha_from_the_edge(side: int, alpha: float) -> None:
    truth = torch.zeros(1, 48, 48, dtype=torch.long)
    truth[:, 3 : 3 + side, 3 : 3 + side] = 1
    s, g = noise(1, 2, 48, 48).softmax(1)[:, 1], truth
    errors, overlap = ((s - g) ** 2).sum(), (s * g).sum()
    expected = errors / (errors + (1 - alpha) * overlap)
    loss = lo.BoundaryDoU(smooth=0)
    torch.testing.assert_close(loss(noise(1, 2, 48, 48), truth), expected)
    clipped = errors / (errors + (1 - max(alpha, 0)) * overlap)
    torch.testing.assert_close(loss.but(nonnegative=True)(noise(1, 2, 48, 48), truth), clipped)


def test_boundary_dou_of_a_tiny_object_is_squared_dice() -> None:
    truth, logits = torch.zeros(1, 9, 9, dtype=torch.long), noise(1, 2, 9, 9)
    truth[:, 4:6, 4:6] = 1
    torch.testing.assert_close(lo.BoundaryDoU(smooth=0)(logits, truth), lo.Dice(square=True, smooth=0)(logits, truth))


def test_boundary_dou_asks_whether_the_border_of_the_image_is_an_edge() -> None:
    truth, logits = torch.zeros(1, 12, 12, dtype=torch.long), noise(1, 2, 12, 12)
    truth[:, :8] = 1
    with_border, without = lo.BoundaryDoU()(logits, truth), lo.BoundaryDoU(border=False)(logits, truth)
    assert float(with_border) < float(without)
    absent = lo.BoundaryDoU(absent="smooth")(logits, torch.zeros_like(truth))
    assert float(absent) == pytest.approx(1)


def half_plane(place: int, size: int = 24) -> Tensor:
    return (torch.arange(size) >= place).long().expand(1, size, size).contiguous()


def test_active_boundary_by_hand() -> None:
    """Loops over the pixels of a small image, with the formula of the docstring."""
    truth, logits = torch.zeros(1, 7, 8, dtype=torch.long), noise(1, 3, 7, 8, seed=3)
    truth[:, 2:5, 1:4], truth[:, 5:, 6:] = 1, 2
    p, space = logits[0].softmax(0).numpy(), (7, 8)
    labels, pixels = truth[0].numpy(), list(itertools.product(range(7), range(8)))

    def around(y: int, x: int, faces: bool) -> list[tuple[int, int]]:
        steps = [s for s in itertools.product((-1, 0, 1), repeat=2) if any(s) and (not faces or 0 in s)]
        return [(y + a, x + b) for a, b in steps if 0 <= y + a < space[0] and 0 <= x + b < space[1]]

    def kl(first: tuple[int, int], second: tuple[int, int]) -> float:
        a, b = p[:, first[0], first[1]], p[:, second[0], second[1]]
        return float((a * np.log(a / b)).sum())

    border = [i for i in pixels if any(labels[i] != labels[j] for j in around(*i, faces=True))]
    d = {i: min(math.dist(i, j) for j in border) for i in pixels}
    contrast = {i: max(kl(i, j) for j in around(*i, faces=True)) for i in pixels if d[i] > 0}
    chosen = sorted(contrast, key=lambda i: -contrast[i])[: math.ceil(0.2 * 56)]
    total = 0.0
    for i in chosen:
        ways = around(*i, faces=False)
        # Beyond the image lies the pixel nearest to it.
        steps = [s for s in itertools.product((-1, 0, 1), repeat=2) if any(s)]
        clamped = [(min(max(i[0] + a, 0), 6), min(max(i[1] + b, 0), 7)) for a, b in steps]
        scores = np.array([kl(j, i) for j in clamped])
        log_q = scores - np.log(np.exp(scores).sum())
        shortest = min(d[j] for j in ways)
        true = np.array(
            [(i[0] + a, i[1] + b) in ways and d[j] == shortest for (a, b), j in zip(steps, clamped, strict=True)]
        )
        target = true / true.sum()
        total -= min(d[i], 3.0) / 3.0 * ((0.9 * target + 0.1 * (1 - target) / 7) * log_q).sum()
    loss = lo.ActiveBoundary(share=0.2, reach=3.0, label_smoothing=0.1)
    assert float(loss(logits, truth)) == pytest.approx(total / len(chosen), rel=1e-6)


def test_active_boundary_grows_with_the_distance_up_to_its_reach() -> None:
    loss, truth = lo.ActiveBoundary(share=0.2, reach=4.0), half_plane(4)
    values = [float(loss(sure(half_plane(4 + step)), truth)) for step in (0, 3, 4, 9, 12)]
    assert values[0] == 0 and values[1] < values[2] and values[3] == pytest.approx(values[4])


def test_active_boundary_measures_in_the_units_of_the_spacing() -> None:
    loss, truth, logits = lo.ActiveBoundary(share=0.2), disc(5, size=20), noise(1, 2, 20, 20)
    value = loss(logits, truth)
    torch.testing.assert_close(loss(logits, truth, spacing=(2, 2)), loss.but(reach=10.0)(logits, truth))
    torch.testing.assert_close(loss.but(reach=40.0)(logits, truth, spacing=(2, 2)), value)


@pytest.mark.parametrize("case", ["one label", "empty prediction"])
def test_active_boundary_without_a_boundary_is_zero(case: str) -> None:
    truth = disc(5, size=20)
    logits = noise(1, 2, 20, 20) if case == "one label" else torch.zeros(1, 2, 20, 20, dtype=torch.float64)
    value, gradient = value_and_gradient(lo.ActiveBoundary(), logits, truth * 0 if case == "one label" else truth)
    assert value == 0 and not gradient.any()


def test_active_boundary_pulls_the_prediction_towards_the_truth() -> None:
    truth, z = half_plane(10), (2 * sure(half_plane(14), scale=1.0)).requires_grad_()
    loss = lo.ActiveBoundary(share=0.2, label_smoothing=0.0)
    before = float(z.detach().softmax(1)[:, 1, :, 13].mean())
    optimiser = torch.optim.SGD([z], lr=20.0)
    for _ in range(60):
        optimiser.zero_grad()
        loss(z, truth).backward()
        optimiser.step()
    assert float(z.detach().softmax(1)[:, 1, :, 13].mean()) > before + 0.1


def test_detached_neighbours_change_the_gradient_alone() -> None:
    logits, truth, loss = noise(1, 2, 20, 20), disc(5, size=20), lo.ActiveBoundary(share=0.2)
    (value, slope), (same, other) = (value_and_gradient(each, logits, truth) for each in (loss, loss.but(detach=True)))
    assert value == same and not torch.allclose(slope, other) and other.any()


def test_the_released_active_boundary_weighs_nothing_near_the_truth_or_where_too_many_are_alike() -> None:
    truth, loss = half_plane(4), lo.ReleasedActiveBoundary(share=0.2)
    found = [float(loss(sure(half_plane(4 + step)), truth)) for step in (0, 4)]
    assert found[0] == 0 < found[1]
    assert float(loss.but(share=0.01)(sure(half_plane(8)), truth)) == 0, "more pixels are alike than the share allows"

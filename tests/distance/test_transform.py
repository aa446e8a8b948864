"""The transforms against brute force over all pairs of voxels, on every CPU route and in plain PyTorch."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.distance import Zero, cpu, edges, euclidean, inside, separable, signed, two_sided
from lossodyssey.kernels import has_triton

SHAPES = [(7,), (5, 6), (1, 9), (4, 5, 3), (6, 6, 6)]
CONVENTIONS: tuple[Zero, ...] = ("inner", "voxel-shift", "none")


def spacing_for(shape: tuple[int, ...], seed: int = 0) -> tuple[float, ...]:
    return tuple(np.random.default_rng(seed).uniform(0.4, 3, len(shape)).tolist())


def random_labels(shape: tuple[int, ...], classes: int, seed: int, samples: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, (samples, *shape), generator=generator)


def brute_force(labels: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Distance to the nearest voxel of another label, over all pairs."""
    space = labels.shape[1:]
    points = torch.cartesian_prod(*(torch.arange(n) * step for n, step in zip(space, spacing, strict=True)))
    points = points.reshape(-1, len(space)).double()
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    flat = labels.flatten(1)
    nearest = torch.where(flat[:, :, None] != flat[:, None], distances, torch.inf).amin(2)
    return nearest.where(nearest < torch.inf, 0).reshape(labels.shape).float()


@pytest.fixture(params=["native", "edt", "scipy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "native":
        if native.library() is None:
            pytest.skip("no C compiler")
        return
    monkeypatch.setattr(native, "library", lambda: None)
    if request.param == "scipy":
        monkeypatch.setattr(cpu, "fast_package", lambda: None)
    else:
        pytest.importorskip("edt")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.usefixtures("backend")
def test_inside_is_the_least_distance_over_all_pairs(shape: tuple[int, ...], classes: int) -> None:
    for seed, spacing in enumerate([spacing_for(shape), (1.0,) * len(shape)]):
        labels = random_labels(shape, classes, seed)
        torch.testing.assert_close(inside(labels, spacing), brute_force(labels, spacing), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("backend")
def test_euclidean_keeps_the_true_voxels(shape: tuple[int, ...]) -> None:
    masks, spacing = random_labels(shape, 3, 1) > 0, spacing_for(shape)
    expected = brute_force(masks, spacing).where(masks, 0)
    torch.testing.assert_close(euclidean(masks, spacing), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("backend")
def test_small_objects_are_cropped_without_a_trace() -> None:
    for corner in ((0, 0, 0), (5, 5, 5), (9, 8, 9)):
        masks = torch.zeros(1, 12, 11, 12, dtype=torch.bool)
        masks[0, corner[0] :, corner[1] : corner[1] + 3, corner[2] : corner[2] + 3] = True
        expected = brute_force(masks, (1.0, 2.0, 0.5)).where(masks, 0)
        torch.testing.assert_close(euclidean(masks, (1.0, 2.0, 0.5)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("backend")
def test_empty_full_and_one_voxel_masks_are_zero() -> None:
    for space in ((4, 4), (3, 3, 3), (1, 1, 1)):
        for value in (False, True):
            masks = torch.full((2, *space), value)
            assert not euclidean(masks).any() and not inside(masks).any()
            assert not signed(masks[:, None]).any() and not two_sided(masks[:, None]).any()


def test_no_sample_is_no_error() -> None:
    assert euclidean(torch.zeros(0, 4, 4, dtype=torch.bool)).shape == (0, 4, 4)
    assert inside(torch.zeros(0, 4, 4, dtype=torch.uint8)).shape == (0, 4, 4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_labels_of_any_width_and_sign_agree(dtype: torch.dtype) -> None:
    labels = random_labels((5, 6, 4), 3, 2)
    strange = torch.where(labels == 2, 255 if dtype == torch.uint8 else -1, labels).to(dtype)
    assert torch.equal(inside(strange), inside(labels))


@pytest.mark.usefixtures("backend")
def test_every_route_agrees_with_scipy_on_random_maps() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        axes = int(rng.integers(1, 4))
        shape = tuple(rng.integers(1, (0, 70, 40, 20)[axes], axes).tolist())
        noise = torch.nn.functional.avg_pool1d(torch.from_numpy(rng.random((4, prod(shape)))), 3, 1, 1).reshape(
            4, *shape
        )
        labels = (noise * int(rng.integers(2, 5)) + rng.uniform(-0.5, 1)).clamp(min=0).to(torch.uint8)
        spacing = spacing_for(shape, seed) if seed % 2 else (1.0,) * axes
        expected = cpu.nearest_other(labels, spacing, wide=True)
        torch.testing.assert_close(cpu.nearest_other(labels, spacing), expected.float(), rtol=4e-7, atol=0)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("spacing", [1.0, 0.7])
@pytest.mark.parametrize("shape", [(120, 131), (3, 150, 70), (90, 2, 101)])
def test_objects_far_from_most_voxels_agree_with_scipy(shape: tuple[int, ...], spacing: float) -> None:
    for seed in range(4):
        rng, labels = np.random.default_rng(seed), torch.ones((2, *shape), dtype=torch.uint8)
        # Few small objects of two labels and of none: along most lines every voxel looks far.
        for label in (0, 2, 3)[: seed + 1]:
            corner = [int(rng.integers(0, n)) for n in shape]
            labels[(slice(None), *(slice(start, start + 2) for start in corner))] = label
        steps = (1.0,) * (len(shape) - 1) + (spacing,)
        expected = cpu.nearest_other(labels, steps, wide=True)
        torch.testing.assert_close(cpu.nearest_other(labels, steps), expected.float(), rtol=1e-6, atol=0)


@pytest.mark.skipif(native.library() is None, reason="no C compiler")
def test_compiled_code_agrees_with_scipy_on_thousands_of_masks_to_the_last_digit() -> None:
    for seed in range(150):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(1, 8, rng.integers(1, 5)).tolist())
        labels = torch.from_numpy(rng.random((20, *shape)) < rng.uniform(0, 1.1)).to(torch.uint8) + int(
            rng.integers(0, 2)
        )
        expected = cpu.nearest_other(labels, (1.0,) * len(shape), wide=True)
        assert torch.equal(cpu.nearest_other(labels, (1.0,) * len(shape)), expected.float())


@pytest.mark.usefixtures("backend")
def test_the_distance_to_a_ball_is_that_to_its_centre_less_the_radius() -> None:
    spacing = (1.0, 0.5, 2.0)
    axes = [torch.arange(-n, n + 1) * step for n, step in zip((14, 25, 7), spacing, strict=True)]
    from_centre = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    field = signed((from_centre < 9)[None, None], spacing=spacing, zero="none")
    assert (field[0, 0] - (from_centre - 9)).abs().max() < torch.tensor(spacing).norm()


@pytest.mark.usefixtures("backend")
def test_more_labels_than_a_byte_holds() -> None:
    labels = torch.arange(300).reshape(1, 20, 15).repeat_interleave(3, 1)
    torch.testing.assert_close(inside(labels), brute_force(labels, (1.0, 1.0)))


@pytest.mark.usefixtures("backend")
def test_labels_of_a_real_case() -> None:
    nibabel = pytest.importorskip("nibabel")
    data = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))
    found = sorted(data.glob("**/Task04_Hippocampus/labelsTr/[!.]*.nii.gz"))
    if not found:
        pytest.skip("no hippocampus labels")
    labels = torch.from_numpy(np.asarray(nibabel.load(found[0]).dataobj).astype(np.uint8))[None]
    expected = cpu.nearest_other(labels + 1, (1.0, 1.2, 0.7), wide=True)
    torch.testing.assert_close(inside(labels, (1.0, 1.2, 0.7)), expected.float(), rtol=4e-7, atol=0)


def test_several_threads_change_nothing() -> None:
    labels, threads = random_labels((9, 10, 11), 3, 7, samples=5), torch.get_num_threads()
    expected = inside(labels)
    try:
        torch.set_num_threads(3)
        assert torch.equal(inside(labels), expected)
    finally:
        torch.set_num_threads(threads)


def test_plain_pytorch_agrees_on_a_thousand_random_maps() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(1, 8, rng.integers(1, 4)).tolist())
        labels = random_labels(shape, int(rng.integers(1, 5)), seed, samples=20)
        spacing = spacing_for(shape, seed)
        expected = cpu.nearest_other(labels, spacing)
        torch.testing.assert_close(separable.nearest_other(labels, spacing), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
def test_triton_agrees_with_plain_pytorch() -> None:
    from lossodyssey.distance import fused

    for seed in range(12):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(1, 8, rng.integers(1, 4)).tolist())
        labels = random_labels(shape, int(rng.integers(1, 5)), seed)
        spacing = spacing_for(shape, seed)
        expected = separable.nearest_other(labels, spacing)
        torch.testing.assert_close(fused.nearest_other(labels, spacing), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("backend")
def test_permuted_axes_with_permuted_spacing_change_nothing() -> None:
    labels, spacing = random_labels((5, 6, 4), 3, 3), (0.7, 1.3, 2.9)
    turned = inside(labels.permute(0, 3, 1, 2), (spacing[2], spacing[0], spacing[1]))
    torch.testing.assert_close(turned, inside(labels, spacing).permute(0, 3, 1, 2))


def test_edges_are_the_voxels_with_a_face_neighbour_outside() -> None:
    masks = torch.zeros(1, 5, 6, dtype=torch.bool)
    masks[0, 1:4, :4] = True
    expected = masks.clone()
    expected[0, 2, :3] = False
    assert torch.equal(edges(masks), expected)
    assert torch.equal(edges(torch.ones(1, 1, 3, dtype=torch.bool)), torch.zeros(1, 1, 3, dtype=torch.bool))


def test_two_sided_is_the_sum_of_both_transforms() -> None:
    labels, spacing = random_labels((5, 6, 4), 3, 4), (1.0, 2.0, 0.5)
    fields = two_sided(labels, 4, spacing)
    for label in range(3):
        mask = labels == label
        torch.testing.assert_close(fields[:, label], euclidean(mask, spacing) + euclidean(~mask, spacing))
    assert fields.shape == (2, 4, 5, 6, 4) and not fields[:, 3].any()


def test_masks_and_labels_give_the_same_fields() -> None:
    labels = random_labels((5, 6), 3, 5)
    masks = torch.stack([labels == label for label in range(3)], 1)
    assert torch.equal(two_sided(labels, 3), two_sided(masks))
    for zero in CONVENTIONS:
        assert torch.equal(signed(labels, 3, zero=zero), signed(masks, zero=zero))


def test_signed_distance_of_a_line_by_each_convention() -> None:
    masks = torch.tensor([[[False, False, True, True, True, True, True, False]]])
    fields = {
        zero: signed(masks, spacing=(2.0,), zero=zero)[0, 0].tolist() for zero in ("inner", "voxel-shift", "none")
    }
    assert fields["inner"] == [4, 2, 0, -2, -4, -2, 0, 2]
    assert fields["voxel-shift"] == [4, 2, 0, -2, -4, -2, 0, 2]
    assert fields["none"] == [4, 2, -2, -4, -6, -4, -2, 2]


def test_signed_distance_is_zero_on_the_edges_and_negative_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.nn.functional.avg_pool3d(torch.rand(2, 1, 20, 20, 20, generator=generator), 5, 1, 2) > 0.5
    field, rim = signed(masks, spacing=(1.0, 1.5, 2.0)), edges(masks[:, 0])[:, None]
    assert not field[rim].any() and (field[masks & ~rim] < 0).all() and (field[~masks] > 0).all()
    torch.testing.assert_close(field[~masks], euclidean(~masks[:, 0], (1.0, 1.5, 2.0))[:, None][~masks])


def test_one_operator_in_a_compiled_graph_and_under_function_transforms() -> None:
    labels = random_labels((5, 6), 3, 6)
    compiled = torch.compile(lambda x: signed(x, 3), fullgraph=True, backend="eager")
    assert torch.equal(compiled(labels), signed(labels, 3))
    slope = torch.func.grad(lambda z: (z * signed(labels, 3)).sum())(torch.ones(2, 3, 5, 6))
    assert torch.equal(slope, signed(labels, 3))

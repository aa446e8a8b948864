"""The compiled orders of voxels are those of PyTorch's operations, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import ordering

NEEDS_COMPILER = pytest.mark.skipif(native.library() is None, reason="no C compiler")
ROOM = 2000  # voxels sorted at a time
KINDS = ["any", "ties", "zero", "equal", "near one", "unbounded", "far apart"]


def errors_of(kind: str, rows: int, voxels: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, voxels, generator=generator)
    return {
        "any": x,
        "ties": (x * 4).round() / 4,
        "zero": torch.zeros_like(x),
        "equal": torch.full_like(x, 1 / 3),
        "near one": 1 - x * 1e-5,
        "unbounded": 100 * x,
        "far apart": (-80 * x).exp(),
    }[kind]


def truth_of(share: float, errors: Tensor, seed: int) -> Tensor:
    return torch.rand(errors.shape, generator=torch.Generator().manual_seed(seed)) < share


def by_sorting(errors: Tensor, truth: Tensor) -> Tensor:
    """The increments of one unit (U, V), by sorting it whole."""
    return ordering._by_sorting(errors.reshape(1, -1), truth.reshape(1, -1)).view_as(errors)


@NEEDS_COMPILER
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
@pytest.mark.parametrize(("rows", "voxels"), [(1, 1), (1, 2), (3, 127), (2, 5000)])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_increments_are_those_of_sorting(kind: str, rows: int, voxels: int, share: float) -> None:
    for seed in range(5):
        errors = errors_of(kind, rows, voxels, seed)
        errors[torch.rand(errors.shape, generator=torch.Generator().manual_seed(seed)) < 0.1 * seed] = -1
        truth = truth_of(share, errors, seed + 1)
        expected = by_sorting(errors, truth)
        assert torch.equal(ordering.jaccard_increments_(errors.clone(), truth, ROOM), expected)
        assert torch.equal(ordering.jaccard_increments_(errors.clone(), truth.float(), ROOM), expected)


@NEEDS_COMPILER
@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_neither_parts_nor_gaps_between_rows_change_the_increments(parts: int) -> None:
    room = torch.full((2, 3, 4000), 7.0)
    errors = room[:, 1]
    errors.copy_(errors_of("any", 2, 4000, 0))
    truth = torch.stack([truth_of(0.1, errors, 1)] * 2, 1)[:, 1]
    expected = by_sorting(errors, truth)
    assert ordering.jaccard_increments_(errors, truth, errors.numel() // parts) is errors
    assert torch.equal(errors, expected)
    assert (room[:, ::2] == 7).all()


@NEEDS_COMPILER
def test_equal_errors_keep_the_order_of_their_voxels() -> None:
    errors, truth = torch.full((1, 4), 0.5), torch.tensor([[False, True, True, False]])
    increments = ordering.jaccard_increments_(errors, truth, ROOM)
    torch.testing.assert_close(increments, torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_increments_are_the_growth_of_the_jaccard_loss(dtype: torch.dtype) -> None:
    errors = errors_of("any", 1, 50, 0).to(dtype)
    truth = truth_of(0.3, errors, 1)
    increments = ordering.jaccard_increments_(errors.clone(), truth, ROOM)
    for count in range(1, 51):
        wrong = torch.zeros(50, dtype=torch.bool).index_fill_(0, errors[0].topk(count).indices, True)
        jaccard = 1 - (truth[0] & ~wrong).sum() / (truth[0] | wrong).sum()
        torch.testing.assert_close(increments[0, wrong].sum(), jaccard.to(dtype))


def test_what_is_no_number_is_not_lost() -> None:
    errors = torch.tensor([[0.5, torch.nan, 0.25]])
    increments = ordering.jaccard_increments_(errors.clone(), torch.tensor([[True, False, True]]), ROOM)
    assert (increments * errors).sum().isnan() and increments[0, 1] > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_kth_smallest_is_that_of_sorting(kind: str, dtype: torch.dtype) -> None:
    for voxels in (1, 2, 1000):
        values = torch.cat([1 - 2 * errors_of(kind, 1, voxels, 0), torch.ones(1, 3)], 1)[0].to(dtype)
        for k in {1, 2, voxels // 2 + 1, len(values)}:
            found = ordering.smallest(values, torch.tensor(k), most=len(values))
            assert found.shape == () and found == np.sort(values.numpy())[k - 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_values_share_what_is_left_of_the_smallest(dtype: torch.dtype) -> None:
    values = torch.tensor([5.0, 1.0, 3.0, 3.0, 3.0, 7.0], dtype=dtype, requires_grad=True)
    for k, expected, left in ((0, 0.0, 0.0), (1, 1.0, 0.0), (2, 4.0, 1 / 3), (3, 7.0, 2 / 3), (4, 10.0, 1.0)):
        total = ordering.sum_of_smallest(values, torch.tensor(k), most=6)
        (increments,) = torch.autograd.grad(3 * total, values)
        assert total == expected
        torch.testing.assert_close(increments, 3 * torch.tensor([0, float(k > 0), left, left, left, 0], dtype=dtype))


def test_infinities_have_their_place() -> None:
    values = torch.tensor([1.0, -torch.inf, -0.0, -3e38, 1e-45, -1e-45])
    found = [float(ordering.smallest(values, torch.tensor(k), most=6)) for k in range(1, 7)]
    assert found == values.sort().values.tolist()

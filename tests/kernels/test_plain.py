"""Sums in a wider dtype, without a copy of all values in it."""

from __future__ import annotations

import pytest
import torch

from lossodyssey.kernels.plain import ROW, row_of, wide_sum


@pytest.mark.parametrize("values", [0, 1, 7, 1021, 1024, 2048, 35 * 51 * 36, 2**17, 999_983])
def test_rows_change_no_sum(values: int) -> None:
    x = torch.rand(2, 3, values, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = wide_sum(x, torch.float64)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, x.double().sum(-1), rtol=1e-7, atol=0)
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(slope, torch.ones_like(x))


def test_no_sample_has_no_sum() -> None:
    assert wide_sum(torch.zeros(0, 3, 2048), torch.float64).shape == (0, 3)


@pytest.mark.parametrize("values", [96**3, 64 * 64, 35 * 51 * 36, 512 * 512])
def test_sizes_of_images_are_divided_into_rows(values: int) -> None:
    size = row_of(values)
    assert ROW // 16 < size <= ROW and values % size == 0 and size < values


@pytest.mark.parametrize("values", [0, 1, 63, 2 * 999_983])
def test_what_has_no_rows_is_summed_at_once(values: int) -> None:
    assert row_of(values) == 0

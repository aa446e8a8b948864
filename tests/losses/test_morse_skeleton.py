"""Cross entropy on ridges: which voxels are ridges, and what is seen there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.kernels.watershed import watershed_lines

NET = """
....#....
....#....
....#....
#########
.........
.........
"""


def mask(text: str) -> np.ndarray:
    return np.array([[sign == "#" for sign in row] for row in text.split()])


def wider(lines: np.ndarray) -> np.ndarray:
    """Lines of three voxels, brightest in the middle."""
    padded = np.pad(lines.astype(float), 1)
    around = [np.roll(padded, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return np.maximum(lines * 0.9, 0.6 * np.max(around, 0)[1:-1, 1:-1])


def test_ridges_are_lines_of_one_voxel_between_basins() -> None:
    assert (watershed_lines(wider(mask(NET)), 0.1) == mask(NET)).all()
    assert (watershed_lines(mask(NET).astype(float), 0.1) == mask(NET)).all()


def test_a_line_that_ends_freely_goes_unseen() -> None:
    open_line = mask("....... ..###.. .......")
    assert not watershed_lines(open_line.astype(float), 0.1).any()


def test_shallow_basins_do_not_count() -> None:
    field = wider(mask(NET))
    field[3, 6:] = field[2:5, 6:] = 0.08  # the right end of the beam is a low threshold now
    assert watershed_lines(field, 0.05)[2:5, 7].any() and not watershed_lines(field, 0.2)[:, 6:].any()


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 2), (6,), (4, 1, 5)])
def test_there_is_nothing_between_fewer_than_two_basins(shape: tuple[int, ...]) -> None:
    assert not watershed_lines(np.zeros(shape), 0.1).any() and not watershed_lines(np.ones(shape), 0.1).any()


def logits_of(s: np.ndarray) -> Tensor:
    foreground = torch.from_numpy(s).clamp(1e-6, 1 - 1e-6)[None]
    return torch.stack([(1 - foreground).log(), foreground.log()], 1)


def test_the_value_is_the_mean_on_the_ridges_of_both() -> None:
    net = mask(NET)
    gap = net.copy()
    gap[3, 6] = False
    labels = torch.from_numpy(net.astype(int))[None]
    logits = logits_of(np.where(gap, 0.9, 0.2))
    # The prediction has no ridge of its own right of the gap, the truth has.
    ridge = int(net.sum())
    expected = (-math.log(0.9) * (ridge - 1) - math.log(0.2)) / ridge
    assert float(lo.MorseSkeleton()(logits, labels)) == pytest.approx(expected, rel=1e-6)
    assert float(lo.MorseSkeleton()(60 * (2 * logits.exp() - 1), (logits[:, 1] > logits[:, 0]).long())) < 1e-9
    assert float(lo.MorseSkeleton()(logits[:0], labels[:0])) == 0


def test_without_a_ridge_it_is_nothing() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    logits = torch.zeros(1, 2, 6, 6, requires_grad=True)
    value = lo.MorseSkeleton()(logits, labels)
    value.backward()
    assert value == 0 and logits.grad is not None and not logits.grad.any()

"""How deep inside the foreground voxels lie, and the soft centre lines of the truth."""

from __future__ import annotations

import pytest
import torch

from lossodyssey.auxiliary import Depth, HardSkeleton, SoftSkeleton


def test_depth_is_that_of_all_classes_together() -> None:
    labels = torch.zeros(2, 7, 9, dtype=torch.long)
    labels[0, 1:6, 1:4], labels[0, 1:6, 4:8] = 1, 2
    labels[1, 3] = 3  # voxels that do not count
    depth = Depth()(labels, 3)
    assert depth.shape == (2, 1, 7, 9) and not depth[1].any()
    assert depth[0, 0, 3].tolist() == [0, 1, 2, 3, 3, 3, 2, 1, 0]
    torch.testing.assert_close(Depth()(labels, 3, (2.0, 2.0)), 2 * depth)
    apart = Depth()(torch.stack([labels == 1, labels == 2], 1), 2)
    assert apart.shape == (2, 2, 7, 9) and apart[0, 0, 3].tolist() == [0, 1, 2, 1, 0, 0, 0, 0, 0]


def test_depth_is_one_where_there_is_no_outside() -> None:
    assert torch.equal(Depth()(torch.ones(1, 3, 4, dtype=torch.long), 2), torch.ones(1, 1, 3, 4))


def test_merged_lines_are_those_of_the_classes_before_they_are_cut() -> None:
    labels = torch.zeros(1, 9, 14, dtype=torch.long)
    labels[0, 3:6, 1:7], labels[0, 3:6, 7:13] = 1, 2
    merged, cut = HardSkeleton(merged=True)(labels, 3), HardSkeleton()(labels, 3)
    assert torch.equal(merged, cut.sum(1, keepdim=True)) and merged.sum() > 5
    with pytest.raises(ValueError, match="merged and per_class are both True"):
        HardSkeleton(merged=True, per_class=True)


def test_soft_lines_are_made_by_as_many_openings_as_the_widest_needs() -> None:
    labels = torch.zeros(2, 19, 12, dtype=torch.long)
    labels[0, 4:13], labels[1, 4:7] = 1, 1
    auto, enough, few = (SoftSkeleton(iterations=n)(labels, 3) for n in ("auto", 4, 1))
    assert torch.equal(auto, enough) and not auto[:, ::2].any()
    assert auto[0, 1, 8].all() and auto[0].sum() == 12
    assert not few[0].any() and torch.equal(few[1], auto[1])
    with pytest.raises(ValueError, match=r"SoftSkeleton\.iterations is -1, expected a whole number"):
        SoftSkeleton(iterations=-1)

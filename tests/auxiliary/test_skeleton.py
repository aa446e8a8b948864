"""Centre lines: scikit-image and the own thinning, the tube, the classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from lossodyssey.auxiliary import HardSkeleton, thinning
from lossodyssey.auxiliary.thinning import skeleton


def shapes(space: tuple[int, ...], seed: int) -> np.ndarray:
    """Blobs, noise, boxes or bands."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, space), indexing="ij"), -1)
    if seed % 4 == 0:
        return ndimage.gaussian_filter(random.normal(size=space), random.uniform(0.3, 2)) > 0.05 * random.normal()
    if seed % 4 == 1:
        return random.random(space) < random.uniform(0.3, 0.9)
    low, high = random.integers(0, 8, (3, 1, len(space))), random.integers(3, 12, (3, 1, len(space)))
    if seed % 4 == 2:
        boxes = [((grid >= a[0]) & (grid < a[0] + b[0])).all(-1) for a, b in zip(low, high, strict=True)]
        return boxes[0] ^ boxes[1] ^ boxes[2]
    normal = random.normal(size=(2, len(space)))
    bands = [np.abs((grid - 7) @ n) < random.uniform(0.5, 4) for n in normal]
    return bands[0] | bands[1]


def topology(mask: np.ndarray) -> tuple[int, int, int]:
    """Objects, enclosed pieces of background, and the Euler number."""
    measure = pytest.importorskip("skimage.measure")
    background = ndimage.label(~np.pad(mask, 1))[1]
    return ndimage.label(mask, np.ones((3,) * mask.ndim))[1], background, measure.euler_number(mask, mask.ndim)


@pytest.mark.parametrize("seed", range(24))
def test_own_thinning_in_2d_is_that_of_scikit_image(seed: int) -> None:
    morphology = pytest.importorskip("skimage.morphology")
    for repeat in range(8):
        mask = shapes((17, 15), seed + 24 * repeat)
        assert np.array_equal(thinning.thin_2d(mask), morphology.skeletonize(mask))


@pytest.mark.parametrize("seed", range(12))
def test_own_thinning_in_3d_keeps_the_topology_and_ends_thin(seed: int) -> None:
    mask = shapes((11, 10, 12), seed)
    line = thinning.thin_3d(mask)
    assert not (line & ~mask).any() and topology(line) == topology(mask)
    assert np.array_equal(thinning.thin_3d(line), line)
    skeletonize = pytest.importorskip("skimage.morphology").skeletonize
    assert line.sum() <= 1.5 * skeletonize(mask).astype(bool).sum() + 8


def test_own_thinning_finds_the_middle_of_a_rod() -> None:
    rod = np.zeros((7, 7, 20), dtype=bool)
    rod[1:6, 1:6, 2:18] = True
    line = thinning.thin_3d(rod)
    assert line.any(axis=(0, 1)).sum() == line.sum() >= 10 and line[3, 3, 6:14].all()


@pytest.fixture(params=["scikit-image", "own"])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "own":
        monkeypatch.setattr(thinning, "fast_package", lambda: None)
    elif thinning.fast_package() is None:
        pytest.skip("scikit-image is not installed")


def crosses() -> Tensor:
    labels = torch.zeros(1, 15, 16, dtype=torch.int64)
    labels[0, 2:13, 2:9], labels[0, 2:13, 9:14] = 1, 2
    return labels


@pytest.mark.usefixtures("package")
def test_lines_of_the_union_and_of_each_class() -> None:
    labels = crosses()
    union, own = HardSkeleton()(labels, 4), HardSkeleton(per_class=True)(labels, 4)
    line = skeleton(labels[0] > 0)
    assert torch.equal(union[0].bool(), torch.stack([line & (labels[0] == label) for label in (9, 1, 2, 9)]))
    for label in (1, 2):
        assert torch.equal(own[0, label].bool(), skeleton(labels[0] == label))
    assert not own[:, [0, 3]].any() and not torch.equal(own, union)
    regions = torch.stack([labels > 0, labels == 2], 1)
    lines = HardSkeleton()(regions, 2)
    assert torch.equal(lines[0, 0].bool(), line) and torch.equal(lines[0, 1], own[0, 2])
    ignored = torch.where(labels == 2, 3, labels)
    assert torch.equal(HardSkeleton()(ignored, 3)[:, 1], own[:, 1])


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("space", [(15, 16), (9, 10, 11), (1, 9, 8)], ids=str)
def test_the_tube_is_dilated_by_crosses_within_the_class(space: tuple[int, ...]) -> None:
    mask = torch.from_numpy(shapes(space, 4))
    labels = mask[None].long()
    for times in (1, 2):
        cross = ndimage.generate_binary_structure(len(space), 1)
        line = skeleton(mask.squeeze()).reshape(space)  # a flat volume is thinned as the plane that it is
        wide = ndimage.binary_dilation(line.numpy(), cross, iterations=times)
        assert torch.equal(HardSkeleton(tube=times)(labels, 2)[0, 1].bool(), torch.from_numpy(wide) & mask)


@pytest.mark.usefixtures("package")
def test_thin_and_empty_masks_stay() -> None:
    for space in ((9, 9), (5, 9, 9)):
        empty = torch.zeros(space, dtype=torch.bool)
        assert not skeleton(empty).any()
        empty[..., 4, 1:8] = False
        line = empty.clone()
        line[(2,) * (len(space) - 1)][1:8] = True
        assert torch.equal(skeleton(line), line)
    row = torch.tensor([[0, 1, 1, 0, 1, 0]])
    assert torch.equal(HardSkeleton()(row, 2)[0, 1], row[0].float())
    with pytest.raises(ValueError, match="a skeleton of 4 spatial axes was asked for, expected 2 or 3"):
        skeleton(torch.ones(2, 2, 2, 2).bool())
    with pytest.raises(ValueError, match="tube is -1, expected a whole number of at least 0"):
        HardSkeleton(tube=-1)

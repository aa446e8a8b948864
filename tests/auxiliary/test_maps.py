"""The five maps that losses multiply probabilities with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossodyssey.auxiliary import (
    BorderWeights,
    BoundaryDistance,
    Closeness,
    RectifiedMap,
    SignedDistance,
    from_key,
)

MAPS = {
    "phi": SignedDistance(),
    "phi[zero=none]": SignedDistance(zero="none"),
    "phi[zero=voxel-shift,normalize=max]": SignedDistance(zero="voxel-shift", normalize="max"),
    "phi[normalize=diagonal]": SignedDistance(normalize="diagonal"),
    "boundary_distance": BoundaryDistance(),
    "boundary_distance[normalize=diagonal]": BoundaryDistance(normalize="diagonal"),
    "rectified": RectifiedMap(),
    "penalty": Closeness(),
    "border": BorderWeights(),
    "border[w0=3.0,sigma=1.5]": BorderWeights(w0=3, sigma=1.5),
}
SHAPES = [(9,), (12, 17), (1, 9), (7, 6, 8)]


def blobs(*space: int, samples: int = 2, classes: int = 3) -> Tensor:
    field = torch.randn(samples, classes, *[max(1, n // 3) for n in space], generator=torch.Generator().manual_seed(3))
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(space)]
    return torch.nn.functional.interpolate(field, space, mode=mode).argmax(1)


def truths(*space: int) -> dict[str, Tensor]:
    labels = blobs(*space)
    corner = torch.zeros_like(labels).bool()
    corner[:, space[0] // 2 :] = True
    return {
        "labels": labels,
        "ignored": torch.where(corner, 3, labels),
        "one class": torch.stack([torch.zeros(space), torch.ones(space)]).to(torch.uint8),
        "regions": torch.stack([labels > 0, labels > 1, labels >= 0], 1),
    }


@pytest.mark.parametrize("key", list(MAPS))
@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("apart", [None, (2.0, 1.0, 0.7)], ids=["voxels", "spacing"])
def test_a_sample_has_the_same_values_alone(key: str, space: tuple[int, ...], apart: tuple[float, ...] | None) -> None:
    spacing = None if apart is None else apart[: len(space)]
    for kind, truth in truths(*space).items():
        made = MAPS[key](truth, 3, spacing)
        alone = torch.cat([MAPS[key](sample[None], 3, spacing) for sample in truth])
        assert made.dtype == torch.float32 and made.isfinite().all(), kind
        assert torch.equal(made, alone), kind


@pytest.mark.parametrize("key", list(MAPS))
def test_the_key_is_the_definition(key: str) -> None:
    assert MAPS[key].key == key
    assert from_key(key) == MAPS[key] and hash(from_key(key)) == hash(MAPS[key])


def test_distances_are_wide_in_double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        truth = blobs(12, 17)
        for auxiliary in MAPS.values():
            wide = auxiliary(truth, 3)
            assert wide.dtype == torch.float64
            torch.set_default_dtype(torch.float32)
            torch.testing.assert_close(auxiliary(truth, 3), wide.float(), rtol=1e-6, atol=1e-6)
            torch.set_default_dtype(torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)

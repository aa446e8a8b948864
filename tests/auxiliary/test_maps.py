"""The five maps that losses multiply probabilities with, against the functions that they came from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossodyssey.auxiliary import (
    Auxiliary,
    BorderWeights,
    BoundaryDistance,
    Closeness,
    RectifiedMap,
    SignedDistance,
    from_key,
)
from lossodyssey.distance import maps

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


def before(auxiliary: Auxiliary, truth: Tensor, spacing: tuple[float, ...] | None) -> Tensor:
    options = {name: value for name, value in vars(auxiliary).items() if name != "key"}
    return maps.MAPS[auxiliary.name](truth, 3, spacing, **options)


@pytest.mark.parametrize("key", list(MAPS))
@pytest.mark.parametrize("space", SHAPES, ids=str)
@pytest.mark.parametrize("apart", [None, (2.0, 1.0, 0.7)], ids=["voxels", "spacing"])
def test_maps_are_those_of_the_functions(key: str, space: tuple[int, ...], apart: tuple[float, ...] | None) -> None:
    spacing = None if apart is None else apart[: len(space)]
    for kind, truth in truths(*space).items():
        made, expected = MAPS[key](truth, 3, spacing), before(MAPS[key], truth, spacing)
        assert made.dtype == expected.dtype and made.shape == expected.shape, kind
        if key.startswith("border"):
            torch.testing.assert_close(made, expected, rtol=1e-6, atol=1e-6)
        else:
            assert torch.equal(made, expected), kind


@pytest.mark.parametrize("key", list(MAPS))
def test_the_key_is_the_definition(key: str) -> None:
    assert MAPS[key].key == key
    assert from_key(key) == MAPS[key] and hash(from_key(key)) == hash(MAPS[key])


def test_distances_are_wide_in_double_precision() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        truth = blobs(12, 17)
        for key, auxiliary in MAPS.items():
            expected = before(auxiliary, truth, None)
            assert auxiliary(truth, 3).dtype == (torch.float32 if key.startswith("border") else torch.float64)
            torch.testing.assert_close(auxiliary(truth, 3), expected.to(auxiliary.dtype), rtol=1e-6, atol=1e-6)
    finally:
        torch.set_default_dtype(torch.float32)

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import ndimage

Pair = tuple[np.ndarray, np.ndarray, tuple[float, ...]]


def noise_masks(number: int, seed: int = 0) -> Iterator[Pair]:
    """Prediction, truth and spacing: 2D and 3D, from rough to smooth, nearly empty to nearly full, never empty."""
    rng = np.random.default_rng(seed)
    for index in range(number):
        shape = rng.integers(3, 24, 2 + index % 2)
        field, other = (ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0, 3)) for _ in range(2))
        masks = (field, field + rng.uniform(0, 1.5) * other)
        prediction, truth = (mask > np.quantile(mask, rng.uniform(0.2, 0.9)) for mask in masks)
        spacing = rng.uniform(0.3, 4, shape.size) if index % 3 else rng.choice([0.5, 0.8, 1.0, 3.0], shape.size)
        yield prediction, truth, tuple(spacing.tolist())


@pytest.fixture
def random_masks() -> Callable[..., Iterator[Pair]]:
    return noise_masks


@pytest.fixture
def surface_distance(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, float]]:
    """Score a pair with google-deepmind/surface-distance, which is written for NumPy 1 and older SciPy."""
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)

    def compute(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], tau: float) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import surface_distance as package

            found = package.compute_surface_distances(truth, prediction, spacing)
        out, back = found["distances_gt_to_pred"], found["distances_pred_to_gt"]
        out_area, back_area = found["surfel_areas_gt"], found["surfel_areas_pred"]
        missed, invented = package.compute_average_surface_distance(found)
        return {
            f"NSD@{tau!r}": package.compute_surface_dice_at_tolerance(found, tau),
            "HD": package.compute_robust_hausdorff(found, 100),
            "HD95_surfel": package.compute_robust_hausdorff(found, 95),
            "ASSD": ((out * out_area).sum() + (back * back_area).sum()) / (out_area.sum() + back_area.sum()),
            "MASD": (missed + invented) / 2,
            "ASD_truth_to_pred": missed,
            "ASD_pred_to_truth": invented,
        }

    return compute

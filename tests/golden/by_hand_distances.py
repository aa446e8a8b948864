"""The formulas of losses of distances to boundaries in plain NumPy, by brute force over all pairs of voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from by_hand import Array, View


def generalized_surface(v: View) -> float:
    d, w = v.distances(v.g), 1 / (v.g.sum(2) ** 2 + 1)
    right = (w * ((d * (1 - (v.s + v.g))) ** 2).sum(2)).sum(1)
    return float(np.mean(1 - right / (w * (d**2).sum(2)).sum(1)))


def apart(v: View) -> Array:
    """The distances of all pairs of voxels, (V, V)."""
    points = np.indices(v.space).reshape(len(v.space), -1).T
    return np.asarray(np.sqrt(((points[:, None] - points) ** 2).sum(2)))


def hausdorff_convolution(v: View, alpha: float, radii: tuple[float, ...]) -> float:
    def deep(x: Array, r: float) -> Array:
        ball = (apart(v) <= r).astype(float)
        return np.maximum(x @ (ball / ball.sum(1, keepdims=True)).T - 0.5, 0)

    false, missed = (v.s - v.g) ** 2 * v.s, (v.s - v.g) ** 2 * v.g
    total = sum(
        r**alpha * ((deep(1 - v.g, r) + deep(v.s, r)) * false + (deep(v.g, r) + deep(1 - v.s, r)) * missed)
        for r in radii
    )
    return float(np.asarray(total)[:, 1:].mean())


def weighted_hausdorff(v: View, q: float) -> float:
    d, diagonal = apart(v), float(np.linalg.norm(v.space))
    values = []
    for s, g in ((s, g) for s, g in zip(v.s[:, 1:].reshape(-1, len(d)), v.g[:, 1:].reshape(-1, len(d)), strict=True)):
        if not g.any():
            values.append(s.mean() * diagonal)
            continue
        to_truth = d[:, g > 0]
        reached = s[:, None] * to_truth + (1 - s[:, None]) * diagonal + 1e-6
        away = (s * to_truth.min(1)).sum() / (s.sum() + 1e-6)
        values.append(away + ((reached**-q).mean(0) ** (-1 / q)).mean())
    return float(np.mean(values))


def edges(v: View, mask: Array) -> Array:
    """The voxels of a mask (V,) with a face neighbour outside of it."""
    return np.asarray(mask & ((apart(v) == 1) & ~mask).any(1))


def signed_shares(v: View, mask: Array) -> Array:
    """The distances (V,) to the edge of a mask, each side divided by its largest, negative inside."""
    if mask.all() or not mask.any():
        return np.full(len(mask), -1.0 if mask.any() else 1.0)
    d = apart(v)[:, edges(v, mask)].min(1)
    inside, outside = d * mask, d * ~mask
    return np.asarray(outside / outside.max() - inside / (inside.max() or 1))


def signed_distance_regression(v: View) -> float:
    values = []
    for s, g in zip(v.s[:, 1:].reshape(-1, v.s.shape[2]), v.g[:, 1:].reshape(-1, v.s.shape[2]), strict=True):
        f, y = -np.tanh(np.log(s) - np.log1p(-s)), signed_shares(v, g > 0)
        product = (f * y).sum() / ((f * y).sum() + (f**2).sum() + (y**2).sum() + 1e-5)
        values.append(1 / 3 - product + np.abs(f - y).mean())
    return float(np.mean(values))


FORMULAS: dict[str, Callable[[View], float]] = {
    "GeneralizedSurface()": generalized_surface,
    "HausdorffConvolution(radii=(1, 2.5, 30))": lambda v: hausdorff_convolution(v, 2, (1, 2.5, 30)),
    "HausdorffConvolution(alpha=1, radii=(2,))": lambda v: hausdorff_convolution(v, 1, (2,)),
    "WeightedHausdorff()": lambda v: weighted_hausdorff(v, 9),
    "WeightedHausdorff(q=3)": lambda v: weighted_hausdorff(v, 3),
    "SignedDistanceRegression()": signed_distance_regression,
}

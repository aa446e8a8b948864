"""Maps that losses multiply probabilities with, each a function of the truth alone.

Every function takes `truth`, integer labels (N, *S) or boolean masks (N, C, *S) for overlapping regions, the number
of `classes` and the `spacing`, and returns float32 on the truth's device. Compute them after spatial augmentation: a
map that is cropped or warped along with its label is not the map of that label.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.distance.fields import Zero, masks_of, signed, two_sided
from lossodyssey.distance.transform import euclidean, inside, precision

Normalize = Literal["max", "diagonal"] | None
"""Divide a distance map by its largest value per sample and class, by the image's diagonal, or not at all."""


def phi(
    truth: Tensor,
    classes: int,
    spacing: Sequence[float] | None = None,
    *,
    zero: Zero = "inner",
    normalize: Normalize = None,
) -> Tensor:
    """Signed distance (N, C, *S), negative inside; see `signed`."""
    return normalized(signed(truth, classes, spacing, zero), spacing, normalize)


def boundary_distance(
    truth: Tensor, classes: int, spacing: Sequence[float] | None = None, *, normalize: Normalize = None
) -> Tensor:
    """Unsigned distance (N, C, *S) to each class's boundary, on both sides; see `two_sided`."""
    return normalized(two_sided(truth, classes, spacing), spacing, normalize)


def normalized(distances: Tensor, spacing: Sequence[float] | None, normalize: Normalize) -> Tensor:
    """Distances (N, C, *S) divided as `normalize` says; a map of zeros stays."""
    if normalize is None:
        return distances
    if normalize == "diagonal":
        steps = spacing or [1.0] * (distances.ndim - 2)
        return distances / math.hypot(*(n * step for n, step in zip(distances.shape[2:], steps, strict=True)))
    largest = distances.abs().flatten(2).amax(2)
    return distances / torch.where(largest > 0, largest, 1).reshape(*largest.shape, *[1] * (distances.ndim - 2))


def rectified(truth: Tensor, classes: int, spacing: Sequence[float] | None = None) -> Tensor:
    """Rectified region-wise map (N, C, *S): -d / max d inside a class, +1 outside (Valverde and Tohka 2021).

    d is the distance to the outside. An absent class has +1 everywhere, a class that fills its sample -1.
    """
    masks = masks_of(truth, classes)
    depth = _inside_depth(truth, masks, spacing) * masks
    deepest = _per_map(depth.flatten(2).amax(2), depth)
    return torch.where(masks, -torch.where(deepest > 0, depth / torch.where(deepest > 0, deepest, 1), 1), 1.0)


def penalty(truth: Tensor, classes: int, spacing: Sequence[float] | None = None) -> Tensor:
    """Closeness to the boundary, 1 at a region's border voxels, 0 at its deepest one (Caliva et al. 2019).

    (N, 1, *S) over the regions of labels, (N, C, *S) over the inside and outside of masks. A region without depth
    (one voxel wide) has 1 everywhere, a region that fills its sample 0.
    """
    if truth.dtype == torch.bool:
        return torch.cat([penalty(mask.to(torch.uint8), 2, spacing) for mask in truth.unbind(1)], 1)
    depth = inside(truth, spacing)[:, None]
    masks = masks_of(truth, classes + 1)  # one more: ignored voxels are a region of their own
    deepest = _per_map(torch.where(masks, depth, -math.inf).flatten(2).amax(2), depth)
    nearest = _per_map(torch.where(masks, depth, math.inf).flatten(2).amin(2), depth)
    span = deepest - nearest
    close = torch.where(span > 0, (deepest - depth) / torch.where(span > 0, span, 1), (deepest > 0).float())
    return torch.where(masks, close, 0).sum(1, keepdim=True)


def border(
    truth: Tensor,
    classes: int,
    spacing: Sequence[float] | None = None,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
) -> Tensor:
    """U-Net's weights (N, 1, *S), large on the gaps between touching objects (Ronneberger et al. 2015, Eq. 2).

    w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), d1 and d2 the distances to the two nearest objects, which are the
    connected components (full connectivity) of all foreground. The second term is 0 on the foreground and where
    there are fewer than two objects; w_c balances foreground and background within the sample.
    """
    if truth.dtype == torch.bool:
        return torch.cat([border(m.to(torch.uint8), 2, spacing, w0=w0, sigma=sigma) for m in truth.unbind(1)], 1)
    steps = list(spacing or [1.0] * (truth.ndim - 1))
    weights: Tensor = border_weights((truth > 0) & (truth < classes), steps, w0, sigma)
    return weights[:, None]


@torch.library.custom_op("lossodyssey::border_weights", mutates_args=())
def border_weights(foregrounds: Tensor, spacing: Sequence[float], w0: float, sigma: float) -> Tensor:
    """U-Net's weights of boolean masks (N, *S), as one opaque operator that compiled graphs hold whole."""
    return torch.stack([_border(foreground, spacing, w0, sigma) for foreground in foregrounds])


@border_weights.register_fake
def _(foregrounds: Tensor, spacing: Sequence[float], w0: float, sigma: float) -> Tensor:
    return torch.empty(foregrounds.shape, dtype=torch.float32, device=foregrounds.device)


def _border(foreground: Tensor, spacing: Sequence[float], w0: float, sigma: float) -> Tensor:
    from scipy.ndimage import generate_binary_structure, label

    share = foreground.to(precision()).mean()
    balance = torch.where(foreground, 0.5 / share.clamp(min=1e-30), 0.5 / (1 - share).clamp(min=1e-30))
    weight = torch.where((share > 0) & (share < 1), balance, 1.0)
    objects, count = label(foreground.cpu().numpy(), generate_binary_structure(foreground.ndim, foreground.ndim))
    if count < 2:
        return weight
    first, second = _two_nearest(torch.from_numpy(objects).to(foreground.device), count, spacing)
    return weight + torch.where(foreground, 0, w0 * torch.exp(-((first + second) ** 2) / (2 * sigma**2)))


def _two_nearest(objects: Tensor, count: int, spacing: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Distances (*S) to the nearest and to the second nearest of the objects 1 to `count` >= 2."""
    first = second = torch.full(objects.shape, math.inf, dtype=precision(), device=objects.device)
    for label in range(1, count + 1):
        distance = euclidean((objects != label)[None], spacing)[0]
        first, second = torch.minimum(first, distance), torch.minimum(second, torch.maximum(first, distance))
    return first, second


MAPS: dict[str, Callable[..., Tensor]] = {
    "phi": phi,
    "boundary_distance": boundary_distance,
    "rectified": rectified,
    "penalty": penalty,
    "border": border,
}
"""The maps by the name under which a loss asks for them and a user may give them."""


def map_key(kind: str, options: Mapping[str, object]) -> str:
    """The name of a map with its options, as in `maps_for` and `Pair(maps=...)`: `phi`, `phi[zero=none]`."""
    if kind not in MAPS:
        raise ValueError(f"unknown map {kind!r}, expected one of {', '.join(MAPS)}")
    defaults = inspect.signature(MAPS[kind]).parameters
    changed = [f"{name}={value}" for name, value in options.items() if value != defaults[name].default]
    return f"{kind}[{','.join(changed)}]" if changed else kind


def _inside_depth(truth: Tensor, masks: Tensor, spacing: Sequence[float] | None) -> Tensor:
    """Distance of each voxel to the outside of its own region, (N, 1 or C, *S)."""
    if truth.dtype != torch.bool:
        return inside(truth, spacing)[:, None]
    return euclidean(masks.flatten(0, 1), spacing).reshape(masks.shape)


def _per_map(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(*values.shape, *[1] * (like.ndim - 2))

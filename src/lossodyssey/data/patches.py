"""Cases as normalised tensors, and which patch of which case a training step sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True, slots=True)
class CachedCase:
    """One training case: `image` float32 (channels, *S), `labels` int16 or wider (*S), `spacing` in array-axis order.

    Both are in memory, or mapped from files that are never written to.
    `foreground` holds, per class or region that occurs, voxel indices (count, dimensions) spread over it. Where voxels
    are ignored, `counted` (*S) marks the others, and `centres` holds indices of these; else both are None. `annotated`
    says of each output of a network whether it is annotated in this case; None where all are. `kept` is the share of
    the volume of each class or region that preprocessing left, NaN where there is none of it, and empty where the grid
    is that of the case.
    """

    name: str
    image: Tensor
    labels: Tensor
    spacing: tuple[float, ...]
    foreground: tuple[NDArray[np.int64], ...]
    counted: NDArray[np.bool_] | None = None
    centres: NDArray[np.int64] | None = None
    annotated: tuple[bool, ...] | None = None
    kept: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patch lies: number of the case and first voxel of the patch, negative where it sticks out."""

    case: int
    start: NDArray[np.int64]


def patch_shape(cases: Sequence[CachedCase], divisor: int, voxels: int = 2**18) -> tuple[int, ...]:
    """Choose a patch: the median shape of `cases`, rounded up to `divisor`, the longest axis cut until it fits.

    At most `voxels` voxels, and at least two multiples of `divisor` on the longest axis.
    """
    median = np.median([case.labels.shape for case in cases], axis=0)
    shape = (np.ceil(median / divisor) * divisor).astype(int)
    # The longest axis loses first, so the patch tends to a cube of context.
    while np.prod(shape) > voxels:
        shape[np.argmax(shape)] -= divisor
    # Instance normalisation needs more than one voxel at the network's coarsest level.
    shape[np.argmax(shape)] = max(shape.max(), 2 * divisor)
    return tuple(shape.tolist())


def draw_place(rng: np.random.Generator, cases: Sequence[CachedCase], patch: Sequence[int], foreground: float) -> Place:
    """Draw one patch: around a foreground voxel with probability `foreground`, else anywhere inside a case.

    The patch never leaves the image by more than it must; where the image is smaller, it is centred. Where
    voxels are ignored, it is drawn around one that is not, as in nnU-Net, and not centred on one if it can be helped.
    """
    number = int(rng.integers(len(cases)))
    case, size = cases[number], np.array(patch)

    # Along an axis with room the start runs from 0 to it; along a shorter one there is a single, centred start.
    room = np.array(case.labels.shape) - size
    first = np.minimum(room // 2, 0)
    last = np.where(room > 0, room, first)
    start = rng.integers(first, last, endpoint=True)

    if rng.random() < foreground and case.foreground:
        # First the class, then the voxel: small classes are seen as often as large ones.
        voxels = case.foreground[rng.integers(len(case.foreground))]
        start = _around(rng, case, voxels, size, first, last)
    elif case.centres is not None:
        start = _around(rng, case, case.centres, size, first, last)
    return Place(number, start)


def _around(
    rng: np.random.Generator,
    case: CachedCase,
    voxels: NDArray[np.int64],
    size: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Draw the start of a patch around one of the voxels, as near to it as `first` and `last` allow."""
    half = size // 2
    voxel = voxels[rng.integers(len(voxels))]
    start: NDArray[np.int64] = np.clip(voxel - half, first, last)
    if case.counted is None or case.centres is None or case.counted[tuple(start + half)]:
        return start

    # The image's edge has moved the middle onto an ignored voxel: take another patch that holds the voxel, if there is.
    starts = case.centres - half
    fits = ((first <= starts) & (starts <= last) & (starts <= voxel) & (voxel < starts + size)).all(axis=1)
    return starts[fits][rng.integers(fits.sum())] if fits.any() else start


def cut(tensor: Tensor, start: NDArray[np.int64], shape: Sequence[int]) -> Tensor:
    """Cut a box of `shape` that begins at `start` out of `tensor` (channels, *S); outside the image it is 0."""
    stop, size = start + np.array(shape), np.array(tensor.shape[1:])
    inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(start, stop, strict=True))

    # `pad` counts axes from the last one backwards.
    before, after = np.maximum(-start, 0), np.maximum(stop - size, 0)
    widths = [int(width) for pair in zip(before[::-1], after[::-1], strict=True) for width in pair]
    return pad(tensor[(slice(None), *inside)], widths)

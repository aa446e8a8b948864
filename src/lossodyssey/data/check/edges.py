"""Where the edges of an image and those of its label map lie, on a coarse grid that all cases share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data.check.thumbnails import limited, shrink

Half = NDArray[np.float16]

SIDE = {2: 64, 3: 16}
MOST = {2: 512, 3: 128}  # voxels along an axis at which gradients are computed


def image_edges(image: NDArray[np.float32]) -> Half:
    """Return how steep an image (C, *S) is, over its channels, in cells of a grid of 4096, with mean 0.

    The sign and root of the standardised steepness: one bright spot would otherwise outweigh all other edges.
    """
    from scipy.ndimage import gaussian_gradient_magnitude

    dims = image.ndim - 1
    channels = [limited(channel, MOST[dims]) for channel in image]
    # A channel's own deviation is the unit, so that channels of any scale count alike.
    parts = [gaussian_gradient_magnitude(own / (own.std() or 1.0), 1.0) for own in channels]
    steep = shrink(np.sqrt(np.sum(np.square(parts), axis=0)), SIDE[dims]).ravel()
    steep = (steep - steep.mean()) / (steep.std() or 1.0)
    rooted: Half = (np.sign(steep) * np.sqrt(np.abs(steep))).astype(np.float16)
    return rooted


def label_edges(labels: NDArray[Any]) -> Half:
    """Return the share of a label map's border voxels that lies in each cell of the grid; zeros without a border."""
    border = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        before, behind = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
        differs = labels[before] != labels[behind]
        border[before] |= differs
        border[behind] |= differs
    shares = shrink(border, SIDE[labels.ndim]).ravel()
    # The mean is 1, since shares of a fine grid are below what half precision resolves.
    return np.asarray(shares / (shares.mean() or 1.0), np.float16)

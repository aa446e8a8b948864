"""Mumford and Shah's functional: regions of one brightness within short borders."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.fields import NonNegative
from lossodyssey.core.grids import GridLoss

LEAST = 1e-8
"""Voxels of probability that a region must have at least to count."""


class MumfordShah(GridLoss, paper="kim2019", range=(0, inf), alone=False, monotone=False):
    r"""Mumford-Shah loss: how much the image varies inside the predicted regions, and how long their borders are.

    $\frac{1}{|\Omega|} \left(\sum_i s_i \|x_i - \mu\|^2 + \lambda \sum_i |\nabla s_i|_1\right)$ per sample and class,
    with the image x and its mean $\mu = \sum_i s_i x_i / \sum_i s_i$ over the region; $\lambda$ is `length`.

    It looks at the image and never at the labels, so it also serves images without any, and it cannot tell which
    region is which: together with a supervised loss. The authors sum over voxels where this is the mean.
    Under sigmoid every channel has two regions, its inside and its outside. Gradients of s are per unit of `spacing`.
    """

    background: bool = True
    length: NonNegative = 1e-3

    def formula(self, s: Tensor, valid: Tensor, image: Tensor, spacing: Tensor, exclusive: bool) -> Tensor:
        regions = [s] if exclusive else [s, torch.where(valid, 1 - s, 0)]
        size = valid.flatten(2).sum(2).clamp(min=1)
        varied = [self.variation(region, image) + self.length * borders(region, valid, spacing) for region in regions]
        return torch.stack(varied).sum(0) / size

    def variation(self, region: Tensor, image: Tensor) -> Tensor:
        """Return the squared differences of the image (N, K, *S) to its mean in each region (N, C, *S), (N, C)."""
        p, x = region.flatten(2).double(), image.flatten(2).double()
        total = p.sum(2)[..., None]
        # A region of almost no probability has no mean whose gradient could be computed.
        means = torch.einsum("ncv,nkv->nck", p, x) / total.clamp(min=LEAST)
        # sum p (x - mu)^2 over channels, written so that no (N, C, K, V) is made
        squares = torch.einsum("ncv,nkv->nc", p, x * x) - 2 * torch.einsum("ncv,nkv,nck->nc", p, x, means)
        return squares + (total * means**2).sum(2)


def borders(region: Tensor, valid: Tensor, spacing: Tensor) -> Tensor:
    """Return the anisotropic total variation of regions (N, C, *S) between voxels that count, (N, C)."""
    total = torch.zeros_like(region.flatten(2).sum(2))
    for axis in range(2, region.ndim):
        both = valid.narrow(axis, 1, valid.shape[axis] - 1) & valid.narrow(axis, 0, valid.shape[axis] - 1)
        steps = (region.diff(dim=axis).abs() * both).flatten(2).sum(2)
        total = total + steps / spacing[:, axis - 2, None]
    return total

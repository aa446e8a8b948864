"""U-Net's weights for the gaps between touching objects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.nearest import two_nearest
from lossodyssey.distance.transform import precision


def invisible() -> float:
    """Return a quarter of the rounding step of the smallest weight, 1/2: adding this does not change it."""
    return torch.finfo(precision()).eps / 8


class BorderWeights(Auxiliary, name="border"):
    """U-Net's weights (N, 1, *S), large on the gaps between touching objects (Ronneberger et al. 2015, Eq. 2).

    w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), d1 and d2 the distances to the two nearest objects, which are the
    connected components (full connectivity) of all foreground. The second term is 0 on the foreground and where
    there are fewer than two objects; w_c balances foreground and background within the sample. Each mask has its own
    weights, (N, C, *S).
    """

    w0: float = 10.0
    sigma: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.w0 < 0 or self.sigma <= 0:
            raise ValueError(f"BorderWeights has w0={self.w0}, sigma={self.sigma}, expected w0 >= 0 and sigma > 0")

    def channels(self, truth: Tensor, classes: int) -> int:
        """Return 1 for labels."""
        return truth.shape[1] if truth.dtype == torch.bool else 1

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of distances."""
        return precision()

    def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
        """Make one map of the labels, or one of each mask."""
        foreground = truth if truth.dtype == torch.bool else ((truth > 0) & (truth < classes))[:, None]
        maps = foreground.flatten(0, 1)
        steps = spacing or [1.0] * (maps.ndim - 1)
        return torch.stack([self._weights(mask, steps).to(self.dtype) for mask in maps]).reshape(foreground.shape)

    def _weights(self, foreground: Tensor, spacing: Sequence[float]) -> Tensor:
        share = foreground.to(precision()).mean()
        balance = torch.where(foreground, 0.5 / share.clamp(min=1e-30), 0.5 / (1 - share).clamp(min=1e-30))
        weight = torch.where((share > 0) & (share < 1), balance, 1.0)
        return weight + torch.where(foreground, 0, self._gaps(foreground.cpu(), spacing).to(weight.device))

    def _gaps(self, foreground: Tensor, spacing: Sequence[float]) -> Tensor:
        """Return the second term (*S) on the background, 0 where it would not show in a weight."""
        from scipy.ndimage import generate_binary_structure, label

        objects, count = label(foreground.numpy(), generate_binary_structure(foreground.ndim, foreground.ndim))
        if count < 2 or self.w0 <= invisible():
            return torch.zeros(foreground.shape, dtype=precision())
        reach = self.sigma * math.sqrt(2 * math.log(self.w0 / invisible()))  # d1 + d2 beyond it adds nothing
        first, second = two_nearest(torch.from_numpy(objects), spacing, reach)
        return self.w0 * torch.exp(-((first + second) ** 2) / (2 * self.sigma**2))

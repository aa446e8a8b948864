"""The elastic interaction: contours that attract each other from afar, as dislocations in a crystal do."""

from __future__ import annotations

from math import inf
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Positive
from lossodyssey.core.grids import GridLoss


class ElasticInteraction(
    GridLoss, paper="lan2020", range=(0, inf), alone=False, monotone=False, aliases=("ElasticLoss", "EIL")
):
    r"""Elastic interaction loss: the elastic energy between the predicted and the true contour.

    $\frac{1}{N} \sum_f |f| \, |\hat x_f|^2$ per sample and class, with the unitary Fourier transform $\hat x$ of
    $x = \alpha s - g$ and the frequency f. Contours of one sign repel, those of opposite signs attract, with a force
    that reaches across the image.

    For long and thin structures, in which it closes gaps; together with a region loss. It cannot tell an empty
    prediction from a full one, because frequency 0 costs nothing. At `alpha` = 1 the perfect prediction costs 0; the
    paper's smaller `alpha` pushes s harder to 0 and 1, and the perfect prediction costs $(1 - \alpha)^2$ times the
    energy of the true contour. The image is continued periodically: an object at one border touches the opposite one.
    Voxels that do not count belong to no object. The spectrum takes about as much memory as s, and its gradient again.

    Frequencies are "physical", in cycles per unit of `spacing`: the value halves where the spacing doubles, and is
    small (0.01 for a missed disc of radius 8 in 32 x 32 pixels), so give it a weight. As "indices" they are the number
    of waves along each axis of the image, whatever its spacing, as in the authors' code; that code is fed the
    background's probability, which gives the same values, and multiplies the gradient by the number of pixels over
    $4 \alpha$.
    """

    alpha: Positive = 0.35
    frequencies: Literal["physical", "indices"] = "physical"

    def formula(self, s: Tensor, g: Tensor, valid: Tensor, spacing: Tensor) -> Tensor:
        spectrum = torch.fft.rfftn(self.alpha * s - g, dim=tuple(range(2, s.ndim)), norm="ortho")
        power = spectrum.real**2 + spectrum.imag**2
        energy: Tensor = (power * self.stiffness(s, spacing)).flatten(2).sum(2, dtype=torch.float64)
        return energy / valid.flatten(2).sum(2).clamp(min=1)

    def stiffness(self, s: Tensor, spacing: Tensor) -> Tensor:
        """Return the size |f| of each frequency of the half spectrum, twice where it stands for two, (N, 1, *F)."""
        squares = s.new_zeros(())
        for axis, length in enumerate(s.shape[2:]):
            last = axis == s.ndim - 3
            line = (torch.fft.rfftfreq if last else torch.fft.fftfreq)(length, device=s.device, dtype=s.dtype)
            step = spacing[:, axis, None] if self.frequencies == "physical" else 1 / length
            shape = [-1, 1, *[1] * axis, len(line), *[1] * (s.ndim - 3 - axis)]
            squares = squares + ((line / step) ** 2).reshape(shape)

        # Frequencies k and n - k of a real signal have one value; 0 and n / 2 stand for themselves alone.
        index = torch.arange(s.shape[-1] // 2 + 1, device=s.device)
        alone = (index == 0) | (2 * index == s.shape[-1])
        return squares.sqrt() * torch.where(alone, 1.0, 2.0)

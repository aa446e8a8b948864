"""The Student-t loss, which large residuals hardly move."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Trainable
from lossodyssey.core.kinds import OverlapLoss, quotient


class RobustT(
    OverlapLoss, paper="gonzalez2023", without=("batch", "smooth", "pooled"), aliases=("TLoss", "StudentT")
):
    r"""T-loss: minus the logarithm of the Student-t density of what is left between truth and prediction.

    $-\log \Gamma\frac{\nu + D}{2} + \log \Gamma\frac{\nu}{2} + \frac{D}{2} \log \pi\nu
    + \frac{\nu + D}{2} \log\left(1 + \frac{\|s - g\|^2}{\nu}\right)$ of the D voxels of a sample, for each class against
    the rest.

    For noisy labels: a sample whose error is large pulls ever less, with a slope that falls as
    $1 / (\nu + \|s - g\|^2)$. The degrees of freedom `nu` are trained with the network, from this value on: give the
    optimizer the parameters of the criterion beside those of the network. A large `nu` is half the squared error.

    The loss is not 0 at the truth, and may be negative there. It is divided by D so that it can be added to others,
    and `normalization="none"` leaves it undivided, as published. The scale is the identity, as in the paper; the
    released code begins with e times it. The formula is that of the abstract and the code; the paper was not read.
    """

    nu: Trainable = 1.0
    normalization: Literal["voxels", "none"] = "voxels"

    def formula(self, s2: Tensor, sg: Tensor, g2: Tensor, n: Tensor) -> Tensor:
        nu = self.trained("nu").to(n)
        # Rounding may leave less than 0 of a perfect prediction.
        squared = (s2 - 2 * sg + g2).clamp(min=0)
        constant = torch.lgamma(nu / 2) - torch.lgamma((nu + n) / 2) + n / 2 * torch.log(math.pi * nu)
        value = constant + (nu + n) / 2 * torch.log1p(squared / nu)
        return quotient(value, n) if self.normalization == "voxels" else value

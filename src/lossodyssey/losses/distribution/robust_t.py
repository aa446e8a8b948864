"""The Student-t loss, which large residuals hardly move."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from lossodyssey.core.fields import Trainable
from lossodyssey.core.kinds import OverlapLoss, quotient


class RobustT(OverlapLoss, paper="gonzalez2023", without=("batch", "smooth", "pooled"), aliases=("TLoss", "StudentT")):
    r"""T-loss: minus the logarithm of the Student-t density of the difference between prediction and truth.

    $\log \Gamma\frac{\nu}{2} - \log \Gamma\frac{\nu + D}{2} + \frac{D}{2} \log \pi\nu
    + \frac{\nu + D}{2} \log\left(1 + \frac{\|s - g\|^2}{\nu}\right)$ for the D voxels of a sample, per class.

    For noisy labels: the larger the error of a sample, the less it pulls, because the gradient falls with
    $1 / (\nu + \|s - g\|^2)$. The degrees of freedom are trained with the network and begin with `nu`: the optimizer
    needs the parameters of the criterion, too. For a large `nu` it is half the squared error and a constant.

    It is not 0 at the truth, and may be negative there. The sum is divided by D so that other losses can be added;
    `normalization="none"` leaves it undivided, as it was published. The scale is the identity, as in the paper, where
    the released code begins with e times the identity. The formula is that of this code; the paper was not read.
    """

    nu: Trainable = 1.0
    normalization: Literal["voxels", "none"] = "voxels"

    def formula(self, s2: Tensor, sg: Tensor, g2: Tensor, n: Tensor) -> Tensor:
        nu = self.trained("nu")
        # Rounding may leave less than 0 of a perfect prediction.
        squared = (s2 - 2 * sg + g2).clamp(min=0)
        constant = torch.lgamma(nu / 2) - torch.lgamma((nu + n) / 2) + n / 2 * torch.log(math.pi * nu)
        value = constant + (nu + n) / 2 * torch.log1p(squared / nu)
        return quotient(value, n) if self.normalization == "voxels" else value

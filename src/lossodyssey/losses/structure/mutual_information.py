"""Region mutual information: whether regions of a few voxels a side follow those of the truth."""

from __future__ import annotations

from math import inf, log
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.core.fields import Fraction, Interval, Positive
from lossodyssey.core.grids import GridLoss
from lossodyssey.core.loss import Sum
from lossodyssey.core.presets import preset
from lossodyssey.kernels.covariance import region_covariances
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy


class RegionMutualInformation(
    GridLoss, paper="zhao2019rmi", range=(0, inf), alone=False, monotone=False, least_at_truth=False
):
    r"""Region mutual information: how much of the truth's regions cannot be told from those of the prediction.

    $\frac{1}{2 r} \left(\log \det(M + \alpha I) - r \log \alpha\right)$ per sample and class, then the mean, with
    $M = \Sigma_{gg} - \Sigma_{gs} (\Sigma_{ss} + \alpha I)^{-1} \Sigma_{sg}$ and the covariances of all regions of
    `side` voxels along each axis, r voxels in all, summed over the regions.

    It comes from a lower bound of the mutual information of true and predicted regions, for structure that cross
    entropy does not see. Use it beside cross entropy (`CERegionMutualInformation`): a prediction and its complement
    carry the same information about the truth. The term $\log \alpha$ is ours and makes the least value 0, that of an
    absent class; the truth itself costs up to $\log(2) / 2$. Truth and prediction are first reduced to the maxima of
    boxes of `pool` voxels a side, along axes of at least `pool` times `side` voxels. `absent="skip"` leaves absent
    classes out of the mean. The value grows with the logarithm of the number of voxels. The authors' code, which gives
    the formula, is for planes; volumes, with regions of 27 voxels, are ours. The paper's text was not at hand.
    """

    background: bool = True
    side: Annotated[int, Interval(2, 5)] = 3
    pool: Annotated[int, Interval(1, 9)] = 3
    alpha: Positive = 5e-4
    absent: Literal["count", "skip"] = "count"

    def formula(self, s: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        small = [pooled(x, self.pool, self.side).flatten(0, 1) for x in (s, g)]
        covariances = region_covariances(small[0], small[1], self.side)
        r = covariances.shape[1] // 2
        noise = self.alpha * torch.eye(2 * r, dtype=covariances.dtype, device=covariances.device)
        # The second half of the joint factor is that of M + alpha I, the covariance of g given s.
        diagonal = torch.linalg.cholesky_ex(covariances + noise)[0].diagonal(dim1=1, dim2=2)
        values = diagonal[:, r:].log().mean(1).reshape(s.shape[:2]) - log(self.alpha) / 2
        present = (g > 0).flatten(2).any(2)
        return values, present if self.absent == "skip" else torch.ones_like(present)


def pooled(x: Tensor, pool: int, side: int) -> Tensor:
    """Return the maxima (N, C, *S) of boxes of `pool` voxels a side, in float64; short axes stay as they are."""
    sizes = [pool if n >= pool * side else 1 for n in x.shape[2:]]
    pools = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.ndim - 3]
    return pools(x, sizes, sizes, [size // 2 for size in sizes]).double() if max(sizes) > 1 else x.double()


@preset(paper="zhao2019rmi", aliases=("RMI", "RMILoss"))
def CERegionMutualInformation(ce: Fraction = 0.5, region: Fraction = 0.5, alpha: Positive = 5e-4) -> Sum:
    """Cross entropy and region mutual information, half each (RMI loss of Zhao 2019, which has a sigmoid per class).

    For scenes in which neighbouring voxels depend on one another; cross entropy begins what the second part refines.
    """
    return ce * CrossEntropy() + region * RegionMutualInformation(alpha=alpha)

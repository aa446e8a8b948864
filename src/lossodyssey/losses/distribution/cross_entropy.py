"""Cross entropy and its re-weighted relatives."""

from __future__ import annotations

from math import inf

from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, BorderWeights, Closeness
from lossodyssey.core.fields import NonNegative, Positive
from lossodyssey.core.kinds import VoxelLoss
from lossodyssey.kernels.focal import focal
from lossodyssey.kernels.powers import Factors, Power


class CrossEntropy(
    VoxelLoss,
    paper="ronneberger2015",
    range=(0, inf),
    aliases={"CE": {}, "WCE": {"class_weights": "inverse_frequency"}},
):
    r"""Cross entropy: the negative log-likelihood of the true class, averaged over voxels.

    $-\frac{1}{N} \sum_i w_{g_i} \log p_i$, with $p_i$ the probability of voxel i's true class.

    The common starting point; without weights it favours frequent classes. `class_weights` make it the paper's
    weighted cross entropy (Loss odyssey, Eq. 1 and 2). `Focal(gamma=0)` and `TopK(percent=100)` are equal to it.
    """

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return -log_p

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1): 1}


class Focal(VoxelLoss, paper="lin2017", range=(0, inf), aliases=("FL",)):
    r"""Focal loss: cross entropy in which a voxel counts less, the better it is already classified.

    $-\frac{1}{N} \sum_i w_{g_i} (1 - p_i)^\gamma \log p_i$ (Loss odyssey, Eq. 5).

    For few hard voxels among many easy ones. `gamma=0` is `CrossEntropy`. The mean is over all voxels, not over the
    foreground; class weights are used as given.
    """

    gamma: NonNegative = 2.0

    def formula(self, log_p: Tensor, labels: Tensor) -> Tensor:
        return focal(log_p, self.gamma)

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(error=self.gamma, log=1): 1}


class DistancePenalisedCE(VoxelLoss, paper="caliva2019", range=(0, inf), aliases=("pCE", "DPCE")):
    r"""Distance-penalised cross entropy: voxels near a boundary count up to twice as much.

    $-\frac{1}{N} \sum_i (1 + D_i) \log p_i$ (Loss odyssey, Eq. 6), where D falls from 1 at a region's border voxels
    to 0 at its deepest one.

    For boundaries that cross entropy leaves blurred. With D = 0 it is `CrossEntropy`. The class that SegLoss released
    returns the unweighted mean, so the published pCE row is a run of plain cross entropy.
    """

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"penalty": Closeness()}

    def formula(self, log_p: Tensor, labels: Tensor, penalty: Tensor) -> Tensor:
        return -(1 + penalty) * log_p

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1): 1, Power(log=1, of_map=0): 1}


class UNetWeightMapCE(VoxelLoss, paper="ronneberger2015", range=(0, inf), aliases=("UNetWeightedCE",)):
    r"""U-Net's weighted cross entropy: the gaps between neighbouring objects cost up to `w0` times more.

    $-\frac{1}{N} \sum_i w(x_i) \log p_i$, $w = w_c + w_0 \exp(-(d_1 + d_2)^2 / 2\sigma^2)$, with $d_1, d_2$ the
    distances to the two nearest objects (Ronneberger 2015, Eq. 2).

    For many touching objects of one class, cells above all. Objects are the connected components of the foreground;
    $w_c$ balances foreground and background within each sample.
    """

    w0: NonNegative = 10.0
    sigma: Positive = 5.0

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"weight": BorderWeights(w0=self.w0, sigma=self.sigma)}

    def formula(self, log_p: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        return -weight * log_p

    def powers(self, labels: Tensor, classes: Tensor) -> Factors:
        return {Power(log=1, of_map=0): 1}

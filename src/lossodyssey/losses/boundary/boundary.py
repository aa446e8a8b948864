"""The boundary loss: probability times signed distance."""

from __future__ import annotations

from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, Normalize, SignedDistance
from lossodyssey.core.kinds import LinearLoss
from lossodyssey.distance import Zero


class Boundary(LinearLoss, paper="kervadec2019", alone=False, aliases=("BD",)):
    r"""Boundary loss: probability times the signed distance to the true boundary.

    $\frac{1}{N} \sum_i \phi_i s_i$, $\phi$ negative inside the object (Loss odyssey, Eq. 20, which prints a sum).

    For objects whose size varies over orders of magnitude; together with a region loss (`DiceBoundary`), because
    alone it has a local optimum at the empty prediction. Linear in s, and negative for good predictions:
    `offset=True` subtracts the constant $\phi g$, which makes the perfect prediction 0.

    `zero` says where $\phi$ is 0: "inner" on the object's edge voxels; "voxel-shift" as the authors' code and
    MONAI, with the smallest spacing for the voxel they subtract; "none" as in the region-wise loss's comparison. An
    absent class and one that fills its sample have $\phi = 0$. `normalize` divides $\phi$ by its "max" or by the
    image's "diagonal".
    """

    zero: Zero = "inner"
    normalize: Normalize = None
    offset: bool = False

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"phi": SignedDistance(zero=self.zero, normalize=self.normalize)}

    def formula(self, s_phi: Tensor, g_phi: Tensor) -> Tensor:
        return s_phi - g_phi if self.offset else s_phi

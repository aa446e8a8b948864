"""The boundary loss: probability times signed distance."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lossodyssey.distance import Zero
from lossodyssey.distance.maps import Normalize
from lossodyssey.losses.loss import MapLoss


class Boundary(MapLoss, paper="kervadec2019", alone=False, needs=("phi",), aliases=("BD",)):
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

    def map_options(self) -> dict[str, Any]:
        return {"zero": self.zero, "normalize": self.normalize}

    def is_linear(self) -> bool:
        return not self.offset

    def formula(self, s: Tensor, g: Tensor, phi: Tensor) -> Tensor:
        return phi * (s - g) if self.offset else phi * s

"""The active boundary loss: each voxel of the predicted boundary is told the way to the true one."""

from __future__ import annotations

from math import inf
from typing import Annotated

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, EdgeDistance
from lossodyssey.core.fields import Fraction, Interval, Positive
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.neighbours import Step, at, contrasts, neighbours, steps_around

LEAST = 1e-5
"""The divergence that two neighbours at a predicted boundary have at least."""


class DirectionLoss(Loss, abstract=True, local=False):
    """Abstract: cross entropy of the direction in which predictions differ most and that of the nearest true boundary.

    A subclass says which voxels it looks at (`chosen`), which of their neighbours they should move to (`directions`),
    and which of them count in the mean.
    """

    share: Annotated[float, Interval(0, 1, positive=True)] = 0.01
    reach: Positive = 20.0
    label_smoothing: Fraction = 0.2
    detach: bool = False

    def chosen(self, log_p: Tensor, distance: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return flat indices (B, M) of voxels of log-probabilities (B, K, *S), and whether each is looked at."""
        raise NotImplementedError("abstract")

    def directions(self, own: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Return the true direction (B, M, steps), which sums to 1, and which voxels (B, M) count.

        `own` (B, M) is the distance of a voxel to the true boundary, `around` (B, M, steps) that of its neighbours,
        infinite for one that does not count or lies outside the image.
        """
        raise NotImplementedError("abstract")

    def steps(self, space: tuple[int, ...]) -> list[Step]:
        """Return the steps from a voxel to its neighbours."""
        return steps_around(space)

    def of(self, pair: Pair) -> Tensor:
        if pair.z.numel() == 0:
            return pair.z.sum(dtype=torch.float64)
        log_p, distance, valid = self.fields(pair)
        index, looked = self.chosen(log_p.detach(), distance, valid)
        steps = self.steps(pair.shape)
        place, inside = neighbours(index, steps, pair.shape)
        flat, count = distance.flatten(1), valid.flatten(1)
        inside = inside & at(count, place)
        own, around = flat.gather(1, index), torch.where(inside, at(flat, place), inf)
        true, counted = self.directions(own, around)
        counted = counted & looked

        divergence = torch.where(at(count, place), self.divergence(log_p.flatten(2), index, place), 0)
        wanted = (1 - self.label_smoothing) * true + self.label_smoothing * (1 - true) / max(len(steps) - 1, 1)
        entropy = (wanted * (divergence.logsumexp(2, keepdim=True) - divergence)).sum(2)
        values = torch.where(counted, entropy * own.clamp(max=self.reach) / self.reach, 0)
        return quotient(values.sum(dtype=torch.float64), counted.sum(dtype=torch.float64))

    def fields(self, pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities (B, K, *S), distances and which voxels count, (B, *S), of B samples or regions."""
        log_p = pair.log_states
        units = log_p.shape[1]
        distance = pair.auxiliary(self.auxiliaries()["d"]).expand(-1, units, -1)
        weight = torch.ones_like(distance) if pair.weight is None else pair.weight.expand(-1, units, -1)
        space = (len(log_p) * units, *pair.shape)
        return log_p.reshape(space[0], -1, *pair.shape), distance.reshape(space), (weight > 0).reshape(space)

    def divergence(self, log_p: Tensor, index: Tensor, place: Tensor) -> Tensor:
        """Return how far each neighbour's prediction is from a voxel's own: KL(neighbour, voxel), (B, M, steps)."""
        here = log_p.gather(2, index[:, None].expand(-1, log_p.shape[1], -1))[..., None]
        there = log_p.gather(2, place.flatten(1)[:, None].expand(-1, log_p.shape[1], -1))
        there = there.reshape(*log_p.shape[:2], *place.shape[1:])
        there = there.detach() if self.detach else there
        divergence: Tensor = (there.exp() * (there - here)).sum(1)
        return divergence


class ActiveBoundary(
    DirectionLoss, paper="wang2022", range=(0, inf), alone=False, monotone=False, aliases=("ActiveBoundaryLoss", "ABL")
):
    r"""Active boundary loss: at the predicted boundary, move towards the true one.

    $\frac{1}{|B|} \sum_{i \in B} \frac{\min(d_i, \theta)}{\theta}
    \operatorname{CE}\left(\operatorname{softmax}_j \operatorname{KL}(p_j, p_i),\; \arg\min_j d_j\right)$ over the
    neighbours j of voxel i, with the distance d to the true boundary. B is the `share` of a sample's
    voxels whose prediction differs most from that of a face neighbour, without those on the true boundary; $\theta$ is
    `reach`.

    A fine adjustment of boundaries that are nearly right, beside cross entropy and a region loss; alone it knows no
    classes and diverges. The smoothed target has 1 - `label_smoothing` at the direction, the rest at all others, and
    shares it between directions that are equally short. `detach=True` holds the neighbours constant, as the authors do
    against conflicts; the gradient is not that of the value then. Where a segmentation has much more boundary than 1 %
    of its voxels, raise `share`. The boundary lies on both sides of where labels meet, and distances are exact, where
    the authors' code takes one side, whole numbers and a wider band: `ReleasedActiveBoundary`. Its peak memory
    is about 7 times the logits: the differences to all face neighbours. The paper's text was not at hand.
    """

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"d": EdgeDistance()}

    def chosen(self, log_p: Tensor, distance: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        contrast = torch.where(distance > 0, contrasts(log_p, valid).amax(0), 0).flatten(1)
        most = contrast.shape[1] if self.share == 1 else int(self.share * contrast.shape[1]) + 1
        found, index = contrast.topk(min(most, contrast.shape[1]), dim=1)
        allowed = (self.share * valid.flatten(1).sum(1, keepdim=True)).ceil()
        return index, (found > LEAST) & (torch.arange(found.shape[1], device=found.device) < allowed)

    def directions(self, own: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        shortest = around.amin(2, keepdim=True)
        true = around == shortest
        return true / true.sum(2, keepdim=True, dtype=own.dtype), shortest[..., 0] < own

"""Six losses as users write them: one file, `import lossodyssey as lo`, no knowledge of the package's inside."""

from __future__ import annotations

from math import inf

import torch

import lossodyssey as lo


class SmoothedDice(lo.ViewLoss):
    """Smoothed Dice: a loss of labels of which a share is spread evenly over the classes."""

    loss: lo.Loss = lo.Dice()
    share: lo.Fraction = 0.1

    def views(self, pair):
        even = 1 / max(pair.classes, 2)
        yield 1.0, pair.with_truth((1 - self.share) * pair.g + self.share * even, self.inner)


class SizeWeightedCE(lo.VoxelLoss, range=(0, inf), local=False):
    """Size-weighted cross entropy: every object weighs the same, whatever its size."""

    def auxiliaries(self):
        return {"weight": lo.auxiliary.InverseSize(clip=None)}

    def formula(self, log_p, labels, weight):
        return -weight * log_p


class BrightCE(lo.GridLoss, range=(0, inf)):
    """Bright cross entropy: voxels weigh more where the image is bright."""

    background: bool = True
    most: lo.Positive = 2.0

    def formula(self, s, g, valid, image):
        weight = 1 + (self.most - 1) * image.mean(1, keepdim=True).sigmoid()
        missed = g * (s + 1e-9).log()
        return -(valid * weight * missed).flatten(2).sum(2) / valid.flatten(2).sum(2).clamp(min=1)


class LesionRecall(lo.ViewLoss, local=False, one_graph=False):
    """Lesion recall: a loss inside every connected component of the foreground, and once outside of all."""

    loss: lo.Loss = lo.CrossEntropy()

    def auxiliaries(self):
        return {"components": lo.auxiliary.Components()}

    def views(self, pair):
        (components,) = self.maps(pair)
        lesions = components.amax(1, keepdim=True)
        for k in range(int(lesions.max()) + 1 if lesions.numel() else 0):
            yield 1.0, pair.weighted(lesions == k, self.inner)


class WholeOrgan(lo.ViewLoss):
    """Whole organ: a loss of labels that tell foreground from background, whatever classes the network has."""

    loss: lo.Loss = lo.DiceCE()

    def views(self, pair):
        whole = [[0], list(range(1, pair.classes))]
        yield 1.0, pair.view(self.inner) if pair.sigmoid or pair.classes == 1 else pair.merged(whole, self.inner)


class Centroid(lo.GridLoss, range=(0, inf), alone=False):
    """Centroid distance: how far the prediction's centre of mass is from the true one, squared."""

    def formula(self, s, g, spacing):
        apart = 0
        for axis in range(2, s.ndim):
            position = torch.arange(s.shape[axis], device=s.device, dtype=s.dtype)
            rows = [x.movedim(axis, 2).reshape(*x.shape[:2], len(position), -1).sum(3) for x in (s, g)]
            centres = [(x * position).sum(2) / (x.sum(2) + 1e-6) for x in rows]
            apart = apart + (spacing[:, axis - 2, None] * (centres[0] - centres[1])) ** 2
        return apart * (g.flatten(2).sum(2) > 0)

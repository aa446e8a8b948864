"""Ridges of the prediction and the truth: where a mistake cuts a membrane or joins two cells."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lossodyssey.core.fields import Fraction
from lossodyssey.core.grids import class_masks, outside_graphs, unflattened
from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.kernels.watershed import watershed_lines
from lossodyssey.losses.distribution.cross_entropy import CrossEntropy


class MorseSkeleton(ViewLoss, paper="hu2021", alone=False, local=False, one_graph=False, monotone=False):
    r"""Morse skeleton loss, approximated by watersheds: cross entropy on the ridges of the prediction and the truth.

    $\frac{1}{|M|} \sum_{i \in M} -\log p_i$ with M the ridges of s and of g, class by class against all others, then
    the mean over classes. The paper takes the ridges of discrete Morse theory, lines or in a volume also sheets. Here
    they are the watershed lines of s, sheets in a volume: voxels where two basins meet, of basins deeper than
    `persistence`. A line that ends freely divides no basins and goes unseen, unlike in the paper.

    For membranes and closed nets of vessels, beside a region loss: `DiceCE() + 0.1 * MorseSkeleton()`. Without a
    ridge it is 0. The paper's text was not read for this, and the default of `persistence` is a guess. `loss` is what
    is computed on the ridges. Voxels that do not count are background, and no part of a ridge.
    """

    loss: Loss = CrossEntropy()
    persistence: Fraction = 0.1
    background: bool = False

    def views(self, pair: Pair) -> Iterator[View]:
        first = pair.first_class(self.background)
        ridges = self.ridges(pair, first)
        for label in range(first, pair.classes):
            rest = [c for c in range(pair.classes) if c != label]
            one = pair.merged([[label]] if pair.sigmoid else [rest, [label]])
            yield self.part(pair, label), one.weighted(ridges[:, label - first, None].flatten(2), self.inner)

    def part(self, pair: Pair, label: int) -> Tensor:
        """Return the share of the samples in which any voxel counts for a class, 0 without any sample."""
        counted = pair.numbers(pair.counted[:, label])
        return quotient(counted.sum(), counted.new_tensor(len(counted)))

    @outside_graphs
    def ridges(self, pair: Pair, first: int) -> Tensor:
        """Return the ridges (N, C, *S) of s and g of the classes from `first` on."""
        truth = class_masks(pair.truth_for_maps, pair, first)
        s = unflattened(pair.s[:, first:].detach(), pair)
        counted = torch.ones_like(s[:, :1], dtype=torch.bool)
        if pair.weight is not None:
            weight = pair.weight if pair.weight.shape[1] == 1 else pair.weight[:, first:]
            counted = unflattened(weight > 0, pair)
        fields = [(counted * field * s.new_ones(())).cpu().numpy() for field in (s, truth)]
        lines = np.zeros(s.shape, dtype=np.bool_)
        for n, c in np.ndindex(lines.shape[:2]):
            lines[n, c] = np.logical_or(*(watershed_lines(field[n, c], self.persistence) for field in fields))
        return torch.as_tensor(lines, device=s.device) & counted

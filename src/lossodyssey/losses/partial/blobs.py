"""Losses that count every object alike, however small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, Components
from lossodyssey.auxiliary.components import Connectivity
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.views import View, ViewLoss
from lossodyssey.losses.partial.connected_components import kept_from_cells
from lossodyssey.losses.region.dice import Dice


class Blobs(ViewLoss, paper="kofler2022", alone=False, local=False, one_graph=False, aliases=("BlobLoss",)):
    r"""Blob loss: the mean of a loss over the true objects one by one, so that small objects count like large ones.

    $\frac{1}{N} \sum_n \frac{1}{K_n} \sum_k L(s, g_k)$ over the $K_n$ connected components of sample n. For component
    k, the voxels of all other components of its class are taken out; false positives count for every component.

    For lesions of very different size, beside the same loss on the whole image (the paper weighs that twice:
    `2 * DiceCE() + Blobs(loss=DiceCE())`). Each class is taken against all others; samples without objects are left
    out, and so are objects without a voxel that counts. With one object it is the inner loss. Sums of overlap and voxel
    losses are made for all components at once, whatever their number; other inner losses take a pass for each.
    """

    loss: Loss = Dice()
    connectivity: Connectivity = "full"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"components": Components(connectivity=self.connectivity)}

    def views(self, pair: Pair) -> Iterator[View]:
        (components,) = self.maps(pair)
        if pair.truth.soft or not all(map(by_cells, self.inner)):
            yield from self._one_by_one(pair, components)
        elif components.numel():
            # The voxels of object k are its own and the background, so that all objects are sums by number.
            yield 1.0, pair.against_rest().in_cells(components[:, pair.first_class(False) :], self.inner, common=True)

    def _one_by_one(self, pair: Pair, components: Tensor) -> Iterator[View]:
        """Yield the view of each object, for inner losses other than formulas of sums."""
        foreground = range(pair.first_class(False), pair.classes)
        for sample in range(len(components)):
            objects = {label: numbers_of(components, pair, sample, label) for label in foreground}
            total = sum(map(len, objects.values()))
            for label, numbers in objects.items():
                if numbers:
                    base = one_class(pair, sample, label)
                    for k in numbers:
                        # Each of the K_n objects of a sample weighs 1 / K_n, so that samples weigh the same.
                        yield 1 / total, only(base, components[sample, label], k, self.inner)


def by_cells(leaf: Loss) -> bool:
    """Return whether a term of an object is a formula of the sums over its voxels and over those of the background."""
    return not kept_from_cells(leaf) and not getattr(leaf, "wants_classes", False)


def numbers_of(components: Tensor, pair: Pair, sample: int, label: int) -> list[int]:
    """Return the numbers of the components of one class of one sample that have voxels which count."""
    own, weight = components[sample, label], pair.weight_of(label)
    sizes = torch.bincount(own if weight is None else torch.where(weight[sample] > 0, own, 0))
    sizes[:1] = 0
    found: list[int] = sizes.nonzero()[:, 0].tolist()
    return found


def one_class(pair: Pair, sample: int, label: int) -> Pair:
    """Return the pair of one class of one sample against all others."""
    part = pair.of_samples([sample])
    rest = [c for c in range(pair.classes) if c != label]
    return part.merged([[label]] if pair.sigmoid else [rest, [label]])


def only(pair: Pair, components: Tensor, k: int, losses: list[Loss]) -> Pair:
    """Return the pair without the voxels of the components (V,) other than k, which are background and do not count."""
    others = ((components > 0) & (components != k))[None]
    truth = pair.truth
    if truth.labels is not None:
        truth = replace(truth, labels=truth.labels.masked_fill(others, 0))
    elif pair.sigmoid:
        assert truth.regions is not None
        truth = replace(truth, regions=truth.regions.masked_fill(others[:, None], 0))
    return pair.weighted(~others[:, None], losses, truth=truth)

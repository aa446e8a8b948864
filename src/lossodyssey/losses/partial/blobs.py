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
from lossodyssey.losses.region.dice import Dice


class Blobs(ViewLoss, paper="kofler2022", alone=False, local=False, one_graph=False, aliases=("BlobLoss",)):
    r"""Blob loss: the mean of a loss over the true objects one by one, so that small objects count like large ones.

    $\frac{1}{N} \sum_n \frac{1}{K_n} \sum_k L(s, g_k)$ over the $K_n$ connected components of sample n. For component
    k, the voxels of all other components of its class are taken out; false positives count for every component.

    For lesions of very different size, beside the same loss on the whole image (the paper weighs that twice:
    `2 * DiceCE() + Blobs(loss=DiceCE())`). Each class is taken against all others; samples without objects are left
    out. With one object it is the inner loss. A pass over the logits is made for every component.
    """

    loss: Loss = Dice()
    connectivity: Connectivity = "full"

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {"components": Components(connectivity=self.connectivity)}

    def views(self, pair: Pair) -> Iterator[View]:
        (components,) = self.maps(pair)
        first = pair.first_class(False)
        counts = components.amax(2)[:, first:].tolist() if components.numel() else []
        for sample, row in enumerate(counts):
            for label, count in enumerate(row, first):
                if count:
                    base = one_class(pair, sample, label)
                    for k in range(1, count + 1):
                        # Each of the K_n objects of a sample weighs 1 / K_n, so that samples weigh the same.
                        yield 1 / sum(row), only(base, components[sample, label], k, self.inner)


def one_class(pair: Pair, sample: int, label: int) -> Pair:
    """Return the pair of one class of one sample against all others."""
    part = pair.of_samples(torch.tensor([sample], device=pair.z.device))
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

"""Non-adjacency: classes that never touch in anatomy must not touch in the prediction."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from lossodyssey.core.kinds import quotient
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.kernels.boxes import box_mean
from lossodyssey.losses.structure.contacts import Pairs, apart_in_truth, by_class, check_classes


class NonAdjacency(
    Loss,
    paper="ganaye2019",
    range=(0, inf),
    alone=False,
    local=False,
    monotone=False,
    fewest_classes=3,
    aliases=("NonAdjLoss",),
):
    r"""Non-adjacency loss: classes that never touch must not touch in the prediction either.

    $\sum_{(i, j) \in F} \frac{1}{|\Omega|} \sum_x p_i(x)\,(B * p_j)(x)$ per sample, B the mean over the 3^d box around
    a voxel, with 0 outside of the image, and F the forbidden pairs in both orders.

    For anatomy with many classes, such as brain regions, beside a region loss; the authors switch it on in a network
    that is trained already. `forbidden=((1, 3), (2, 3))` are the pairs that never touch in the training labels:
    `adjacency_from_labels` and `never_touching` find them. It asks nothing else of the prediction, and so needs no
    labels. Without `forbidden` the pairs are those that do not touch in the sample's own labels. The box holds its
    centre, so that the same voxel cannot belong to both classes. The authors' code is for planes; volumes are ours. Its
    peak memory is about 6 times the logits; given pairs take less. The paper's text was not at hand.
    """

    forbidden: Pairs | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()

    def _check(self) -> None:
        """Raise ValueError where nothing is forbidden, and for what is not a pair of classes."""
        if self.forbidden == ():
            raise ValueError("NonAdjacency.forbidden is empty, expected pairs of classes, as ((1, 3), (2, 3))")
        for each in self.forbidden or ():
            if len(each) != 2 or each[0] == each[1] or min(each) < 0:
                raise ValueError(f"NonAdjacency.forbidden has {each}, expected two different classes, as (1, 3)")

    def of(self, pair: Pair) -> Tensor:
        s = by_class(pair.s, pair)
        contact = self.contact(s, pair) if s.numel() else s
        size = pair.valid.amax(1).sum(1, dtype=torch.float64)
        values = quotient(contact.flatten(1).sum(1, dtype=torch.float64), size)
        return quotient(values.sum(), (size > 0).sum())

    def contact(self, s: Tensor, pair: Pair) -> Tensor:
        """Return the forbidden contact at each voxel of s (N, C, *S)."""
        if self.forbidden is None:
            apart = pair.numbers(apart_in_truth(pair))
            return (apart @ s.flatten(2)) * box_mean(s).flatten(2)
        check_classes("NonAdjacency.forbidden", {c for each in self.forbidden for c in each}, pair)
        partners = one_sided(self.forbidden)
        others = torch.stack([s[:, rows].sum(1) for rows in partners.values()], 1)
        # B is symmetric: both orders of a pair are the same number.
        return 2 * others * box_mean(s[:, list(partners)])

    @property
    def supervised(self) -> bool:  # type: ignore[override]
        return self.forbidden is None


def one_sided(pairs: Pairs) -> dict[int, list[int]]:
    """Return the partners of one class of each pair, by that class: of the side on which fewer classes stand."""
    ordered = {(min(each), max(each)) for each in pairs}
    if len({low for low, _ in ordered}) < len({high for _, high in ordered}):
        ordered = {(high, low) for low, high in ordered}
    return {second: sorted(first for first, own in ordered if own == second) for _, second in sorted(ordered)}

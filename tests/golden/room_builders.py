"""Records of losses over objects, centre lines, partial labels and images, in terms of this library."""

from __future__ import annotations

import math
from typing import Any

from calls import Builder, Call, Case
from torch import Tensor

import lossodyssey as lo


def skeleton_recall(
    source: str, case: Case, *, smooth: float, batch_dice: bool = False, do_tube: bool = True, do_bg: bool = False
) -> Call:
    """The reference returns minus the recall, this library one minus it."""
    assert not do_bg
    return Call(lo.SkeletonRecall(batch=batch_dice, smooth=smooth, tube=2 if do_tube else 0), -1.0)


def blobs(source: str, case: Case, *, connectivity: str, criterion: str, masking: str) -> Call:
    return Call(lo.Blobs(connectivity=connectivity))


def marginal(inner: str) -> Builder:
    """A set of labels that is merged: with class 0 by `hidden`, and any other one after classes have changed places."""

    def build(source: str, case: Case, *, labels_superset_map: dict[str, list[int]], **params: Any) -> Call:
        ((_, members),) = labels_superset_map.items()
        order = [*members, *(label for label in range(case.classes) if label not in members)]

        def reordered(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            return logits[:, order], case.one_hot[:, order]

        loss = lo.Marginal(loss=lo.parse(inner), hidden=tuple(range(1, len(members))))
        inside = float(sum((case.labels == label).double().mean() for label in members))
        # The reference divides the probability of the set by the number of its members.
        return Call(loss, inside * math.log(len(members)) if inner == "CrossEntropy()" else 0.0, head=reordered)

    return build


def matthews(
    source: str,
    case: Case,
    *,
    reduction: str = "mean",
    batch: bool = False,
    include_background: bool = True,
    from_logits: bool = True,
    softmax: bool = True,
    to_onehot_y: bool = True,
    smooth_nr: float = 0.0,
    smooth_dr: float = 1e-5,
) -> Call:
    background = "monai" in source and include_background
    return Call(lo.MatthewsCorrelation(batch=batch or reduction == "batch", background=background, smooth=1e-12))


def perimeter(source: str, case: Case, *, channels: str, kernel: int) -> Call:
    assert channels == "foreground" and kernel == 3
    return Call(lo.Perimeter())


def mumford_shah(source: str, case: Case, *, target: str, lambda_tv: float = 0.0) -> Call:
    """The reference sums over samples, classes and voxels; its image is the one-hot label."""
    return Call(float(case.logits.numel()) * lo.MumfordShah(length=lambda_tv), image=case.one_hot)


def topograph(
    source: str,
    case: Case,
    *,
    aggregation: str,
    eight_connectivity: bool,
    include_background: bool,
    softmax: bool,
    thres_distr: str,
    use_base_loss: bool,
) -> Call:
    assert eight_connectivity and softmax and thres_distr == "none" and not use_base_loss
    return Call(lo.Topograph(aggregation=aggregation, background=include_background))


BUILDERS: dict[str, Builder] = {
    "blob_dice": blobs,
    "marginal_ce": marginal("CrossEntropy()"),
    "marginal_dice": marginal("Dice(background=True, square=True)"),
    "marginal_focal": marginal("Focal()"),
    "mcc": matthews,
    "mumford_shah_loss": mumford_shah,
    "perimeter_loss": perimeter,
    "skeleton_recall": skeleton_recall,
    "topograph": topograph,
}

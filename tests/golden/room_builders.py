"""Records of losses over objects, centre lines, partial labels and images, in terms of this library."""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from calls import Builder, Call, Case, Head
from torch import Tensor

import lossodyssey as lo
from lossodyssey.losses.boundary.descriptors import Shape


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


def overlap_metric(loss: lo.Loss) -> Builder:
    """JDTLosses: the L1 form of an overlap, pooled over the batch, of every class or of those that are present."""

    def build(
        source: str,
        case: Case,
        *,
        smooth: float = 1e-3,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.0,
        norm: int = 1,
        mIoUD: float = 1.0,
        mIoUI: float = 0.0,
        mIoUC: float = 0.0,
        active_classes_mode_hard: str = "PRESENT",
        active_classes_mode_soft: str = "ALL",
        soft_labels: str = "",
    ) -> Call:
        assert norm == 1 and gamma == 1 and alpha == beta
        absent = "skip" if active_classes_mode_hard == "PRESENT" and not soft_labels else "smooth"
        # Its smooth stands beside alpha (s + g) + ..., which for Dice is half of the sum here.
        smooth = smooth / alpha if alpha == 0.5 else smooth
        return Call(
            loss.but(batch=mIoUD == 1, background=True, absent=absent, smooth=smooth), head=smoothed(soft_labels)
        )

    return build


def smoothed(soft_labels: str) -> Head:
    """The head that makes soft labels of hard ones: 0.8 of the label and 0.2 of all classes alike."""

    def head(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        classes = logits.shape[1]
        one_hot = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()
        return (logits, 0.8 * one_hot + 0.2 / classes) if soft_labels else (logits, labels)

    return head


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
    assert softmax and thres_distr == "none" and not use_base_loss
    connectivity = "full" if eight_connectivity else "faces"
    return Call(lo.Topograph(aggregation=aggregation, connectivity=connectivity, background=include_background))


def elastic(source: str, case: Case, *, alpha: float, activation: str) -> Call:
    """The reference gives its gradient a factor: the number of pixels over 4 alpha."""
    assert "channel 0 (background)" in activation

    def steeper(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        factor = case.labels[0].numel() / (4 * alpha)
        return logits.detach() + factor * (logits - logits.detach()), labels

    return Call(lo.ElasticInteraction(alpha=alpha, frequencies="indices"), head=steeper)


def active_contour(source: str, case: Case, *, activation: str, lambdaP: float, mu: float, eps: float) -> Call:
    """The reference sees one foreground channel."""
    assert eps == 1e-8

    def first_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        rest = logits[:, [c for c in range(case.classes) if c != 1]].logsumexp(1, keepdim=True)
        return torch.cat([rest, logits[:, 1:2]], 1), (labels == 1).long()

    return Call(lo.ReleasedActiveContour(region=lambdaP, inside=mu), head=first_class)


class SumOfDescriptors(lo.GridLoss, abstract=True):
    """One descriptor, summed over its numbers."""

    descriptor: str = "size"

    def formula(self, s: Tensor, valid: Tensor, spacing: Tensor) -> Tensor:
        found: Tensor = getattr(Shape(s, valid, spacing), self.descriptor)
        return found.sum(2)


def descriptor(name: str) -> Builder:
    """A descriptor itself, summed over samples and classes."""

    def build(source: str, case: Case, *, activation: str, channels: str, value: str) -> Call:
        assert activation == "softmax" and channels == "foreground" and value.startswith("sum over batch, classes")
        return Call(units(case) * SumOfDescriptors(descriptor=name))

    return build


DESCRIPTORS = {
    "soft_size": "size",
    "soft_centroid": "centroid",
    "soft_dist_centroid": "spread",
    "soft_length": "length",
}


def shape_constraint(
    source: str, case: Case, *, t: float | None, descriptor: str, bounds: str, channels: str, reduction: str
) -> Call:
    """The reference sums over samples and classes; its bounds are fractions of the true descriptor."""
    assert channels == "foreground" and reduction.startswith("sum over batch, classes")
    low, high = (float(number) for number in re.findall(r"\d+\.?\d*", bounds)[:2])
    assert math.isclose(1 - low, high - 1)
    name = DESCRIPTORS[descriptor]
    given: dict[str, Any] = dict.fromkeys(DESCRIPTORS.values()) | {name: high - 1}
    given["relative"] = name in ("centroid", "spread")
    given |= {"penalty": "quadratic"} if t is None else {"t": t}
    return Call(units(case) * lo.ShapeDescriptors(**given))


def units(case: Case) -> float:
    """The number of samples times foreground classes."""
    return float(len(case.labels) * (case.classes - 1))


BUILDERS: dict[str, Builder] = {
    "active_contour_loss": active_contour,
    "elastic_interaction_loss": elastic,
    "shape_descriptor_centroid": descriptor("centroid"),
    "shape_descriptor_constraint": shape_constraint,
    "shape_descriptor_dist_centroid": descriptor("spread"),
    "shape_descriptor_length": descriptor("length"),
    "shape_descriptor_size": descriptor("size"),
    "dice_semimetric": overlap_metric(lo.Dice()),
    "jaccard_metric": overlap_metric(lo.Jaccard()),
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

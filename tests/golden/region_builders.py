"""Records of region losses: Dice and its relatives, generalised Dice, Lovasz."""

from __future__ import annotations

from typing import Any

import torch
from calls import Call, Case, Head, counting, offset
from torch import Tensor

import lossodyssey as lo


def dice(source: str, case: Case, *, delta: float | None = None, square: bool = False, **counts: Any) -> Call:
    if delta is not None:  # mlyg: smooth stands in the Tversky form
        return tversky(source, case, delta=delta, **counts)
    if "idc" in counts:  # LIVIAETS
        counts["include_background"] = counts.pop("idc") == "all classes"
    if square:
        return Call(lo.ReleasedDice(**counting(**counts)), offset(source))
    return Call(lo.Dice(**counting(**counts)), offset(source))


def dice_squared(source: str, case: Case, **counts: Any) -> Call:
    if "SoftDiceLossV2" in source:
        return Call(lo.ReleasedDiceV2(**counting(**counts)), offset(source))
    return Call(lo.Dice(square=True, **counting(**counts)), offset(source))


def iou(source: str, case: Case, *, square: bool = False, **counts: Any) -> Call:
    if square:
        raise TypeError("square=True is not known for IoU")
    return Call(lo.Jaccard(**counting(**counts)), offset(source))


def tversky(
    source: str,
    case: Case,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    delta: float | None = None,
    alpha_fp: float | None = None,
    beta_fn: float | None = None,
    **counts: Any,
) -> Call:
    if "NiftyNet" in source:  # pooled over classes FP = FN, so x = FP / (TP + FP) is transformed like pGDice
        return Call(lo.PenaltyGeneralizedDice(weight_type="uniform", k=alpha + beta - 1))
    if delta is not None:
        alpha, beta = 1 - delta, delta
    return Call(lo.Tversky(alpha=alpha, beta=beta, **counting(**counts)), offset(source))


def focal_tversky(
    source: str,
    case: Case,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    exponent: float = 0.75,
    focal_over: str = "each class, then mean",
    delta: float | None = None,
    gamma: float | None = None,
    **counts: Any,
) -> Call:
    if delta is not None and gamma is not None:  # mlyg
        alpha, beta, exponent = 1 - delta, delta, gamma
    kind = lo.ReleasedFocalTversky if focal_over.startswith("mean") else lo.FocalTversky
    return Call(kind(alpha=alpha, beta=beta, exponent=exponent, **counting(**counts)))


def asym(source: str, case: Case, *, beta: float = 1.5, **counts: Any) -> Call:
    return Call(lo.AsymmetricSimilarity(beta=beta, **counting(**counts)), offset(source))


def sensitivity_specificity(source: str, case: Case, *, r: float, **counts: Any) -> Call:
    if "NiftyNet" in source:  # the sum over classes, eps 1e-5
        return Call(case.classes * lo.SensitivitySpecificity(r=r, background=True))
    return Call(lo.SensitivitySpecificity(r=r, **counting(**counts)))


def generalised_dice(
    source: str,
    case: Case,
    *,
    smooth: float = 0.0,
    batch: bool = False,
    include_background: bool = True,
    weight_type: str = "square",
    type_weight: str | None = None,
    absent_class_weight: str = "max",
    per: str = "sample",
    weight: str = "",
    idc: str = "all classes",
    k: float | None = None,
) -> Call:
    released: dict[str, Any] = {"smooth": smooth, "batch": per == "batch"}
    if "SegLoss" in source and k is not None:
        return Call(lo.ReleasedPenaltyGeneralizedDice(k=k, **released))
    if "SegLoss" in source and "V2" in source:
        return Call(lo.ReleasedGeneralizedDice(**released))
    if "SegLoss" in source or "LIVIAETS" in source:
        return Call(lo.ReleasedGeneralizedDiceV1(background=idc == "all classes", **released))
    fields: dict[str, Any] = {
        "weight_type": (type_weight or weight_type).lower(),
        "absent_weight": "zero" if absent_class_weight == "zero" else "max",
        "batch": batch,
        "background": include_background,
    }
    return Call(lo.GeneralizedDice(**fields) if k is None else lo.PenaltyGeneralizedDice(k=k, **fields))


def lovasz(
    source: str,
    case: Case,
    *,
    classes: str | list[int],
    per_image: bool = False,
    ignore: int | None = None,
    activation: str = "softmax",
) -> Call:
    if activation.startswith("none"):
        return Call(lo.ReleasedLovasz(classes=classes))
    if isinstance(classes, list) and ignore is None:
        return Call(lo.Lovasz(classes="all"), link="sigmoid", head=regions(classes, case.classes), apart=per_image)
    return Call(lo.Lovasz(classes=classes), ignore=ignore, apart=per_image)


def lovasz_hinge(source: str, case: Case, *, per_image: bool = False) -> Call:
    return Call(lo.Lovasz(), head=lambda z, y: (z[:, 1:2] - z[:, 0:1], y), apart=per_image)


def regions(classes: list[int], total: int) -> Head:
    """Logits whose sigmoid is the softmax's probability of the chosen classes, twice where it is only one class."""
    chosen = classes * 2 if len(classes) == 1 else classes

    def head(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        log_s = torch.log_softmax(logits, 1)[:, chosen]
        truth = torch.nn.functional.one_hot(labels, total).movedim(-1, 1)[:, chosen]
        return log_s - torch.log(-torch.expm1(log_s)), truth

    return head

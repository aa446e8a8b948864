"""Records of the relatives of Dice, and of Dice, Jaccard and Tversky for soft labels."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from calls import Builder, Call, Case, Head, counting
from torch import Tensor

import lossodyssey as lo


def dice_plus_plus(source: str, case: Case, *, q: float, **counts: Any) -> Call:
    return Call(lo.DicePlusPlus(q=q, **counting(**counts)))


def tversky_plus_plus(source: str, case: Case, *, q: float, delta: float, **counts: Any) -> Call:
    return Call(lo.TverskyPlusPlus(alpha=1 - delta, beta=delta, q=q, **counting(**counts)))


def noise_robust(
    source: str,
    case: Case,
    *,
    gamma: float,
    eps: float,
    denominator: str = "not squared",
    include_background: bool = True,
) -> Call:
    kind = lo.ReleasedNoiseRobustDice if "not squared" in denominator else lo.NoiseRobustDice
    return Call(kind(gamma=gamma, smooth=eps, batch=True, background=include_background))


def log_cosh(source: str, case: Case, *, classes: str, **counts: Any) -> Call:
    return Call(lo.LogCosh(loss=lo.Dice(pooled=classes == "pooled", **counting(**counts))))


def tvmf(
    source: str, case: Case, *, kappa: float | list[float], power: int, batch_dice: bool, include_background: bool
) -> Call:
    counted = {"batch": batch_dice, "background": include_background}
    return Call(lo.TvMFDice(kappa=kappa, power=power, absent="smooth", **counted))


def robust_t(source: str, case: Case, *, log_nu: float, log_precision: float) -> Call:
    return Call(lo.RobustT(nu=math.exp(log_nu), normalization="none"))


def overlap(loss: lo.Loss) -> Builder:
    """Where a class without truth gives 0, the loss counts the share of classes that have some."""

    def build(
        source: str,
        case: Case,
        *,
        soft_target: str,
        amount: float = 0.0,
        kernel: int = 3,
        padding: str = "replicate",
        absent: str = "smooth",
        alpha: float | None = None,
        beta: float | None = None,
        **counts: Any,
    ) -> Call:
        assert kernel == 3 and padding == "replicate"
        given = counting(**counts) | ({} if alpha is None else {"alpha": alpha, "beta": beta})
        if absent != "zero":
            return Call(loss.but(**given), head=softened(soft_target, amount))
        assert given["batch"]
        present = case.one_hot.transpose(0, 1).flatten(1).sum(1) > 0
        share = 1.0 if soft_target == "smoothing" else float(present.double().mean())
        return Call(share * loss.but(absent="skip", **given), head=softened(soft_target, amount))

    return build


def softened(kind: str, amount: float) -> Head:
    """The head that makes soft labels: of all classes a little, or the mean over the box around each voxel."""

    def head(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        g = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).double()
        if kind == "smoothing":
            return logits, (1 - amount) * g + amount / logits.shape[1]
        if kind == "box":
            axes = labels.ndim - 1
            pool = F.avg_pool2d if axes == 2 else F.avg_pool3d
            return logits, pool(F.pad(g, [1] * 2 * axes, mode="replicate"), 3, stride=1)
        return logits, torch.where(g > 0, 1.0, 0.0)

    return head


BUILDERS: dict[str, Builder] = {
    "dice_l1": overlap(lo.Dice()),
    "dice_plus_plus": dice_plus_plus,
    "jaccard_l1": overlap(lo.Jaccard()),
    "log_cosh_dice": log_cosh,
    "noise_robust_dice": noise_robust,
    "t_loss": robust_t,
    "tversky_l1": overlap(lo.Tversky()),
    "tversky_plus_plus": tversky_plus_plus,
    "tvmf_dice": tvmf,
}

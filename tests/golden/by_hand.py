"""The formulas of the core losses in plain NumPy, straight from their papers, for small inputs.

Independent of the library: probabilities s and one-hot truth g are (N, C, V), distances are brute force over all pairs
of voxels. `FORMULAS` maps the text of a loss to its formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """Logits (N, C, *S) and labels (N, *S) made from sines, so that every number can be made again."""

    space: tuple[int, ...]
    classes: int
    samples: int = 2

    @cached_property
    def logits(self) -> Array:
        shape = (self.samples, self.classes, *self.space)
        return 2.5 * np.sin(1.7 * np.arange(np.prod(shape)) ** 1.1).reshape(shape)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        shape = (self.samples, *self.space)
        waves = np.sin(0.35 * np.arange(np.prod(shape)) + 0.5)
        return np.minimum((1 + waves) / 2 * self.classes, self.classes - 1).astype(np.int64).reshape(shape)

    def at(self, logits: Array) -> View:
        z = logits.reshape(self.samples, self.classes, -1)
        s = np.exp(z - z.max(1, keepdims=True))
        g = np.eye(self.classes)[self.labels.reshape(self.samples, -1)].transpose(0, 2, 1)
        return View(s / s.sum(1, keepdims=True), g, self.space)


@dataclass(frozen=True)
class View:
    s: Array
    g: Array
    space: tuple[int, ...]

    @property
    def p(self) -> Array:
        """Probability of the true class, (N, V)."""
        return (self.s * self.g).sum(1)

    @property
    def prediction(self) -> Array:
        return np.eye(self.s.shape[1])[self.s.argmax(1)].transpose(0, 2, 1)

    def counts(self, background: bool = False, batch: bool = False) -> tuple[Array, Array, Array]:
        """Soft tp, fp, fn, each (units, classes)."""
        first = 0 if background else 1
        s, g = self.s[:, first:], self.g[:, first:]
        axes = (0, 2) if batch else 2
        return tuple(x.sum(axes) for x in (s * g, s * (1 - g), (1 - s) * g))  # type: ignore[return-value]

    def distances(self, masks: Array) -> Array:
        """Distance of each voxel to the nearest voxel on the other side of its mask (N, C, V), 0 without one."""
        points = np.indices(self.space).reshape(len(self.space), -1).T
        apart = np.sqrt(((points[:, None] - points) ** 2).sum(2))
        other = masks[..., :, None] != masks[..., None, :]
        nearest = np.where(other, apart, np.inf).min(-1)
        return np.where(np.isfinite(nearest), nearest, 0)


def dice(v: View, *, smooth: float = 1e-5, background: bool = False, batch: bool = False) -> float:
    tp, fp, fn = v.counts(background, batch)
    return float(np.mean(1 - (2 * tp + smooth) / (2 * tp + fp + fn + smooth)))


def squared_dice(v: View) -> float:
    s, g = v.s[:, 1:], v.g[:, 1:]
    return float(np.mean(1 - (2 * (s * g).sum(2) + 1e-5) / ((s**2).sum(2) + (g**2).sum(2) + 1e-5)))


def tversky_terms(v: View, a: float, b: float, *, smooth: float = 1e-5, background: bool = False) -> Array:
    tp, fp, fn = v.counts(background)
    return np.asarray(1 - (tp + smooth) / (tp + a * fp + b * fn + smooth))


def tversky(v: View, a: float, b: float) -> float:
    return float(tversky_terms(v, a, b).mean())


def sensitivity(v: View, r: float) -> float:
    s, g = v.s[:, 1:], v.g[:, 1:]
    error = (g - s) ** 2
    hit, rest = (error * g).sum(2) / (g.sum(2) + 1e-5), (error * (1 - g)).sum(2) / ((1 - g).sum(2) + 1e-5)
    return float(np.mean(r * hit + (1 - r) * rest))


def generalised_dice(v: View, power: int = 2) -> float:
    size = v.g.sum(2)
    w = np.where(size > 0, 1 / np.maximum(size, 1) ** power, 0)
    w = np.where(size > 0, w, w.max(1, keepdims=True))
    return float(np.mean(1 - 2 * (w * (v.s * v.g).sum(2)).sum(1) / (w * (v.s + v.g).sum(2)).sum(1)))


def penalty_generalised_dice(v: View, k: float) -> float:
    scores = [1 - generalised_dice(View(s[None], g[None], v.space)) for s, g in zip(v.s, v.g, strict=True)]
    return float(np.mean([1 - score / (1 + k * (1 - score)) for score in scores]))


def focal(v: View, gamma: float) -> float:
    return float(np.mean(-((1 - v.p) ** gamma) * np.log(v.p)))


def topk(v: View, percent: float) -> float:
    losses = np.sort(-np.log(v.p).ravel())[::-1]
    return float(losses[: max(1, int(losses.size * percent / 100))].mean())


def below(v: View, threshold: float) -> float:
    kept = v.p[v.p < threshold]
    return float(-np.log(kept).mean()) if kept.size else 0.0


def prices(v: View, delta: float) -> Array:
    return np.where(v.g[:, 0] == 1, 1 - delta, delta)


def symmetric(v: View, delta: float, gamma: float, region: float) -> float:
    x = tversky_terms(v, 1 - delta, delta, smooth=1e-7, background=True) ** (1 - gamma)
    voxels = prices(v, delta) * (1 - v.p) ** gamma * -np.log(v.p)
    return float(region * x.mean() + (1 - region) * voxels.mean())


def asymmetric(v: View, delta: float, gamma: float, region: float) -> float:
    x = tversky_terms(v, 1 - delta, delta, smooth=1e-7, background=True)
    x = np.concatenate([x[:, :1], x[:, 1:] ** (1 - gamma)], 1)
    voxels = prices(v, delta) * np.where(v.g[:, 0] == 1, (1 - v.p) ** gamma, 1) * -np.log(v.p)
    return float(region * x.mean() + (1 - region) * voxels.mean())


def exponential_logarithmic(v: View) -> float:
    tp, fp, fn = v.counts(background=True)
    score = (2 * tp + 1) / (2 * tp + fp + fn + 1)
    return float(0.8 * np.mean((-np.log(score)) ** 0.3) + 0.2 * np.mean((-np.log(v.p)) ** 0.3))


def combo(v: View, alpha: float, beta: float) -> float:
    ce = np.mean(prices(v, beta) * -np.log(v.p))
    return float(alpha * ce + (1 - alpha) * dice(v, smooth=1, batch=True))


def lovasz(v: View) -> float:
    """Sum over the sorted errors of error times the growth of the Jaccard loss, as its set function says."""
    losses = []
    for s, g in zip(v.s.transpose(1, 0, 2).reshape(v.s.shape[1], -1), v.g.transpose(1, 0, 2), strict=True):
        truth = g.ravel() > 0
        if not truth.any():
            continue
        errors, wrong, last, total = np.abs(truth - s), np.zeros(truth.size, bool), 0.0, 0.0
        for voxel in np.argsort(-errors, kind="stable"):
            wrong[voxel] = True
            jaccard = wrong.sum() / (truth | wrong).sum()
            total, last = total + errors[voxel] * (jaccard - last), jaccard
        losses.append(total)
    return float(np.mean(losses))


def signed(v: View, inside_shift: float) -> Array:
    distance = v.distances(v.g)
    return np.where(v.g > 0, -np.maximum(distance - inside_shift, 0), distance)


def boundary(v: View, shift: float) -> float:
    return float((signed(v, shift) * v.s)[:, 1:].mean())


def hausdorff(v: View, alpha: float) -> float:
    field = v.distances(v.g) ** alpha + v.distances(v.prediction) ** alpha
    return float(((v.s - v.g) ** 2 * field)[:, 1:].mean())


def region_wise(v: View) -> float:
    depth = v.distances(v.g) * v.g
    deepest = depth.max(2, keepdims=True)
    return float((v.s * np.where(v.g > 0, -depth / np.where(deepest > 0, deepest, 1), 1)).mean())


def penalised(v: View) -> float:
    closeness = np.zeros_like(v.p)
    for c in range(v.g.shape[1]):
        inside, depth = v.g[:, c] > 0, v.distances(v.g)[:, c]
        deepest = np.where(inside, depth, -np.inf).max(1, keepdims=True)
        nearest = np.where(inside, depth, np.inf).min(1, keepdims=True)
        flat = deepest == nearest
        with np.errstate(invalid="ignore"):
            sloped = (deepest - depth) / np.where(flat, 1, deepest - nearest)
        closeness += np.where(inside, np.where(flat, 1, sloped), 0)
    return float(np.mean((1 + closeness) * -np.log(v.p)))


FORMULAS: dict[str, Callable[[View], float]] = {
    "CrossEntropy()": lambda v: float(np.mean(-np.log(v.p))),
    "Focal()": lambda v: focal(v, 2),
    "Focal(gamma=0.5)": lambda v: focal(v, 0.5),
    "TopK(percent=30)": lambda v: topk(v, 30),
    "TopKThreshold(threshold=0.4)": lambda v: below(v, 0.4),
    "DistancePenalisedCE()": penalised,
    "Dice()": dice,
    "Dice(batch=True, background=True, smooth=0.5)": lambda v: dice(v, batch=True, background=True, smooth=0.5),
    "Dice(square=True)": squared_dice,
    "Jaccard()": lambda v: tversky(v, 1, 1),
    "Tversky(alpha=0.2, beta=0.9)": lambda v: tversky(v, 0.2, 0.9),
    "AsymmetricSimilarity(beta=2)": lambda v: tversky(v, 1 / 5, 4 / 5),
    "FocalTversky()": lambda v: float(np.mean(tversky_terms(v, 0.3, 0.7) ** 0.75)),
    "SensitivitySpecificity(r=0.2)": lambda v: sensitivity(v, 0.2),
    "GeneralizedDice()": generalised_dice,
    "GeneralizedDice(weight_type='simple')": lambda v: generalised_dice(v, 1),
    "PenaltyGeneralizedDice()": lambda v: penalty_generalised_dice(v, 2.5),
    "Lovasz()": lovasz,
    "ExponentialLogarithmic()": exponential_logarithmic,
    "Combo(alpha=0.3, beta=0.8)": lambda v: combo(v, 0.3, 0.8),
    "SymmetricUnifiedFocal(region_weight=0.3, gamma=0.4)": lambda v: symmetric(v, 0.6, 0.4, 0.3),
    "AsymmetricUnifiedFocal(region_weight=0.3, gamma=0.4)": lambda v: asymmetric(v, 0.6, 0.4, 0.3),
    "Boundary(zero='none')": lambda v: boundary(v, 0),
    "Boundary(zero='voxel-shift')": lambda v: boundary(v, 1),
    "HausdorffDT()": lambda v: hausdorff(v, 2),
    "HausdorffDT(alpha=1)": lambda v: hausdorff(v, 1),
    "RegionWise()": region_wise,
    "DiceCE(dice=0.5)": lambda v: 0.5 * dice(v) + float(np.mean(-np.log(v.p))),
    "DiceFocal(gamma=1)": lambda v: dice(v) + focal(v, 1),
    "DiceTopK()": lambda v: dice(v) + topk(v, 10),
}

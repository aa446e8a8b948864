"""What must hold for every input: values, gradients, back ends, voxels that do not count, texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import inputs
import torch
from inputs import Case
from torch import Tensor

import lossodyssey as lo
from lossodyssey import kernels

SELECTING = (
    *("TopK", "Lovasz", "Hausdorff", "Center", "MumfordShah", "Perimeter", "Surface", "SignedDistance"),
    *("FocalTversky", "UnifiedFocal", "Exponential", "Logarithmic", "Matthews"),
    *("ContourDice", "SurfaceDice", "SDDL", "ActiveBoundary"),
)
"""Losses that choose voxels or signs, where either choice is right at ties, and powers and roots of numbers near 0."""

EPSILON = {torch.float16: 3 * 2.0**-10, torch.bfloat16: 3 * 2.0**-7}
"""What gradients in half precision are rounded to, by each of a few terms or views."""


@dataclass(frozen=True)
class Answer:
    """A loss and its gradient."""

    value: Tensor
    gradient: Tensor

    def same(self, other: Answer) -> bool:
        pairs = ((self.value, other.value), (self.gradient, other.gradient))
        return all(torch.equal(mine.nan_to_num(7e30), theirs.nan_to_num(7e30)) for mine, theirs in pairs)


def answer(case: Case, backend: str, logits: Tensor | None = None, loss: lo.Loss | None = None) -> Answer:
    """Return what this back end makes of the input."""
    leaf = (case.logits if logits is None else logits).detach().clone().requires_grad_()
    with kernels.forced(backend):
        value = (loss or case.loss)(leaf, case.target, **case.given)
        value.backward()
    assert leaf.grad is not None
    return Answer(value.detach(), leaf.grad)


def findings(case: Case, random: Random) -> Iterator[str]:
    """Yield what is wrong about this input, a text each.

    Raises:
        ValueError: the call is refused.
    """
    plain, narrow = answer(case, "plain"), case.logits.dtype != torch.float64
    released = "Released" in repr(case.loss)
    if repr(lo.parse(repr(case.loss))) != repr(case.loss):
        yield "text: repr is another loss's"
    exact = answer(case, "plain", case.logits.double()) if narrow and random.random() < 0.5 else plain
    allowed = Allowance(case, exact)
    if not released:
        yield from _finite(exact, plain, "plain")
        yield from _bounds(case, exact)
        yield from _unsettled(case, "float64", allowed.compare("float64", plain))
    others = {name: answer(case, name) for name in _backends(case, random)}
    if released and not all(bool(each.gradient.isfinite().all()) for each in (plain, *others.values())):
        return  # as declared: these divide by 0
    for name, found in others.items():
        if not released:
            yield from _finite(exact, found, name)
        yield from _unsettled(case, name, allowed.compare(name, found, plain))
    name, found = random.choice([("plain", plain), *others.items()])
    if case.left_out is not None:
        yield from _ignored(case, name, found, random)
    elif random.random() < 0.2 and not answer(case, name).same(found):
        yield f"repeat: {name} gives other bits the second time"


def _unsettled(case: Case, name: str, differences: Iterator[str]) -> Iterator[str]:
    for text in differences:
        # The root of a product of sums near 0 has no digits left of its own.
        rooted = "Matthews" in repr(case.loss) and settled(case, name)
        if not (undefined(case) or rooted if text.startswith("value") else settled(case, name)):
            yield text


def soft(case: Case) -> bool:
    """Return whether the target has a channel per class, and shares in them."""
    channels = case.target.is_floating_point() and case.target.shape == case.logits.shape and case.logits.shape[1] > 1
    return channels and not bool(((case.target == 0) | (case.target == 1)).all())


def _backends(case: Case, random: Random) -> list[str]:
    if soft(case):
        return []
    if case.logits.dtype == torch.float64:
        return ["chunked"]
    return random.choice((["chunked"], ["compiled"], ["compiled"]))


def _finite(exact: Answer, found: Answer, name: str) -> Iterator[str]:
    if not bool(found.value.isfinite()):
        yield f"finite: {name} value {found.value:g}"
    large = float(exact.gradient.abs().max()) >= torch.finfo(found.gradient.dtype).max
    if not bool(found.gradient.isfinite().all()) and not large:
        yield f"finite: {name} gradient"


def _bounds(case: Case, found: Answer) -> Iterator[str]:
    low, high = case.loss.bounds()
    if "Lovasz" in repr(case.loss) and case.logits.shape[1] == 1:  # the hinge, declared to be without a greatest value
        high = math.inf
    slack, value = 1e-6 * max(1.0, abs(float(found.value))), float(found.value)
    if not low - slack <= value <= high + slack:
        yield f"bounds: {value:.9g} outside {low:g}..{high:g}"


def _ignored(case: Case, name: str, found: Answer, random: Random) -> Iterator[str]:
    assert case.left_out is not None
    if bool((found.gradient[case.left_out] != 0).any()):
        yield f"ignored: {name} gradient {found.gradient[case.left_out].abs().max():g} where nothing counts"
    if random.random() < 0.4:
        return
    torch.manual_seed(random.getrandbits(60))
    other = answer(case, name, inputs.poisoned(random, case.logits, case.left_out))
    if not other.same(found):
        yield f"ignored: {name} changes with logits that do not count, by {float(other.value - found.value):g}"


class Allowance:
    """How far answers may lie from that in float64.

    A sum of V numbers in float32 loses a few eps, times the root of V, of the sum of their sizes; an error of eps in z
    moves the value by the sum of the gradient's entries times that. Hence the value's share of both. The gradient is
    allowed such a share of its largest entry and, where entries cancel, of the loss's size. A gradient stored in half
    precision is rounded to it. A power p of a number near 0 turns its error eps into eps^p.
    """

    def __init__(self, case: Case, exact: Answer) -> None:
        self.exact = exact
        eps = 2.0**-52 if case.logits.dtype == torch.float64 else 2.0**-23
        voxels = counted(case)
        growth, size = 1 + math.sqrt(voxels) / 16, influence(case, exact)
        self.value = 1024 * eps * growth * (size + abs(float(exact.value))) + steepness(case.loss, 16 * eps)
        self.slope = 4096 * eps * growth
        self.slack = 4096 * eps * size / max(voxels, 1)

    def compare(self, name: str, found: Answer, other: Answer | None = None) -> Iterator[str]:
        """Yield the differences to the exact answer, or to another one in the same dtype."""
        reference = self.exact if other is None else other
        mine, theirs = float(found.value), float(reference.value)
        if not abs(mine - theirs) <= self.value and repr(mine) != repr(theirs):
            yield f"value: {name} {mine:.9g}, expected {theirs:.9g}, allowed {self.value:.2g}"
        if (off := self.off(found.gradient, reference.gradient)) > 1:
            yield f"gradient: {name} off by {off:.3g} times the allowance"

    def off(self, found: Tensor, reference: Tensor) -> float:
        """Return how often the largest difference of two gradients holds the allowed one."""
        exact, both_nan = self.exact.gradient.double().abs(), found.isnan() & reference.isnan()
        allowed = self.slope * exact.amax() + self.slack
        if found.dtype in EPSILON:
            allowed = (
                allowed
                + EPSILON[found.dtype] * (exact + 0.3 * exact.amax())
                + (1e-7 if found.dtype == torch.float16 else 0)
            )
        off = ((found.double() - reference.double()).abs() / allowed).nan_to_num(math.inf)
        return float(off.masked_fill(both_nan | (found == reference), 0).max())


def counted(case: Case) -> int:
    """Return how many logits count, per class."""
    left_out = 0 if case.left_out is None else int(case.left_out.sum())
    return (case.logits.numel() - left_out) // case.logits.shape[1]


def influence(case: Case, exact: Answer) -> float:
    """Return how much the value moves with the logits, and by the rounding of the softmax at least."""
    z = case.logits.double().nan_to_num(0, 0, 0).abs().clamp(max=50)
    weights = sum(size_of(weight) for weight, _ in case.loss.terms)
    return float((exact.gradient.double().abs() * (1 + z)).sum()) + 0.05 * weights


def size_of(weight: object) -> float:
    """Return the size of a weight, roughly where it is a schedule."""
    return abs(weight) if isinstance(weight, float | int) else 2.0


def steepness(loss: lo.Loss, error: float) -> float:
    """Return what this error near 0 becomes through the powers below 1 of a loss's terms."""
    total = 0.0
    for weight, leaf in loss.terms:
        size = size_of(weight)
        if (inner := getattr(leaf, "loss", None)) is not None:
            total += size * steepness(inner, error)
        elif (power := power_of(leaf)) < 1:
            total += size * error**power
    return total


def power_of(leaf: lo.Loss) -> float:
    """Return the power that a loss takes of its errors."""
    return getattr(leaf, "exponent", 1 - getattr(leaf, "gamma", 0) if "FocalTversky" in repr(leaf) else 1.0)


def undefined(case: Case) -> bool:
    """Return whether a class may be absent from truth and prediction, without `smooth`.

    Its ratio is 1 as long as anything is predicted of it, and 0 once the exponential underflows, which depends on the
    dtype and the back end.
    """
    extent = case.logits.double().nan_to_num(0, 0, 0).abs().amax()
    return float(extent) > 40 and any(word in repr(case.loss) for word in ("smooth=0.0", "Generalized"))


def settled(case: Case, name: str) -> bool:
    """Return whether gradients agree once the logits are moderate and without ties.

    Some losses choose voxels, in whose order rounding can matter, or are infinitely steep where they are 0. The overlap
    with a soft truth has a kink at s = g.
    """
    if not soft(case) and not any(word in repr(case.loss) for word in SELECTING):
        return False
    if any(power_of(leaf) < 0.05 for _, leaf in case.loss.terms):
        return True
    noise = torch.randn(case.logits.shape, dtype=torch.float64)
    moderate = case.logits.double().nan_to_num(0, 0, 0).clamp(-4, 4) / 2 + noise
    calm = replace(case, logits=moderate.float())
    exact = answer(calm, "plain", calm.logits.double())
    backends = ["plain"] if name == "float64" else ["plain", name]
    return not any(list(Allowance(calm, exact).compare(each, answer(calm, each))) for each in backends)

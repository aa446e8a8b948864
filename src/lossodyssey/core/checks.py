"""The properties that every loss of the atlas has, computed for one loss: the test of a custom loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossodyssey.core.class_weights import BY_FREQUENCY, with_class_weights
from lossodyssey.core.loss import Loss
from lossodyssey.core.schedules import follows_dice, observe
from lossodyssey.core.text import parse

CLASSES, IGNORED = 3, 255
SHAPES = ((12,), (6, 5), (4, 3, 5))
CLOSE = 1e-4
"""How far values may be apart, relative to 1 or to their size, that are equal up to `smooth` and rounding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a loss has a property: `said` is the computed value, or the fault."""

    name: str
    holds: bool
    said: str


class _Violation(Exception):
    """Says how a property does not hold."""


def check_loss(loss: Loss | str) -> list[Finding]:
    """Compute the properties that every loss has; return a finding for each, in the order of `PROPERTIES`.

    The batches are small, made of fixed numbers, and the same in every call. Class weights by frequency are those of
    equally frequent classes.

    Raises:
        ValueError: `loss` is a text that states no loss.
    """
    built = parse(loss) if isinstance(loss, str) else loss
    return [_found(name, check, _Bench(built)) for name, check in PROPERTIES.items()]


class _Bench:
    """A loss with batches that suit it, and the facts it states about them."""

    def __init__(self, loss: Loss) -> None:
        self.written = loss
        fields = [getattr(each, "class_weights", None) for each in loss.modules()]
        self.classes = next((len(weights) for weights in fields if isinstance(weights, tuple)), CLASSES)
        self.loss = with_class_weights(loss, [1] * self.classes) if BY_FREQUENCY in fields else loss
        if follows_dice(self.loss):  # those of a trained network, told to a copy
            self.loss = deepcopy(self.loss)
            observe(self.loss, dice=1)

    def batch(self, *space: int, samples: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return random logits in float64, and labels in which every class occurs."""
        generator, shape = torch.Generator().manual_seed(seed), space or (6, 5)
        logits = torch.randn(samples, self.classes, *shape, generator=generator, dtype=torch.float64)
        return 2 * logits, torch.randint(0, self.classes, (samples, *shape), generator=generator)

    def confident(self, labels: Tensor, scale: float = 40.0) -> Tensor:
        """Return logits that are sure of the labels."""
        return scale * torch.nn.functional.one_hot(labels, self.classes).movedim(-1, 1).double()

    def __call__(self, logits: Tensor, target: Tensor, **context: Any) -> Tensor:
        """Return the loss; the image is fixed numbers of the logits' shape, and heads are the logits."""
        if self.loss.needs_image:
            shape = (len(logits), 1, *logits.shape[2:])
            numbers = torch.arange(torch.Size(shape[2:]).numel(), device=logits.device) % 7
            context["image"] = numbers.reshape(1, 1, *shape[2:]).expand(shape).to(logits.dtype)
        # Heads that are the logits, so that the loss depends on these.
        context["heads"] = {name: logits for name in self.loss.heads().values()}
        value: Tensor = self.loss(logits, target, **context)
        return value

    def with_gradient(self, logits: Tensor, target: Tensor, **context: Any) -> tuple[float, Tensor]:
        """Return value and gradient."""
        leaf = logits.detach().clone().requires_grad_()
        value = self(leaf, target, **context)
        value.backward()  # type: ignore[no-untyped-call]
        if leaf.grad is None:
            raise _Violation("the value does not depend on the logits")
        return float(value.detach()), leaf.grad

    def predictions(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield random, extreme, perfect, wrong and one-class batches with their names."""
        for shape in SHAPES:
            logits, labels = self.batch(*shape)
            yield f"random, {len(shape)} axes", logits, labels
        logits, labels = self.batch()
        yield "extreme logits", 1e4 * logits, labels
        yield "perfect", self.confident(labels), labels
        yield "all wrong", self.confident((labels + 1) % self.classes), labels
        for label in range(self.classes):
            yield f"class {label} alone", logits, torch.full_like(labels, label)


def _found(name: str, check: Callable[[_Bench], str], bench: _Bench) -> Finding:
    try:
        return Finding(name, True, check(bench))
    except _Violation as violation:
        return Finding(name, False, str(violation))
    # A formula may raise anything; that it does is the finding.
    except Exception as problem:
        return Finding(name, False, " ".join(f"{type(problem).__name__}: {problem}".split())[:300])


def _demand(holds: bool, said: str) -> None:
    if not holds:
        raise _Violation(said)


def _apart(first: float, second: float) -> float:
    return abs(first - second) / max(1.0, abs(first), abs(second))


def _text(bench: _Bench) -> str:
    text = repr(bench.written)
    again = parse(text)
    _demand(repr(again) == text, f"{text} is read as {again!r}")
    values = [_Bench(each)(*bench.batch()).item() for each in (bench.written, again)]
    _demand(str(values[0]) == str(values[1]), f"{text} gives {values[0]:g}, and read again {values[1]:g}")
    return text


def _finite(bench: _Bench) -> str:
    names = []
    for name, logits, labels in bench.predictions():
        value, gradient = bench.with_gradient(logits.float(), labels)
        _demand(value == value and abs(value) != float("inf"), f"{name}: the value is {value}")
        _demand(bool(gradient.isfinite().all()), f"{name}: the gradient is not finite")
        names.append(name)
    return f"{len(names)} batches, 1 to 3 axes"


def _regions(bench: _Bench) -> str:
    logits, labels = bench.batch()
    regions = torch.stack([labels >= label for label in range(bench.classes)], 1)
    value, gradient = bench.with_gradient(logits, regions, link="sigmoid")
    _demand(value == value and bool(gradient.isfinite().all()), "value or gradient is not finite")
    return f"{value:.4g} with a channel per region"


def _range(bench: _Bench) -> str:
    low, high = bench.loss.bounds()
    values = {name: bench(logits, labels).item() for name, logits, labels in bench.predictions()}
    for name, value in values.items():
        slack = 1e-6 * max(1.0, abs(value))
        _demand(low - slack <= value <= high + slack, f"{name}: {value:g} is outside {low:g} to {high:g}")
    return f"{min(values.values()):.4g} to {max(values.values()):.4g}, declared {low:g} to {high:g}"


def _least(bench: _Bench) -> str:
    logits, labels = bench.batch()
    perfect = bench(bench.confident(labels), labels).item()
    others = {"random logits": logits, "all wrong": bench.confident((labels + 1) % bench.classes)}
    for name, other in others.items():
        value = bench(other, labels).item()
        _demand(perfect <= value + 1e-9, f"{name} cost {value:g}, a perfect prediction {perfect:g}")
    return f"{perfect:.4g} at the perfect prediction"


def _gradient(bench: _Bench) -> str:
    logits, labels = bench.batch(3, 2)
    same = torch.autograd.gradcheck(lambda z: bench(z, labels), logits.requires_grad_(), raise_exception=False)
    _demand(same, "autograd's gradient is not that of finite differences in float64")
    return "as finite differences in float64"


def _ignored(bench: _Bench) -> str:
    logits, labels = bench.batch()
    out = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    marked, others = torch.where(out, IGNORED, labels), bench.batch(seed=1)[0]
    value, gradient = bench.with_gradient(logits, marked, ignore=IGNORED)
    moved, other = bench.with_gradient(torch.where(out[:, None], others, logits), marked, ignore=IGNORED)
    _demand(_apart(value, moved) < 1e-9, f"{value:g} becomes {moved:g} with other logits in ignored voxels")
    _demand(not gradient[out[:, None].expand_as(gradient)].any(), "ignored voxels get a gradient")
    _demand(torch.allclose(gradient, other), "logits of ignored voxels change the gradient of others")
    nothing, _ = bench.with_gradient(logits, torch.full_like(labels, IGNORED), ignore=IGNORED)
    _demand(nothing == 0, f"a batch in which nothing counts costs {nothing:g}, expected 0")
    return f"{int(out.sum())} of {out.numel()} voxels, and all"


def _batch(bench: _Bench) -> str:
    # With `batch=True` the sums of equal samples grow beside a `smooth` that does not: so it must be small here.
    bench = _Bench(bench.loss.but(smooth=1e-9)) if "smooth" in bench.loss.known() else bench
    logits, labels = bench.batch(samples=1)
    one, three = (bench(torch.cat([logits] * n), torch.cat([labels] * n)).item() for n in (1, 3))
    _demand(_apart(one, three) < CLOSE, f"one sample costs {one:g}, three equal ones cost {three:g}")
    return f"{one:.4g} of one sample and of three equal ones"


def _half(bench: _Bench) -> str:
    logits, labels = bench.batch()
    worst = 0.0
    for dtype in (torch.float16, torch.bfloat16):
        value, gradient = bench.with_gradient(logits.to(dtype), labels)
        wide = bench(logits.to(dtype).float(), labels).item()
        _demand(bool(gradient.isfinite().all()), f"{dtype}: the gradient is not finite")
        rounding = 2 * torch.finfo(dtype).eps
        _demand(_apart(value, wide) < rounding, f"{dtype}: {value:g}, but {wide:g} in float32")
        worst = max(worst, _apart(value, wide))
    return f"within {worst:.1g} of float32"


PROPERTIES: dict[str, Callable[[_Bench], str]] = {
    "text": _text,
    "finite": _finite,
    "regions": _regions,
    "range": _range,
    "least": _least,
    "gradient": _gradient,
    "ignored": _ignored,
    "batch": _batch,
    "half": _half,
}
"""The properties by name."""

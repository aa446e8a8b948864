"""Random inputs: logits, a truth of any kind, voxels that do not count with anything inside, spacing, image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

import expressions
import torch
from torch import Tensor

import lossodyssey as lo

LOGITS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32)
FLOATS = (torch.float32, torch.float64, torch.float16)


@dataclass(frozen=True)
class Case:
    """One input: a loss, logits (N, C, *S), a target, what else the call is given, and which logits do not count.

    `left_out` (N, C, *S) is True where a logit may hold anything.
    """

    loss: lo.Loss
    logits: Tensor
    target: Tensor
    given: dict[str, Any] = field(default_factory=dict)
    left_out: Tensor | None = None

    def __str__(self) -> str:
        logits, given = self.logits, {k: getattr(v, "shape", v) for k, v in self.given.items()}
        shape, kind = tuple(logits.shape), str(logits.dtype)[6:]
        return f"{self.loss!r} | {shape} {kind} | {tuple(self.target.shape)} {self.target.dtype} | {given}"


def draw(seed: int, index: int) -> Case:
    """Return the input of this seed and index, the same one every time."""
    random = Random(f"{seed}:{index}")
    torch.manual_seed(random.getrandbits(60))
    classes = random.choices(range(1, 7), [12, 30, 30, 14, 7, 7])[0]
    sigmoid = classes == 1 or random.random() < 0.25
    shape = (random.choices((1, 2, 3), [50, 35, 15])[0], classes, *_space(random))
    loss = expressions.draw(random, classes, exclusive=not sigmoid)
    if "Blobs" in repr(loss):
        most = (12, 6, 3)[len(shape) - 3]
        shape = (*shape[:2], *(min(size, most) for size in shape[2:]))
    labels = _labels(random, shape)
    given: dict[str, Any] = {"link": "sigmoid"} if sigmoid and (classes > 1 or random.random() < 0.5) else {}
    target, ignored = _target(random, shape, labels, sigmoid, given)
    weight = _weight(random, shape, sigmoid)
    if weight is not None:
        given["weight"] = weight
        ignored = ignored | ((weight if weight.ndim == len(shape) else weight[:, None]) <= 0)
    _surroundings(random, shape, given, loss)
    logits = _logits(random, shape, labels).to(random.choices(LOGITS, [50, 25, 13, 12])[0])
    left_out = ignored.expand(shape) if bool(ignored.any()) else None
    return Case(loss, logits if left_out is None else poisoned(random, logits, left_out), target, given, left_out)


def _space(random: Random) -> tuple[int, ...]:
    axes, size = random.choice((1, 2, 2, 3)), random.random()
    if size < 0.03:
        return (1,) * axes
    voxels = 10 ** (random.uniform(0.3, 2.8) if size < 0.99 else random.uniform(2.8, math.log10(24**3)))
    return tuple(max(1, min(round(voxels ** (1 / axes) * random.uniform(0.6, 1.6)), 24**3)) for _ in range(axes))


def _labels(random: Random, shape: tuple[int, ...]) -> Tensor:
    """Labels (N, *S): noise, one class that fills all, halves, some classes absent, one voxel."""
    n, classes, *space = shape
    classes = max(classes, 2)
    kind = random.choice(("noise", "filled", "halves", "absent", "voxel", "rare"))
    if kind == "filled":
        return torch.full((n, *space), random.randrange(classes))
    if kind == "halves":
        ramp = torch.linspace(0, classes - 1e-3, space[0]).long().reshape(-1, *[1] * (len(space) - 1))
        return ramp.expand(n, *space).clone()
    if kind == "absent":
        return torch.tensor(random.sample(range(classes), max(1, classes - 1)))[torch.randint(classes - 1, (n, *space))]
    if kind == "noise":
        return torch.randint(classes, (n, *space))
    labels = torch.zeros(n, *space, dtype=torch.long)
    chosen = torch.rand(n, *space) < (0.05 if kind == "rare" else 1.5 / math.prod(space))
    return torch.where(chosen, torch.randint(classes, labels.shape), labels)


def _target(
    random: Random, shape: tuple[int, ...], labels: Tensor, sigmoid: bool, given: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Return the target, and where its label is one to ignore (N, 1, *S)."""
    nothing, classes = torch.zeros_like(labels[:, None], dtype=torch.bool), shape[1]
    kind = random.choices(("labels", "channels", "soft"), [70, 15, 15])[0]
    if kind == "labels":
        return _index(random, labels, classes, given)
    if kind == "soft":
        channels = torch.rand(shape) ** random.choice((1, 4)) if random.random() < 0.7 else torch.full(shape, 0.5)
        if random.random() < 0.5:
            channels = torch.where(torch.rand(shape[0], 1, *shape[2:]) < 0.5, _one_hot(labels, classes), channels)
        channels = channels if sigmoid else channels.double() / channels.sum(1, keepdim=True).clamp(min=1e-9)
        channels = channels if sigmoid else torch.where(channels.sum(1, keepdim=True) > 0.5, channels, 1 / classes)
        return channels.to(random.choice((torch.float32, torch.float64))), nothing
    hard = (torch.rand(shape) < random.choice((0, 0.1, 0.5, 1))) if sigmoid else _one_hot(labels, classes)
    return hard.to(random.choice((*INTEGERS, *FLOATS, torch.bool))), nothing


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    known = torch.arange(classes) + (classes == 1)
    return (labels[:, None] == known.reshape(-1, *[1] * (labels.ndim - 1))).float()


def _index(random: Random, labels: Tensor, classes: int, given: dict[str, Any]) -> tuple[Tensor, Tensor]:
    dtype = random.choice((*INTEGERS, *FLOATS, torch.bool) if classes <= 2 else (*INTEGERS, *FLOATS))
    ignored = torch.zeros_like(labels, dtype=torch.bool)
    if random.random() < 0.4 and dtype != torch.bool:
        wide = dtype.is_floating_point or torch.iinfo(dtype).max > 200
        marks = random.choice(([100], [101, 102], [255 if wide else 99], [random.randrange(max(classes, 2))]))
        if dtype == torch.int8 and random.random() < 0.5:
            marks = [-1]
        share = random.choice((0.05, 0.5, 1.0, 1.0 - 1 / labels.numel()))
        drawn = torch.tensor(marks)[torch.randint(len(marks), labels.shape)]
        labels = torch.where(torch.rand(labels.shape) < share, drawn, labels)
        ignored = torch.isin(labels, torch.tensor(marks))
        given["ignore"] = marks[0] if len(marks) == 1 else tuple(marks)
    target = labels[:, None] if random.random() < 0.2 and (classes > 1 or not dtype.is_floating_point) else labels
    return target.to(dtype), ignored[:, None]


def _weight(random: Random, shape: tuple[int, ...], sigmoid: bool) -> Tensor | None:
    if random.random() < 0.65:
        return None
    n, classes, *space = shape
    channels = classes if sigmoid and random.random() < 0.5 else 1
    weight = (torch.rand(n, channels, *space) < random.choice((0, 0.3, 0.9, 1))).float()
    if random.random() < 0.4:
        weight = weight * torch.rand(n, channels, *space) * random.choice((1, 1, 1, 100, 1e-3))
    elif random.random() < 0.5:
        weight = weight.to(random.choice((torch.bool, torch.uint8, torch.int64)))
    elif random.random() < 0.2:
        weight = weight.double()
    return weight[:, 0] if channels == 1 and random.random() < 0.6 else weight


def _surroundings(random: Random, shape: tuple[int, ...], given: dict[str, Any], loss: lo.Loss) -> None:
    """Put spacing, image and annotated classes into what is given."""
    n, classes, *space = shape
    if random.random() < 0.3:
        steps = [round(10 ** random.uniform(-1, 1), 2) for _ in space]
        given["spacing"] = torch.rand(n, len(space)) + 0.1 if random.random() < 0.4 else tuple(steps)
    if loss.needs_image or random.random() < 0.03:
        channels = random.choice((1, 1, 2))
        given["image"] = torch.randn(n, channels, *space) * random.choice((1, 100)) + random.choice((0, 1000))
    if random.random() < (0.7 if "Marginal" in repr(loss) else 0.05):
        given["annotated"] = torch.rand(n, classes) < 0.7


def _logits(random: Random, shape: tuple[int, ...], labels: Tensor) -> Tensor:
    """Noise of several sizes, constants, ties, perfect and wrong answers, logits up to 10 000."""
    shares = {"noise": 45, "large": 10, "constant": 8, "ties": 8, "right": 10, "wrong": 7, "mixed": 12}
    kind = random.choices(list(shares), list(shares.values()))[0]
    noise = torch.randn(shape, dtype=torch.float64)
    truth = _one_hot(labels, shape[1]).double()
    scale = random.choice((5, 20, 60, 1e3, 1e4))
    found = {
        "noise": noise * random.choice((0.1, 1, 3)),
        "large": (noise * 1e4).clamp(-1e4, 1e4),
        "constant": torch.full_like(noise, random.choice((0.0, 1.0, -3.0, 1e4, -1e4))),
        "ties": noise.round(),
        "right": scale * (truth if shape[1] > 1 else 2 * truth - 1),
        "wrong": scale * (1 - truth if shape[1] > 1 else 1 - 2 * truth),
        "mixed": torch.where(torch.rand(shape) < 0.5, noise, noise * scale).clamp(-1e4, 1e4),
    }
    return found[kind]


def poisoned(random: Random, logits: Tensor, left_out: Tensor) -> Tensor:
    """Return the logits with something else, NaN or infinite mostly, where they do not count."""
    poison = random.choice((math.nan, math.inf, -math.inf, 3e4, 0.0, None))
    if poison is None:
        choices = torch.tensor([math.nan, math.inf, -math.inf, 7.0], dtype=logits.dtype)
        return torch.where(left_out, choices[torch.randint(4, logits.shape)], logits)
    return logits.masked_fill(left_out, poison)

"""The loss, and the weighted sum of losses.

A loss is a class with annotated fields and a formula. Naming a base class (see `kinds`) turns the fields into a
keyword-only constructor that checks them, makes `repr` the call that rebuilds the object, and files the class in the
atlas:

    class Focal(VoxelLoss, paper="lin2017", range=(0, inf)):
        gamma: NonNegative = 2.0

        def formula(self, log_p, labels):
            return -((1 - log_p.exp()) ** self.gamma) * log_p
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self, dataclass_transform

from lossodyssey.auxiliary import Auxiliary
from lossodyssey.core import atlas, fields, words
from lossodyssey.core.context import ENTRIES, Auxiliaries, Context, Link, Spacing
from lossodyssey.core.facts import Facts, of_terms
from lossodyssey.core.ignored import Ignore
from lossodyssey.core.pair import Pair
from lossodyssey.core.schedules import FromDice, Ratio, Schedule, Weight
from lossodyssey.core.weights import product, scaled, times
from lossodyssey.kernels import Request, functional

CALL = ("context", "link", *ENTRIES, "maps")
"""The keywords of a call."""


@dataclass_transform(kw_only_default=True)
class Loss(Facts, nn.Module):
    """Abstract: a loss that sees the whole pair (`of`) and returns a scalar.

    On the class line stand `paper`, a key of the bibliography; `alone`, False where it needs a partner; and the facts,
    see `Facts`.
    """

    def __init_subclass__(
        cls,
        *,
        paper: str = "",
        alone: bool = True,
        abstract: bool = False,
        aliases: atlas.Aliases = (),
        without: Collection[str] = (),
        **facts: Any,
    ) -> None:
        super().__init_subclass__()
        cls.state_facts(without, facts)
        dataclass(kw_only=True, repr=False, eq=False)(cls)
        for field in fields.declared(cls):  # a loss as a class attribute would hide the one that an instance holds
            if isinstance(vars(cls).get(field.name), Loss):
                delattr(cls, field.name)
        if not abstract:
            atlas.file_class(cls, paper, cls.range, alone, aliases)

    def __new__(cls, *args: Any, **hyper_parameters: Any) -> Self:
        if hyper_parameters:
            fields.check_names(cls.__name__, list(hyper_parameters), [f.name for f in fields.declared(cls)])
        self = super().__new__(cls)
        nn.Module.__init__(self)
        return self

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields.declared(type(self))}
        for name, value in fields.check_values(type(self).__name__, type(self), values).items():
            # A loss is moved by its schedules: each holder has one of its own.
            setattr(self, name, deepcopy(value) if isinstance(value, Loss) else value)
        for name in fields.trainable(type(self)):
            # In double precision, because the value to begin with is the number that was written.
            start = torch.tensor(math.log(getattr(self, name)), dtype=torch.float64)
            self.register_parameter(parameter_name(name), nn.Parameter(start))
        if any(isinstance(value, FromDice) for value in values.values()):
            self.register_buffer("dice", torch.zeros(0, dtype=torch.float64), persistent=False)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        context: Context | None = None,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        weight: Tensor | None = None,
        spacing: Spacing = None,
        image: Tensor | None = None,
        annotated: Tensor | None = None,
        auxiliary: Auxiliaries | None = None,
        heads: Auxiliaries | None = None,
        maps: Auxiliaries | None = None,
        **foreign: Any,
    ) -> Tensor:
        """Return the scalar loss of logits (N, C, *S) against labels, one-hot, soft labels or regions; see `Pair`.

        The entries of the `context` may be given by name; `maps` is another name of `auxiliary`.
        """
        self.check_call(foreign)
        whole = Context.of(
            context,
            ignore=ignore,
            weight=weight,
            spacing=spacing,
            image=image,
            annotated=annotated,
            auxiliary=auxiliary,
            heads=heads,
            maps=maps,
        )
        pair = Pair(logits, target, whole, link=link, losses=self.leaves_of_terms())
        with torch.autocast(pair.logits.device.type, enabled=False):
            return self.of(pair).to(pair.dtype)

    def summands(
        self, logits: Tensor, target: Tensor, context: Context | None = None, **given: Any
    ) -> dict[str, Tensor]:
        """Return the weighted value of each term by its text; together they are the loss.

        `context` and `given` are the inputs of a call beside logits and target. A loss that is not a sum is its own
        only term.
        """
        self.check_call([name for name in given if name not in CALL])
        pair = Pair(logits, target, context, losses=self.leaves_of_terms(), **given)
        with torch.autocast(pair.logits.device.type, enabled=False):
            return {text: value.to(pair.dtype) for text, value in self.values_by_text(pair).items()}

    def check_call(self, foreign: Collection[str]) -> None:
        """Raise ValueError for keywords that a call does not take, with the way to write the first of them."""
        if foreign:
            own = [field.name for field in fields.declared(type(self))]
            words.refuse(type(self).__name__, foreign, own, CALL)

    def of(self, pair: Pair) -> Tensor:
        """Return the loss of one pair, a scalar."""
        raise NotImplementedError("abstract")

    def values_by_text(self, pair: Pair) -> dict[str, Tensor]:
        """Return the weighted value of each term by its text."""
        return {repr(self): self.of(pair)}

    def ask(self, pair: Pair, request: Request) -> None:
        """Add the needs of this loss to the one pass over the logits: nothing, for a free-form loss."""

    def auxiliaries(self) -> dict[str, Auxiliary]:
        """Return the auxiliary values that this loss needs, by the names that its formula has for them."""
        return {}

    def heads(self) -> dict[str, str]:
        """Return the maps per class that this loss asks of the network beside the logits, each by its formula's name.

        The values are their names in a call. Losses that ask for one of the same name share it.
        """
        return {}

    def maps(self, pair: Pair) -> tuple[Tensor, ...]:
        """Return the auxiliary values of the truth, constants (N, C or 1, V), in the order of `auxiliaries`."""
        return tuple(pair.auxiliary(wanted) for wanted in self.auxiliaries().values())

    def advance(self, progress: float) -> None:
        """Move the schedules, if there are any, to `progress` in 0..1."""

    def take_dice(self, scores: Tensor) -> None:
        """Note Dice scores where a hyper-parameter follows them; `observe` calls it. NaN leaves the last score."""
        if not any(isinstance(value, FromDice) for value in vars(self).values()):
            return
        last = self.get_buffer("dice")
        if last.ndim and scores.ndim and len(last) not in (0, len(scores)):
            raise ValueError(f"{self!r} was told {len(last)} Dice scores before, and now {len(scores)}")
        known = last if last.shape != (0,) else last.new_zeros(())
        scores = scores.to(last.device)
        self.dice = torch.where(scores.isnan(), known, scores)

    def trained(self, name: str) -> Tensor:
        """Return what a `Trainable` hyper-parameter has become: its field holds the value that it began with.

        The parameter that an optimizer moves is the logarithm, `log_` and the name.
        """
        return self.get_parameter(parameter_name(name)).exp()

    @property
    def terms(self) -> list[tuple[Weight, Loss]]:
        """The weighted summands: a loss that is not a sum is its own only term."""
        return [(1.0, self)]

    @property
    def parts(self) -> list[tuple[Weight, Loss]]:
        """The summands as they were written, presets by their names."""
        return [(1.0, self)]

    def leaves_of_terms(self) -> list[Loss]:
        """Return the losses of the terms."""
        return [leaf for _, leaf in self.terms]

    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest value."""
        return self.range

    def known(self) -> list[str]:
        """Return the names of the hyper-parameters that `but` can change."""
        return [field.name for field in fields.declared(type(self))]

    def but(self, **changes: Any) -> Self:
        """Return a copy with fields changed throughout; what training has made of this loss is not in it.

        Raises:
            ValueError: no summand has such a field.
        """
        return type(self)(**{f.name: getattr(self, f.name) for f in fields.declared(type(self))} | changes)

    def labels(self, weight: Weight = 1.0) -> list[str]:
        """Return the text of each term times `weight`, after that of the preset it belongs to."""
        return [term_text(weight, self)]

    def text(self, weight: Weight = 1.0) -> str:
        """Return this loss times `weight` as text."""
        return times(weight, repr(self))

    def definition(self) -> str:
        """Return the text of the computed loss, with the presets inside it written out."""
        return fields.constructor_text(
            self, lambda value: written_out(value) if isinstance(value, Loss) else repr(value)
        )

    def __repr__(self) -> str:
        return fields.constructor_text(self)

    def __add__(self, other: Loss) -> Sum:
        return add(self, other)

    def __radd__(self, other: Any) -> Loss:
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: Weight) -> Sum:
        return scale(weight, self)

    __rmul__ = __mul__


class Sum(Loss, abstract=True):
    """A weighted sum of losses over one pair: one pass over the logits serves all terms.

    Built by `+` and `*`. A weight is a number or a schedule; the progress of schedules is a buffer outside the state
    dict, moved by `advance`. `parts` is the sum as it was written, presets by their names; `terms` is the sum that is
    computed: presets resolved, and terms of weight 0 left out.
    """

    local = of_terms("local")
    one_graph = of_terms("one_graph")
    needs_image = of_terms("needs_image", any)
    supervised = of_terms("supervised", any)
    monotone = of_terms("monotone")
    least_at_truth = of_terms("least_at_truth")
    shift_free = of_terms("shift_free")

    def __init__(self, parts: Sequence[tuple[Weight, Loss]]) -> None:
        self.written = [(product(outer, inner), each) for outer, part in parts for inner, each in part.parts]
        terms = [(product(outer, inner), leaf) for outer, part in self.written for inner, leaf in part.terms]
        kept = [(weight, leaf) for weight, leaf in terms if weight != 0]
        self.weights = [weight for weight, _ in kept]
        self.leaves = nn.ModuleList(leaf for _, leaf in kept)
        self.register_buffer("progress", torch.zeros(()), persistent=False)
        self.register_buffer("ratio", torch.ones((), dtype=torch.float64), persistent=False)
        self.register_buffer("seen", torch.zeros(2, dtype=torch.float64), persistent=False)

    @property
    def terms(self) -> list[tuple[Weight, Loss]]:
        return list(zip(self.weights, self.leaves, strict=True))  # type: ignore[arg-type]

    @property
    def parts(self) -> list[tuple[Weight, Loss]]:
        return self.written

    def auxiliaries(self) -> dict[str, Auxiliary]:
        return {wanted.key: wanted for _, leaf in self.terms for wanted in leaf.auxiliaries().values()}

    def heads(self) -> dict[str, str]:
        return {name: name for _, leaf in self.terms for name in leaf.heads().values()}

    def of(self, pair: Pair) -> Tensor:
        check_terms(self)
        return torch.stack(self.values(pair)).sum()

    def advance(self, progress: float) -> None:
        """Move the schedules to `progress`, and ratios to the means since the last call."""
        self.get_buffer("progress").fill_(progress)
        own, others = self.get_buffer("seen")
        self.get_buffer("ratio").copy_(torch.where(own > 0, others / own, self.get_buffer("ratio")))
        self.get_buffer("seen").zero_()

    def values(self, pair: Pair) -> list[Tensor]:
        """Return the weighted value of each term."""
        raw = [leaf.of(pair) for _, leaf in self.terms]
        return [self._factor(k, raw) * value for k, value in enumerate(raw)]

    def _factor(self, k: int, raw: list[Tensor]) -> Tensor | float:
        weight = self.weights[k]
        if isinstance(weight, Schedule):
            return weight(self.get_buffer("progress"))
        return self._ratio(weight, k, raw) if isinstance(weight, Ratio) else weight

    def _ratio(self, weight: Ratio, k: int, raw: list[Tensor]) -> Tensor:
        own = raw[k].detach()
        others = torch.stack(raw).detach().sum() - own
        if weight.over == "batch":
            return others / (own + 1e-5)
        if self.training and torch.is_grad_enabled() and not functional():
            self.get_buffer("seen").add_(torch.stack([own, others]))
        return self.get_buffer("ratio")

    def values_by_text(self, pair: Pair) -> dict[str, Tensor]:
        """Return the weighted value of each term by its text; equal terms are added up.

        The text of a preset's term begins with the preset: `DiceTopK(): Dice()`.
        """
        check_terms(self)
        values: dict[str, Tensor] = {}
        for name, value in zip(self.labels(), self.values(pair), strict=True):
            values[name] = values[name] + value if name in values else value
        return values

    def labels(self, weight: Weight = 1.0) -> list[str]:
        return [label for own, part in self.written if own != 0 for label in part.labels(product(weight, own))]

    def known(self) -> list[str]:
        return list(dict.fromkeys(name for _, leaf in self.terms for name in leaf.known()))

    def check_call(self, foreign: Collection[str]) -> None:
        if foreign:
            words.refuse(
                "Sum", foreign, [name for _, part in self.written for name in part.known()], CALL, setter="loss.but"
            )

    def bounds(self) -> tuple[float, float]:
        ends = [scaled(leaf.bounds(), weight) for weight, leaf in self.terms]
        return sum(low for low, _ in ends), sum(high for _, high in ends)

    def but(self, **changes: Any) -> Sum:
        parts = [part for weight, part in self.written if weight != 0]
        fields.check_names(repr(self), list(changes), sorted({name for part in parts for name in part.known()}))
        return Sum([(weight, changed(part, changes)) for weight, part in self.written])

    def __repr__(self) -> str:
        return " + ".join(term_text(weight, part) for weight, part in self.written)


def parameter_name(field: str) -> str:
    """Return the name of the parameter of a trained hyper-parameter: it is its logarithm."""
    return f"log_{field}"


def changed(part: Loss, changes: Mapping[str, Any]) -> Loss:
    """Return a copy of the part with the changes that concern it, which shares no state with it."""
    return part.but(**{name: value for name, value in changes.items() if name in part.known()})


def check_terms(loss: Loss) -> None:
    """Raise ValueError where every weight is 0, and nothing is left to train with."""
    if not loss.terms:
        raise ValueError(f"{loss!r}: every weight is 0, expected at least one term with another weight")


def add(left: Loss, right: Loss) -> Sum:
    """Return left + right, flat except for presets."""
    if not isinstance(right, Loss):
        raise TypeError(f"{left!r} + {right!r}: only losses can be added to a loss")
    return Sum([*left.parts, *right.parts])


def scale(weight: Weight, loss: Loss) -> Sum:
    """Return weight * loss; a number multiplies every term of a sum, a schedule needs terms without one.

    A number may be negative, to train against a loss.

    Raises:
        ValueError: an infinite weight, NaN, or a second schedule.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float | Schedule | Ratio):
        raise TypeError(f"{weight!r} * {loss!r}: a weight is a number or a schedule")
    if isinstance(weight, int | float):
        weight = fields.finite(f"the weight of {loss!r}", weight)
    return Sum([(product(weight, old), part) for old, part in loss.parts])


def written_out(loss: Loss) -> str:
    """Return a loss as the sum of single losses that it computes: presets resolved, terms of weight 0 left out."""
    return " + ".join(times(weight, leaf.definition()) for weight, leaf in loss.terms)


def term_text(weight: Weight, part: Loss) -> str:
    """Return a term of a sum as text: `0.5 * Focal(gamma=3.0)`."""
    return part.text(weight)

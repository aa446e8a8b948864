"""Sums of losses and their text: `Dice() + 0.5 * Focal(gamma=3.0)`."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from lossodyssey.kernels import functional
from lossodyssey.losses import atlas, fields, words
from lossodyssey.losses.loss import CALL, Loss
from lossodyssey.losses.pair import Pair
from lossodyssey.losses.schedules import SCHEDULES, Ratio, Schedule, Step, Weight

LONGEST_TEXT = 4096


class Sum(Loss, abstract=True):
    """A weighted sum of losses over one pair: one pass over the logits serves all terms.

    Built by `+` and `*`. A weight is a number or a schedule; the progress of schedules is a buffer outside the
    state dict, moved by `advance`. `parts` is the sum as it was written, presets by their names; `terms` is what is
    computed: presets resolved, and terms of weight 0 left out.
    """

    def __init__(self, parts: Sequence[tuple[Weight, Loss]]) -> None:
        self.parts = [(_product(outer, inner), each) for outer, part in parts for inner, each in _parts(part)]
        terms = [(_product(outer, inner), leaf) for outer, part in self.parts for inner, leaf in part.terms]
        kept = [(weight, leaf) for weight, leaf in terms if weight != 0]
        self.weights = [weight for weight, _ in kept]
        self.leaves = nn.ModuleList(leaf for _, leaf in kept)
        self.register_buffer("progress", torch.zeros(()), persistent=False)
        self.register_buffer("ratio", torch.ones((), dtype=torch.float64), persistent=False)
        self.register_buffer("seen", torch.zeros(2, dtype=torch.float64), persistent=False)

    @property
    def terms(self) -> list[tuple[Weight, Loss]]:
        return list(zip(self.weights, self.leaves, strict=True))  # type: ignore[arg-type]

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
        """The weighted value of each term."""
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
        """The weighted value of each term by its text; equal terms are added up.

        The text of a preset's term begins with the preset: `DiceTopK(): Dice()`.
        """
        check_terms(self)
        values: dict[str, Tensor] = {}
        for name, value in zip(_labels(1.0, self), self.values(pair), strict=True):
            values[name] = values[name] + value if name in values else value
        return values

    def labels(self) -> list[str]:
        """Return the text of each term, after that of the preset it belongs to."""
        return [label for weight, part in self.parts if weight != 0 for label in _labels(weight, part)]

    def check_call(self, foreign: Collection[str]) -> None:
        if foreign:
            known = [name for part in self.parts for name in _known(part[1])]
            words.refuse("Sum", foreign, known, CALL, setter="loss.but")

    def bounds(self) -> tuple[float, float]:
        ends = [_scaled(leaf.bounds(), weight) for weight, leaf in self.terms]
        return sum(low for low, _ in ends), sum(high for _, high in ends)

    def but(self, **changes: Any) -> Sum:
        parts = [part for weight, part in self.parts if weight != 0]
        fields.check_names(repr(self), list(changes), sorted({name for part in parts for name in _known(part)}))
        return Sum([(weight, _changed(part, changes)) for weight, part in self.parts])

    def __repr__(self) -> str:
        return " + ".join(term_text(weight, part) for weight, part in self.parts)


class Preset(Sum, abstract=True):
    """A sum under its name in the atlas; its text is the call that builds it.

    Where a term was changed by hand, so that the call would build another loss, the text is the sum of the terms.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any], parts: Sequence[tuple[Weight, Loss]]) -> None:
        super().__init__(parts)
        self.name, self.arguments, self.built = name, dict(arguments), written_out(self)
        check_terms(self)

    def but(self, **changes: Any) -> Sum:  # type: ignore[override]
        """A copy with fields changed: by the preset's own hyper-parameters, and what it has not, in its terms."""
        card, rest = atlas.card(self.name), dict(changes)
        own = {field.name: rest.pop(field.name) for field in card.fields if field.name in changes}
        if self.by_hand():
            return super().but(**changes)
        changed = card(**self.arguments | own)
        assert isinstance(changed, Sum)
        return Sum.but(changed, **rest) if rest else changed

    def check_call(self, foreign: Collection[str]) -> None:
        if foreign:
            words.refuse(self.name, foreign, _known(self), CALL)

    def by_hand(self) -> bool:
        """Whether a term was changed after the preset was built, so that its name would build another loss."""
        return written_out(self) != self.built

    def __repr__(self) -> str:
        if self.by_hand():
            return written_out(self)
        return fields.call_text(self.name, atlas.card(self.name).fields, self.arguments)


def _scaled(ends: tuple[float, float], weight: Weight) -> tuple[float, float]:
    factors = [weight] if isinstance(weight, int | float) else [0.0, 1.0]
    products = [0.0 if factor == 0 else factor * end for factor in factors for end in ends]
    return min(products), max(products)


def _parts(loss: Loss) -> list[tuple[Weight, Loss]]:
    """A sum as its parts; a preset is one part of a larger sum."""
    return loss.parts if isinstance(loss, Sum) and not isinstance(loss, Preset) else [(1.0, loss)]


def _known(part: Loss) -> set[str]:
    """The hyper-parameters that `but` can change in a part of a sum."""
    own = {field.name for _, leaf in part.terms for field in fields.declared(type(leaf))}
    return own | {field.name for field in atlas.card(part.name).fields} if isinstance(part, Preset) else own


def _changed(part: Loss, changes: Mapping[str, Any]) -> Loss:
    own = {name: value for name, value in changes.items() if name in _known(part)}
    return part.but(**own) if own else part


def _labels(weight: Weight, part: Loss) -> list[str]:
    if _is_by_hand(part):
        return _expanded(weight, part)
    text = term_text(weight, part)
    if isinstance(part, Preset):
        return [f"{text}: {inner}" for inner in part.labels()]
    return part.labels() if isinstance(part, Sum) else [text]


def _is_by_hand(part: Loss) -> bool:
    return isinstance(part, Preset) and part.by_hand()


def _expanded(weight: Weight, part: Loss) -> list[str]:
    """The texts of a part's terms, each times `weight`."""
    return [term_text(_product(weight, inner), leaf) for inner, leaf in part.terms]


def check_terms(loss: Loss) -> None:
    """Raise ValueError where every weight is 0, and nothing is left to train with."""
    if not loss.terms:
        raise ValueError(f"{loss!r}: every weight is 0, expected at least one term with another weight")


def add(left: Loss, right: Loss) -> Sum:
    """left + right, flat but for presets."""
    if not isinstance(right, Loss):
        raise TypeError(f"{left!r} + {right!r}: only losses can be added to a loss")
    return Sum([*_parts(left), *_parts(right)])


def scale(weight: Weight, loss: Loss) -> Sum:
    """weight * loss; a number multiplies every term of a sum, a schedule needs terms without one.

    A number may be negative, to train against a loss.

    Raises:
        ValueError: an infinite weight, NaN, or a second schedule.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float | Schedule | Ratio):
        raise TypeError(f"{weight!r} * {loss!r}: a weight is a number or a schedule")
    if isinstance(weight, int | float):
        weight = fields.finite(f"the weight of {loss!r}", weight)
    return Sum([(_product(weight, old), part) for old, part in _parts(loss)])


def _product(new: Weight, old: Weight) -> Weight:
    if isinstance(new, int | float) and isinstance(old, int | float):
        return fields.finite("a product of weights", new * old)
    if 0 in (new, old):
        return 0.0
    if 1 not in (new, old):
        raise ValueError(f"{new!r} * {old!r}: a weight is one number or one schedule; write the product into it")
    return old if new == 1 else new


def written_out(loss: Loss) -> str:
    """What a loss computes as a sum of losses that are no sums: presets resolved, terms of weight 0 left out."""
    return " + ".join(term_text(weight, leaf) for weight, leaf in loss.terms)


def meaning(loss: Loss) -> str:
    """One text for all sums that differ only in presets, order, or how a weight is parted; to compare by."""
    totals: dict[str, float] = {}
    others = []
    for weight, leaf in loss.terms:
        if isinstance(weight, int | float):
            totals[repr(leaf)] = totals.get(repr(leaf), 0.0) + weight
        else:
            others.append(term_text(weight, leaf))
    return " + ".join(sorted([*others, *(f"{weight!r} * {leaf}" for leaf, weight in totals.items())]))


def TwoPhase(first: Loss, second: Loss, at: float = 0.5) -> Sum:
    """Train with `first` until the progress reaches `at`, with `second` from then on (Loss odyssey, section 3.2)."""
    for part in (first, second):
        if not isinstance(part, Loss):
            raise TypeError(f"TwoPhase takes two losses, got {part!r}")
    return add(scale(Step(1, 0, at), first), scale(Step(0, 1, at), second))


def term_text(weight: Weight, part: Loss) -> str:
    """A term of a sum as text: `0.5 * Focal(gamma=3.0)`; a preset changed by hand as the sum of its terms."""
    if _is_by_hand(part):
        return " + ".join(_expanded(weight, part))
    if not isinstance(weight, int | float):
        return f"{weight!r} * {part!r}"
    return repr(part) if weight == 1 else f"{fields.number_text(weight)} * {part!r}"


def parse(text: str) -> Loss:
    """Build the loss that `text` states: atlas names, numbers, tuples, `+` and `*`, nothing else.

    `parse(repr(loss))` gives the loss back. Nothing is evaluated: the text's syntax tree is walked.

    Raises:
        ValueError: the text is no such expression, with the nearest known name where one is misspelt.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"loss expression has {len(text)} characters, expected at most {LONGEST_TEXT}")
    if "\0" in text:  # older Pythons refuse it in words of their own
        raise _refusal(text)
    try:
        result = _build(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, RecursionError, MemoryError):
        raise _refusal(text) from None
    if not isinstance(result, Loss):
        raise _refusal(text)
    check_terms(result)
    return result


def _build(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() | bool() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_build(item, text) for item in items)
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=named) if all(k.arg for k in named):
            values = [_build(value, text) for value in positional]
            return _call(name, values, {str(k.arg): _build(k.value, text) for k in named})
        case ast.BinOp(op=ast.Add() | ast.Mult() as operation):
            return _combine(_build(node.left, text), operation, _build(node.right, text), text)
    if isinstance(node, ast.Name):
        _refuse_name(node.id)
    raise _refusal(text, ast.get_source_segment(text.strip(), node))


def _refuse_name(name: str) -> NoReturn:
    if name not in SCHEDULES and name != TwoPhase.__name__:
        atlas.card(name)
    raise ValueError(f"{name!r} is a name alone; expected a call, as {name}()")


def _call(name: str, positional: list[Any], named: dict[str, Any]) -> Loss | Schedule | Ratio:
    build = TwoPhase if name == TwoPhase.__name__ else SCHEDULES.get(name)
    if build is not None:
        try:
            return build(*positional, **named)
        except TypeError as problem:
            raise ValueError(f"{name}: {problem}") from None
    card = atlas.card(name)
    if positional:
        known = ", ".join(field.name for field in card.fields) or "none"
        raise ValueError(
            f"{name} takes its hyper-parameters by name ({known}), got {fields.brief(positional[0])} without one"
        )
    return card(**named)


def _combine(left: Any, operation: ast.operator, right: Any, text: str) -> Any:
    plain = (int, float, Schedule, Ratio)
    if isinstance(operation, ast.Add) and isinstance(left, Loss) and isinstance(right, Loss):
        return left + right
    if isinstance(operation, ast.Mult) and not isinstance(left, bool) and not isinstance(right, bool):
        if isinstance(left, plain) and isinstance(right, Loss):
            return left * right
        if isinstance(left, Loss) and isinstance(right, plain):
            return left * right
    raise _refusal(text)


def _refusal(text: str, part: str | None = None) -> ValueError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    at = f" at {part[:60]!r}" if part and part != text.strip() else ""
    return ValueError(
        f"{shown!r} is not a loss expression{at}: expected something like 'Dice() + 0.5 * Focal(gamma=3.0)', "
        "made of losses of the atlas (lossodyssey list), numbers, + and *"
    )

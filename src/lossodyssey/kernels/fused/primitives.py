"""The primitives of `kernels.powers` inside the kernels: voxel formulas as sums of powers, and their derivatives.

Which functions a primitive is made of is compiled in; its numbers and factors are read, so that another exponent is
not another kernel.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,assignment"
# ruff: noqa: RUF005, RET505 - Triton's compiler adds tuples, but knows no starred ones, and needs the `else`

from __future__ import annotations

from math import inf
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lossodyssey.kernels.fused.tiles import load, log1p, operand
from lossodyssey.kernels.powers import TINY, Power, Table
from lossodyssey.kernels.request import compute_dtype

SQUARE_ROOT, ANY = tl.constexpr(3), tl.constexpr(4)
"""Exponents of the error beside 0, 1 and 2, which stand for themselves; `ANY` is one of the logarithm as well."""
LEAST = tl.constexpr(TINY)
EACH = tl.constexpr(5)
"""Numbers of `kind_of` for each primitive: Triton takes no tuples of tuples as constants."""


def operands(powers: Table | None, factors: Tensor | None, logits: Tensor) -> dict[str, Any]:
    """Return the arguments of a kernel: numbers (P, 4), factors (T, S, P) by state, maps, and what is compiled in."""
    if powers is None or factors is None:
        return {"powers": None, "KINDS": (), "TERMS": 0}
    own: dict[str, Any] = {"dtype": compute_dtype(logits), "device": logits.device}
    by_state = factors.flatten(1, 2).to(**own).contiguous()
    maps = [m for m in powers.maps if m is not None]
    places = [-1 if m is None else sum(x is not None for x in powers.maps[:k]) for k, m in enumerate(powers.maps)]
    return {
        "powers": (powers.numbers.to(**own), by_state, by_state.shape[1], tuple(operand(m) for m in maps)),
        "KINDS": tuple(n for pair in zip(powers.powers, places, strict=True) for n in kind_of(*pair)),
        "TERMS": len(by_state),
    }


def count_of(powers: Table | None) -> int:
    """Return the number of formulas."""
    return 0 if powers is None else len(powers.factors)


def through(powers: Table, d_terms: Tensor) -> Tensor:
    """Return the factors (1, C, E, P) of the one formula that sums up all, each times its upstream gradient."""
    return torch.einsum("t,tcep->cep", d_terms, powers.factors.to(d_terms))[None]


def numbers_for(powers: Table | None) -> int:
    """Return how many numbers a thread can hold: logarithms and exponentials of the formulas take registers, too."""
    known = [] if powers is None else powers.powers
    heavy = len(known) > 1 or any(power.margin or ANY.value in kind_of(power, -1)[:2] for power in known)
    return 2 if heavy else 4


def kind_of(power: Power, place: int) -> tuple[int, ...]:
    """Return exponents of error and logarithm, whether there are a level and a margin, and the map's place or -1."""
    error = {0.0: 0, 1.0: 1, 2.0: 2, 0.5: SQUARE_ROOT.value}.get(power.error, ANY.value)
    log = {0.0: 0, 1.0: 1}.get(power.log, ANY.value)
    return error, log, int(power.level < inf), int(power.margin > 0), place


@triton.jit
def at_least(x, least):
    """Return the greater; NaN stays NaN."""
    return tl.where(x < least, least, x)


@triton.jit
def raised(x, exponent):
    """Return x^exponent for x > 0, and for 0 that of the smallest number."""
    return tl.exp(exponent * tl.log(at_least(x, 1e-38)))


@triton.jit
def of_error(m, numbers, KINDS: tl.constexpr, k: tl.constexpr):
    """Return A(m) and A'(m) of the error m = 1 - p."""
    one = tl.zeros_like(m) + 1.0
    if KINDS[EACH * k + 3]:
        margin = tl.load(numbers + 3)
        return log1p(margin * m), margin / (1.0 + margin * m)
    elif KINDS[EACH * k] == 0:
        return one, tl.zeros_like(m)
    elif KINDS[EACH * k] == 1:
        return m, one
    elif KINDS[EACH * k] == 2:
        return m * m, 2.0 * m
    elif KINDS[EACH * k] == SQUARE_ROOT:
        root = tl.sqrt(at_least(m, LEAST))
        return root, tl.where(m < LEAST, 0.0, 0.5 / root)
    else:
        exponent = tl.load(numbers)
        least = tl.where(exponent < 1.0, LEAST, 0.0)
        less = raised(at_least(m, least), exponent - 1.0)
        return at_least(m, least) * less, tl.where(m < least, 0.0, exponent * less)


@triton.jit
def of_log(u, numbers, KINDS: tl.constexpr, k: tl.constexpr):
    """Return B(x) = x^log and B'(x) of x = -ln p."""
    one = tl.zeros_like(u) + 1.0
    if KINDS[EACH * k + 1] == 0:
        return one, tl.zeros_like(u)
    elif KINDS[EACH * k + 1] == 1:
        return -u, one
    else:
        exponent = tl.load(numbers + 1)
        less = raised(at_least(-u, LEAST), exponent - 1.0)
        return -u * less, tl.where(-u < LEAST, less, exponent * less)


@triton.jit
def below_level(u, values, numbers, KINDS: tl.constexpr, k: tl.constexpr):
    return tl.where(u < tl.load(numbers + 2), values, 0.0) if KINDS[EACH * k + 2] else values


@triton.jit
def times_map(values, powers, sample, row, voxel, kept, KINDS: tl.constexpr, k: tl.constexpr, DTYPE: tl.constexpr):
    return (
        values * load(powers[3][KINDS[EACH * k + 4]], sample, row, voxel, kept, DTYPE)
        if KINDS[EACH * k + 4] >= 0
        else values
    )


@triton.jit
def factor(powers, term, state, k, kept, KINDS: tl.constexpr):
    """Return the factors of power k in a formula by state: the class, or under sigmoid 2 C for true and 2 C + 1."""
    return tl.load(powers[1] + (term * powers[2] + state) * (len(KINDS) // EACH) + k, mask=kept, other=0.0)


@triton.jit
def formula_values(
    u, m, state, powers, sample, row, voxel, kept, KINDS: tl.constexpr, TERMS: tl.constexpr, DTYPE: tl.constexpr
):
    """Return the tiles of the formulas, given ln p, 1 - p and the state of each number of a tile."""
    out = ()
    for _ in tl.static_range(TERMS):
        out = out + (tl.zeros_like(u),)
    for k in tl.static_range(len(KINDS) // EACH):
        numbers = powers[0] + 4 * k
        a, _slope = of_error(m, numbers, KINDS, k)
        b, _less = of_log(u, numbers, KINDS, k)
        values = below_level(u, a * b, numbers, KINDS, k)
        values = times_map(values, powers, sample, row, voxel, kept, KINDS, k, DTYPE)
        added = ()
        for term in tl.static_range(TERMS):
            added = added + (out[term] + factor(powers, term, state, k, kept, KINDS) * values,)
        out = added
    return out


@triton.jit
def formula_slope(u, p, m, state, powers, sample, row, voxel, kept, KINDS: tl.constexpr, DTYPE: tl.constexpr):
    """Return the derivative by ln p of the one formula whose factors are given: the sum of -p A' B - A B'."""
    out = tl.zeros_like(u)
    for k in tl.static_range(len(KINDS) // EACH):
        numbers = powers[0] + 4 * k
        a, a_slope = of_error(m, numbers, KINDS, k)
        b, b_slope = of_log(u, numbers, KINDS, k)
        slope = below_level(u, -p * a_slope * b - a * b_slope, numbers, KINDS, k)
        slope = times_map(slope, powers, sample, row, voxel, kept, KINDS, k, DTYPE)
        out += factor(powers, 0, state, k, kept, KINDS) * slope
    return out

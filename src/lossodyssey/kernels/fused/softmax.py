"""The kernels of softmax: one reads the logits, one reads them again and writes the gradient.

Up to `MOST_ROWS` classes stand in one tile. More are read in blocks: an online pass finds the greatest logit and the
sum of the exponentials, and further passes over the same logits, which lie in the cache by then, do the rest.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from lossodyssey.kernels.fused.primitives import formula_slope, formula_values
from lossodyssey.kernels.fused.tiles import (
    add_sums,
    add_weighted,
    columns,
    empty_sums,
    load,
    load_row,
    log1p,
    store,
    store_sums,
    through_columns,
)


@triton.jit
def voxel_state(
    truth, weight, sample, voxel, inside, ignore, IGNORES: tl.constexpr, SOFT: tl.constexpr, DTYPE: tl.constexpr
):
    """Return the labels (BLOCK,) of the voxels, those ignored as class 0, and the weights, 0 where one is ignored."""
    w = inside.to(DTYPE)
    if weight is not None:
        w = load_row(weight, sample, voxel, inside).to(DTYPE)
    label = tl.zeros_like(voxel)
    if not SOFT:
        given = load_row(truth, sample, voxel, inside).to(tl.int64)
        if IGNORES:
            w = tl.where(given == ignore, 0.0, w)
            given = tl.where(given == ignore, 0, given)
        label = given.to(tl.int32)
    return label, w


@triton.jit
def logits_of(logits, sample, row, voxel, classes, voxels, w, DTYPE: tl.constexpr):
    """Return the logits of a tile: 0 in voxels that do not count, which may hold anything, -inf beyond the classes."""
    kept = (row[:, None] < classes) & (voxel < voxels)[None, :]
    z = load(logits, sample, row, voxel, kept, DTYPE)
    z = tl.where((w > 0)[None, :], z, 0.0)
    return tl.where(row[:, None] < classes, z, -float("inf")), kept


@triton.jit
def truth_of(truth, sample, row, voxel, label, kept, SOFT: tl.constexpr, DTYPE: tl.constexpr):
    """Return the truth of a tile: shares of a soft one, booleans of a hard one."""
    return load(truth, sample, row, voxel, kept, DTYPE) if SOFT else row[:, None] == label[None, :]


@triton.jit
def normaliser(
    logits, sample, voxel, classes, voxels, label, w, ROWS: tl.constexpr, ONE: tl.constexpr, DTYPE: tl.constexpr
):
    """Return per voxel the greatest logit, the labelled class's, and the exponentials of it and of the others."""
    if ONE:
        row = tl.arange(0, ROWS)
        z, _ = logits_of(logits, sample, row, voxel, classes, voxels, w, DTYPE)
        here = row[:, None] == label[None, :]
        top = tl.max(z, axis=0)
        e = tl.exp(z - top[None, :])
        z_true = tl.sum(tl.where(here, z, 0.0), axis=0)
        others = tl.sum(tl.where(here, 0.0, e), axis=0)
    else:
        top = voxel.to(DTYPE) * 0.0 - float("inf")
        others = voxel.to(DTYPE) * 0.0
        z_true = voxel.to(DTYPE) * 0.0
        for first in range(0, classes, ROWS):
            row = first + tl.arange(0, ROWS)
            z, _ = logits_of(logits, sample, row, voxel, classes, voxels, w, DTYPE)
            here = row[:, None] == label[None, :]
            higher = tl.maximum(top, tl.max(z, axis=0))
            z_true += tl.sum(tl.where(here, z, 0.0), axis=0)
            # So far all logits may be -inf.
            shift = tl.where(higher == -float("inf"), 0.0, higher)
            e = tl.exp(z - shift[None, :])
            others = others * tl.exp(top - shift) + tl.sum(tl.where(here, 0.0, e), axis=0)
            top = higher
    return top, z_true, tl.exp(z_true - top), others


@triton.jit
def log_share(top, z_true, own, others):
    """Return ln p of the labelled class, with the digits of a confident voxel, whose p is rounded to 1."""
    near = log1p(others / tl.where(own > others, own, 1.0))
    return tl.where(own > others, -near, z_true - top - tl.log(own + others))


@triton.jit
def true_state(label, classes, inside, top, z_true, own, others):
    """Return ln p, p and 1 - p of the labelled class as tiles of one row, and which voxels have such a class."""
    there = inside & (label >= 0) & (label < classes)
    total = own + others
    u = log_share(top, z_true, own, others)
    # 1 - p is the sum of the others, which keeps its digits.
    return u[None, :], (own / total)[None, :], (others / total)[None, :], there[None, :]


@triton.jit
def shares_of(
    logits, truth, sample, row, voxel, classes, voxels, label, w, top, total, SOFT: tl.constexpr, DTYPE: tl.constexpr
):
    """Return the shifted logits, probabilities and truth of a tile, and which of its numbers are there."""
    z, kept = logits_of(logits, sample, row, voxel, classes, voxels, w, DTYPE)
    z = z - top[None, :]
    g = truth_of(truth, sample, row, voxel, label, kept, SOFT, DTYPE)
    return z, tl.exp(z) / total[None, :], g, kept


@triton.jit
def read_softmax(
    logits,
    truth,
    weight,
    partial,
    log_p,
    probability,
    terms,
    powers,
    maps,
    classes,
    voxels,
    ignore,
    firsts: tl.constexpr,
    first: tl.constexpr,
    IGNORES: tl.constexpr,
    SOFT: tl.constexpr,
    TABLE: tl.constexpr,
    SQUARES: tl.constexpr,
    KINDS: tl.constexpr,
    TERMS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCKS: tl.constexpr,
    ONE: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Add up columns and formulas, and write log_p (N, 1 or C, V) and the probabilities (N, C', V) from `first` on."""
    sample = tl.program_id(1).to(tl.int64)
    sums, of_terms = empty_sums(ROWS, COLUMNS, DTYPE), empty_sums(1, TERMS, DTYPE)
    for k in range(BLOCKS):
        voxel = (tl.program_id(0) * BLOCKS + k) * BLOCK + tl.arange(0, BLOCK)
        inside = voxel < voxels
        label, w = voxel_state(truth, weight, sample, voxel, inside, ignore, IGNORES, SOFT, DTYPE)
        top, z_true, own, others = normaliser(logits, sample, voxel, classes, voxels, label, w, ROWS, ONE, DTYPE)
        if log_p is not None and not SOFT:
            tl.store(log_p[0] + sample * log_p[1] + voxel, log_share(top, z_true, own, others), mask=inside)
        total = own + others
        if powers is not None:
            u, _p, m, there = true_state(label, classes, inside, top, z_true, own, others)
            state, one = label[None, :], tl.arange(0, 1)
            values = formula_values(u, m, state, powers, sample, one, voxel, there, KINDS, TERMS, DTYPE)
            of_terms = add_weighted(of_terms, values, w[None, :])
        for begin in range(0, ROWS if ONE else classes, ROWS):
            row = begin + tl.arange(0, ROWS)
            z, s, g, kept = shares_of(
                logits, truth, sample, row, voxel, classes, voxels, label, w, top, total, SOFT, DTYPE
            )
            tiles = columns(s, g, w[None, :], maps, firsts, sample, row, voxel, kept, TABLE, SQUARES, SOFT, DTYPE)
            sums = add_sums(sums, tiles)
            if not ONE:
                store_sums(partial, sums, sample, row, classes)
                sums = empty_sums(ROWS, COLUMNS, DTYPE)
            if log_p is not None and SOFT:
                store(log_p, sample, row, voxel, z - tl.log(total)[None, :], kept)
            if probability is not None:
                store(probability, sample, row - first, voxel, s, kept & (row[:, None] >= first))
    if ONE:
        store_sums(partial, sums, sample, tl.arange(0, ROWS), classes)
    store_sums(terms, of_terms, sample, tl.arange(0, 1), 1)


@triton.jit
def write_softmax(
    logits,
    truth,
    weight,
    gradient,
    a,
    h,
    d_s,
    powers,
    maps,
    classes,
    voxels,
    ignore,
    firsts: tl.constexpr,
    first: tl.constexpr,
    IGNORES: tl.constexpr,
    SOFT: tl.constexpr,
    TABLE: tl.constexpr,
    SQUARES: tl.constexpr,
    KINDS: tl.constexpr,
    TERMS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    ONE: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Write the gradient, given those `a` of the columns, `h` of log_p (N, 1 or C, V), `d_s` (N, C', V) of map terms.

    With q = dL/ds and h = dL/d(log s) the gradient is s (q - sum_k s_k q_k) + h - s sum_k h_k. The part of
    the formulas in h is added to it.
    """
    sample = tl.program_id(1).to(tl.int64)
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = voxel < voxels
    label, w = voxel_state(truth, weight, sample, voxel, inside, ignore, IGNORES, SOFT, DTYPE)
    top, z_true, own, others = normaliser(logits, sample, voxel, classes, voxels, label, w, ROWS, ONE, DTYPE)
    total = own + others
    mean = tl.zeros_like(total)
    lost = tl.zeros_like(total)
    if h is not None and not SOFT:
        lost = load_row(h, sample, voxel, inside).to(DTYPE)
    if powers is not None:
        u, p, m, there = true_state(label, classes, inside, top, z_true, own, others)
        state, one = label[None, :], tl.arange(0, 1)
        slope = formula_slope(u, p, m, state, powers, sample, one, voxel, there, KINDS, DTYPE)
        lost += tl.sum(slope, axis=0) * w
    for begin in range(0, ROWS if ONE else classes, ROWS):
        row = begin + tl.arange(0, ROWS)
        _z, s, g, kept = shares_of(
            logits, truth, sample, row, voxel, classes, voxels, label, w, top, total, SOFT, DTYPE
        )
        q = through_columns(
            s, g, a, maps, firsts, d_s, first, sample, row, classes, voxel, kept, TABLE, SQUARES, SOFT, DTYPE
        )
        mean += tl.sum(s * q, axis=0) * w
        if h is not None and SOFT:
            lost += tl.sum(load(h, sample, row, voxel, kept, DTYPE), axis=0)
    for begin in range(0, ROWS if ONE else classes, ROWS):
        row = begin + tl.arange(0, ROWS)
        _z, s, g, kept = shares_of(
            logits, truth, sample, row, voxel, classes, voxels, label, w, top, total, SOFT, DTYPE
        )
        q = through_columns(
            s, g, a, maps, firsts, d_s, first, sample, row, classes, voxel, kept, TABLE, SQUARES, SOFT, DTYPE
        )
        d_z = s * (q * w[None, :] - mean[None, :])
        if SOFT and h is not None:
            d_z += load(h, sample, row, voxel, kept, DTYPE) - s * lost[None, :]
        elif h is not None or powers is not None:
            # 1 - p of the labelled class is the sum of the others, which keeps its digits.
            d_z += lost[None, :] * tl.where(g, (others / total)[None, :], -s)
        store(gradient, sample, row, voxel, d_z, kept)

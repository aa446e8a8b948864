"""The kernels of sigmoid, under which every channel is a region of its own: one reads, one writes the gradient."""

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
    log1p,
    store,
    store_sums,
    through_columns,
)


@triton.jit
def region_tile(logits, truth, weight, sample, row, voxel, channels, voxels, SOFT: tl.constexpr, DTYPE: tl.constexpr):
    """Return the logits, 0 where they do not count, the truth, the weights, and which numbers of the tile are there."""
    kept = (row[:, None] < channels) & (voxel < voxels)[None, :]
    w = kept.to(DTYPE)
    if weight is not None:
        w = load(weight, sample, row, voxel, kept, DTYPE)
    z = tl.where(w > 0, load(logits, sample, row, voxel, kept, DTYPE), 0.0)
    g = load(truth, sample, row, voxel, kept, DTYPE)
    return z, g if SOFT else g > 0.5, w, kept


@triton.jit
def sigmoid(z):
    """Return the probability of the foreground, of which `sigmoid(-z)` is one minus with all digits."""
    e = tl.exp(-tl.abs(z))
    return tl.where(z >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def log_sigmoid(z):
    return tl.minimum(z, 0.0) - log1p(tl.exp(-tl.abs(z)))


@triton.jit
def true_state(row, g):
    """Return the place of the factors of each number of a tile: those of a channel's foreground come first."""
    return 2 * row[:, None] + tl.where(g, 0, 1)


@triton.jit
def read_sigmoid(
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
    """Add up columns and formulas, and write log_p (N, C or 2C, V) and the probabilities (N, C', V) from `first` on."""
    sample = tl.program_id(1).to(tl.int64)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    sums, of_terms = empty_sums(ROWS, COLUMNS, DTYPE), empty_sums(ROWS, TERMS, DTYPE)
    for k in range(BLOCKS):
        voxel = (tl.program_id(0) * BLOCKS + k) * BLOCK + tl.arange(0, BLOCK)
        z, g, w, kept = region_tile(logits, truth, weight, sample, row, voxel, classes, voxels, SOFT, DTYPE)
        s = sigmoid(z)
        tiles = columns(s, g, w, maps, firsts, sample, row, voxel, kept, TABLE, SQUARES, SOFT, DTYPE)
        sums = add_sums(sums, tiles)
        if powers is not None:
            state, true = true_state(row, g), tl.where(g, z, -z)
            u, m = log_sigmoid(true), sigmoid(-true)
            values = formula_values(u, m, state, powers, sample, row, voxel, kept, KINDS, TERMS, DTYPE)
            of_terms = add_weighted(of_terms, values, w)
        if log_p is not None:
            if SOFT:
                store(log_p, sample, row, voxel, log_sigmoid(z), kept)
                store(log_p, sample, row + classes, voxel, log_sigmoid(-z), kept)
            else:
                store(log_p, sample, row, voxel, log_sigmoid(tl.where(g, z, -z)), kept)
        if probability is not None:
            store(probability, sample, row - first, voxel, s, kept & (row[:, None] >= first))
    store_sums(partial, sums, sample, row, classes)
    store_sums(terms, of_terms, sample, row, classes)


@triton.jit
def write_sigmoid(
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
    """Write the gradient, given those `a` of the columns, `h` of log_p (N, C or 2C, V), `d_s` (N, C', V) of map terms.

    With q = dL/ds, and h and h' of the logarithms of s and of 1 - s, it is s (1 - s) q + h (1 - s) - h' s. The part of
    the formulas in h and h' is added to them.
    """
    sample = tl.program_id(1).to(tl.int64)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    voxel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z, g, w, kept = region_tile(logits, truth, weight, sample, row, voxel, classes, voxels, SOFT, DTYPE)
    s, rest = sigmoid(z), sigmoid(-z)
    q = through_columns(
        s, g, a, maps, firsts, d_s, first, sample, row, classes, voxel, kept, TABLE, SQUARES, SOFT, DTYPE
    )
    d_z = q * w * s * rest
    if h is not None:
        of_s = load(h, sample, row, voxel, kept, DTYPE)
        if SOFT:
            d_z += of_s * rest - load(h, sample, row + classes, voxel, kept, DTYPE) * s
        else:
            d_z += of_s * tl.where(g, rest, -s)
    if powers is not None:
        u, p, m = log_sigmoid(tl.where(g, z, -z)), tl.where(g, s, rest), tl.where(g, rest, s)
        slope = formula_slope(u, p, m, true_state(row, g), powers, sample, row, voxel, kept, KINDS, DTYPE)
        d_z += slope * w * tl.where(g, m, -m)
    store(gradient, sample, row, voxel, d_z, kept)

"""The parts that the Triton kernels of both links share: operands, the columns of sums, and their gradients.

A program holds tiles of ROWS classes and BLOCK voxels. An operand is a tensor (N, C, V) with its three strides; a
stride of 0 gives all classes the same numbers.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,assignment"
# ruff: noqa: RUF005 - Triton's compiler adds tuples, but knows no starred ones

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

Operand = tuple[Tensor, int, int, int]

MOST_ROWS = 32
"""Classes of a tile; more of them are read in blocks of this size."""


@dataclass(frozen=True)
class Tile:
    """The size of a tile, how many of them a program adds up, and the warps that share it."""

    rows: int
    voxels: int
    blocks: int
    warps: int


def tile(classes: int, *, sigmoid: bool, numbers: int = 4) -> Tile:
    """Return the tile for a number of classes, with this many `numbers` for each thread.

    So few numbers leave enough registers for half of a multiprocessor's warps, or more, to work at the same time.
    """
    rows = min(triton.next_power_of_2(classes), MOST_ROWS)
    if classes > rows and not sigmoid:
        # The sums of every class are written after one block of voxels, which is therefore large.
        return Tile(rows, 64, 1, 16)
    voxels = min(128, 128 * numbers // rows)
    return Tile(rows, voxels, 32 // numbers, 4)


def operand(x: Tensor) -> Operand:
    """Return x (N, C or 1, V) with its strides, copied where a sample spans more than 32 bits can count."""
    x = x.view(torch.uint8) if x.dtype == torch.bool else x
    if sum((size - 1) * stride for size, stride in zip(x.shape[1:], x.stride()[1:], strict=True)) >= 1 << 31:
        x = x.contiguous()
    return x, x.stride(0), x.stride(1) if x.shape[1] > 1 else 0, x.stride(2)


@triton.jit
def load(x, sample, row, voxel, kept, DTYPE: tl.constexpr):
    """Return the tile of an operand, 0 where it is not kept."""
    place = row[:, None] * x[2] + voxel[None, :] * x[3]
    return tl.load(x[0] + sample * x[1] + place, mask=kept, other=0).to(DTYPE)


@triton.jit
def load_row(x, sample, voxel, kept):
    """Return the one row of an operand (N, 1, V), 0 where it is not kept."""
    return tl.load(x[0] + sample * x[1] + voxel * x[3], mask=kept, other=0)


@triton.jit
def store(x, sample, row, voxel, values, kept):
    """Write the kept numbers of a tile to an operand, in its dtype."""
    place = row[:, None] * x[2] + voxel[None, :] * x[3]
    tl.store(x[0] + sample * x[1] + place, values.to(x[0].dtype.element_ty), mask=kept)


@triton.jit
def log1p(y):
    """Return ln(1 + y) with the digits of a small y: the rounding of 1 + y is undone by the ratio."""
    rounded = (1.0 + y) - 1.0
    return tl.where(rounded > 0, tl.log(1.0 + y) * (y / tl.where(rounded > 0, rounded, 1.0)), y)


@triton.jit
def of_truth(g, x, SOFT: tl.constexpr):
    """Return g x; a hard truth is a boolean."""
    return g * x if SOFT else tl.where(g, x, 0.0)


@triton.jit
def of_others(g, x, SOFT: tl.constexpr):
    """Return (1 - g) x."""
    return (1.0 - g) * x if SOFT else tl.where(g, 0.0, x)


@triton.jit
def columns(
    s,
    g,
    w,
    maps,
    firsts: tl.constexpr,
    sample,
    row,
    voxel,
    kept,
    TABLE: tl.constexpr,
    SQUARES: tl.constexpr,
    SOFT: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Return the tiles that are added up: those of `plain.summed_values`, then g, s m and g m of each map m."""
    out = ()
    if TABLE:
        if SOFT:
            both = tl.minimum(s, g)
            out = out + ((s - both) * w, both * w)
        else:
            out = out + (of_others(g, s * w, SOFT), of_truth(g, s * w, SOFT))
        if SQUARES:
            out = out + (of_others(g, s * s * w, SOFT), of_truth(g, s * s * w, SOFT))
        if SQUARES and SOFT:
            out = out + (g * s * w, g * g * w)
    out = out + (of_truth(g, w, SOFT),)
    for k in tl.static_range(len(maps)):
        m = w * load(maps[k], sample, row, voxel, kept & (row[:, None] >= firsts[k]), DTYPE)
        out = out + (s * m, of_truth(g, m, SOFT))
    return out


@triton.jit
def through_columns(
    s,
    g,
    a,
    maps,
    firsts: tl.constexpr,
    d_s,
    first: tl.constexpr,
    sample,
    row,
    classes,
    voxel,
    kept,
    TABLE: tl.constexpr,
    SQUARES: tl.constexpr,
    SOFT: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Return dL/ds, before weights, given the gradients a (N, C, columns + maps) of the columns and of the maps.

    `d_s` (N, C', V) is what further formulas add for the classes from `first` on, or None.

    Never a difference of the gradients of true and of false voxels: of a class that fills a sample one is 1 / smooth
    times the other.
    """
    within = row < classes
    q = tl.zeros_like(s)
    if TABLE:
        of_false = column(a, sample, row, 0, within)
        of_true = column(a, sample, row, 1, within)
        if SOFT:
            q += tl.where(s <= g, of_true, of_false)
        else:
            q += tl.where(g, of_true, of_false)
        if SQUARES:
            of_false = column(a, sample, row, 2, within)
            of_true = column(a, sample, row, 3, within)
            if SOFT:
                q += 2.0 * s * (g * of_true + (1.0 - g) * of_false) + g * column(a, sample, row, 4, within)
            else:
                q += 2.0 * s * tl.where(g, of_true, of_false)
    for k in tl.static_range(len(maps)):
        m = load(maps[k], sample, row, voxel, kept & (row[:, None] >= firsts[k]), DTYPE)
        q += m * column(a, sample, row, a[2] - len(maps) + k, within)
    if d_s is not None:
        q += load(d_s, sample, row - first, voxel, kept & (row[:, None] >= first), DTYPE)
    return q


@triton.jit
def column(a, sample, row, k, within):
    """Return one column (ROWS, 1) of the gradients a: its pointer, the strides of samples, and the columns."""
    return tl.load(a[0] + sample * a[1] + row * a[2] + k, mask=within, other=0.0)[:, None]


@triton.jit
def empty_sums(ROWS: tl.constexpr, COLUMNS: tl.constexpr, DTYPE: tl.constexpr):
    out = ()
    for _ in tl.static_range(COLUMNS):
        out = out + (tl.zeros((ROWS,), DTYPE),)
    return out


@triton.jit
def add_sums(sums, tiles):
    """Return the sums (ROWS,) with those of the tiles along their voxels."""
    out = ()
    for k in tl.static_range(len(sums)):
        out = out + (sums[k] + tl.sum(tiles[k], axis=1),)
    return out


@triton.jit
def add_weighted(sums, tiles, w):
    """Return the sums (ROWS,) with those of the tiles times w."""
    out = ()
    for k in tl.static_range(len(sums)):
        out = out + (sums[k] + tl.sum(tiles[k] * w, axis=1),)
    return out


@triton.jit
def store_sums(partial, sums, sample, row, classes):
    """Write the sums of a program to its rows of partial (N, programs, C, columns)."""
    place = ((sample * tl.num_programs(0) + tl.program_id(0)) * classes + row) * len(sums)
    for k in tl.static_range(len(sums)):
        tl.store(partial + place + k, sums[k], mask=row < classes)

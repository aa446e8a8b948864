"""The launches of the kernels: their operands, outputs and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lossodyssey.kernels.fused.primitives import count_of, numbers_for, operands, through
from lossodyssey.kernels.fused.sigmoid import read_sigmoid, write_sigmoid
from lossodyssey.kernels.fused.slices import Part
from lossodyssey.kernels.fused.softmax import read_softmax, write_softmax
from lossodyssey.kernels.fused.tiles import Tile, operand, tile
from lossodyssey.kernels.request import Request, Truth, accumulator, compute_dtype

SPAN = 1 << 31
"""The number of logits of one sample from which on the kernels cannot count them."""
REGISTERS = 64
"""The most registers of a thread: with them half of the warps of a multiprocessor have work at the same time."""


@dataclass(frozen=True)
class Upstream:
    """The gradients `a` (N, C, K) of table and maps, of `terms` (T,), `h` (N, E, V) of log_p, `d_s` of map terms."""

    a: Tensor
    terms: Tensor
    h: Tensor | None
    d_s: Tensor | None


def read(part: Part, *, sums: bool = True) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return the columns (N, C, K) of the table, g and maps, the terms that the kernels know, log_p (N, E, V), and s.

    s (N, C', V) is there for map terms. Without `sums` there are no columns but g, and no terms.
    """
    logits, truth, request = part.logits, part.truth, part.request
    samples, classes, voxels = logits.shape
    summed, powers = (request, part.powers) if sums else (Request(), None)
    size = tile(classes, sigmoid=truth.sigmoid, numbers=numbers_for(powers))
    columns = columns_of(truth, summed)
    programs = triton.cdiv(voxels, size.voxels * size.blocks)
    own: dict[str, Any] = {"dtype": compute_dtype(logits), "device": logits.device}
    partial = torch.empty((samples, programs, classes, columns), **own)
    terms = torch.empty((samples, programs, classes if truth.sigmoid else 1, count_of(powers)), **own)
    rows = elements_of(truth, classes) if request.log_p or request.voxel_terms else 0
    log_p = torch.empty((samples, rows, voxels), **own)
    s = torch.empty((samples, classes - request.first, voxels), **own) if request.map_terms else None
    if partial.numel():
        kernel = read_sigmoid if truth.sigmoid else read_softmax
        kernel[_grid(programs, samples, classes, size, truth)](
            operand(logits),
            partial=partial,
            log_p=operand(log_p) if rows else None,
            probability=None if s is None else operand(s),
            terms=terms,
            first=request.first,
            COLUMNS=columns,
            BLOCKS=size.blocks,
            **operands(powers, None if powers is None else powers.factors, logits),
            **_common(logits, truth, summed, size),
        )
    wide = accumulator(logits)
    return partial.sum(1, dtype=wide), terms.sum((0, 1, 2), dtype=wide), log_p, s


def write(part: Part, upstream: Upstream, gradient: Tensor) -> None:
    """Write dL/dz."""
    logits, truth, request, powers = part.logits, part.truth, part.request, part.powers
    samples, classes, voxels = logits.shape
    size = tile(classes, sigmoid=truth.sigmoid, numbers=numbers_for(powers))
    a = upstream.a.to(compute_dtype(logits)).contiguous()
    if logits.numel():
        kernel = write_sigmoid if truth.sigmoid else write_softmax
        kernel[_grid(triton.cdiv(voxels, size.voxels), samples, classes, size, truth)](
            operand(logits),
            gradient=operand(gradient),
            a=(a, a.stride(0), a.stride(1)),
            h=None if upstream.h is None else operand(upstream.h),
            d_s=None if upstream.d_s is None else operand(upstream.d_s),
            first=request.first,
            **operands(powers, None if powers is None else through(powers, upstream.terms), logits),
            **_common(logits, truth, request, size),
        )


def _grid(programs: int, samples: int, classes: int, size: Tile, truth: Truth) -> tuple[int, int, int]:
    return programs, samples, triton.cdiv(classes, size.rows) if truth.sigmoid else 1


def elements_of(truth: Truth, classes: int) -> int:
    """Return E: the log-probabilities of a voxel."""
    if not truth.sigmoid:
        return classes if truth.soft else 1
    return 2 * classes if truth.soft else classes


def columns_of(truth: Truth, request: Request) -> int:
    table = request.columns + (2 if request.table and request.squares and truth.soft else 0)
    return table + 1 + 2 * len(request.map_sums)


def _common(logits: Tensor, truth: Truth, request: Request, size: Tile) -> dict[str, Any]:
    given = truth.labels[:, None] if truth.labels is not None else truth.regions
    assert given is not None
    classes, wide = logits.shape[1], compute_dtype(logits) == torch.float64
    return {
        "truth": operand(given),
        "weight": None if truth.weight is None else operand(truth.weight),
        "maps": tuple(operand(term.map) for term in request.map_sums),
        "firsts": tuple(term.first for term in request.map_sums),
        "classes": classes,
        "voxels": logits.shape[2],
        "ignore": 0 if truth.ignore is None else truth.ignore,
        "IGNORES": truth.ignore is not None,
        "SOFT": truth.soft,
        "TABLE": request.table,
        "SQUARES": request.table and request.squares,
        "ROWS": size.rows,
        "BLOCK": size.voxels,
        "ONE": classes <= size.rows,
        "DTYPE": tl.float64 if wide else tl.float32,
        "num_warps": size.warps,
        # The addresses of maps need more, and so does float64, which is for checks.
        "maxnreg": None if wide or request.map_sums or classes > size.rows else REGISTERS,
    }

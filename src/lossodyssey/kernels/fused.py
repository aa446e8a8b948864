"""The pass as two Triton kernels: one reads the logits, one reads them again and writes the gradient.

For integer labels under softmax, without map terms or sums under maps; other requests go to the pass in chunks. A
program takes all classes of a block of voxels into registers. Sums are kept in float32 over few blocks and added in
float64, always in the same order. Voxel formulas run in PyTorch on the log-probability of the true class, one value per
voxel.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lossodyssey.kernels import chunked, plain
from lossodyssey.kernels.plain import known_labels, voxel_weight
from lossodyssey.kernels.request import Request, Statistics, Truth, accumulator, compute_dtype
from lossodyssey.kernels.terms import gradient_of

TILE = 8192
"""Logits that a program holds at once."""
BLOCKS = 8
"""Blocks of voxels that a program adds up."""


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute what `request` asks of logits (N, C, V) and a hard truth."""
    if truth.labels is None or request.map_terms or request.map_sums:
        return chunked.run_pass(logits, truth, request)
    sums, terms, log_p, truths = _Pass.apply(logits.contiguous(), truth, request)  # type: ignore[no-untyped-call]
    voxels, none = truths.sum(1, keepdim=True), truths.new_zeros((*truths.shape, 0))
    return Statistics(sums, truths, voxels, none, none, terms, log_p if request.log_p else None)


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request = truth, request
        table, log_p = _read(logits, truth, with_log_p=request.log_p or bool(request.voxel_terms))
        values = _voxel_values(log_p, truth, request)
        weight = voxel_weight(truth, log_p.dtype)
        terms = [(x if weight is None else x * weight).sum(dtype=accumulator(logits)) for x in values]
        truths = table[:, :, 4].clone()
        ctx.mark_non_differentiable(truths)
        return (
            table[:, :, : request.columns].clone(),
            torch.stack(terms) if terms else table.new_zeros(0),
            log_p,
            truths,
        )

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request = ctx.truth, ctx.request
        if torch.is_grad_enabled():
            upstream = (d_sums, d_sums.new_zeros((*d_sums.shape[:2], 0)), d_terms, d_log_p)
            return plain.backward(logits, truth, request, upstream), None, None
        h = _d_log_p(logits, truth, request, d_terms)
        if request.log_p:
            weight = voxel_weight(truth, d_log_p.dtype)
            direct = (d_log_p if weight is None else torch.where(weight > 0, d_log_p, 0))[:, 0]
            h = direct if h is None else h + direct
        return _write(logits, truth, request, d_sums, h), None, None


def _voxel_values(log_p: Tensor, truth: Truth, request: Request) -> list[Tensor]:
    if not request.voxel_terms:
        return []
    assert truth.labels is not None
    labels = known_labels(truth.labels, truth.ignore)[:, None]
    return [term.formula(log_p, labels, labels, *term.maps) for term in request.voxel_terms]


def _d_log_p(logits: Tensor, truth: Truth, request: Request, d_terms: Tensor) -> Tensor | None:
    """Return dL/d(log_p) (N, V) through the voxel formulas; log_p is read again rather than kept."""
    if not request.voxel_terms:
        return None
    log_p = _read(logits, truth, with_log_p=True)[1]
    with torch.enable_grad():
        values = _voxel_values(log_p.requires_grad_(), truth, request)
    weight = voxel_weight(truth, log_p.dtype)
    weight = torch.ones_like(log_p[:, :, :1]) if weight is None else weight
    seeds = [(weight * d.to(log_p.dtype)).expand_as(x) for d, x in zip(d_terms, values, strict=True)]
    return gradient_of(values, log_p, seeds)[:, 0]


def _sizes(classes: int) -> tuple[int, int]:
    """Return the classes rounded up to a power of two, and the voxels of a block."""
    rows = triton.next_power_of_2(classes)
    return rows, max(16, TILE // rows)


def _common(logits: Tensor, truth: Truth) -> dict[str, Any]:
    _, classes, voxels = logits.shape
    rows, block = _sizes(classes)
    wide = compute_dtype(logits) == torch.float64
    return {
        "labels": truth.labels.contiguous() if truth.labels is not None else None,
        "weight": None if truth.weight is None else truth.weight.to(compute_dtype(logits)).contiguous(),
        "classes": classes,
        "voxels": voxels,
        "ignore": 0 if truth.ignore is None else truth.ignore,
        "IGNORES": truth.ignore is not None,
        "ROWS": rows,
        "BLOCK": block,
        "DTYPE": tl.float64 if wide else tl.float32,
    }


def _read(logits: Tensor, truth: Truth, with_log_p: bool) -> tuple[Tensor, Tensor]:
    """Return the sums (N, C, 5) of (1 - g) s, g s, (1 - g) s^2, g s^2 and g, log_p (N, 1, V) or empty."""
    samples, classes, voxels = logits.shape
    common = _common(logits, truth)
    programs = triton.cdiv(voxels, common["BLOCK"] * BLOCKS)
    partial = torch.empty((samples, programs, classes, 5), dtype=compute_dtype(logits), device=logits.device)
    log_p = torch.empty((samples, 1, voxels if with_log_p else 0), dtype=partial.dtype, device=logits.device)
    _read_kernel[(programs, samples)](
        logits, partial=partial, log_p=log_p, WITH_LOG_P=with_log_p, BLOCKS=BLOCKS, **common
    )
    return partial.sum(1, dtype=accumulator(logits)), log_p


def _write(logits: Tensor, truth: Truth, request: Request, d_sums: Tensor, h: Tensor | None) -> Tensor:
    samples, classes, voxels = logits.shape
    common, gradient = _common(logits, truth), torch.empty_like(logits)
    table = torch.zeros((samples, classes, 4), dtype=compute_dtype(logits), device=logits.device)
    table[:, :, : d_sums.shape[2]] = d_sums
    h = None if h is None else h.contiguous()
    _write_kernel[(triton.cdiv(voxels, common["BLOCK"]), samples)](
        logits, gradient=gradient, table=table, h=h, **common
    )
    return gradient


@triton.jit
def _tile(
    logits,
    labels,
    weight,
    voxel,
    sample,
    classes,
    voxels,
    ignore,
    IGNORES: tl.constexpr,
    ROWS: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Return probabilities and truth (ROWS, BLOCK), the voxels' weights and the log-probability of their true class."""
    row = tl.arange(0, ROWS)
    inside = voxel < voxels
    place = sample * classes * voxels + row[:, None].to(tl.int64) * voxels + voxel[None, :]
    kept = (row[:, None] < classes) & inside[None, :]
    z = tl.load(logits + place, mask=kept, other=-float("inf")).to(DTYPE)
    z = tl.where(inside[None, :], z, 0.0)
    label = tl.load(labels + sample * voxels + voxel, mask=inside, other=0).to(tl.int64)
    if weight is None:
        w = inside.to(DTYPE)
    else:
        w = tl.load(weight + sample * voxels + voxel, mask=inside, other=0).to(DTYPE)
    if IGNORES:
        w = tl.where(label == ignore, 0.0, w)
        label = tl.where(label == ignore, 0, label)
    z = tl.where((w > 0)[None, :] | (row[:, None] >= classes), z, 0.0)
    z = z - tl.max(z, axis=0)[None, :]
    e = tl.exp(z)
    g = row[:, None] == label[None, :]
    own, others = tl.sum(tl.where(g, e, 0.0), axis=0), tl.sum(tl.where(g, 0.0, e), axis=0)
    t = own + others
    # ln(1 + y) of a confident voxel, whose p is rounded to 1: the rounding of 1 + y is undone by the ratio.
    y = others / tl.where(own > others, own, 1.0)
    rounded = (1.0 + y) - 1.0
    near = tl.where(rounded > 0, tl.log(1.0 + y) * (y / tl.where(rounded > 0, rounded, 1.0)), y)
    log_p = tl.where(own > others, -near, tl.sum(tl.where(g, z, 0.0), axis=0) - tl.log(t))
    return e / t[None, :], g, w, log_p


@triton.jit
def _read_kernel(
    logits,
    labels,
    weight,
    partial,
    log_p,
    classes,
    voxels,
    ignore,
    IGNORES: tl.constexpr,
    WITH_LOG_P: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCKS: tl.constexpr,
    DTYPE: tl.constexpr,
):
    sample = tl.program_id(1).to(tl.int64)
    row = tl.arange(0, ROWS)
    sum_s = tl.zeros((ROWS,), DTYPE)
    sum_gs = tl.zeros((ROWS,), DTYPE)
    sum_s2 = tl.zeros((ROWS,), DTYPE)
    sum_gs2 = tl.zeros((ROWS,), DTYPE)
    sum_g = tl.zeros((ROWS,), DTYPE)
    for k in range(BLOCKS):
        voxel = (tl.program_id(0).to(tl.int64) * BLOCKS + k) * BLOCK + tl.arange(0, BLOCK)
        s, g, w, u = _tile(logits, labels, weight, voxel, sample, classes, voxels, ignore, IGNORES, ROWS, DTYPE)
        ws = s * w[None, :]
        sum_s += tl.sum(tl.where(g, 0.0, ws), axis=1)
        sum_gs += tl.sum(tl.where(g, ws, 0.0), axis=1)
        sum_s2 += tl.sum(tl.where(g, 0.0, ws * s), axis=1)
        sum_gs2 += tl.sum(tl.where(g, ws * s, 0.0), axis=1)
        sum_g += tl.sum(tl.where(g, w[None, :], 0.0), axis=1)
        if WITH_LOG_P:
            tl.store(log_p + sample * voxels + voxel, u, mask=voxel < voxels)
    place = ((sample * tl.num_programs(0) + tl.program_id(0)) * classes + row) * 5
    kept = row < classes
    tl.store(partial + place, sum_s, mask=kept)
    tl.store(partial + place + 1, sum_gs, mask=kept)
    tl.store(partial + place + 2, sum_s2, mask=kept)
    tl.store(partial + place + 3, sum_gs2, mask=kept)
    tl.store(partial + place + 4, sum_g, mask=kept)


@triton.jit
def _write_kernel(
    logits,
    labels,
    weight,
    gradient,
    table,
    h,
    classes,
    voxels,
    ignore,
    IGNORES: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    DTYPE: tl.constexpr,
):
    sample = tl.program_id(1).to(tl.int64)
    voxel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = tl.arange(0, ROWS)
    s, g, w, _ = _tile(logits, labels, weight, voxel, sample, classes, voxels, ignore, IGNORES, ROWS, DTYPE)
    a = table + (sample * classes + row) * 4
    kept = row < classes
    of_false = tl.load(a, mask=kept, other=0)[:, None] + 2 * tl.load(a + 2, mask=kept, other=0)[:, None] * s
    of_true = tl.load(a + 1, mask=kept, other=0)[:, None] + 2 * tl.load(a + 3, mask=kept, other=0)[:, None] * s
    # Never a difference of both: of a class that fills a sample one is 1 / smooth times the other.
    q = tl.where(g, of_true, of_false) * w[None, :]
    d_z = s * (q - tl.sum(s * q, axis=0)[None, :])
    if h is not None:
        d_log_p = tl.load(h + sample * voxels + voxel, mask=voxel < voxels, other=0)
        missed = tl.sum(tl.where(g, 0.0, s), axis=0)
        d_z += d_log_p[None, :] * tl.where(g, missed[None, :], -s)
    place = sample * classes * voxels + row[:, None].to(tl.int64) * voxels + voxel[None, :]
    inside = kept[:, None] & (voxel < voxels)[None, :]
    tl.store(gradient + place, d_z.to(gradient.dtype.element_ty), mask=inside)

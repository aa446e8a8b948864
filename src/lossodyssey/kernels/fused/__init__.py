"""The pass as Triton kernels: one reads the logits, one reads them again and writes the gradient.

For softmax and sigmoid, hard and soft truths, with sums under maps. The kernels hold neither a one-hot truth nor a
softmax in memory. Sums are kept in float32 over few blocks of voxels and added in float64, always in the same order.
Voxel formulas that are sums of powers run in the kernels. Others, and those of soft truths, run in PyTorch on the
log-probability of the truth, and map formulas on the probabilities of one sample at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import chunked, plain
from lossodyssey.kernels.fused.formulas import Formulas
from lossodyssey.kernels.fused.launch import SPAN, Upstream, read, write
from lossodyssey.kernels.fused.slices import slices, split
from lossodyssey.kernels.request import Request, Statistics, Truth, accumulator


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute the statistics that `request` asks of logits (N, C, V)."""
    if logits.numel() and logits[0].numel() >= SPAN:
        return plain.run_pass(logits, truth, request) if truth.soft else chunked.run_pass(logits, truth, request)
    found = _Pass.apply(logits.contiguous(), truth, request)  # type: ignore[no-untyped-call]
    sums, map_sums, terms, log_p, truths, map_truths = found
    return Statistics(
        sums, truths, _voxels(logits, truth, truths), map_sums, map_truths, terms, log_p if request.log_p else None
    )


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request = truth, request
        tables, terms, log_p = [], [], []
        for part in slices(logits, truth, request):
            table, known, own_log_p, s = read(part)
            formulas = Formulas(part.logits, part.truth, part.request)
            tables.append(table)
            terms.append(torch.cat([known, formulas.sums(own_log_p, s)]))
            log_p.append(formulas.expected(own_log_p))

        table = torch.cat(tables)
        # The columns: those of `Statistics.sums`, then g, then s and g under each map.
        at = table.shape[2] - 2 * len(request.map_sums) - 1
        sums, truths = table[:, :, :at].clone(), table[:, :, at].clone()
        map_sums, map_truths = table[:, :, at + 1 :: 2].clone(), table[:, :, at + 2 :: 2].clone()
        ctx.mark_non_differentiable(truths, map_truths)
        return sums, map_sums, torch.stack(terms).sum(0), torch.cat(log_p), truths, map_truths

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_map_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request = ctx.truth, ctx.request
        if torch.is_grad_enabled():
            # A second derivative is wanted: the plain pass gives a gradient that autograd can follow.
            upstream = (d_sums, d_map_sums, d_terms, d_log_p)
            return plain.backward(logits, truth, request, upstream), None, None
        gradient = torch.empty_like(logits)
        for part in slices(logits, truth, request):
            formulas = Formulas(part.logits, part.truth, part.request)
            log_p: Tensor | None = None
            s: Tensor | None = None
            if part.request.voxel_terms or part.request.map_terms:
                # Read again rather than kept: a loss holds nothing of the logits' size.
                log_p, s = read(part, sums=False)[2:]
            of_known, of_others = split(d_terms, part.powers)
            h = formulas.d_log_p(log_p, of_others, d_log_p[part.where])
            d_s = formulas.d_s(s, of_others)
            a = torch.cat([d_sums[part.where], d_map_sums[part.where]], 2)
            write(part, Upstream(a, of_known, h, d_s), gradient[part.where])
        return gradient, None, None


def _voxels(logits: Tensor, truth: Truth, truths: Tensor) -> Tensor:
    """Return the sums of the weights (N, 1 or C)."""
    if truth.labels is not None:
        # Every voxel that counts has one true class.
        return truths.sum(1, keepdim=True)
    if truth.weight is None:
        return truths.new_full((len(logits), 1), logits.shape[2])
    return truth.weight.sum(2, dtype=accumulator(logits))

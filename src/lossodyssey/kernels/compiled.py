"""The pass in compiled code: one call for the whole batch, forward and backward.

It needs every voxel formula as a sum of powers, no map formulas, and float32. Else the pass works in chunks as in
`chunked`, and PyTorch evaluates the formulas between calls. float64 and other devices use `chunked`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked, compiled_chunks, compiled_soft, plain
from lossodyssey.kernels.job import Job, exclusive_truth, powers_of, regions_truth
from lossodyssey.kernels.powers import Table
from lossodyssey.kernels.request import Request, Statistics, Truth


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute the statistics that `request` asks of logits (N, C, V)."""
    if truth.soft:
        return _soft(logits, truth, request)
    if not fits(logits):
        return chunked.run_pass(logits, truth, request)
    powers = powers_of(request, truth, logits.shape[1]) if _readable(logits, truth, request) else None
    if powers is None:
        return chunked.run_pass(logits, truth, request, compiled_chunks.method(truth))
    found = _Pass.apply(logits, truth, request, powers)  # type: ignore[no-untyped-call]
    sums, map_sums, terms, log_p, truths, map_truths, voxels = found
    return Statistics(sums, truths, voxels, map_sums, map_truths, terms, log_p if request.log_p else None)


def _soft(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    if fits(logits):
        return compiled_soft.run_pass(logits, truth, request)
    return plain.run_pass(logits, truth, request)


def fits(logits: Tensor) -> bool:
    """Return whether there is compiled code for these logits."""
    return logits.device.type == "cpu" and logits.dtype != torch.float64 and native.serves(logits.numel())


def _readable(logits: Tensor, truth: Truth, request: Request) -> bool:
    """Return whether compiled code can read everything where it lies, and knows all formulas."""
    if request.map_terms or any(term.powers is None for term in request.voxel_terms):
        return False
    if truth.regions is not None and not (truth.regions.dtype == torch.bool and truth.regions.is_contiguous()):
        return False
    maps = [term.map for term in request.map_sums] + [m for term in request.voxel_terms for m in term.maps]
    return all(x.dtype == torch.float32 and x.stride(2) == 1 and x.numel() for x in (logits, *maps))


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request, powers: Table) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request, ctx.powers = truth, request, powers
        (samples, classes, voxels), maps = logits.shape, len(request.map_sums)
        elements = classes if truth.sigmoid else 1
        log_p = logits.new_empty((samples, elements, voxels) if request.log_p else 0)
        table = _job(logits, truth, request, powers).sums(None, log_p if request.log_p else None)

        truths, under_s, under_g = table[:, :, 4], table[:, :, 6 : 6 + maps], table[:, :, 6 + maps : 6 + 2 * maps]
        counted = _voxels(table, truth, voxels)
        ctx.mark_non_differentiable(truths, under_g, counted)
        terms = (powers.factors * _of_powers(table, powers).sum(0)).sum((1, 2, 3))
        return table[:, :, : request.columns], under_s, terms, log_p, truths, under_g, counted

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_map_sums: Tensor, d_terms: Tensor, d_log_p: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request, powers = ctx.truth, ctx.request, ctx.powers
        if torch.is_grad_enabled():
            # A second derivative is wanted: the plain pass gives a gradient that autograd can follow.
            upstream = (d_sums, d_map_sums, d_terms, d_log_p)
            return plain.backward(logits, truth, request, upstream), None, None, None
        gradient = torch.empty(logits.shape)
        of_sums = torch.nn.functional.pad(d_sums, (0, 4 - d_sums.shape[2]))
        of_powers = torch.einsum("t,tcep->cep", d_terms, powers.factors)
        h = d_log_p.contiguous() if request.log_p else None
        _job(logits, truth, request, powers).write_gradient(gradient, torch.cat([of_sums, d_map_sums], 2), of_powers, h)
        return gradient, None, None, None


def _job(logits: Tensor, truth: Truth, request: Request, powers: Table) -> Job:
    if truth.sigmoid:
        assert truth.regions is not None
        names, given = ("lo_sigmoid", "lo_sigmoid_gradient"), regions_truth(truth.regions, truth.weight)
    else:
        assert truth.labels is not None
        names, given = ("lo_softmax", "lo_softmax_gradient"), exclusive_truth(truth.labels, truth.weight, truth.ignore)
    maps = [(term.map[:, term.first if term.map.shape[1] > 1 else 0 :], term.first) for term in request.map_sums]
    return Job(names, logits.detach(), given, maps, powers, request.squares, torch.get_num_threads())


def _voxels(table: Tensor, truth: Truth, voxels: int) -> Tensor:
    """Return the sums of the weights (N, 1 or C)."""
    if truth.weight is None and (truth.ignore is None or truth.sigmoid):
        return table.new_full((len(table), 1), voxels)
    if truth.sigmoid:
        return table[:, : truth.weight.shape[1] if truth.weight is not None else 1, 5]
    return table[:, :, 4].sum(1, keepdim=True)  # every voxel has one true class


def _of_powers(table: Tensor, powers: Table) -> Tensor:
    """Return the sums (N, C, E, P) of the powers over true voxels, and under sigmoid over false ones."""
    states, count = powers.factors.shape[2:]
    return table[:, :, table.shape[2] - 2 * count :].reshape(*table.shape[:2], 2, count)[:, :, :states]

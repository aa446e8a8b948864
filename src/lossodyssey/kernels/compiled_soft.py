"""The pass over a soft truth in compiled code: one call for the whole batch, forward and backward.

It needs every voxel formula as a sum of powers without maps, and no map, log-probability or gradient of the truth. Else
the plain pass does the work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import plain
from lossodyssey.kernels.job import ROW, Argument, powers_of, regions_truth
from lossodyssey.kernels.powers import Table
from lossodyssey.kernels.request import Request, Statistics, Truth


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute the statistics that `request` asks of logits (N, C, V) and a soft truth."""
    powers = powers_of(request, truth, logits.shape[1]) if _known(logits, truth, request) else None
    if powers is None:
        return plain.run_pass(logits, truth, request)
    sums, terms, truths, voxels = _Pass.apply(logits, truth, request, powers)  # type: ignore[no-untyped-call]
    none = sums.new_empty((*sums.shape[:2], 0))
    return Statistics(sums, truths, voxels, none, none, terms, None)


def _known(logits: Tensor, truth: Truth, request: Request) -> bool:
    """Return whether compiled code knows all that is asked."""
    if request.map_terms or request.map_sums or request.log_p or any(term.maps for term in request.voxel_terms):
        return False
    assert truth.regions is not None
    return not truth.regions.requires_grad and logits.numel() > 0


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Truth, request: Request, powers: Table) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits)
        ctx.truth, ctx.request, ctx.powers = truth, request, powers
        samples, classes, voxels = logits.shape
        threads = native.number_of_threads(logits.numel(), torch.get_num_threads())
        count = len(powers.powers)
        tables = torch.zeros((threads, samples, classes, 8 + 2 * count), dtype=torch.float64)
        native.call("lo_soft", *_given(logits, truth, request, powers), tables, *_room(classes, threads))

        table = tables.sum(0)
        of_powers = table[:, :, 8:].reshape(samples, classes, 2, count).sum(0)[:, : powers.factors.shape[2]]
        terms = (powers.factors * of_powers).sum((1, 2, 3))
        counted = table.new_full((samples, 1), voxels)
        if truth.weight is not None:
            counted = table[:, : truth.weight.shape[1], 5]
        columns = [0, 1, 2, 3, 6, 7] if request.squares else [0, 1]
        ctx.mark_non_differentiable(truths := table[:, :, 4], counted)
        return table[:, :, columns if request.table else []], terms, truths, counted

    @staticmethod
    def backward(ctx: Any, d_sums: Tensor, d_terms: Tensor, *_: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        truth, request, powers = ctx.truth, ctx.request, ctx.powers
        if torch.is_grad_enabled():
            # A second derivative is wanted: the plain pass gives a gradient that autograd can follow.
            return plain.backward(logits, truth, request, (d_sums, d_sums.new_empty(0), d_terms)), None, None, None
        gradient = torch.empty(logits.shape)
        a = torch.nn.functional.pad(d_sums, (0, 6 - d_sums.shape[2])).float().contiguous()
        of_powers = torch.einsum("t,tcep->cep", d_terms, powers.factors)
        of_powers = torch.nn.functional.pad(of_powers, (0, 0, 0, 2 - of_powers.shape[1])).float().contiguous()
        threads = native.number_of_threads(logits.numel(), torch.get_num_threads())
        out = (gradient, gradient.stride(0), gradient.stride(1))
        given = _given(logits, truth, request, powers)
        native.call("lo_soft_gradient", *given, a, of_powers, *out, *_room(logits.shape[1], threads))
        return gradient.to(logits.dtype), None, None, None


def _given(logits: Tensor, truth: Truth, request: Request, powers: Table) -> tuple[Argument, ...]:
    assert truth.regions is not None
    z = logits.detach().float()
    z = z if z.stride(2) == 1 else z.contiguous()
    shares = regions_truth(truth.regions.float(), truth.weight)
    asked = (powers.numbers, len(powers.powers), int(truth.sigmoid), int(request.squares))
    return (z, z.stride(0), z.stride(1), *z.shape, *shares, *asked)


def _room(classes: int, threads: int) -> tuple[Tensor, int]:
    return torch.empty(threads * 2 * classes * ROW), threads

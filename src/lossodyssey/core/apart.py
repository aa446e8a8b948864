"""Formulas of the grid whose samples and classes do not see one another, evaluated on one of them after another.

The gradient is computed along with the value, while the tensors of one sample and class are still in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossodyssey.kernels import transformed

Formula = Callable[..., Tensor]
"""Grids by name, of which s (N, C, *S) alone carries a gradient -> values (N, C)."""


def values_apart(formula: Formula, grids: dict[str, Any]) -> Tensor:
    """Return the values (N, C) of a formula."""
    if transformed():
        return formula(**grids)
    others = {name: grid for name, grid in grids.items() if name != "s"}
    values: Tensor = _Apart.apply(grids["s"], formula, others)  # type: ignore[no-untyped-call]
    return values


class _Apart(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, formula: Formula, others: dict[str, Any]) -> Tensor:
        gradient = torch.empty_like(s) if ctx.needs_input_grad[0] else None
        ctx.save_for_backward(s, gradient)
        ctx.formula, ctx.others = formula, others
        rows = [[_one(s, formula, others, gradient, n, c) for c in range(s.shape[1])] for n in range(len(s))]
        return torch.stack([torch.stack(row) for row in rows])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        s, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():
            # A second derivative follows from the formula on whole tensors.
            values = ctx.formula(s=s, **ctx.others)
            return torch.autograd.grad(values, s, upstream, create_graph=True)[0], None, None
        return gradient * upstream.to(s.dtype).reshape(*upstream.shape, *(1 for _ in s.shape[2:])), None, None


def _one(s: Tensor, formula: Formula, others: dict[str, Any], gradient: Tensor | None, n: int, c: int) -> Tensor:
    """Return the value of one sample and class, and write its gradient where one is wanted."""
    grids = {name: _of_one(grid, n, c) for name, grid in others.items()}
    with torch.set_grad_enabled(gradient is not None):
        own = s[n : n + 1, c : c + 1].detach().requires_grad_(gradient is not None)
        value = formula(s=own, **grids).reshape(())
    if gradient is not None:
        gradient[n, c] = torch.autograd.grad(value, own)[0][0, 0]
    return value.detach()


def _of_one(grid: Any, n: int, c: int) -> Any:
    """Return the part of a grid for one sample and class: (1, 1, *S), or (1, S) of a spacing."""
    if not isinstance(grid, Tensor):
        return grid
    if grid.ndim == 2:
        return grid[n : n + 1]
    return grid[n : n + 1, c : c + 1] if grid.shape[1] > 1 else grid[n : n + 1]

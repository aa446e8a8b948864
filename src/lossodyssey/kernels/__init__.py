"""One pass over the logits: the primitive under every loss.

`run_pass` returns the sums per class and the voxel terms that a whole sum of losses asks for. This module is the one
place that chooses a back end; `forced` overrides the choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels import chunked, compiled, plain
from lossodyssey.kernels.request import MapSum, MapTerm, Request, Statistics, Truth, VoxelTerm

__all__ = [
    "MapSum",
    "MapTerm",
    "Request",
    "Statistics",
    "Truth",
    "VoxelTerm",
    "compiles",
    "forced",
    "run_pass",
    "transformed",
]


def _fused(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    from lossodyssey.kernels import fused  # needs Triton, which comes with PyTorch for CUDA

    return fused.run_pass(logits, truth, request)


BACKENDS = {"plain": plain.run_pass, "chunked": chunked.run_pass, "compiled": compiled.run_pass, "fused": _fused}

SMALL = {"chunked": 1 << 18, "compiled": 1 << 13}
"""Logits up to which whole tensors cost less than going through chunks, or than a call of the compiled code."""

_forced: ContextVar[str | None] = ContextVar("backend", default=None)


@contextmanager
def forced(backend: str) -> Iterator[None]:
    """Use the back end of this name inside the block, whatever the input ("plain", "chunked", "compiled", "fused")."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}, expected one of {sorted(BACKENDS)}")
    token = _forced.set(backend)
    try:
        yield
    finally:
        _forced.reset(token)


def transformed() -> bool:
    """Return whether a compiler or a function transform is tracing: no branch on values then."""
    return torch.compiler.is_compiling() or functional()


def functional() -> bool:
    """Return whether a function transform (vmap, grad, jvp) is tracing: no writing to buffers then."""
    return torch._C._are_functorch_transforms_active()


def compiles(values: Tensor) -> bool:
    """Return whether compiled code can take these values: float32 on the CPU, not traced, not an array of Keras."""
    fits = isinstance(values, Tensor) and values.device.type == "cpu" and values.dtype == torch.float32
    return fits and not transformed() and native.serves(values.numel())  # what is traced has no address


def run_pass(logits: Tensor, truth: Truth, request: Request) -> Statistics:
    """Compute the statistics that `request` asks of logits (N, C, V), by the back end that fits the input."""
    with torch.autocast(logits.device.type, enabled=False):
        return BACKENDS[_choose(logits, truth)](logits, truth, request)


def _choose(logits: Tensor, truth: Truth) -> str:
    if transformed():  # first: a compiler cannot follow what comes next
        return "plain"
    if (name := _forced.get()) is None:
        by_device = "compiled" if compiled.fits(logits) else "chunked"
        name = "fused" if logits.is_cuda and has_triton() else by_device
        if logits.numel() <= SMALL.get(name, 0):
            return "plain"
    # A soft truth has no form in chunks.
    return "plain" if truth.soft and name == "chunked" else name


@cache
def has_triton() -> bool:
    """Return whether Triton is installed, as it is with PyTorch for CUDA on Linux."""
    return find_spec("triton") is not None

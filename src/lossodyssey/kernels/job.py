"""A call of the compiled pass: the logits, truth, maps and powers of some samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossodyssey import native
from lossodyssey.kernels.powers import Table, table
from lossodyssey.kernels.request import Request, Truth

ROW = 272
"""As many numbers as the compiled code keeps of a block of voxels."""
LABELS = {torch.bool: 1, torch.uint8: 1, torch.int8: -1, torch.int16: 2, torch.int32: 4, torch.int64: 8}
WEIGHTS = {torch.bool: 1, torch.float32: 4}
Argument = Tensor | int | None


@dataclass(frozen=True)
class Job:
    """A call for logits z (N, C, V) in float32, whose voxels lie side by side.

    `names` are those of the functions for the sums and for the gradient, `truth` their arguments for truth and weights.
    `maps` are those of the sums under maps, with the first class of each; `powers` those of the voxel terms.
    """

    names: tuple[str, str]
    z: Tensor
    truth: tuple[Argument, ...]
    maps: list[tuple[Tensor, int]]
    powers: Table
    squares: bool
    threads: int

    def sums(self, s: Tensor | None = None, log_p: Tensor | None = None) -> Tensor:
        """Return the sums (N, C, 6 + 2M + 2P), see `columns_of` in `native/pass.h`; write s and log_p."""
        columns = 6 + 2 * len(self.maps) + 2 * len(self.powers.powers)
        tables = torch.zeros((self.used_threads, *self.z.shape[:2], columns), dtype=torch.float64)
        native.call(self.names[0], *self._given(), tables, s, log_p, self._room(), self.used_threads)
        # One table per thread, added in the same order every time.
        return tables.sum(0)

    def write_gradient(
        self,
        out: Tensor,
        a: Tensor,
        of_powers: Tensor,
        h: Tensor | None = None,
        q: Tensor | None = None,
        first: int = 0,
    ) -> None:
        """Write dL/dz to `out` (N, C, V).

        The gradients are a (N, C, 4 + M) of the sums and of those under maps, `of_powers` (C, E, P) of the sums of
        powers, h (N, E, V) of log_p and q (N, C', V) of s, of the classes from `first` on.
        """
        through = (a.float().contiguous(), of_powers.float().contiguous(), h, q, first)
        strides = (out, out.stride(0), out.stride(1))
        native.call(self.names[1], *self._given(), *through, *strides, self._room(), self.used_threads)

    @property
    def used_threads(self) -> int:
        return native.number_of_threads(self.z.numel(), self.threads)

    def _given(self) -> tuple[Argument, ...]:
        z, states = self.z, self.powers.factors.shape[2]
        maps = _addresses(self.maps, len(z), z.shape[1])
        # Under softmax a voxel has one true state, under sigmoid one per channel.
        elements = z.shape[1] if states > 1 else 1
        known = [(m, 0) for m in self.powers.maps]
        power_maps = _addresses(known, len(z), elements) if any(m is not None for m, _ in known) else None
        powers = (self.powers.numbers, len(known), power_maps)
        return (z, z.stride(0), z.stride(1), *z.shape, *self.truth, maps, len(self.maps), *powers, int(self.squares))

    def _room(self) -> Tensor:
        classes, powers = self.z.shape[1], len(self.powers.powers)
        return torch.empty(self.used_threads * ((classes + powers + 1) * ROW + classes))


def _addresses(
    maps: list[tuple[Tensor, int]] | list[tuple[Tensor | None, int]], samples: int, classes: int
) -> Tensor | None:
    """Return where each sample and class (N, C, M) finds each map (N, 1 or C', V), 0 before the map's first class."""
    if not maps:
        return None
    found = torch.zeros((samples, classes, len(maps)), dtype=torch.int64)
    for k, (m, first) in enumerate(maps):
        if m is not None:
            steps = [
                torch.arange(n) * m.stride(axis) * m.element_size() for axis, n in ((0, samples), (1, classes - first))
            ]
            found[:, first:, k] = m.data_ptr() + steps[0][:, None] + (steps[1] if m.shape[1] > 1 else 0)
    return found


def exclusive_truth(labels: Tensor, weight: Tensor | None, ignore: int | None) -> tuple[Argument, ...]:
    """Return the arguments for labels (N, V) and weights (N, 1, V)."""
    labels = (labels if labels.dtype in LABELS else labels.long()).contiguous()
    kind, (weight, width) = LABELS[labels.dtype], _readable(weight)
    return (
        labels,
        kind,
        int(ignore is not None),
        ignore or 0,
        weight if weight is None else weight.contiguous(),
        width,
    )


def regions_truth(inside: Tensor, weight: Tensor | None) -> tuple[Argument, ...]:
    """Return the arguments for a truth (N, C, V) of 0 and 1 and weights (N, 1 or C, V)."""
    weight, width = _readable(weight)
    if weight is not None and weight.stride(2) != 1:
        weight = weight.contiguous()
    # A stride of 0 gives all channels the same weights.
    steps = (0, 0) if weight is None else (weight.stride(0), weight.stride(1) if weight.shape[1] > 1 else 0)
    return (inside.contiguous(), weight, width, *steps)


def _readable(weight: Tensor | None) -> tuple[Tensor | None, int]:
    if weight is None:
        return None, 0
    known = weight if weight.dtype in WEIGHTS else weight.float()
    return known, WEIGHTS[known.dtype]


def powers_of(request: Request, truth: Truth, classes: int) -> Table | None:
    """Return the powers of all voxel terms; None where one of them declares none."""
    channels = torch.arange(classes)[:, None]
    states = (
        (torch.tensor([[1, 0]]).expand(classes, 2), channels.expand(classes, 2)) if truth.sigmoid else (channels,) * 2
    )
    declared = []
    for term in request.voxel_terms:
        factors = None if term.powers is None else term.powers(*states)
        if factors is None:
            return None
        declared.append((factors, term.maps))
    return table(declared, classes, 2 if truth.sigmoid else 1)

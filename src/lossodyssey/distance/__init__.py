"""Exact, anisotropic, batched Euclidean distance transforms, unsigned and signed."""

from __future__ import annotations

from lossodyssey.distance.fields import Zero, edges, signed, two_sided
from lossodyssey.distance.transform import euclidean, inside

__all__ = ["Zero", "edges", "euclidean", "inside", "signed", "two_sided"]

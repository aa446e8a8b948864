"""The fingerprint of a data set: imbalance, sizes, numbers, thinness and contrast of its objects, and its grids."""

from __future__ import annotations

from lossodyssey.fingerprint.record import ClassFacts, Fingerprint, Range
from lossodyssey.fingerprint.store import stored, write
from lossodyssey.fingerprint.whole import fingerprint

__all__ = ["ClassFacts", "Fingerprint", "Range", "fingerprint", "stored", "write"]

"""Adopting a folder of images and a folder of masks as a data set, without any JSON."""

from __future__ import annotations

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.preview import Shown, preview
from lossodyssey.data.adopt.reuse import adopted, is_raw
from lossodyssey.data.adopt.understanding import Understanding, understand
from lossodyssey.data.adopt.writing import write

__all__ = ["Choices", "Shown", "Understanding", "adopted", "is_raw", "preview", "understand", "write"]

"""LossOdyssey: segmentation losses, and a benchmark that says which one to use on your data.

import lossodyssey as lo

loss = lo.Dice() + 0.5 * lo.Focal(gamma=3.0)
loss(logits, labels).backward()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lossodyssey.losses
from lossodyssey.losses.atlas import CARDS, Card, atlas, card
from lossodyssey.losses.algebra import Sum, parse
from lossodyssey.losses.criterion import Criterion
from lossodyssey.losses.loss import Loss
from lossodyssey.losses.pair import Pair
from lossodyssey.losses.schedules import Cosine, Ramp, Step, advance

__version__ = "0.1.0"

__all__ = [
    "Card",
    "Cosine",
    "Criterion",
    "Loss",
    "Pair",
    "Ramp",
    "Step",
    "Sum",
    "advance",
    "atlas",
    "card",
    "parse",
]
globals().update({name: entry.build for name, entry in CARDS.items()})

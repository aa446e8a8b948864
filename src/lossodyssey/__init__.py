"""LossOdyssey: segmentation losses, and a benchmark that says which one to use on your data.

    import lossodyssey as lo

    loss = lo.Dice() + 0.5 * lo.Focal(gamma=3.0)
    loss(logits, labels).backward()

Every loss of the atlas is a name of this module: `lo.atlas()` lists them.
"""

from __future__ import annotations

from lossodyssey.losses import *
from lossodyssey.losses.algebra import Sum, TwoPhase, parse
from lossodyssey.losses.atlas import Card, atlas, card
from lossodyssey.losses.class_weights import count_classes, inverse_frequency, with_class_weights
from lossodyssey.losses.criterion import Criterion
from lossodyssey.losses.loss import Loss
from lossodyssey.losses.maps import AddMaps, maps_for
from lossodyssey.losses.pair import Pair
from lossodyssey.losses.progress import load_schedule_state, schedule_state
from lossodyssey.losses.schedules import Cosine, Ramp, Ratio, Step, advance

__version__ = "0.1.0"

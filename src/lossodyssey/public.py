"""The public names: each of them is a name of `lossodyssey` itself."""

from __future__ import annotations

from lossodyssey.auxiliary import Auxiliary
from lossodyssey.core.atlas import Card, atlas, card
from lossodyssey.core.checks import Finding, check_loss
from lossodyssey.core.class_weights import count_classes, inverse_frequency, with_class_weights
from lossodyssey.core.context import Context
from lossodyssey.core.criterion import Criterion
from lossodyssey.core.door import load_losses
from lossodyssey.core.fields import ClassWeights, Fraction, NonNegative, Positive, Trainable
from lossodyssey.core.grids import CriticalLoss, GridLoss
from lossodyssey.core.kinds import LinearLoss, MapLoss, OverlapLoss, VoxelLoss
from lossodyssey.core.loss import Loss, Sum
from lossodyssey.core.pair import Pair
from lossodyssey.core.preparation import AddMaps, Preparation, maps_for
from lossodyssey.core.presets import preset
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.core.schedules import Cosine, FromDice, Geometric, Ramp, Ratio, Step, advance, observe
from lossodyssey.core.text import TwoPhase, parse
from lossodyssey.core.trained import trained_values
from lossodyssey.core.views import ViewLoss
from lossodyssey.losses import *
from lossodyssey.losses.structure.contacts import adjacency_from_labels, never_touching

"""Auxiliary values that losses need, made from the labels alone: distances, components, cells, skeletons, weights.

Each is one class with its parameters, filed under a name; its `key` is its definition as text. Make them after
spatial augmentation: a map that is cropped or warped along with its label is not the map of that label.
"""

from __future__ import annotations

from lossodyssey.auxiliary.auxiliary import Auxiliary
from lossodyssey.auxiliary.border_weights import BorderWeights
from lossodyssey.auxiliary.boundary_distance import BoundaryDistance
from lossodyssey.auxiliary.cells import Cells
from lossodyssey.auxiliary.class_frequency import ClassFrequency
from lossodyssey.auxiliary.closeness import Closeness
from lossodyssey.auxiliary.components import Components
from lossodyssey.auxiliary.depth import Depth
from lossodyssey.auxiliary.edge import Edge
from lossodyssey.auxiliary.edge_distance import EdgeDistance
from lossodyssey.auxiliary.inverse_size import InverseSize
from lossodyssey.auxiliary.keys import AUXILIARIES, from_key
from lossodyssey.auxiliary.normalized import Normalize
from lossodyssey.auxiliary.rectified import RectifiedMap
from lossodyssey.auxiliary.signed_distance import SignedDistance
from lossodyssey.auxiliary.signed_share import SignedShare
from lossodyssey.auxiliary.skeleton import HardSkeleton
from lossodyssey.auxiliary.soft_skeleton import SoftSkeleton
from lossodyssey.auxiliary.unsigned_distance import UnsignedDistance

__all__ = [
    "AUXILIARIES",
    "Auxiliary",
    "BorderWeights",
    "BoundaryDistance",
    "Cells",
    "ClassFrequency",
    "Closeness",
    "Components",
    "Depth",
    "Edge",
    "EdgeDistance",
    "HardSkeleton",
    "InverseSize",
    "Normalize",
    "RectifiedMap",
    "SignedDistance",
    "SignedShare",
    "SoftSkeleton",
    "UnsignedDistance",
    "from_key",
]

"""Data sets: known ones and your own, read case by case and split for a fair comparison."""

from __future__ import annotations

from lossodyssey.data.download import fetch
from lossodyssey.data.layouts import Case, Dataset, read_dataset
from lossodyssey.data.lesion_phantom import write_lesion_phantom
from lossodyssey.data.phantom import write_phantom
from lossodyssey.data.places import data_folders, find_dataset
from lossodyssey.data.splits import held_out_count, split
from lossodyssey.data.vessel_phantom import write_vessel_phantom
from lossodyssey.data.volumes import LabelMap, Volume, read_case, read_labels, write_labels

__all__ = [
    "Case",
    "Dataset",
    "LabelMap",
    "Volume",
    "data_folders",
    "fetch",
    "find_dataset",
    "held_out_count",
    "read_case",
    "read_dataset",
    "read_labels",
    "split",
    "write_labels",
    "write_lesion_phantom",
    "write_phantom",
    "write_vessel_phantom",
]

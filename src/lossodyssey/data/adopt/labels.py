"""The label map of a case, made of one mask or of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy
from numpy.typing import NDArray

from lossodyssey.data.adopt.facts import read_quietly
from lossodyssey.data.adopt.reading import Read
from lossodyssey.data.adopt.rules import Rule

Labels = NDArray[numpy.int32]


def case_labels(read: Read, rule: Rule, layers: tuple[str, ...]) -> Labels:
    """Return the labels of a case; with `layers` later classes are written over earlier ones."""
    if not layers:
        return _joined((mask.path for mask in read.masks), rule)
    labels = numpy.zeros(read.images[0].shape, numpy.int32)
    for label, mask in _layers(read, rule, layers):
        labels[mask] = label
    return labels


def overlapping(read: Read, rule: Rule, layers: tuple[str, ...]) -> int:
    """Count the pixels that several classes of a case claim."""
    claims = numpy.zeros(read.images[0].shape, numpy.int32)
    for _, mask in _layers(read, rule, layers):
        claims += mask
    return int((claims > 1).sum())


def _layers(read: Read, rule: Rule, layers: tuple[str, ...]) -> Iterable[tuple[int, NDArray[numpy.bool_]]]:
    own: Mapping[str, tuple[Path, ...]] = {name: tuple(mask.path for mask in masks) for name, masks in read.layers}
    return ((label, _joined(own[name], rule) > 0) for label, name in enumerate(layers, 1) if name in own)


def _joined(paths: Iterable[Path], rule: Rule) -> Labels:
    found = [rule.labels(read_quietly(path)[0]) for path in paths]
    whole: Labels = numpy.maximum.reduce(found)
    return whole

"""Measures of a segmentation against its truth: exact, with a unit, and undefined rather than guessed."""

from lossodyssey.metrics import bands, boundary, lesions, overlap, topology
from lossodyssey.metrics.calibration import expected_calibration_error
from lossodyssey.metrics.measure import MEASURES, Measure
from lossodyssey.metrics.score import Score, Scores, score
from lossodyssey.metrics.undefined import resolve

__all__ = [
    "MEASURES",
    "Measure",
    "Score",
    "Scores",
    "bands",
    "boundary",
    "expected_calibration_error",
    "lesions",
    "overlap",
    "resolve",
    "score",
    "topology",
]

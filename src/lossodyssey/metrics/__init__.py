"""Measures of a segmentation against its truth: exact, with a unit, and honest about what is undefined."""

from lossodyssey.metrics import boundary, overlap
from lossodyssey.metrics.measure import MEASURES, Measure
from lossodyssey.metrics.score import Score, Scores, score
from lossodyssey.metrics.undefined import resolve

__all__ = ["MEASURES", "Measure", "Score", "Scores", "boundary", "overlap", "resolve", "score"]

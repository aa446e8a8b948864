"""The measures and decodings that a comparison asks for, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from lossodyssey.core.fields import nearest
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import Division
from lossodyssey.data.grids import is_volume
from lossodyssey.metrics import score
from lossodyssey.metrics.score import parse_metrics

ARGMAX, THRESHOLD = DECODINGS = ("argmax", "threshold")
"""The class of largest probability (regions: all above 1/2), and thresholds tuned on validation cases."""


@lru_cache(maxsize=64)
def own_names(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of measures as tables have them, each once.

    Raises:
        ValueError: a measure is unknown, with the nearest, or its parameter does not fit.
    """
    return tuple(column.metric for column in parse_metrics(metrics, probabilities=True))


def are_of_probabilities(metrics: Sequence[str]) -> bool:
    """Return whether one of the measures needs more than labels."""
    return any(column.measure.of_probabilities for column in parse_metrics(metrics, probabilities=True))


def check_metrics(metrics: Sequence[str], dataset: Dataset) -> tuple[str, ...]:
    """Check the measures of a comparison by computing each once; return their names as tables have them.

    Raises:
        ValueError: there are none, one is unknown, its parameter is not valid, it cannot take the images of this data
            set, or it needs a package that is not installed.
    """
    for metric in metrics:
        if metric.endswith("@class"):
            raise ValueError(
                f"metrics: {metric} takes a tolerance for each class, which a comparison does not have; give one for "
                "all of them, such as NSD@2"
            )
    try:
        names = own_names(tuple(metrics))
    except ValueError as error:
        raise ValueError(f"metrics: {error}") from None
    if not names:
        raise ValueError("metrics: the list is empty; name measures, such as DSC, or leave metrics out")
    axes = 3 if is_volume(dataset.cases[0].images[0]) else 2
    for name in names:
        _try(name, axes)
    return names


def _try(metric: str, axes: int) -> None:
    """Compute a measure once, so that one that needs a package or other images is refused at once."""
    prediction, truth = np.zeros((2, *(8,) * axes), np.uint8)
    prediction[(slice(1, 6),) * axes] = truth[(slice(2, 7),) * axes] = 1
    try:
        score(prediction, truth, metrics=[metric], probabilities={1: prediction.astype(np.float32)})
    except ValueError as error:
        raise ValueError(f"metrics: {metric} cannot be computed on {axes}D images: {error}") from None


def check_decoding(decodings: Sequence[str], divisions: Iterable[Division]) -> None:
    """Check the decodings of a comparison.

    Raises:
        ValueError: one is unknown or occurs twice, argmax is not among them, or there are no validation cases to tune
            thresholds on.
    """
    for name in decodings:
        if name not in DECODINGS:
            raise ValueError(
                f"decoding: {name!r} is unknown{nearest(name, DECODINGS)}; known are {', '.join(DECODINGS)}"
            )
    if ARGMAX not in decodings or len(set(decodings)) < len(decodings):
        raise ValueError(
            f"decoding: found {', '.join(decodings) or 'none'}; expected {ARGMAX}, which makes the rows of a loss, and "
            f"what else its rows are to stand beside, each once: [{', '.join(DECODINGS)}]"
        )
    bare = [division for division in divisions if not division.validation] if THRESHOLD in decodings else []
    if bare:
        raise ValueError(
            f"decoding: {THRESHOLD} is tuned on validation cases, and fold {bare[0].fold} has none; ask for some "
            f"(validation: 0.2 in a plan), or leave {THRESHOLD} out"
        )


def decoded(loss: str, decoding: str) -> str:
    """Return the name of a loss in the table's rows of a decoding."""
    return loss if decoding == ARGMAX else f"{loss} [{decoding}]"


def decoding_of(name: str) -> str:
    """Return the decoding that the name of a loss in the table tells."""
    # No expression and no user's name for a loss ends in a square bracket.
    return next((each for each in DECODINGS if each != ARGMAX and name.endswith(f" [{each}]")), ARGMAX)

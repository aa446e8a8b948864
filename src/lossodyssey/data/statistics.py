"""Numbers that preprocessing takes from the training cases: their median spacing, and the grey values of CT."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.data import Case, Dataset
from lossodyssey.data.case_arrays import MOST_VOXELS, Source
from lossodyssey.data.intensity import Intensities, summarise
from lossodyssey.data.store import Store

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The facts of each case: its `spacings`, and `samples` (channels, count) of the foreground's grey values."""

    spacings: tuple[tuple[float, ...], ...]
    samples: tuple[Samples, ...]

    def median_spacing(self) -> tuple[float, ...]:
        """Return the median over the cases, axis by axis.

        Raises:
            ValueError: cases have different numbers of axes.
        """
        axes = sorted({len(spacing) for spacing in self.spacings})
        if len(axes) > 1:
            raise ValueError(f"cases have {axes} axes; expected one number of axes to resample them to one spacing")
        return tuple(float(value) for value in np.median(np.array(self.spacings), axis=0))

    def intensities(self, channels: Sequence[bool]) -> Intensities:
        """Return the range, mean and deviation of the marked channels, nothing for the others.

        Raises:
            ValueError: no case has foreground.
        """
        filled = [sample for sample in self.samples if sample.shape[1]]
        if not filled:
            raise ValueError(
                "intensity: no training case has foreground, from which the range of CT values is taken; "
                "expected intensity: case"
            )
        return tuple(summarise([each[k] for each in filled]) if marked else () for k, marked in enumerate(channels))


def gather(
    dataset: Dataset, cases: Sequence[Case], wrong: Collection[str] = (), store: Store | None = None
) -> Statistics:
    """Read `cases`, or what `store` keeps of them, and return their facts.

    Raises:
        ValueError: a case has no labels, or cannot be read.
    """
    found = [_facts(Source(dataset, case, case.name in wrong), store) for case in cases]
    return Statistics(tuple(tuple(f["spacing"].tolist()) for f in found), tuple(f["sample"] for f in found))


def _facts(source: Source, store: Store | None) -> dict[str, NDArray[Any]]:
    if store is None:
        return _measured(source)
    tensors = store.find(source.key(store, "statistics"), lambda: _measured(source))
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _measured(source: Source) -> dict[str, NDArray[Any]]:
    volume = source.volume()
    assert volume.labels is not None
    labels = [label for target in source.dataset.targets for label in target.labels]
    inside = np.isin(volume.labels, labels)
    values = np.stack([channel[inside] for channel in volume.image])
    # Cases count alike, whatever the size of their organs, as in nnU-Net.
    sample = values[:, :: 1 + values.shape[1] // MOST_VOXELS].copy()
    return {"spacing": np.array(volume.spacing, np.float64), "sample": sample}

"""Small long tables for the tests of ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lossodyssey.table import Row


def simulate(
    truth: Sequence[float],
    cases: int = 20,
    *,
    tasks: Sequence[str] = ("A",),
    metrics: Sequence[str] = ("DSC",),
    classes: Sequence[str] = ("object",),
    seeds: Sequence[int] = (0,),
    seed: int = 0,
) -> list[Row]:
    """Rows whose losses have the true means `truth`; a distance metric is one minus the share, times 20."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in tasks:
        for case in range(cases):
            shared = rng.normal(scale=0.05)
            for name in classes:
                for run in seeds:
                    for i, mean in enumerate(truth):
                        share = float(np.clip(mean + shared + rng.normal(scale=0.02), 0, 1))
                        for metric in metrics:
                            value = 20 * (1 - share) if metric.startswith("HD") else share
                            rows.append(Row(f"loss{i}", task, 0, run, f"case{case}", name, metric, value))
    return rows


@pytest.fixture
def table() -> Callable[..., list[Row]]:
    """The function `simulate`."""
    return simulate

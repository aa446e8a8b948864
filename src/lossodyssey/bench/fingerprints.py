"""Fingerprints of a study's data sets, written beside its table for the page to quote."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lossodyssey.bench.study import Study
from lossodyssey.fingerprint import write

Progress = Callable[[int, int], None]


def write_fingerprints(study: Study, progress: Progress | None = None) -> Iterator[str]:
    """Write `fingerprint-DATASET.json` for each data set of a study; yield why one could not be written.

    A fingerprint that is there is kept where the data are the same. The table does not depend on it, so a data set
    that has gone meanwhile ends no study.
    """
    for task in {task.dataset.name: task for task in study.tasks}.values():
        file = study.output / f"fingerprint-{task.dataset.name}.json"
        try:
            write(task.dataset, file, task.contents.digest, progress)
        except (ValueError, OSError, MemoryError) as problem:
            yield f"The page has no fingerprint of {task.dataset.name}: {problem}"

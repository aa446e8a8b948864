"""A network's answers for the cases, as a run keeps them: labels, and probabilities where a measure looks at them."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossodyssey.atomic import write_text, writing
from lossodyssey.bench.damage import THRESHOLDS, prediction, probabilities_path
from lossodyssey.bench.measures import ARGMAX, THRESHOLD, are_of_probabilities
from lossodyssey.bench.thresholds import decode, tune
from lossodyssey.data import Case, Volume, read_case, read_labels, write_labels

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job, Trained
    from lossodyssey.bench.study import Study

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The labels (*S) of a case by decoding, and its probabilities (C, *S), None where no measure needs them."""

    labels: Mapping[str, Labels]
    probabilities: NDArray[np.float16] | None


def disk_note(study: Study) -> str:
    """Say how much of the disk the probabilities of a study take at most; nothing where it keeps none.

    Cases are counted with the size of the first scored one of their data set.
    """
    if not are_of_probabilities(study.metrics):
        return ""
    size = 0
    for task in study.tasks:
        scored = {name for division in task.divisions for name in division.scored}
        first = next(case for case in task.dataset.cases if case.name in scored)
        voxels = read_case(task.dataset, first).image[0].size
        outputs = len(task.dataset.regions) or len(task.dataset.classes)
        size += voxels * outputs * sum(len(division.scored) for division in task.divisions)
    size *= len(study.entries) * study.seeds * len(study.budgets) * np.dtype(np.float16).itemsize
    names = ", ".join(name for name in study.metrics if are_of_probabilities((name,)))
    return f"{names}: runs keep the probabilities of their scored cases, at most {size / 1e6:,.0f} MB in all"


def find_thresholds(job: Job, trained: Trained, on_case: Callable[[int, int], None]) -> dict[str, float]:
    """Find thresholds on the validation cases where a decoding needs them, and keep them with the run."""
    if THRESHOLD not in job.decoding:
        return {}
    thresholds = tune(_validation(job, trained, on_case), job.dataset)
    write_text(job.folder / THRESHOLDS, json.dumps(thresholds, indent=2) + "\n")
    return thresholds


def _validation(
    job: Job, trained: Trained, on_case: Callable[[int, int], None]
) -> Iterator[tuple[NDArray[np.float32], Labels, tuple[bool, ...]]]:
    """Yield probabilities and truth of one validation case after the other, and which targets are annotated in it."""
    for number, case in enumerate(job.validation, start=1):
        volume = read_case(job.dataset, case)
        assert volume.labels is not None  # cases without labels were refused before the first run
        yield trained.with_probabilities(volume).probabilities, volume.labels, job.dataset.is_annotated(case.name)
        on_case(number, len(job.validation))


def answer(job: Job, case: Case, volume: Volume, trained: Trained, thresholds: Mapping[str, float]) -> Answer:
    """Segment a case with the trained network, and keep the result in the folder of the run."""
    if not (thresholds or are_of_probabilities(job.metrics)):
        found = Answer({ARGMAX: trained.segment(volume)}, None)
    else:
        labels, probabilities = trained.with_probabilities(volume)
        both = {ARGMAX: labels} | ({THRESHOLD: decode(probabilities, thresholds, job.dataset)} if thresholds else {})
        # In half precision from here on: scores are then the same when they are computed again from the file.
        found = Answer(both, probabilities.astype(np.float16) if are_of_probabilities(job.metrics) else None)
    _keep(job, case, volume, found)
    return found


def _keep(job: Job, case: Case, volume: Volume, found: Answer) -> None:
    for decoding, labels in found.labels.items():
        write_labels(prediction(job.folder, case, labels.ndim, decoding), labels, volume)
    if found.probabilities is not None:
        with writing(probabilities_path(job.folder, case)) as draft, draft.open("wb") as file:
            np.savez_compressed(file, probabilities=found.probabilities)


def kept(job: Job, case: Case, volume: Volume) -> Answer | None:
    """Read what the run kept for a case; None where something that the job asks for is not there or does not fit."""
    paths = {decoding: prediction(job.folder, case, decoding=decoding) for decoding in job.decoding}
    try:
        labels = {decoding: read_labels(path, job.dataset.classes).labels for decoding, path in paths.items()}
        weights = are_of_probabilities(job.metrics)
        probabilities = _read_probabilities(probabilities_path(job.folder, case)) if weights else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    shape = volume.image.shape[1:]
    outputs = len(job.dataset.regions) or len(job.dataset.classes)
    fits = all(each.shape == shape for each in labels.values())
    fits = fits and (probabilities is None or probabilities.shape == (outputs, *shape))
    return Answer(labels, probabilities) if fits else None


def _read_probabilities(path: Path) -> NDArray[np.float16]:
    with np.load(path) as file:
        return np.asarray(file["probabilities"], np.float16)

"""Score folders of predictions against folders of truths: one process per core, one bad case never stops the rest."""

from __future__ import annotations

import math
import multiprocessing
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from lossodyssey.data.volumes import Labels, read_labels
from lossodyssey.metrics.folders import FilePair
from lossodyssey.metrics.found import Found
from lossodyssey.metrics.geometry import read_pair
from lossodyssey.metrics.masks import Counts, MaskPair, diagonal
from lossodyssey.metrics.score import Label, Score, check_labels, class_pairs, parse_metrics
from lossodyssey.metrics.undefined import Status


@dataclass(frozen=True)
class ClassResult:
    """The scores of one class in one case, its counts of voxels and its true volume in mm^3 (2D: mm^2)."""

    scores: tuple[Score, ...]
    counts: Counts
    truth_volume: float


@dataclass(frozen=True)
class CaseResult:
    """One case: results by label, or the status and the reason why there are none; `note` holds the warnings.

    `spacing` and `shape` are the truth's, empty where it cannot be read, and `sized` says whether the spacing is known.
    """

    files: FilePair
    classes: dict[Label, ClassResult]
    spacing: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    status: Status = "ok"
    reason: str = ""
    note: str = ""
    found: Found = field(default_factory=Found)
    sized: bool = True

    @property
    def diagonal(self) -> float:
        """Greatest distance in mm that two surfaces in the image can have; NaN where the truth cannot be read."""
        return diagonal(self.shape, self.spacing) if self.shape else math.nan


@dataclass(frozen=True)
class Request:
    """The metrics and labels to score: `labels` None means all that occur; `known` may occur (None: any).

    `ignore` is the true label of voxels that do not count, `spacing` the pixel size in mm of pictures that have none,
    `hidden` the labels that are not annotated in a case, by its name: they are not scored in it.
    """

    metrics: tuple[str, ...]
    labels: tuple[Label, ...] | None = None
    known: frozenset[int] | None = None
    ignore: int | None = None
    reorient: bool = False
    spacing: tuple[float, ...] = ()
    hidden: Mapping[str, frozenset[Label]] = field(default_factory=dict)


def score_cases(
    pairs: Sequence[FilePair],
    request: Request,
    *,
    workers: int | None = None,
    done: Callable[[], object] = lambda: None,
) -> list[CaseResult]:
    """Score every pair, in the order given whatever the number of `workers` (default: one per core).

    `done` is called after each case. All results cover the same labels: those asked for, or all found in any case. A
    case that cannot be scored has the status "missing" (no prediction) or "failed" and a reason that names the file.

    Raises:
        ValueError: a metric is unknown or its parameter does not fit, or the ignored label is asked for.
    """
    # A misspelt metric is an error here, before the first process starts, rather than a failure of every case.
    parse_metrics(request.metrics)
    check_labels(request.labels, request.ignore)
    count = min(workers or _cores(), len(pairs))
    run = _one_by_one if count <= 1 else _in_processes
    results = list(run(pairs, request, count, done))

    # A class that one prediction invents counts in every case: its absence elsewhere has a status, too.
    labels = request.labels or sorted({label for result in results for label in result.classes})
    return [_complete(result, labels, request) for result in results]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_by_one(
    pairs: Sequence[FilePair], request: Request, _: int, done: Callable[[], object]
) -> Iterator[CaseResult]:
    for files in pairs:
        yield score_files(files, request)
        done()


def _in_processes(
    pairs: Sequence[FilePair], request: Request, workers: int, done: Callable[[], object]
) -> Iterator[CaseResult]:
    # Forking a process with threads (the progress bar has one) can hang; the fork server has none.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(score_files, files, request) for files in pairs]
        for future in futures:
            future.add_done_callback(lambda _: done())
        # In the order given, not the order done: the table does not depend on the number of processes.
        for files, future in zip(pairs, futures, strict=True):
            yield _result(files, future)


def _result(files: FilePair, future: Future[CaseResult]) -> CaseResult:
    try:
        return future.result()
    # The pool is lost with the process: the case that was killed and all that waited behind it say so.
    except BrokenProcessPool:
        reason = f"{files.truth}: a process was killed, most likely for want of memory; try fewer workers"
        return CaseResult(files, {}, status="failed", reason=reason)


def score_files(files: FilePair, request: Request) -> CaseResult:
    """Read and score one case; an error of its files becomes its status and reason."""
    # A missing prediction is told from a broken one: a policy may count it as worst, and its rows keep their case.
    if files.prediction is None:
        return _lost(files, request, "missing", f"{files.truth}: no prediction of this name")
    if files.truth is None:
        return CaseResult(files, {}, status="failed", reason=f"{files.prediction}: no truth of this name")
    try:
        return _score(files, request)
    # Only errors of files: a mistake of ours still ends the run with its traceback.
    except (ValueError, OSError, MemoryError) as error:
        return _lost(files, request, "failed", str(error) or f"{files.truth}: not enough memory")


def _lost(files: FilePair, request: Request, status: Status, reason: str) -> CaseResult:
    """Return a case without scores; the truth still tells the size of its image if it can be read."""
    with suppress(ValueError, OSError, MemoryError):
        truth = read_labels(files.truth or "", spacing=request.spacing)
        return CaseResult(files, {}, truth.spacing, truth.labels.shape, status, reason, sized=truth.sized)
    return CaseResult(files, {}, status=status, reason=reason)


def _score(files: FilePair, request: Request) -> CaseResult:
    assert files.prediction is not None and files.truth is not None
    with warnings.catch_warnings(record=True) as caught:
        # A warning becomes the note of its case; printed by a process of the pool it would come out of order.
        warnings.simplefilter("always")
        prediction, truth = read_pair(files.prediction, files.truth, reorient=request.reorient, spacing=request.spacing)

    looked: list[Found] = []
    check = partial(_look, files, request, truth.labels, looked)
    pairs = class_pairs(prediction.labels, truth.labels, truth.spacing, request.labels, request.ignore, check)
    results = {label: _class_result(label, pair, request) for label, pair in pairs}

    (found,) = looked
    notes = [str(warning.message) for warning in caught]
    notes += found.notes(request.ignore, files)
    note = "; ".join(notes)
    return CaseResult(files, results, truth.spacing, truth.labels.shape, note=note, found=found, sized=truth.sized)


def _look(
    files: FilePair,
    request: Request,
    truth: Labels,
    looked: list[Found],
    predicted: Collection[int],
    true: Collection[int],
) -> None:
    """Keep what labels occur, and refuse unknown ones before anything is scored."""
    ignored = 0 if request.ignore is None else int(np.count_nonzero(truth == request.ignore))
    found = Found(frozenset(predicted), frozenset(true), ignored, truth.size)
    if request.known is not None:
        found.check(request.known, files)
    looked.append(found)


def _class_result(label: Label, pair: MaskPair, request: Request) -> ClassResult:
    scores = tuple(column.score(label, pair) for column in parse_metrics(request.metrics))
    return ClassResult(scores, pair.counts, pair.truth_volume)


def _complete(result: CaseResult, labels: Collection[Label], request: Request) -> CaseResult:
    """Add the labels that this case has in neither map, or give a case without results its status for every label."""
    if result.status == "ok":
        # The measures themselves say what they give for two empty masks; the image's shape still counts true negatives.
        none = np.zeros((0,) * len(result.shape), np.bool_)
        empty = MaskPair(none, none, result.spacing, result.shape, ignored=result.found.ignored)
        classes = {label: result.classes.get(label) or _class_result(label, empty, request) for label in labels}
    else:
        classes = {label: _blank(label, request, result.status) for label in labels}
    hidden = request.hidden.get(result.files.name, frozenset())
    told = {label: _blank(label, request, "not_annotated") for label in labels if label in hidden}
    return replace(result, classes=classes | told)


def _blank(label: Label, request: Request, status: Status) -> ClassResult:
    scores = (Score(label, column.metric, math.nan, status) for column in parse_metrics(request.metrics))
    return ClassResult(tuple(scores), Counts(0, 0, 0, 0), math.nan)

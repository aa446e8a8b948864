"""Score the predictions of a whole study, such as the released segmentations of the published benchmark."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from lossodyssey.atomic import write_text
from lossodyssey.data.dataset_json import Label, ignored_label, numbers_in
from lossodyssey.data.grids import ENDINGS, is_image
from lossodyssey.data.prepare.archives import is_archive
from lossodyssey.data.prepare.sources import Progress, open_sources
from lossodyssey.metrics.cases import CaseResult, Request, score_cases
from lossodyssey.metrics.folders import find_classes, find_spacing
from lossodyssey.metrics.found import suspicions
from lossodyssey.metrics.sets import PredictionSet, find_sets
from lossodyssey.metrics.summary import POLICY, beside, long_rows, null, summarise
from lossodyssey.table import Row

NEEDS = tuple(rf"[^/]*{re.escape(ending)}" for ending in ENDINGS)


@dataclass(frozen=True)
class Scored:
    """The rows of all sets, the results of each, and what was left out, in sentences."""

    rows: list[Row]
    results: list[tuple[PredictionSet, list[CaseResult]]]
    notes: tuple[str, ...]

    @property
    def lost(self) -> list[tuple[PredictionSet, CaseResult]]:
        """The cases that could not be scored."""
        return [(found, result) for found, results in self.results for result in results if result.status != "ok"]


def is_study(predictions: Path) -> bool:
    """Return whether a path is an archive, or a folder without label maps of its own but with some in folders below."""
    if not predictions.is_dir():
        return predictions.is_file() and is_archive(predictions)
    if any(is_image(path) for path in predictions.iterdir()):
        return False
    return any(is_image(path) or is_archive(path) for path in predictions.rglob("*"))


def read_study(predictions: Path, scratch: Path, progress: Progress) -> Mapping[str, Path]:
    """Return the label maps of a study by their paths; those in archives are unpacked into `scratch`.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: it is neither a folder nor an archive, or the archive is refused.
    """
    return open_sources([predictions], scratch, NEEDS, progress).files


def score_released(
    files: Mapping[str, Path],
    truths: Path,
    metrics: Sequence[str] = ("DSC", "NSD"),
    *,
    layout: str = "",
    seed: int = 0,
    reorient: bool = False,
    workers: int | None = None,
    done: Callable[[int, int], object] = lambda done, total: None,
) -> Scored:
    """Score every prediction of every loss on every data set.

    Args:
        files: the predictions by their paths below the common folder, as `read_study` gives them.
        truths: a folder with a folder of truths, or a data set, for each data set.
        metrics: the measures to compute.
        layout: where a path names data set, loss, fold and case; see `find_sets`.
        seed: the seed to write into the rows.
        reorient: turn predictions to the truth's axes.
        workers: processes; one per core where it is None.
        done: called with the number of cases scored and to score.

    Raises:
        ValueError: paths do not fit the layout, or truths and predictions do not belong together.
    """
    found = find_sets(files, truths, layout)
    total, count = sum(len(each.pairs) for each in found.sets), 0

    def step() -> None:
        nonlocal count
        count += 1
        done(count, total)

    results: list[tuple[PredictionSet, list[CaseResult]]] = []
    rows: list[Row] = []
    for dataset in dict.fromkeys(each.dataset for each in found.sets):
        own = [each for each in found.sets if each.dataset == dataset]
        names, request = _request(own[0], metrics, reorient)
        # All losses at once, so that their results cover the same classes.
        scored = iter(score_cases([pair for each in own for pair in each.pairs], request, workers=workers, done=step))
        results += [(each, list(islice(scored, len(each.pairs)))) for each in own]
        rows += [row for each, parts in results[-len(own) :] for row in _rows(each, parts, names, seed)]
    notes = [note for each, parts in results for note in _suspicions(each, parts)]
    return Scored(rows, results, (*found.notes, *notes))


def _rows(each: PredictionSet, results: Sequence[CaseResult], names: Mapping[Label, str], seed: int) -> list[Row]:
    return long_rows(results, names, loss=each.loss, dataset=each.dataset, fold=each.fold, seed=seed)


def _request(each: PredictionSet, metrics: Sequence[str], reorient: bool) -> tuple[Mapping[Label, str], Request]:
    """Return the names of a set's classes and what is to be scored."""
    # The truths' own file alone: a study has no dataset.json beside its predictions.
    known = find_classes(each.truths, each.truths)
    names = known[1] if known else {}
    ignored = ignored_label(names)
    labels = tuple(label for label in names if label not in (0, ignored)) or None
    allowed = numbers_in(names) | {ignored or 0} if names else None
    spacing = find_spacing(each.truths, each.truths)
    return names, Request(tuple(metrics), labels, allowed, ignored, reorient, spacing)


def _suspicions(each: PredictionSet, results: Sequence[CaseResult]) -> list[str]:
    """Say what is odd about the labels of a set, as for a single folder."""
    found = {result.files.name: result.found for result in results if result.status == "ok"}
    named = find_classes(each.truths, each.truths) is not None
    return [f"{each.loss} on {each.dataset}: {text}" for text in suspicions(found, (), named=named, ignore=None)]


def write_overview(output: Path, scored: Scored) -> None:
    """Write `cases.summary.json` beside the table: statistics of every set, and the cases that were not scored."""
    sets = []
    for found, results in scored.results:
        own = [r for r in scored.rows if (r.loss, r.dataset, r.fold) == (found.loss, found.dataset, found.fold)]
        lines, macros = summarise(own)
        sets.append(
            {
                "loss": found.loss,
                "dataset": found.dataset,
                "fold": found.fold,
                "classes": [asdict(line) for line in lines],
                "macro": [asdict(macro) for macro in macros],
                "not_scored": [
                    {"case": result.files.name, "status": result.status, "reason": result.reason}
                    for result in results
                    if result.status != "ok"
                ],
            }
        )
    content = {"policy": POLICY, "notes": list(scored.notes), "sets": sets}
    write_text(beside(output, ".summary.json"), json.dumps(null(content), indent=2) + "\n")

"""The results that are missing or changed in the folder of an ended run, and whether they can be made again."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from lossodyssey.bench.measures import ARGMAX, decoded
from lossodyssey.bench.record import Record
from lossodyssey.data import Case, read_labels
from lossodyssey.data.contents import Stamp, is_settled, stamp_of
from lossodyssey.data.grids import TIFF, ending
from lossodyssey.table import read_rows

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job

TABLE, CURVE, VALIDATION, THRESHOLDS = "cases.csv", "curve.csv", "validation.csv", "thresholds.json"
PREDICTIONS, PROBABILITIES = "predictions", "probabilities"
ENDINGS = {3: ".nii.gz", 2: ".png"}
STACK = ".tif"


def prediction(folder: Path, case: Case, dimensions: int = 0, decoding: str = ARGMAX) -> Path:
    """Return the file of a case's prediction: for this number of axes, or the one that is there.

    The prediction for a stack of pages is a stack, whose axes are those of its truth.
    """
    inner = folder / (PREDICTIONS if decoding == ARGMAX else f"{PREDICTIONS}-{decoding}")
    paths = [inner / f"{case.name}{tail}" for tail in (*ENDINGS.values(), STACK)]
    if dimensions:
        stack = dimensions == 3 and ending(case.images[0]).lower() in TIFF
        return paths[-1] if stack else paths[list(ENDINGS).index(dimensions)]
    return next((path for path in paths if path.exists()), paths[0])


def probabilities_path(folder: Path, case: Case) -> Path:
    """Return the file of a case's probabilities."""
    return folder / PROBABILITIES / f"{case.name}.npz"


def fingerprints(folder: Path) -> dict[str, str]:
    """Return a fingerprint of every result in the folder of a run: its tables, predictions and probabilities."""
    results = [*folder.glob(f"{PREDICTIONS}*/[!.]*"), *(folder / PROBABILITIES).glob("[!.]*")]
    paths = [folder / CURVE, folder / VALIDATION, folder / TABLE, folder / THRESHOLDS, *sorted(results)]
    return {path.relative_to(folder).as_posix(): fingerprint(path) for path in paths if path.is_file()}


def damages(job: Job, record: Record) -> dict[str, str]:
    """Return the results of an ended run that are not as the run left them: file -> its fault."""
    found, folder = {}, job.folder
    for name in _expected(job, record):
        path = folder / name
        wrong = "" if path.is_file() else "is missing"
        # A fingerprint tells any change; runs that kept none have their files read instead.
        if not wrong and name in record.files:
            wrong = "is not as the run left it" * (record.files[name] != fingerprint(path))
        elif not wrong:
            wrong = _unreadable(job, record, path)
        if wrong:
            found[name] = wrong
    return found


def lacking(job: Job, record: Record) -> list[str]:
    """Return the measures and decodings that a finished run was not asked for when it was scored."""
    if record.status != "finished":
        return []
    return [name for name in job.metrics if name not in record.metrics] + [
        name for name in job.decoding if name not in record.decoding
    ]


def repairable(job: Job, record: Record) -> bool:
    """Return whether a damaged file can be restored by scoring or from the saved network, or the run needs it."""
    found = damages(job, record)
    return TABLE in found or (bool(found) and job.engine.saved(job))


def _expected(job: Job, record: Record) -> list[str]:
    if record.files:
        return list(record.files)
    if record.status != "finished":
        return [CURVE]
    cases = job.scored
    return [CURVE, TABLE, *(prediction(job.folder, case).relative_to(job.folder).as_posix() for case in cases)]


def fingerprint(path: Path) -> str:
    """Return a text that tells a file from a changed one; a file that has not changed since is not read again."""
    if path.suffix == ".npz":
        return _checksums(path)
    stamp = stamp_of(path)
    return _known(str(path), stamp) if is_settled(stamp) else _hash(path)


@lru_cache(maxsize=1 << 20)
def _known(path: str, stamp: Stamp) -> str:
    return _hash(Path(path))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _checksums(path: Path) -> str:
    """Return the checksums that an archive keeps of its contents, which may be too large to read each time."""
    try:
        with zipfile.ZipFile(path) as archive:
            return " ".join(f"{each.CRC:08x}-{each.file_size}" for each in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return "unreadable"


def _unreadable(job: Job, record: Record, path: Path) -> str:
    """Say what is wrong with a result of a run that kept no fingerprints."""
    try:
        if path.name == TABLE:
            return _incomplete(job, record, path)
        if path.name == CURVE:
            return _broken_curve(path)
        read_labels(path, job.dataset.classes)
    except (OSError, ValueError, csv.Error):
        return "cannot be read"
    return ""


def _incomplete(job: Job, record: Record, path: Path) -> str:
    rows = read_rows(path)
    losses = [decoded(record.label, decoding) for decoding in record.decoding]
    own = {(loss, record.dataset, record.seed) for loss in losses}
    if not {(row.loss, row.dataset, row.seed) for row in rows} <= own:
        return "is the table of another run"
    cases = [case.name for case in job.scored]
    classes = [target.name for target in job.dataset.targets]
    metrics = {*record.metrics, *(row.metric for row in rows)}
    found = sorted((row.loss, row.case, row.class_name, row.metric) for row in rows)
    return "has lost rows" * (found != sorted(product(losses, cases, classes, metrics)))


def _broken_curve(path: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(int(row["step"]), float(row["loss"] or "nan")) for row in csv.DictReader(file, strict=True)]
    return "" if rows else "is empty"

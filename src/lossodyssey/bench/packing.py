"""The records of a study in one archive: everything that ranks it again, and nothing that weighs much."""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from lossodyssey.atomic import writing
from lossodyssey.bench.damage import CURVE, TABLE, VALIDATION
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.status import PLAN, read_runs_planned

PLANS = ("plan.yaml", PLAN, "tuning.csv")
RESULTS = (TABLE, VALIDATION)
SHEET = re.compile(r"fingerprint-.*\.json")
ENDED = ("finished", "diverged", "failed")
POINTS = 100
"""Steps of a curve that are kept: the last of each hundredth of the run, with the mean loss of that hundredth."""
LARGEST = 1 << 30  # bytes that an archive may unpack to


def pack(study: Path, file: Path) -> int:
    """Write plan, searches, fingerprints and ended runs of the folder `study` to an archive; return the number of runs.

    Of a run its record, its tables and a thinned curve are kept; predictions, probabilities and networks are not, and
    the record no longer names them. Runs `outside_plan` are left out. Equal studies give equal archives.

    Raises:
        ValueError: no run has ended there.
    """
    surplus = outside_plan(study)
    folders = [path.parent for path in sorted((study / "runs").glob("*/run.json")) if path.parent.name not in surplus]
    runs = [(folder, read_record(folder)) for folder in folders]
    ended = [(folder, record) for folder, record in runs if record.status in ENDED]
    if not ended:
        raise ValueError(f"{study}: holds no run that has ended; expected the output folder of a comparison")
    # Solid xz: the tables of runs on the same cases differ in their values alone.
    with writing(file) as draft, tarfile.open(draft, "w:xz", preset=9) as archive:
        sheets = sorted(path.name for path in study.glob("fingerprint-*.json"))
        for name in (*PLANS, *sheets):
            if (study / name).is_file():
                _add(archive, name, (study / name).read_bytes())
        contents = {folder.name: _contents(folder, record) for folder, record in ended}
        # Alike beside alike packs better: all records, then all curves, then all tables.
        for name in ("run.json", CURVE, *RESULTS):
            for run, files in contents.items():
                if name in files:
                    _add(archive, f"runs/{run}/{name}", files[name])
    return len(ended)


def outside_plan(study: Path) -> set[str]:
    """Return the names of the runs that an earlier plan left and that are not in the plan carried out last.

    Which runs a plan has is known once all of them have ended; before, none is outside.

    Raises:
        ValueError: the plan cannot be read.
    """
    planned = read_runs_planned(study / PLAN)
    there = {path.parent.name for path in (study / "runs").glob("*/run.json")}
    return there - planned if planned else set()


def _contents(folder: Path, record: Record) -> dict[str, bytes]:
    files = {name: (folder / name).read_bytes() for name in RESULTS if (folder / name).is_file()}
    if (folder / CURVE).is_file():
        files[CURVE] = _thinned((folder / CURVE).read_text(encoding="utf-8"))
    prints = {name: sha256(files[name]).hexdigest()[:16] for name in files if name in record.files}
    kept = replace(record, files=prints)
    return {"run.json": (json.dumps(asdict(kept), indent=1) + "\n").encode(), **files}


def _thinned(curve: str) -> bytes:
    """Return the last step of each hundredth of a curve, with the mean loss since the one before."""
    rows = list(csv.DictReader(io.StringIO(curve)))
    every = max(1, -(-len(rows) // POINTS))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", "loss", "learning_rate"))
    for first in range(0, len(rows), every):
        part = rows[first : first + every]
        loss = sum(float(row["loss"]) for row in part) / len(part)
        writer.writerow((part[-1]["step"], f"{loss:.6g}", f"{float(part[-1]['learning_rate']):.6g}"))
    return text.getvalue().encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    # No times, no owners: the archive is a function of the results.
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Yield the output folder that `source` is, or one with the contents of such an archive, as long as it is needed.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: the file is not an archive of a study.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such folder or archive; expected the output folder of a comparison")
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        _unpack(source, Path(folder))
        yield Path(folder)


def _unpack(source: Path, folder: Path) -> None:
    try:
        with tarfile.open(source) as archive:
            left = LARGEST
            for member in archive:
                parts = Path(member.name).parts
                left -= member.size
                if not _expected(parts) or not member.isfile() or left < 0:
                    raise ValueError(f"member {member.name!r:.80} is not part of a study")
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())
    except (tarfile.TarError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{source}: not an archive of lossodyssey pack ({error}); make it again") from None


def _expected(parts: tuple[str, ...]) -> bool:
    if len(parts) == 3:
        return parts[0] == "runs" and ".." not in parts and parts[2] in ("run.json", CURVE, *RESULTS)
    return len(parts) == 1 and (parts[0] in PLANS or SHEET.fullmatch(parts[0]) is not None)

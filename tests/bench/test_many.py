"""What a comparison of very many runs relies on: no list is searched twice, no file is read twice, order is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench import damage
from lossodyssey.bench.damage import TABLE, fingerprint
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.run import adopted
from lossodyssey.bench.scoring import blank_rows
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import write_table
from lossodyssey.data import Dataset, contents
from lossodyssey.data.divisions import hold_out
from lossodyssey.table import Row, read_rows, write_rows
from lossodyssey.training.settings import Settings


@pytest.fixture
def jobs(dataset: Dataset, quick: Settings, tmp_path: Path) -> list[Job]:
    losses = ["Dice()", "CrossEntropy()", "zebra=Focal()"]
    return compare(dataset, losses, seeds=3, held_out=2, engine=Light(quick), output=tmp_path).jobs


def finish(job: Job, rng: np.random.Generator) -> list[Row]:
    """Leave the table and the record of a finished run."""
    rows = [replace(row, value=float(rng.random()), status="ok") for row in blank_rows(job, job.scored, "ok")]
    write_rows(job.folder / TABLE, rows)
    write_record(job.folder, replace(job.record(), status="finished"))
    return rows


def in_order(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r.loss, r.dataset, r.fold, r.seed, r.case, r.class_name, r.metric))


@pytest.mark.parametrize("decoding", [("argmax",), ("argmax", "threshold")], ids=len)
def test_the_table_is_in_the_order_of_all_its_rows(
    jobs: list[Job], dataset: Dataset, tmp_path: Path, decoding: tuple[str, ...]
) -> None:
    jobs = [replace(job, division=hold_out(dataset, 2, validation=2), decoding=decoding) for job in jobs]
    rng, rows = np.random.default_rng(0), list[Row]()
    for job in jobs[:-1]:
        rows += finish(job, rng)
    write_record(jobs[-1].folder, replace(jobs[-1].record(), status="diverged"))
    rows += blank_rows(jobs[-1], jobs[-1].scored, "diverged")
    write_table(jobs, tmp_path / "cases.csv")
    write_rows(tmp_path / "sorted.csv", in_order(rows))
    assert (tmp_path / "cases.csv").read_bytes() == (tmp_path / "sorted.csv").read_bytes()


def test_a_finished_run_is_brought_under_the_names_of_the_comparison(jobs: list[Job]) -> None:
    finish(jobs[0], np.random.default_rng(0))
    renamed = replace(jobs[0], name="mine", task="my data", division=replace(jobs[0].division, fold=2))
    assert renamed.digest == jobs[0].digest
    record = adopted(renamed)
    assert (record.name, record.dataset, record.fold) == ("mine", "my data", 2)
    assert {(r.loss, r.dataset, r.fold) for r in read_rows(jobs[0].folder / TABLE)} == {("mine", "my data", 2)}
    assert replace(read_record(jobs[0].folder), notes=record.notes) == record


def test_a_file_is_hashed_again_only_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    hash_file = damage._hash
    monkeypatch.setattr(damage, "_hash", lambda path: read.append(path) or hash_file(path))
    path = tmp_path / "file"
    path.write_bytes(b"first")
    assert [fingerprint(path) for _ in range(2)] == [hashlib.sha256(b"first").hexdigest()[:16]] * 2
    assert len(read) == 2, "a file that has just been written may change within a tick of its clock"
    monkeypatch.setattr(contents, "COARSE", -(10**18))
    assert len({fingerprint(path) for _ in range(3)}) == 1 and len(read) == 3
    facts = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert fingerprint(path) == hashlib.sha256(b"other").hexdigest()[:16]

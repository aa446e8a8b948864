"""Classes that nobody marked in a case are not scored in it, and rank nobody."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench.light import Light
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.scoring import blank_rows
from lossodyssey.bench.study import compare
from lossodyssey.bench.thresholds import tune
from lossodyssey.data import Dataset, read_case, read_dataset, write_labels, write_phantom
from lossodyssey.ranking.cells import collect
from lossodyssey.table import Row, read_rows
from lossodyssey.training.settings import Settings


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Phantoms of two sources: in every second one the spleen is not marked."""
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=8)
    whole = read_dataset(folder)
    facts = json.loads((folder / "dataset.json").read_text())
    for item, case in list(zip(facts["training"], whole.cases, strict=True))[::2]:
        item["source"] = "north"
        volume = read_case(whole, case)
        write_labels(case.label or "", np.where(volume.labels == 2, 0, volume.labels), volume)
    classes = [name for number, name in whole.classes.items() if number not in (0, 2)]
    (folder / "dataset.json").write_text(json.dumps(facts | {"annotated": {"source:north": classes}}))
    return read_dataset(folder)


def test_a_run_scores_what_is_annotated(partial: Dataset, quick: Settings, tmp_path: Path) -> None:
    study = compare(
        partial,
        ["Marginal(loss=DiceCE())", "CrossEntropy()"],
        seeds=1,
        held_out=4,
        engine=Light(quick),
        output=tmp_path / "out",
    )
    job = study.jobs[0]
    execute(job, lambda progress: None)
    assert read_record(job.folder).status == "finished"
    rows = read_rows(job.folder / "cases.csv")
    north = {case.name for case in partial.cases if case.source == "north"}
    assert north & {row.case for row in rows}
    for row in rows:
        hidden = row.case in north and row.class_name == partial.classes[2]
        assert (row.status == "not_annotated") is hidden
        assert math.isnan(row.size) is hidden and (not hidden or math.isnan(row.value))
    lost = blank_rows(job, job.scored, "failed")
    assert [row.status == "not_annotated" for row in lost] == [
        row.case in north and row.class_name == partial.classes[2] for row in lost
    ]


def test_thresholds_are_tuned_where_a_class_is_annotated(partial: Dataset) -> None:
    truth = np.zeros((6, 6), int)
    truth[:3] = 2
    low = np.zeros((len(partial.classes), 6, 6), np.float32)
    low[2, :3] = 0.2
    known = (True,) * len(partial.targets)
    hidden = (True, False, *known[2:])
    assert tune([(low, truth, known)], partial)[partial.classes[2]] < 0.2
    assert tune([(low, truth, hidden)], partial)[partial.classes[2]] == 0.5


def row(loss: str, case: int, name: str, value: float, status: str = "ok") -> Row:
    return Row(loss, "data", 0, 0, f"case{case:02d}", name, "DSC", value, status)


@pytest.mark.parametrize("policy", ["worst", "drop", "last"])
def test_a_ranking_is_the_same_without_the_rows_of_what_is_not_annotated(policy: str) -> None:
    rng = np.random.default_rng(0)
    rows = [row(loss, case, name, rng.random()) for loss in "ab" for case in range(12) for name in ("liver", "spleen")]
    hidden = [each for each in rows if each.class_name == "spleen" and int(each.case[-2:]) % 3 == 0]
    told = [replace(each, value=math.nan, status="not_annotated") if each in hidden else each for each in rows]
    first, second = (collect(table, policy=policy) for table in (told, [each for each in rows if each not in hidden]))
    assert first.notes == second.notes
    np.testing.assert_array_equal(first.cells[0].values, second.cells[0].values)

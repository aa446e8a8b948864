"""A study with searched rates and two budgets, down to what its page says of its trainings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lossodyssey.bench.executors.local import Local
from lossodyssey.bench.light import Light
from lossodyssey.bench.naming import read_losses
from lossodyssey.bench.run import execute
from lossodyssey.bench.searches import write_tuning
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import Study
from lossodyssey.bench.sweep import run_study
from lossodyssey.bench.task import open_task
from lossodyssey.bench.tuning import mean_score
from lossodyssey.data import Dataset
from lossodyssey.data.divisions import hold_out
from lossodyssey.report.evidence import read_evidence
from lossodyssey.table import read_rows

from .conftest import QUICK

RATES = (0.001, 0.03)


@pytest.fixture(scope="module")
def study(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """Two losses, one of them searched; runs of 4 and of 8 steps."""
    threads, output = torch.get_num_threads(), tmp_path_factory.mktemp("study")
    mine, other = read_losses(["mine=Dice() + Focal()", "CrossEntropy()"])
    entries = [replace(mine, learning_rates=RATES), other]
    engine = Light(replace(QUICK, steps=8, epoch=2))
    parts = [hold_out(dataset, 2, validation=3)]
    task = open_task(dataset, parts, engine, [each.expression for each in entries], output / "data.json")
    made = Study(tasks=[task], entries=entries, seeds=1, budgets=[4, 8], output=output, search_steps=4)
    # In this process: starting one for each run would take the time of the test.
    for jobs in made.phases():
        for job in jobs:
            execute(job, lambda event: None)
    run_study(made, executor=Local(1), on_event=lambda job, event: None)
    yield made
    torch.set_num_threads(threads)


def test_every_rate_that_was_tried_is_written_with_its_score(study: Study) -> None:
    with (study.output / "tuning.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["loss"] for line in lines] == ["mine", "mine"]
    assert {(line["dataset"], line["fold"], line["steps"], line["cases"]) for line in lines} == {
        ("phantom", "0", "4", "3")
    }
    searches, choice = next(iter(study.phases())), next(iter(study.choices().values()))
    for line, job in zip(lines, searches, strict=True):
        assert float(line["learning_rate"]) == job.engine.settings["learning_rate"]
        assert float(line["score"]) == mean_score(read_rows(job.folder / "cases.csv"))
        assert line["chosen"] == ("yes" if float(line["learning_rate"]) == choice.rate else "no")


def test_the_report_reads_what_the_study_wrote(study: Study) -> None:
    evidence = read_evidence(study.output)
    (search,), (choice,) = evidence.searches, study.choices().values()
    assert (search.scores, search.chosen) == (choice.scores, choice.rate)
    assert {steps: list(rows) for steps, rows in evidence.budgets.items()} == {
        4: list(read_rows(study.output / "cases-4.csv"))
    }


def test_the_page_says_how_far_its_trainings_go(study: Study) -> None:
    page = re.sub(r"\s+", " ", tell(study.jobs).read_text(encoding="utf-8"))
    assert "The learning rate of mine was chosen among 2 on 3 validation cases" in page
    assert "CrossEntropy() had no search" in page
    assert "Validation score against learning rate" in page and "Validation score along the training" in page
    assert "extend the grid" in page  # of two rates, either lies at an edge
    assert "one learning rate" not in page


def test_a_study_without_searches_leaves_no_table_of_them(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "tuning.csv"
    path.write_text("of an earlier plan")
    write_tuning(replace(study, entries=[replace(entry, learning_rates=()) for entry in study.entries]), path)
    assert not path.exists()

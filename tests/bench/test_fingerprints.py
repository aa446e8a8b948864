from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lossodyssey.bench.fingerprints import write_fingerprints
from lossodyssey.bench.light import Light
from lossodyssey.bench.study import Study, compare
from lossodyssey.data import Dataset
from lossodyssey.fingerprint import whole
from lossodyssey.report.evidence import read_evidence
from lossodyssey.training.settings import Settings


@pytest.fixture
def study(dataset: Dataset, quick: Settings, tmp_path: Path) -> Study:
    return compare(dataset, ["Dice()", "Focal()"], seeds=1, held_out=4, engine=Light(quick), output=tmp_path)


def test_the_page_finds_what_the_study_wrote(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(write_fingerprints(study)) == []
    (sheet,) = read_evidence(study.output).data
    assert sheet.name == "phantom" and "8 volumes" in sheet.in_words and len(sheet.grid.rows) == 4
    monkeypatch.setattr(whole, "look", None)
    assert list(write_fingerprints(study)) == [], "it is not measured again"


def test_data_that_have_gone_end_no_study(study: Study) -> None:
    task = study.tasks[0]
    case = replace(task.dataset.cases[0], label=Path("gone.nii.gz"))
    lost = replace(task, dataset=replace(task.dataset, cases=(case,)))
    (said,) = write_fingerprints(replace(study, tasks=[lost]))
    assert said.startswith("The page has no fingerprint of phantom") and "gone.nii.gz" in said
    assert not list(study.output.glob("fingerprint-*"))


def test_the_file_holds_what_the_fields_say(study: Study) -> None:
    list(write_fingerprints(study))
    content = json.loads((study.output / "fingerprint-phantom.json").read_text())
    assert content["unit"] == "mm" and content["classes"][0]["name"] == "liver" and content["cases"] == 8

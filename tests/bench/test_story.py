"""The pictures of a comparison: one case under every loss, and where each loss fails."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench import story
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.pictures import Prediction, draw, draw_together
from lossodyssey.bench.record import write_record
from lossodyssey.bench.study import compare
from lossodyssey.data import Dataset, read_case, split, write_labels
from lossodyssey.table import Row, write_rows
from lossodyssey.training.settings import Settings

LOSSES = ["Dice()", "CrossEntropy()", "Focal()"]


@pytest.fixture
def jobs(dataset: Dataset, quick: Settings, tmp_path: Path) -> list[Job]:
    """Runs that left predictions without training: the first is right, the second finds nothing, the last is absent."""
    planned = compare(dataset, LOSSES, seeds=1, held_out=4, engine=Light(quick), output=tmp_path).jobs
    held_out = split(dataset, 4)[1]
    table = []
    for job, kept in zip(planned, (1, 0, None), strict=True):
        write_record(job.folder, job.record())
        rows = []
        for number, case in enumerate(held_out):
            volume = read_case(dataset, case)
            assert volume.labels is not None
            value = 0.0 if kept is None else 0.5 * kept + 0.01 * number
            rows.append(Row(job.expression, dataset.name, 0, 0, case.name, "x", "DSC", value))
            if kept is not None:
                (job.folder / "predictions").mkdir(parents=True, exist_ok=True)
                write_labels(job.folder / "predictions" / f"{case.name}.nii.gz", volume.labels * kept, volume)
        write_rows(job.folder / "cases.csv", rows)
        table += rows
    write_rows(tmp_path / "cases.csv", table)
    return planned


def test_one_case_is_shown_under_every_loss_that_has_it(jobs: list[Job]) -> None:
    page = re.sub(r"\s+", " ", story.tell(jobs).read_text(encoding="utf-8"))
    gallery = page[page.index("One case under every loss") : page.index("The leader&#39;s best")]
    titles = re.findall("<figcaption>(.*?)</figcaption>", gallery)
    assert titles[0] == "image and truth" and [title.split(" (")[0] for title in titles[1:]] == LOSSES[:2]
    assert "(DSC 0.5" in titles[1] and "(DSC 0.0" in titles[2]
    assert "No prediction of this case: Focal()." in gallery
    failures = page[page.index("Where each loss fails") :]
    assert "lowest DSC" in failures and page.rindex("<details>", 0, page.index("Where each loss fails")) > 0


def test_the_page_names_the_papers_of_its_losses(jobs: list[Job]) -> None:
    page = story.tell(jobs).read_text(encoding="utf-8")
    assert all(author in page[page.index("<h3>References</h3>") :] for author in ("Drozdzal", "Ronneberger", "Lin et"))


def test_a_run_that_was_not_scored_has_no_picture(jobs: list[Job]) -> None:
    (jobs[1].folder / "cases.csv").unlink()
    assert "No prediction of this case: CrossEntropy(); Focal()." in story.tell(jobs).read_text(encoding="utf-8")


def test_what_is_beyond_the_limits_is_left_out_and_said(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MOST_LOSSES", 1)
    monkeypatch.setattr(story, "MOST_FAILURES", 1)
    page = story.tell(jobs).read_text(encoding="utf-8")
    assert "Left out beyond the best 1: CrossEntropy()." in page
    assert "2 more are not shown (at most 1 are)." in page


def test_all_losses_are_cut_alike_on_a_slice_that_shows_the_object(dataset: Dataset, tmp_path: Path) -> None:
    case = dataset.cases[0]
    volume = read_case(dataset, case)
    assert volume.labels is not None
    empty_slice = int((volume.labels > 0).sum((0, 1)).argmin())
    flooded = volume.labels.copy()
    flooded[:, :, empty_slice] = 1
    found = []
    for name, labels in (("right", volume.labels), ("nothing", volume.labels * 0), ("flooded", flooded)):
        write_labels(tmp_path / f"{name}.nii.gz", labels, volume)
        found.append(Prediction(dataset, case, tmp_path / f"{name}.nii.gz"))
    truth, right, nothing, more = draw_together(found, ["right", "nothing", "flooded"])
    assert truth.prediction is None and truth.truth.any()
    assert right.prediction is not None and np.array_equal(right.prediction, truth.truth)
    assert nothing.prediction is not None and not nothing.prediction.any()
    assert len({picture.image.shape for picture in (truth, right, nothing, more)}) == 1
    assert draw(found[2], "flooded").prediction.all()  # type: ignore[union-attr]


@pytest.mark.parametrize("inside", [0, 1], ids=["background", "organ"])
def test_ignored_voxels_are_no_errors_and_choose_no_slice(dataset: Dataset, tmp_path: Path, inside: int) -> None:
    case = dataset.cases[0]
    volume = read_case(dataset, case)
    assert volume.labels is not None and case.label is not None
    fullest = int((volume.labels > 0).sum((0, 1)).argmax())
    other = (fullest + 3) % volume.labels.shape[2]
    truth, found = volume.labels.copy(), volume.labels.copy()
    truth[:, :, other] = 9
    found[:, :, other] = inside
    found[:, :, fullest] = 0
    label, path = tmp_path / "truth.nii.gz", tmp_path / "found.nii.gz"
    write_labels(label, truth, volume)
    write_labels(path, found, volume)
    prediction = Prediction(replace(dataset, ignore=9), replace(case, label=label), path)
    drawn = draw(prediction, "x")
    assert drawn.prediction is not None and not drawn.prediction.any()
    np.testing.assert_array_equal(np.unique(drawn.truth), np.unique(volume.labels[:, :, fullest]))
    together = draw_together([prediction], ["x"])
    assert all(9 not in picture.truth for picture in together)

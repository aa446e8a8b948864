"""Measures and decodings that a comparison asks for: checked at once, scored from one training, asked for later."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossodyssey.bench.answers import disk_note
from lossodyssey.bench.damage import probabilities_path
from lossodyssey.bench.executors.driver import fail
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.measures import check_decoding, check_metrics, decoded
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.run import adopted, execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import write_table
from lossodyssey.data import Dataset, read_case, read_labels
from lossodyssey.data.divisions import hold_out
from lossodyssey.metrics import MEASURES, expected_calibration_error, score
from lossodyssey.ranking import rank
from lossodyssey.table import Row, read_rows

from .conftest import QUICK

SETTINGS = replace(QUICK, steps=12)
FREE = tuple(name for name in MEASURES if name != "clDice")  # which needs scikit-image
USUAL: dict[str, Any] = {"metrics": ("DSC", "NSD", "HD95"), "decoding": ("argmax",)}
EVERYTHING: dict[str, Any] = {"metrics": (*FREE, "NSD@2", "ECE"), "decoding": ("argmax", "threshold")}


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def made(dataset: Dataset, runs: Path, **choices: Any) -> Job:
    return Job(
        expression="DiceCE()",
        dataset=dataset,
        division=hold_out(dataset, 2, 2),
        seed=0,
        engine=Light(SETTINGS),
        runs=runs,
        **choices,
    )


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run that was asked for everything at once."""
    job = made(dataset, tmp_path_factory.mktemp("whole") / "runs", **EVERYTHING)
    execute(job, lambda event: None)
    assert read_record(job.folder).status == "finished", read_record(job.folder).reason
    return job


@pytest.fixture(scope="module")
def lean(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run with everything that can be kept, and few measures."""
    job = made(dataset, tmp_path_factory.mktemp("lean") / "runs", **EVERYTHING | {"metrics": ("DSC", "ECE")})
    execute(job, lambda event: None)
    return job


@pytest.fixture(scope="module")
def plain(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The same run, asked for the usual measures."""
    job = made(dataset, tmp_path_factory.mktemp("plain") / "runs")
    execute(job, lambda event: None)
    return job


def copied(job: Job, runs: Path) -> Job:
    shutil.copytree(job.runs, runs)
    return replace(job, runs=runs)


def heard(job: Job) -> list[str]:
    """Execute a job; give the phases that it told of."""
    phases: list[str] = []
    execute(job, lambda event: phases.append(event.phase))
    return list(dict.fromkeys(phases))


def table(job: Job) -> list[Row]:
    return read_rows(job.folder / "cases.csv")


def values(rows: list[Row]) -> dict[tuple[str, str, str, str], float]:
    return {(row.loss, row.case, row.class_name, row.metric): row.value for row in rows}


def test_every_measure_goes_through_a_run(whole: Job) -> None:
    rows = table(whole)
    assert {row.metric for row in rows} == set(whole.metrics) and len(whole.metrics) == len(FREE) + 2
    assert len(rows) == 2 * len(whole.scored) * len(whole.dataset.targets) * len(whole.metrics)
    found = values(rows)
    for decoding, folder in (("argmax", "predictions"), ("threshold", "predictions-threshold")):
        for case in whole.scored:
            volume = read_case(whole.dataset, case)
            labels = read_labels(whole.folder / folder / f"{case.name}.nii.gz").labels
            metrics = [name for name in whole.metrics if name != "ECE"]
            names = {target.written: target.name for target in whole.dataset.targets}
            for each in score(labels, volume.labels, spacing=volume.spacing, labels=list(names), metrics=metrics):
                own = found[decoded(whole.label, decoding), case.name, names[each.label], each.metric]
                assert own == pytest.approx(each.value, nan_ok=True), each


def test_the_disk_that_probabilities_take_is_said(dataset: Dataset, whole: Job, tmp_path: Path) -> None:
    study = compare(dataset, ["Dice()", "Focal()"], seeds=3, held_out=2, engine=whole.engine, output=tmp_path)
    assert disk_note(study) == ""
    with np.load(probabilities_path(whole.folder, whole.scored[0])) as file:
        most = 2 * 3 * 2 * file["probabilities"].nbytes
    assert f"at most {most / 1e6:,.0f} MB" in disk_note(replace(study, metrics=("DSC", "ECE")))


def test_rows_tell_the_true_volume(whole: Job) -> None:
    for case in whole.scored:
        volume = read_case(whole.dataset, case)
        for target in whole.dataset.targets:
            expected = float((volume.labels == target.labels[0]).sum() * np.prod(volume.spacing))
            sizes = {row.size for row in table(whole) if (row.case, row.class_name) == (case.name, target.name)}
            assert list(sizes) == [pytest.approx(expected)]


def test_calibration_is_that_of_the_probabilities_of_each_class(whole: Job) -> None:
    found = values(table(whole))
    trained = whole.engine.train(whole, lambda event: None)  # from the checkpoint, which is at its end
    for case in whole.scored:
        volume = read_case(whole.dataset, case)
        exact = trained.with_probabilities(volume).probabilities
        assert exact.shape == (len(whole.dataset.classes), *volume.image.shape[1:])
        np.testing.assert_allclose(exact.sum(0), 1, atol=1e-5)
        with np.load(probabilities_path(whole.folder, case)) as file:
            kept = file["probabilities"]
        assert kept.dtype == np.float16
        for target in whole.dataset.targets:
            (label,) = target.labels
            for loss in (whole.label, f"{whole.label} [threshold]"):
                own = found[loss, case.name, target.name, "ECE"]
                assert own == pytest.approx(expected_calibration_error(kept, volume.labels, label=label), abs=1e-12)
                assert own == pytest.approx(expected_calibration_error(exact, volume.labels, label=label), abs=2e-3)


def test_what_is_asked_for_later_is_scored_without_training(plain: Job, whole: Job, tmp_path: Path) -> None:
    job = copied(plain, tmp_path / "runs")
    assert job.done() and job.folder.name == whole.folder.name
    checkpoint = job.folder / "checkpoint.pt"
    hidden = checkpoint.rename(tmp_path / "checkpoint.pt")
    more = replace(job, metrics=("HD", "nsd@2"))
    assert not more.done()
    assert heard(more) == ["scoring"], "the predictions are enough"
    record = read_record(job.folder)
    assert record.metrics == ("DSC", "NSD", "HD95", "HD", "NSD@2") and more.done() and job.done()
    assert record.notes == ("HD, NSD@2 asked for since; scored again",)
    hidden.rename(checkpoint)

    everything = replace(job, **EVERYTHING)
    assert not everything.done()
    assert heard(everything) == ["thresholds", "scoring"], "the checkpoint is enough"
    assert everything.done() and job.done()
    assert values(table(everything)) == pytest.approx(values(table(whole)), nan_ok=True)
    assert read_record(job.folder).seconds == pytest.approx(record.seconds)

    checkpoint.unlink()
    (job.folder / "cases.csv").unlink()
    assert heard(everything) == ["scoring"], "what was kept is enough"
    assert values(table(everything)) == pytest.approx(values(table(whole)), nan_ok=True)


@pytest.mark.parametrize("kind", ["missing", "cut", "empty", "garbage", "swapped"])
@pytest.mark.parametrize("what", ["probabilities", "predictions-threshold", "thresholds.json"])
def test_what_was_kept_beside_the_predictions_is_made_again(lean: Job, tmp_path: Path, what: str, kind: str) -> None:
    job = copied(lean, tmp_path / "runs")
    paths = sorted((job.folder / what).iterdir()) if "." not in what else [job.folder / what, job.folder / "run.json"]
    before, rows = paths[0].read_bytes(), (job.folder / "cases.csv").read_bytes()
    spoilt = {"cut": before[: len(before) // 2], "empty": b"", "garbage": b"\0[", "swapped": paths[1].read_bytes()}
    paths[0].unlink() if kind == "missing" else paths[0].write_bytes(spoilt[kind])
    assert not job.done()
    assert heard(job) == ["thresholds", "scoring"]
    assert job.done() and paths[0].read_bytes() == before
    assert (job.folder / "cases.csv").read_bytes() == rows


def test_damaged_probabilities_of_a_lost_table_are_not_scored(lean: Job, tmp_path: Path) -> None:
    job = copied(lean, tmp_path / "runs")
    rows = (job.folder / "cases.csv").read_bytes()
    record = read_record(job.folder)
    path = probabilities_path(job.folder, job.scored[0])
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 0xFF  # within the data, of which the archive keeps a checksum
    path.write_bytes(broken)
    (job.folder / "cases.csv").unlink()
    assert heard(job) == ["thresholds", "scoring"]
    assert (job.folder / "cases.csv").read_bytes() == rows and read_record(job.folder).files == record.files


class Stopped(BaseException):
    """Ends a run as Ctrl-C does: nothing catches it."""


def ends_like(job: Job, whole: Job) -> bool:
    execute(job, lambda event: None)
    same = (job.folder / "cases.csv").read_bytes() == (whole.folder / "cases.csv").read_bytes()
    return job.done() and same and read_record(job.folder).files == read_record(whole.folder).files


@pytest.mark.parametrize("phase", ["training", "thresholds", "scoring"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(lean: Job, tmp_path: Path, phase: str) -> None:
    job = replace(lean, runs=tmp_path / "runs")

    def stop(event: Progress) -> None:
        if event.phase == phase and event.done == 1:
            raise Stopped

    with pytest.raises(Stopped):
        execute(job, stop)
    assert not job.done()
    assert ends_like(job, lean)


KILLING = """
import os, pickle, signal, sys
from lossodyssey.bench.run import execute

def kill(event):
    if event.phase == "scoring":
        os.kill(os.getpid(), signal.SIGKILL)

with open(sys.argv[1], "rb") as file:
    job = pickle.load(file)
execute(job, kill)
"""


def test_a_run_that_was_killed_while_it_is_scored_anew_loses_nothing(plain: Job, whole: Job, tmp_path: Path) -> None:
    job = replace(copied(plain, tmp_path / "runs"), **EVERYTHING)
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    done = subprocess.run([sys.executable, "-c", KILLING, str(tmp_path / "job")], check=False)
    assert done.returncode == -signal.SIGKILL and not job.done()
    assert read_record(job.folder) == read_record(plain.folder) and replace(job, **USUAL).done()
    execute(job, lambda event: None)
    assert job.done() and values(table(job)) == pytest.approx(values(table(whole)), nan_ok=True)


def test_thresholds_are_kept_in_the_folder_of_the_run(lean: Job) -> None:
    thresholds = json.loads((lean.folder / "thresholds.json").read_text())
    assert list(thresholds) == [target.name for target in lean.dataset.targets]
    assert all(math.isclose(20 * value, round(20 * value)) and 0 < value < 1 for value in thresholds.values())


def test_decodings_rank_beside_their_loss_also_by_size(dataset: Dataset, tmp_path: Path) -> None:
    first = made(dataset, tmp_path / "runs", metrics=("DSC", "ECE"), decoding=("argmax", "threshold"))
    # Three cases of four classes have more than eight sizes, which are then cut into thirds.
    first = replace(first, division=hold_out(dataset, 3, 2))
    jobs = [first, replace(first, expression="CrossEntropy()")]
    for job in jobs:
        execute(job, lambda event: None)
    write_table(jobs, tmp_path / "cases.csv")
    rows = read_rows(tmp_path / "cases.csv", by="size")
    assert {row.loss for row in rows} == {decoded(job.label, each) for job in jobs for each in job.decoding}
    assert len({row.stratum for row in rows}) == 3 and not any("unknown" in row.stratum for row in rows)
    assert len(rank(rows, metrics=["DSC", "ECE"]).losses) == 4
    page = tell(jobs).read_text(encoding="utf-8")
    assert "DiceCE() [threshold]" in page and page.count("data:image/png") >= 2


def test_a_new_name_of_the_loss_keeps_the_decoding(lean: Job, tmp_path: Path) -> None:
    job = replace(copied(lean, tmp_path / "runs"), name="mine")
    adopted(job)
    assert {row.loss for row in table(job)} == {"mine", "mine [threshold]"} and job.done()


def test_a_run_that_cannot_be_scored_anew_keeps_its_scores(
    plain: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    job = replace(copied(plain, tmp_path / "runs"), metrics=("DSC", "clDice"))
    execute(job, lambda event: None)
    record = read_record(job.folder)
    assert record.status == "finished" and "could not be made: ValueError: clDice needs" in record.notes[-1]
    assert not job.done() and replace(job, metrics=("DSC",)).done()
    write_table([job], tmp_path / "cases.csv")
    rows = read_rows(tmp_path / "cases.csv")
    assert {row.status for row in rows if row.metric == "clDice"} == {"failed"}
    known = values(table(plain))
    assert all(row.value == known[row.loss, row.case, row.class_name, "DSC"] for row in rows if row.metric == "DSC")
    assert len(rows) == 2 * len(job.scored) * len(job.dataset.targets)


def test_the_table_of_a_comparison_has_the_measures_that_it_asks_for(whole: Job, tmp_path: Path) -> None:
    job = replace(whole, metrics=("DSC",), decoding=("argmax",))
    write_table([job], tmp_path / "cases.csv")
    rows = read_rows(tmp_path / "cases.csv")
    assert {(row.loss, row.metric) for row in rows} == {(whole.label, "DSC")}


def test_runs_that_diverged_have_a_row_for_all_that_was_asked(dataset: Dataset, tmp_path: Path) -> None:
    wild = Light(replace(SETTINGS, optimizer="sgd", learning_rate=1e30))
    job = replace(made(dataset, tmp_path / "runs", **EVERYTHING), engine=wild, expression="CrossEntropy()")
    execute(job, lambda event: None)
    assert read_record(job.folder).status == "diverged" and job.done()
    write_table([job], tmp_path / "cases.csv")
    rows = read_rows(tmp_path / "cases.csv")
    assert len(rows) == 2 * len(job.scored) * len(dataset.targets) * len(job.metrics)
    assert all(row.size >= 0 for row in rows), "the truth has a size, whatever became of the run"


def test_a_process_that_dies_over_a_new_measure_leaves_the_run_finished(plain: Job, tmp_path: Path) -> None:
    job = replace(copied(plain, tmp_path / "runs"), metrics=("DSC", "ECE"))
    assert fail(job, "its process was killed").status == "finished"
    assert read_record(job.folder).notes == ("its process was killed",) and not job.done()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Betti error", "betti_error"], ("betti_error",)),
        (["dice", "nsd@1", "Surface Dice@2.0"], ("DSC", "NSD", "NSD@2")),
        (["LESION f1", "expected calibration error", "Hausdorff-95"], ("lesion_F1", "ECE", "HD95")),
    ],
)
def test_names_are_those_that_people_write(dataset: Dataset, names: list[str], expected: tuple[str, ...]) -> None:
    assert check_metrics(names, dataset) == expected


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "metrics: the list is empty"),
        (["DSC", "Dise"], "metrics: metric 'Dise' is unknown; did you mean 'DSC'"),
        (["HD95@2"], "metrics: metric 'HD95@2': HD95 takes nothing after @"),
        (["NSD@two"], "metrics: metric 'NSD@two': 'two' is not a number"),
        (["NSD@class"], "metrics: NSD@class takes a tolerance for each class"),
        (["boundary_IoU@0.5"], "metrics: boundary_IoU@0.5 cannot be computed on 3D images: width is 0.5"),
        (["AUC"], "metrics: metric 'AUC' is unknown"),
    ],
)
def test_measures_that_do_not_serve_are_refused(dataset: Dataset, names: list[str], said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        check_metrics(names, dataset)
    assert str(refusal.value).startswith(said)


def test_a_measure_whose_package_is_missing_says_which(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(ValueError, match=r'metrics: clDice .* scikit-image: pip install "\.\[measures\]"'):
        check_metrics(["DSC", "clDice"], dataset)


@pytest.mark.parametrize(
    ("decoding", "said"),
    [
        (["argmin"], "decoding: 'argmin' is unknown, did you mean 'argmax'"),
        (["threshold"], "decoding: found threshold; expected argmax"),
        (["argmax", "argmax"], "decoding: found argmax, argmax"),
        (["argmax", "threshold"], "decoding: threshold is tuned on validation cases, and fold 0 has none"),
    ],
)
def test_decodings_that_do_not_serve_are_refused(dataset: Dataset, decoding: list[str], said: str) -> None:
    division = hold_out(dataset, 2)
    with pytest.raises(ValueError) as refusal:
        check_decoding(decoding, [division])
    assert str(refusal.value).startswith(said)
    with pytest.raises(ValueError, match="decoding: "):
        replace(made(dataset, Path("runs")), division=division, decoding=tuple(decoding))


def test_a_record_of_unknown_measures_is_not_read(whole: Job, tmp_path: Path) -> None:
    for wrong in ({"metrics": ("Dise",)}, {"decoding": ("argmin",)}):
        write_record(tmp_path, replace(read_record(whole.folder), **wrong))
        with pytest.raises(ValueError, match="not the record of a run"):
            read_record(tmp_path)

"""nnU-Net as the engine of the benchmark: the same folders and tables as the light one, killed and resumed alike."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; make test-nnunet has it")

from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset, find_dataset, read_dataset, read_labels, split, write_phantom
from lossodyssey.data.divisions import hold_out
from lossodyssey.data.regions import Region, write_regions
from lossodyssey.integrations.nnunet.engine import NnUNet
from lossodyssey.table import read_rows

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))
ENGINE = NnUNet(small=True, epochs=3, iterations=2, device="cpu")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    hippocampus = DATA / "Task04_Hippocampus"
    found = find_dataset(str(hippocampus) if hippocampus.is_dir() else "phantom")
    return replace(found, cases=found.cases[:7])


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all comparisons here go; the variables and threads of this process are put back in the end."""
    threads, before = torch.get_num_threads(), dict(os.environ)
    yield tmp_path_factory.mktemp("study")
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(threads)


def planned(dataset: Dataset, output: Path, *losses: str, **changes: Any) -> list[Job]:
    return compare(dataset, losses, seeds=1, held_out=2, engine=replace(ENGINE, **changes), output=output).jobs


def run(job: Job) -> list[Progress]:
    """Do one run in this process; give what it told of itself."""
    heard: list[Progress] = []
    job.engine.prepare(job)
    execute(job, heard.append)
    return heard


def test_a_comparison_that_was_killed_goes_on_and_is_not_done_twice(dataset: Dataset, output: Path) -> None:
    jobs = planned(dataset, output, "Dice()", "CrossEntropy()")
    killed: list[str] = []
    heard: list[Progress] = []

    def kill_the_first(job: Job, event: Progress | Record) -> None:
        if isinstance(event, Progress) and killed and job is jobs[0]:
            heard.append(event)
        if isinstance(event, Progress) and event.done > 4 and not killed:
            killed.append(job.expression)
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with pytest.warns(UserWarning, match="its process was killed"):
        records = sweep(jobs, executor=Local(1), on_event=kill_the_first)
    assert [record.status for record in records] == ["finished", "finished"], records
    assert next(event.done for event in heard if event.phase == "training") > 2, "the run began anew"
    (plans,) = output.glob("nnunet/*/nnUNet_preprocessed/*/nnUNetPlans.json")
    written = plans.stat().st_mtime_ns, (jobs[1].folder / "run.json").stat().st_mtime_ns
    records = sweep(jobs, executor=Local(1), on_event=lambda job, event: None)
    write_table(jobs, jobs[0].runs.parent / "cases.csv")
    assert [record.status for record in records] == ["finished", "finished"], records
    assert written == (plans.stat().st_mtime_ns, (jobs[1].folder / "run.json").stat().st_mtime_ns)
    rows = read_rows(output / "cases.csv")
    assert {row.engine for row in rows} == {"nnunet"} and {row.status for row in rows} != {"failed"}
    assert {row.case for row in rows} == {case.name for case in split(dataset, 2)[1]}
    assert "Dice()" in tell(jobs).read_text(encoding="utf-8")


def test_a_run_folder_is_that_of_the_light_engine_and_more(dataset: Dataset, output: Path) -> None:
    (job,) = planned(dataset, output, "CrossEntropy()")
    if not job.done():
        run(job)
    record = read_record(job.folder)
    assert (record.engine, record.status, record.clipped) == ("nnunet", "finished", None)
    assert record.settings["configuration"] == "3d_fullres_small" and record.settings["learning_rate"] == 1e-2
    assert "nnunetv2" in record.versions and record.seconds > 0
    curve = (job.folder / "curve.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve] == ["step", "2", "4", "6"]
    with pytest.raises(ValueError, match="trained by engine 'nnunet'"):
        predict(job.folder, output, output / "new")


def test_predictions_are_those_of_nnunet_on_the_files(dataset: Dataset, output: Path, tmp_path: Path) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    (job,) = planned(dataset, output, "CrossEntropy()")
    if not job.done():
        run(job)
    cases = split(dataset, 2)[1]
    (model,) = (job.folder / "nnUNet_results").glob("*/*")
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), ("all",), "checkpoint_final.pth")
    images = [[str(image) for image in case.images] for case in cases]
    predictor.predict_from_files_sequential(images, [str(tmp_path / f"{case.name}.nii.gz") for case in cases])
    for case in cases:
        ours, theirs = (
            read_labels(folder / f"{case.name}.nii.gz") for folder in (job.folder / "predictions", tmp_path)
        )
        # Where two classes tie, rounding decides, which differs with the processor: one voxel of 71,136 on one of them.
        assert np.mean(ours.labels != theirs.labels) < 1e-4, case.name
        np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)


def test_a_run_that_diverges_is_stopped_and_says_where(dataset: Dataset, output: Path) -> None:
    (job,) = planned(dataset, output, "CrossEntropy()", learning_rate=1e30)
    run(job)
    record = read_record(job.folder)
    assert record.status == "diverged" and "at step" in record.reason, record
    last = (job.folder / "curve.csv").read_text().splitlines()[-1]
    assert int(last.split(",")[0]) < 6 and math.isnan(float(last.split(",")[1]))
    assert job.done() and not (job.folder / "predictions").exists()


@pytest.mark.parametrize("regions", [False, True], ids=["classes", "regions"])
def test_probabilities_are_those_that_the_labels_were_chosen_by(dataset: Dataset, output: Path, regions: bool) -> None:
    every = tuple(number for number in dataset.classes if number)
    parts = (Region("everything", every, 1), Region("the rest", every[1:], 2)) if regions else ()
    (planned_job,) = planned(replace(dataset, regions=parts), output, "Dice()", epochs=1)
    division = hold_out(planned_job.dataset, 2, 1)
    job = replace(planned_job, division=division, metrics=("DSC", "ECE"), decoding=("argmax", "threshold"))
    run(job)
    record = read_record(job.folder)
    assert (record.status, record.metrics) == ("finished", ("DSC", "ECE")), record.reason
    rows = read_rows(job.folder / "cases.csv")
    assert {row.loss for row in rows} == {"Dice()", "Dice() [threshold]"}
    assert {row.status for row in rows if row.metric == "ECE"} == {"ok"}
    for case in job.scored:
        labels = read_labels(job.folder / "predictions" / f"{case.name}.nii.gz").labels
        with np.load(job.folder / "probabilities" / f"{case.name}.npz") as file:
            probabilities = file["probabilities"].astype(np.float32)
        if regions:
            found, margin = write_regions(probabilities > 0.5, (1, 2)), np.abs(probabilities - 0.5).min(0)
        else:
            found, two = probabilities.argmax(0), np.sort(probabilities, 0)[-2:]
            margin = two[1] - two[0]
        clear = margin > 2e-3  # half precision may tie or tip what is closer
        assert clear.any()
        np.testing.assert_array_equal(found[clear], labels[clear])


def test_regions_are_trained_and_written_back_as_labels(dataset: Dataset, output: Path) -> None:
    every = tuple(number for number in dataset.classes if number)
    regions = (Region("everything", every, 1), Region("the rest", every[1:], 2))
    (job,) = planned(replace(dataset, regions=regions), output, "Dice()", epochs=1)
    run(job)
    record = read_record(job.folder)
    assert (record.status, record.written) == ("finished", (1, 2)), record.reason
    (prepared,) = ENGINE._data(job).glob("nnUNet_preprocessed/*/dataset.json")
    assert "regions_class_order" in prepared.read_text()
    rows = read_rows(job.folder / "cases.csv")
    assert list(dict.fromkeys(row.class_name for row in rows)) == ["everything", "the rest"]
    for path in (job.folder / "predictions").iterdir():
        assert set(np.unique(read_labels(path).labels)) <= {0, 1, 2}


def test_losses_with_a_first_stage_train_it_themselves(dataset: Dataset, output: Path) -> None:
    (job,) = planned(dataset, output, "Lovasz()", protocol="odyssey", epochs=1)
    heard = run(job)
    record = read_record(job.folder)
    assert record.status == "finished", record.reason
    phases = list(dict.fromkeys(progress.phase for progress in heard))
    assert phases == ["first stage", "training", "scoring"]
    assert record.settings["learning_rate"] == 3e-4


def test_ignored_voxels_are_no_class(tmp_path: Path, output: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=4)
    settings = tmp_path / "phantom" / "dataset.json"
    content = json.loads(settings.read_text())
    names = {"background": 0, "liver": 1, "spleen": 2, "kidney": 3, "ignore": 4}
    settings.write_text(json.dumps(content | {"labels": names}))
    ignoring = read_dataset(tmp_path / "phantom")
    (job,) = planned(ignoring, output / "ignoring", "DiceCE()", epochs=1)
    run(job)
    record = read_record(job.folder)
    assert (record.status, record.ignore) == ("finished", 4), record.reason
    rows = read_rows(job.folder / "cases.csv")
    assert list(dict.fromkeys(row.class_name for row in rows)) == ["liver", "spleen", "kidney"]
    for path in (job.folder / "predictions").iterdir():
        assert 4 not in read_labels(path).labels

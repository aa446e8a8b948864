"""Validation along the training: its scores, that it disturbs nothing, and that a kill changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lossodyssey.bench.damage import damages
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.data import Dataset, read_labels
from lossodyssey.data.divisions import hold_out
from lossodyssey.metrics import score

from .conftest import QUICK

SETTINGS = replace(QUICK, steps=9, epoch=2, checkpoint_every=4)


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def job(dataset: Dataset, runs: Path) -> Job:
    """A run that is watched on two cases."""
    division = hold_out(dataset, 2, validation=2)
    return Job(expression="DiceCE()", dataset=dataset, division=division, seed=0, engine=Light(SETTINGS), runs=runs)


@pytest.fixture(scope="module")
def watched(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Job:
    made = job(dataset, tmp_path_factory.mktemp("watched") / "runs")
    execute(made, lambda event: None)
    return made


def lines(run: Job) -> list[dict[str, str]]:
    with (run.folder / "validation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_validation_cases_are_scored_at_every_quarter(watched: Job) -> None:
    found = lines(watched)
    assert [int(line["step"]) for line in found[:: 2 * 4]] == [4, 6, 8, 9]
    cases = set(watched.division.validation)
    assert {line["case"] for line in found} == cases and {line["metric"] for line in found} == {"DSC"}
    assert len(found) == 4 * 2 * 4 and "validation.csv" in read_record(watched.folder).files


def test_the_last_scores_are_those_of_the_final_network(watched: Job, tmp_path: Path) -> None:
    predict(watched.folder, watched.validation[0].images[0].parent, tmp_path)
    labels = {name: label for label, name in watched.dataset.classes.items()}
    for line in lines(watched)[-2 * 4 :]:
        case = next(case for case in watched.validation if case.name == line["case"])
        pair = (read_labels(path).labels for path in (tmp_path / f"{case.name}.nii.gz", case.label or ""))
        label = labels[line["class"]]
        assert float(line["value"]) == score(*pair, labels=[label], metrics=["DSC"]).value(label, "DSC")


def test_the_training_has_the_bits_of_one_that_nobody_watched(watched: Job, tmp_path: Path) -> None:
    blind = replace(watched, runs=tmp_path / "runs", division=replace(watched.division, validation=()))
    execute(blind, lambda event: None)
    assert not (blind.folder / "validation.csv").exists()
    assert (blind.folder / "curve.csv").read_bytes() == (watched.folder / "curve.csv").read_bytes()
    weights = [torch.load(run.folder / "checkpoint.pt", weights_only=True)["network"] for run in (blind, watched)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(("phase", "end"), [("training", 5), ("validating", 2), ("training", 9)], ids=str)
def test_a_run_that_was_cut_off_leaves_the_same_file(watched: Job, tmp_path: Path, phase: str, end: int) -> None:
    again, heard = replace(watched, runs=tmp_path / "runs"), list[Progress]()

    def stop(event: Progress) -> None:
        heard.append(event)
        if (event.phase, event.done) == (phase, end):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(again, stop)
    execute(again, heard.append)
    assert (again.folder / "validation.csv").read_bytes() == (watched.folder / "validation.csv").read_bytes()
    assert len([event for event in heard if event.phase == "training"]) <= 9 + 4 + 1


def test_a_file_that_was_damaged_is_made_again_without_training(watched: Job) -> None:
    path, heard = watched.folder / "validation.csv", list[Progress]()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert set(damages(watched, read_record(watched.folder))) == {"validation.csv"} and not watched.done()
    execute(watched, heard.append)
    assert path.read_bytes() == whole and watched.done()
    assert {event.phase for event in heard} == {"scoring"}


FOLLOWS = "DiceCE() + TvMFDice(kappa=FromDice(32))"


def test_a_loss_follows_the_scores_before_each_epoch_also_after_a_kill(watched: Job, tmp_path: Path) -> None:
    whole = replace(watched, expression=FOLLOWS, runs=tmp_path / "whole")
    heard: list[Progress] = []
    execute(whole, heard.append)
    assert read_record(whole.folder).status == "finished"
    # Four quarters, and the epochs that begin after 2, 4, 6 and 8 steps, on two cases each.
    assert len([event for event in heard if event.phase == "validating"]) == 2 * (4 + 4)
    state = torch.load(whole.folder / "checkpoint.pt", weights_only=True)["schedules"]
    (scores,) = (buffers["dice"] for buffers in state["buffers"])
    last = [line for line in lines(whole) if line["step"] == "8"]
    names = [target.name for target in whole.dataset.targets]
    expected = [[float(each["value"]) for each in last if each["class"] == name and each["value"]] for name in names]
    assert scores.tolist() == pytest.approx([sum(values) / len(values) for values in expected])

    for end in (5, 8):
        again = replace(whole, runs=tmp_path / f"killed {end}")

        def stop(event: Progress, end: int = end) -> None:
            if (event.phase, event.done) == ("training", end):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            execute(again, stop)
        execute(again, lambda event: None)
        assert (again.folder / "curve.csv").read_bytes() == (whole.folder / "curve.csv").read_bytes()


def test_a_loss_that_follows_scores_needs_validation_cases(watched: Job, tmp_path: Path) -> None:
    blind = replace(watched, expression=FOLLOWS, runs=tmp_path, division=replace(watched.division, validation=()))
    execute(blind, lambda event: None)
    record = read_record(blind.folder)
    assert record.status == "failed" and "follows the Dice scores of validation cases" in record.reason
    search = replace(
        watched, expression=FOLLOWS, runs=tmp_path, division=watched.division.searching(), purpose="search"
    )
    execute(search, lambda event: None)
    assert read_record(search.folder).status == "finished"


def test_a_trained_number_is_in_the_notes_of_the_run(watched: Job, tmp_path: Path) -> None:
    trained = replace(watched, expression="Dice() + RobustT()", runs=tmp_path)
    execute(trained, lambda event: None)
    (note,) = read_record(trained.folder).notes
    assert note.startswith("RobustT().nu was trained to ")

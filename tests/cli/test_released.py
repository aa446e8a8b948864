"""A whole study is scored into one table."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lossodyssey.cli import evaluate
from lossodyssey.ranking.rank import rank
from lossodyssey.table import read_rows

app = typer.Typer()
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)
TASKS = {"Liver": ("odyssey-liver", 5), "LiverTumor": ("odyssey-liver-tumour", 6)}
LOSSES = {"CE": 1, "DiceTopK": 0, "WCE": 3}


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.astype(np.uint8), np.eye(4)), path)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Write truths of two tasks, and predictions that are the truth moved by a number of voxels for each loss."""
    rng = np.random.default_rng(0)
    for task, (truth, count) in TASKS.items():
        for number in range(count):
            values = np.kron(rng.integers(0, 2, (3, 3, 3)), np.ones((4, 4, 4)))
            save(tmp_path / "truths" / truth / "labelsTr" / f"train_{number}.nii.gz", values)
            for loss, shift in LOSSES.items():
                save(tmp_path / "released" / task / loss / f"train_{number}.nii.gz", np.roll(values, shift, 0))
        names = {"0": "background", "1": task.lower()}
        (tmp_path / "truths" / truth / "dataset.json").write_text(json.dumps({"labels": names}))
    return tmp_path


def run(study: Path, predictions: Path, *more: str) -> tuple[int, str]:
    words = [predictions, study / "truths", "-o", study / "out" / "cases.csv", "--workers", 1, *more]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_all_losses_and_tasks_become_one_table(study: Path) -> None:
    code, text = run(study, study / "released", "--metrics", "DSC", "NSD")
    assert code == 0 and "33 of 33 predictions scored, 3 losses, 2 data sets" in text
    rows = read_rows(study / "out" / "cases.csv")
    assert len(rows) == 3 * (5 + 6) * 2
    assert {(row.dataset, row.class_name) for row in rows} == {
        ("odyssey-liver", "liver"),
        ("odyssey-liver-tumour", "livertumor"),
    }
    for row in rows:
        if row.loss == "DiceTopK":
            assert row.value == 1
    moved = next(r for r in rows if (r.loss, r.dataset, r.case, r.metric) == ("CE", "odyssey-liver", "train_3", "DSC"))
    truth = np.asarray(nibabel.load(study / "truths/odyssey-liver/labelsTr/train_3.nii.gz").dataobj) == 1
    other = np.roll(truth, 1, 0)
    assert moved.value == pytest.approx(2 * (truth & other).sum() / (truth.sum() + other.sum()))
    assert [path.name for path in sorted((study / "out").iterdir())] == ["cases.csv", "cases.summary.json"]
    sets = json.loads((study / "out" / "cases.summary.json").read_text())["sets"]
    assert [(one["dataset"], one["loss"]) for one in sets][:3] == [("odyssey-liver", loss) for loss in sorted(LOSSES)]


def test_the_table_can_be_ranked(study: Path) -> None:
    run(study, study / "released")
    ranking = rank(read_rows(study / "out" / "cases.csv"))
    assert str(ranking)
    assert "DiceTopK" in {row.loss for row in read_rows(study / "out" / "cases.csv")}


@pytest.mark.parametrize("nested", [False, True], ids=["one zip", "a zip for each task"])
def test_an_archive_gives_the_table_of_its_folder(study: Path, nested: bool) -> None:
    run(study, study / "released", "--metrics", "DSC")
    expected = read_rows(study / "out" / "cases.csv")
    if nested:
        archive = study / "download"
        archive.mkdir()
        for task in TASKS:
            with zipfile.ZipFile(archive / f"{task}.zip", "w") as file:
                for path in sorted((study / "released" / task).rglob("*.nii.gz")):
                    file.write(path, path.relative_to(study / "released"))
    else:
        archive = study / "SegLoss.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted((study / "released").rglob("*.nii.gz")):
                file.write(path, Path("results") / path.relative_to(study / "released"))
    run(study, archive, "--metrics", "DSC")
    # Texts, because from Python 3.13 on a row that holds NaN is not equal to itself.
    assert list(map(repr, read_rows(study / "out" / "cases.csv"))) == list(map(repr, expected))
    assert not list((study / "out").glob(".unpacked*"))


def test_a_missing_and_a_broken_prediction_keep_their_rows(study: Path) -> None:
    (study / "released/Liver/CE/train_1.nii.gz").unlink()
    (study / "released/LiverTumor/WCE/train_2.nii.gz").write_bytes(b"broken")
    code, text = run(study, study / "released", "--metrics", "DSC")
    assert code == 1 and "31 of 33 predictions scored" in text
    rows = read_rows(study / "out" / "cases.csv")
    assert {(row.loss, row.case, row.status) for row in rows if row.status != "ok"} == {
        ("CE", "train_1", "missing"),
        ("WCE", "train_2", "failed"),
    }
    assert "missing: CE on odyssey-liver" in text and "failed: WCE on odyssey-liver-tumour" in text


def test_classes_without_names_are_those_of_all_losses(study: Path) -> None:
    for truth, _ in TASKS.values():
        (study / "truths" / truth / "dataset.json").unlink()
    path = study / "released/Liver/CE/train_0.nii.gz"
    save(path, np.full((12, 12, 12), 2))
    run(study, study / "released", "--metrics", "DSC")
    rows = [row for row in read_rows(study / "out" / "cases.csv") if row.dataset == "odyssey-liver"]
    for loss in LOSSES:
        assert {row.class_name for row in rows if row.loss == loss} == {"1", "2"}


def test_pictures_keep_their_pixel_size_and_ignored_label(tmp_path: Path) -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30], truth[:, 38:] = 1, 2
    predicted = np.roll(np.where(truth == 2, 0, truth), 2, 0)
    predicted[:, 38:] = 1
    settings = {"labels": {"background": 0, "vessel": 1, "ignore": 2}, "spacing": [0.5, 0.5]}
    for folder, values in (("truths/DRIVE", truth), ("released/CE/DRIVE", predicted)):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / folder / "drive_01.png")
    (tmp_path / "truths/DRIVE/dataset.json").write_text(json.dumps(settings))
    run(tmp_path, tmp_path / "released", "--metrics", "DSC", "HD")
    rows = {row.metric: row for row in read_rows(tmp_path / "out" / "cases.csv")}
    assert rows["DSC"].value == pytest.approx(2 * 18 * 20 / 800)
    assert rows["HD"].value == pytest.approx(1.0)
    assert {row.class_name for row in rows.values()} == {"vessel"}


def test_truths_in_one_folder_are_not_those_of_a_study(study: Path) -> None:
    (study / "truths").rename(study / "all")
    (study / "all" / "odyssey-liver" / "labelsTr").rename(study / "truths")
    with pytest.raises(ValueError, match="expected a folder of truths for each data set"):
        run(study, study / "released")


@pytest.mark.parametrize(
    ("option", "value"), [("--loss", "CE"), ("--dataset", "x"), ("--labels", "1"), ("--ignore", "2"), ("--fold", "3")]
)
def test_options_of_a_single_folder_are_refused(study: Path, option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is for a single folder"):
        run(study, study / "released", option, value)


def test_a_layout_is_refused_for_a_single_folder(study: Path) -> None:
    with pytest.raises(ValueError, match="--layout is for a folder or archive of many losses"):
        run(study, study / "released/Liver/CE", "--layout", "{dataset}_{loss}/{case}")

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import evaluate
from lossodyssey.ranking.nnunet import read_summaries
from lossodyssey.table import read_rows

app = typer.Typer()
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)
runner = CliRunner()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str, str]:
    rng = np.random.default_rng(0)
    for number in range(3):
        truth = np.kron(rng.integers(0, 3, (3, 3, 3)), np.ones((3, 3, 3))).astype(np.uint8)
        for folder, array in (("truths", truth), ("predictions", np.roll(truth, 1, 0))):
            (tmp_path / folder).mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / folder / f"c{number}.nii.gz")
    content = {"name": "Toy", "labels": {"0": "background", "1": "organ", "2": "lesion"}}
    (tmp_path / "truths" / "dataset.json").write_text(json.dumps(content))
    return str(tmp_path / "predictions"), str(tmp_path / "truths"), str(tmp_path / "out" / "cases.csv")


def test_writes_the_long_table_and_the_summaries(folders):
    predictions, truths, output = folders
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1", "--loss", "Dice()"])
    assert result.exit_code == 0, result.output
    rows = read_rows(output)
    assert [(row.case, row.class_name, row.metric) for row in rows] == [
        (f"c{number}", name, metric)
        for number in range(3)
        for name in ("organ", "lesion")
        for metric in ("DSC", "NSD", "HD95")
    ]
    assert {(row.loss, row.dataset, row.status) for row in rows} == {("Dice()", "Toy", "ok")}
    assert sorted(path.name for path in Path(output).parent.iterdir()) == [
        "cases.csv",
        "cases.nnunet.json",
        "cases.summary.csv",
        "cases.summary.json",
    ]
    assert "macro_class" in result.output
    assert "3 of 3 cases scored" in result.output


def test_every_table_keeps_its_own_summaries_and_nnunet_its_own(folders):
    predictions, truths, _ = folders
    theirs = Path(predictions) / "summary.json"
    theirs.write_text("nnU-Net's")
    words = ["--workers", "1", "--metrics", "DSC"]
    contents = {}
    for name, folder in (("a.csv", truths), ("b.csv", predictions), ("b.2.csv", truths)):
        assert runner.invoke(app, [folder, truths, "-o", f"{predictions}/{name}", *words]).exit_code == 0
        stem = name.removesuffix(".csv")
        for ending in (".csv", ".summary.csv", ".summary.json", ".nnunet.json"):
            path = Path(predictions) / f"{stem}{ending}"
            contents[path] = path.read_bytes()
    assert theirs.read_text() == "nnU-Net's"
    assert len(contents) == 12 and all(path.read_bytes() == content for path, content in contents.items())
    means = [json.loads((Path(predictions) / f"{stem}.nnunet.json").read_text())["foreground_mean"] for stem in "ab"]
    assert means[0]["Dice"] == 1 and means[1]["Dice"] < 0.9


@pytest.mark.parametrize("name", ["cases", "cases.csv.gz", "cases.xlsx", "cases.summary.csv", "summary.csv"])
def test_names_that_would_not_part_a_table_from_its_summaries_are_refused(folders, name):
    predictions, truths, _ = folders
    result = runner.invoke(app, [predictions, truths, "-o", f"{predictions}/{name}", "--workers", "1"])
    assert isinstance(result.exception, ValueError)
    assert f"{name}; expected a name such as cases.csv" in str(result.exception)


def test_options_take_several_values(folders):
    predictions, truths, output = folders
    words = [
        predictions,
        truths,
        "-o",
        output,
        "--nsd",
        "1",
        "2",
        "--metrics",
        "NSD",
        "DSC",
        "--labels",
        "2",
        "--workers",
        "1",
    ]
    assert runner.invoke(app, words).exit_code == 0
    rows = read_rows(output)
    assert [(row.class_name, row.metric) for row in rows[:3]] == [
        ("lesion", "NSD"),
        ("lesion", "NSD@2"),
        ("lesion", "DSC"),
    ]


def test_options_may_also_be_repeated_or_come_first(folders):
    predictions, truths, output = folders
    words = ["--nsd", "2", "--nsd", "0.5", "-o", output, "--workers", "1", predictions, truths]
    assert runner.invoke(app, words).exit_code == 0
    assert {row.metric for row in read_rows(output)} == {"DSC", "NSD@2", "NSD@0.5", "HD95"}


def test_a_bad_case_gives_exit_code_1_and_rows_with_a_status(folders):
    predictions, truths, output = folders
    (Path(predictions) / "c1.nii.gz").write_bytes(b"broken")
    (Path(predictions) / "c2.nii.gz").unlink()
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1"])
    assert result.exit_code == 1
    statuses = {(row.case, row.status) for row in read_rows(output)}
    assert statuses == {("c0", "ok"), ("c1", "failed"), ("c2", "missing")}
    assert f"failed: {predictions}/c1.nii.gz" in result.output
    assert f"missing: {truths}/c2.nii.gz" in result.output
    assert "1 of 3 cases scored" in result.output


@pytest.mark.parametrize("extra", [1, 4])
def test_predictions_without_a_truth_are_named_and_are_no_cases(folders, extra):
    predictions, truths, output = folders
    for number in range(extra):
        shutil.copy(f"{predictions}/c0.nii.gz", f"{predictions}/extra.{number}.nii.gz")
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1"])
    assert result.exit_code == 1
    assert f"failed: {predictions}/extra.0.nii.gz: no truth of this name" in result.output
    assert f"3 of 3 cases scored, {extra} predictions without a truth" in result.output
    assert {(row.case, row.status) for row in read_rows(output)} == {("c0", "ok"), ("c1", "ok"), ("c2", "ok")}
    summary = json.loads(Path(output).with_suffix(".summary.json").read_text())
    assert [line["statuses"] for line in summary["classes"]] == [{"ok": 3}] * 6
    assert len(summary["not_scored"]) == extra


@pytest.mark.parametrize("suffix", [".ses-1", ".v2.copy", " left", ".nii.gz"])
def test_names_with_dots_are_the_same_cases_in_the_table_and_in_the_summary(folders, suffix):
    predictions, truths, output = folders
    for folder in (predictions, truths):
        for file in sorted(Path(folder).glob("c*.nii.gz")):
            file.rename(file.with_name(file.name.replace(".nii.gz", f"{suffix}.nii.gz")))
    assert runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1"]).exit_code == 0
    expected = [f"c{number}{suffix}" for number in range(3)]
    assert sorted({row.case for row in read_rows(output)}) == expected
    rows = read_summaries([("net", Path(output).with_suffix(".nnunet.json"))])
    assert sorted({row.case for row in rows}) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "DCS"], "did you mean 'DSC'"),
        (["--metrics", "ECE"], "metric 'ECE' is of probabilities, which label maps do not hold"),
        (["--nsd", "-1"], "'-1' is not a number of 0 or more"),
    ],
)
def test_wrong_usage_writes_nothing(folders, words, message):
    predictions, truths, output = folders
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1", *words])
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert not Path(output).exists()


def test_a_folder_that_is_not_there(folders):
    _, truths, output = folders
    result = runner.invoke(app, ["nowhere", truths, "-o", output])
    assert isinstance(result.exception, FileNotFoundError)


def relabel(folders, table, settings):
    """Replace labels of all files by `table`, and write `settings` as dataset.json."""
    predictions, truths, _ = folders
    for folder in (predictions, truths):
        for path in Path(folder).glob("*.nii.gz"):
            values = np.array(table, np.uint16)[np.asarray(nibabel.load(path).dataobj)]
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    (Path(truths) / "dataset.json").write_text(json.dumps(settings), encoding="utf-8-sig")


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("numbers", [[0, 1, 3], [0, 2, 4], [0, 5, 40000]])
def test_labels_with_gaps_are_named_by_their_true_number(folders, numbers, named):
    predictions, truths, output = folders
    plain = Path(output).with_name("plain.csv")
    assert runner.invoke(app, [predictions, truths, "-o", str(plain), "--workers", "1"]).exit_code == 0
    relabel(folders, numbers, {"labels": {"background": 0, "organ": numbers[1], "lesion": numbers[2]}})
    if not named:
        (Path(truths) / "dataset.json").unlink()
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1"])
    assert result.exit_code == 0, result.output
    names = ["organ", "lesion"] if named else [str(number) for number in numbers[1:]]
    rows = read_rows(output)
    assert list(dict.fromkeys(row.class_name for row in rows)) == names
    assert [row.value for row in rows] == [row.value for row in read_rows(plain)]


def test_regions_of_dataset_json_are_scored(folders):
    predictions, truths, output = folders
    settings = {"labels": {"background": 0, "whole": [1, 4], "core": 4}, "regions_class_order": [1, 4]}
    relabel(folders, [0, 1, 4], settings)
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1", "--metrics", "DSC"])
    assert result.exit_code == 0, result.output
    rows = read_rows(output)
    assert [(row.case, row.class_name) for row in rows] == [(f"c{k}", n) for k in range(3) for n in ("whole", "core")]
    whole, core = (
        [np.isin(np.asarray(nibabel.load(f"{folder}/c0.nii.gz").dataobj), parts) for folder in (predictions, truths)]
        for parts in ([1, 4], [4])
    )
    for row, (prediction, truth) in zip(rows, (whole, core), strict=False):
        assert row.value == pytest.approx(2 * (prediction & truth).sum() / (prediction.sum() + truth.sum()))


def test_labels_of_no_class_and_ignored_voxels(folders):
    predictions, truths, output = folders
    relabel(folders, [0, 1, 2], {"labels": {"background": 0, "organ": 1, "ignore": 2}})
    words = [predictions, truths, "-o", output, "--workers", "1", "--metrics", "precision"]
    assert runner.invoke(app, words).exit_code == 0
    assert {row.class_name for row in read_rows(output)} == {"organ"}
    relabel(folders, [0, 1, 2], {"labels": {"background": 0, "organ": 1}})
    result = runner.invoke(app, words)
    assert result.exit_code == 1
    assert "c0.nii.gz: label 2 is none of [0, 1] of dataset.json" in result.output


def test_a_grid_a_little_off_and_capitals_are_no_failure(folders):
    predictions, truths, output = folders
    path = Path(predictions) / "c1.nii.gz"
    moved = np.eye(4)
    moved[2, 3] = 0.002
    nibabel.save(nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj)[..., None], moved), path)
    path.rename(path.with_name("c1.NII.GZ"))
    result = runner.invoke(app, [predictions, truths, "-o", output, "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert f"warning: {predictions}/c1.NII.GZ: affine differs from the truth's by 0.002" in result.output
    summary = json.loads(Path(output).with_suffix(".summary.json").read_text())
    assert [note["case"] for note in summary["notes"]] == ["c1"]


@pytest.mark.parametrize("value, warned", [(255, True), (7, True), (1, False)])
def test_masks_without_a_class_in_common_are_told_of(tmp_path: Path, value: int, warned: bool) -> None:
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[2:4, 2:4, 2:4] = 1
    for folder, array in (("truths", mask), ("predictions", mask * value)):
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(array.astype(np.uint8), np.eye(4)), tmp_path / folder / "c.nii.gz")
    words = [str(tmp_path / "predictions"), str(tmp_path / "truths"), "-o", str(tmp_path / "cases.csv")]
    result = runner.invoke(app, [*words, "--workers", "1"])
    assert result.exit_code == 0, result.output
    said = f"predictions hold class {value} and truths class 1, none in common"
    assert (said in " ".join(result.output.split())) is warned

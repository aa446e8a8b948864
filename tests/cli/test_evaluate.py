from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import evaluate
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
        "cases.summary.csv",
        "cases.summary.json",
        "summary.json",
    ]
    assert "macro_class" in result.output
    assert "3 of 3 cases scored" in result.output


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "DCS"], "did you mean 'DSC'"),
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

"""`train`, `predict` and `demo` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from lossodyssey.cli import train as verbs
from lossodyssey.data import write_phantom


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=6)
    return folder


def call(*arguments: object) -> Result:
    app = typer.Typer()
    for verb in (verbs.train, verbs.predict, verbs.demo):
        app.command()(verb)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_demo_without_data_compares_losses_on_the_phantom(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "demo"
    losses = ("--loss", "Dice()", "--loss", "DiceCE()")
    result = call("demo", "--data", data, "-o", out, "--steps", 12, "--seeds", 1, *losses)
    assert result.exit_code == 0, result.output
    assert "phantom, 6 synthetic CT volumes" in result.output
    assert "4 cases to train on, 2 held out" in result.output
    assert result.output.splitlines()[-1] == str(out / "report.html")
    assert (out / "cases.csv").is_file()
    assert (out / "report.html").stat().st_size > 10_000
    runs = sorted((out / "runs").iterdir())
    assert [json.loads((run / "run.json").read_text())["status"] for run in runs] == ["finished"] * 2

    predicted = call("predict", runs[0], data / "phantom" / "imagesTr", "-o", tmp_path / "new")
    assert predicted.exit_code == 0, predicted.output
    assert len(list((tmp_path / "new").glob("*.nii.gz"))) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "fantom", "--loss", "Dice()"), "no data set 'fantom'"),
        (("train", "phantom", "--loss", "Dise()"), "Dice"),
        (("train", "phantom", "--loss", "Focal(gama=2.0)"), "gamma"),
        (("train", "phantom", "--loss", "__import__('os')"), "import"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 6), "held_out=6"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--learning-rate", 0), "learning_rate is 0"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--device", "tpu"), "device is 'tpu'"),
        (("demo", "--loss", "Dise()"), "Dice"),
    ],
)
def test_a_mistake_is_an_error_before_anything_is_written(
    data: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    result = call(*arguments, "--data", data, "-o", tmp_path / "out")
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    result = call("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--data", data, "-o", out)
    assert isinstance(result.exception, ValueError)
    assert f"{out}: is a file" in str(result.exception)


def test_a_broken_volume_is_named_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=3)
    image = next((tmp_path / "phantom" / "imagesTr").iterdir())
    image.write_bytes(image.read_bytes()[:500])
    out = tmp_path / "out"
    result = call("train", "phantom", "--loss", "Dice()", "--held-out", 1, "--data", tmp_path, "-o", out)
    assert isinstance(result.exception, ValueError)
    assert image.name in str(result.exception)
    assert not out.exists()


def test_predict_wants_the_folder_of_a_run(tmp_path: Path) -> None:
    result = call("predict", tmp_path, tmp_path, "-o", tmp_path / "out")
    assert isinstance(result.exception, FileNotFoundError)
    assert "run.json" in str(result.exception)

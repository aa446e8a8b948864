"""`train`, `predict` and `demo` at the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from lossodyssey.data import write_phantom


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=6)
    return folder


Call = Callable[..., tuple[int, str, str]]


def check_refused(answer: tuple[int, str, str], message: str) -> None:
    code, _, errors = answer
    assert code == 2
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_demo_without_data_compares_losses_on_the_phantom(
    call: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "demo"
    (tmp_path / "losses.txt").write_text("own name=DiceCE()  # as nnU-Net has it\n")
    losses = ("--loss", "GDice()", "--losses", tmp_path / "losses.txt")
    code, output, errors = call("demo", "--data", data, "-o", out, "--steps", 12, "--seeds", 1, *losses)
    assert code == 0, errors
    assert "phantom, 6 synthetic CT volumes" in output
    assert "4 cases to train on, 2 held out" in output
    assert "own name seed 0:" in output and "own name" in (out / "cases.csv").read_text()
    assert output.splitlines()[-1] == str(out / "report.html")
    assert (out / "cases.csv").is_file()
    assert (out / "report.html").stat().st_size > 10_000
    runs = sorted((out / "runs").iterdir())
    records = [json.loads((run / "run.json").read_text()) for run in runs]
    assert [record["status"] for record in records] == ["finished"] * 2
    assert {record["expression"] for record in records} == {"GeneralizedDice()", "DiceCE()"}

    code, _, errors = call("predict", runs[0], data / "phantom" / "imagesTr", "-o", tmp_path / "new")
    assert code == 0, errors
    assert len(list((tmp_path / "new").glob("*.nii.gz"))) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "fantom", "--loss", "Dice()"), "no data set 'fantom'"),
        (("train", "phantom", "--loss", "Dise()"), "Dice"),
        (("train", "phantom", "--loss", "Focal(gama=2.0)"), "gamma"),
        (("train", "phantom", "--loss", "__import__('os')"), "import"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 6), "held_out=6"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 0), "held_out=0 of 6 cases"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", "0.01"), "held_out=0.01 of 6 cases"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", "1.5"), "--held-out is '1.5'; expected a whole number"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", "half"), "or a fraction as 0.2"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", "nan"), "--held-out is 'nan'"),
        (("train", "phantom", "--loss", "a/b=Dice()", "--held-out", 2), "named 'a/b'"),
        (
            ("train", "phantom", "--loss", "DiceCE()", "--loss", "Dice() + CE()", "--held-out", 2),
            "computes the same as",
        ),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--learning-rate", 0), "learning_rate is 0"),
        (("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--device", "tpu"), "device is 'tpu'"),
        (("train", "phantom", "--loss", "Dice()", "--engine", "unet"), "--engine is 'unet'; expected one of light"),
        (
            ("train", "phantom", "--loss", "Dice()", "--engine", "nnunet", "--steps", 9),
            "--steps is an option of --engine",
        ),
        (("train", "phantom", "--loss", "Dice()", "--epochs", 9), "--budget is an option of --engine nnunet"),
        (("train", "phantom", "--loss", "Dice()", "--small"), "--small is an option of --engine nnunet"),
        (("train", "phantom", "--loss", "Dice()", "--engine", "nnunet", "--protocol", "paper"), "protocol is 'paper'"),
        (
            ("train", "phantom", "--loss", "Dice()", "--engine", "nnunet", "--configuration", "4d"),
            "configuration is '4d'",
        ),
        (("demo", "--loss", "Dise()"), "Dice"),
        (("demo", "--category", "edges"), "--category is 'edges'; expected one of"),
    ],
)
def test_a_mistake_is_an_error_before_anything_is_written(
    call: Call, data: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    check_refused(call(*arguments, "--data", data, "-o", tmp_path / "out"), message)
    assert not (tmp_path / "out").exists()


def test_a_loss_alone_and_a_fraction_of_the_cases_held_out(call: Call, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone"
    words = ("train", data / "phantom", "--loss", "CE()", "--held-out", "0.3", "--steps", 1, "--seeds", 1, "-o", out)
    code, output, errors = call(*words)
    assert code == 0, errors
    assert "phantom, 6 cases: 4 cases to train on, 2 held out" in output
    assert "One loss was trained, so there is nothing to rank" in output and "macro_case" in output
    assert output.splitlines()[-1] == str(out / "cases.csv") and not (out / "report.html").exists()
    (run,) = (out / "runs").glob("crossentropy-*")
    record = json.loads((run / "run.json").read_text())
    assert (record["expression"], record["held_out"]) == ("CrossEntropy()", 2)
    damaged = run / "cases.csv"
    damaged.write_text(damaged.read_text()[:200])
    code, output, errors = call(*words)
    assert code == 0, errors
    assert "cases.csv is not as the run left it; made again" in output


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CE", "`CE` is another name of `CrossEntropy()`."),
        ("TopK30", "`TopK30` is another name of `TopK(percent=30.0)`."),
        ("DiceBD", "`DiceBD` is another name of `DiceBoundary()`."),
    ],
)
def test_show_says_what_an_alias_means(call: Call, name: str, says: str) -> None:
    code, output, _ = call("show", name, "--markdown")
    assert code == 0 and output.splitlines()[0] == says
    assert "## Hyper-parameters" in output


def test_show_names_the_candidates_of_an_ambiguous_name(call: Call) -> None:
    check_refused(call("show", "UnifiedFocal"), "SymmetricUnifiedFocal() or AsymmetricUnifiedFocal()")


def test_list_as_json_holds_presets_and_aliases(call: Call) -> None:
    _, output, _ = call("list", "--json")
    cards = {card["name"]: card for card in json.loads(output)}
    assert cards["CrossEntropy"]["aliases"]["CE"] == "CrossEntropy()"
    assert cards["DiceTopK"]["fields"]["batch"] is False


@pytest.mark.skipif(find_spec("nnunetv2") is not None, reason="nnU-Net is installed")
def test_nnunet_where_it_is_not_installed_says_how_to_install_it(call: Call, data: Path, tmp_path: Path) -> None:
    arguments = ("train", "phantom", "--loss", "Dice()", "--engine", "nnunet", "--small", "--held-out", 2)
    answer = call(*arguments, "--data", data, "-o", tmp_path / "out")
    check_refused(answer, 'pip install ".[nnunet]"')
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(call: Call, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    answer = call("train", "phantom", "--loss", "Dice()", "--held-out", 2, "--data", data, "-o", out)
    check_refused(answer, f"{out}: is a file")


def test_a_broken_volume_is_named_before_anything_is_written(call: Call, tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=3)
    image = next((tmp_path / "phantom" / "imagesTr").iterdir())
    image.write_bytes(image.read_bytes()[:500])
    out = tmp_path / "out"
    answer = call("train", "phantom", "--loss", "Dice()", "--held-out", 1, "--data", tmp_path, "-o", out)
    check_refused(answer, image.name)
    assert not out.exists()


def test_predict_wants_the_folder_of_a_run(call: Call, tmp_path: Path) -> None:
    check_refused(call("predict", tmp_path, tmp_path, "-o", tmp_path / "out"), "run.json: no such file")

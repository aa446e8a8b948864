"""`lossodyssey data prepare` as a user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy
import pytest
from typer.testing import CliRunner, Result

from lossodyssey.cli import data
from lossodyssey.data import find_dataset, places


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSODYSSEY_DATA", raising=False)
    monkeypatch.delenv("nnUNet_raw", raising=False)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def hearts(tmp_path: Path) -> Path:
    for number in range(1, 7):
        for part in ("imagesTr", "labelsTr"):
            path = tmp_path / "Task02_Heart" / part / f"la_{number:03d}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = numpy.random.default_rng(number).integers(0, 2, (6, 5, 4)).astype(numpy.uint8)
            nibabel.save(nibabel.Nifti1Image(values, numpy.eye(4)), path)
    return tmp_path / "Task02_Heart"


def prepare(*arguments: object) -> Result:
    return CliRunner().invoke(data.app, ["prepare", *map(str, arguments)], catch_exceptions=False)


def test_a_prepared_set_is_found_by_its_name(hearts: Path, tmp_path: Path) -> None:
    result = prepare("msd heart", hearts)
    assert result.exit_code == 0 and result.stdout.strip() == str(tmp_path / "cache" / "Task02_Heart")
    assert "6 cases, 1 of them held out" in result.stderr
    assert "note: 6 cases, the whole of Task02_Heart has 20: is an archive missing?" in result.stderr
    assert len(find_dataset("Task02_Heart").cases) == 6


def test_a_set_for_nnunet_goes_to_its_folder(hearts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no folder to write to: give one with -o, or set the variable nnUNet_raw"):
        prepare("task02", hearts, "--to", "nnunet")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    result = prepare("task02", hearts, "--to", "nnunet")
    assert result.stdout.strip() == str(tmp_path / "raw" / "Dataset002_Heart")
    assert (tmp_path / "raw/Dataset002_Heart/imagesTr/la_001_0000.nii.gz").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Task02_Hart",), "no recipe to prepare 'Task02_Hart'; did you mean Task02_Heart"),
        (("Task02_Heart", "--to", "bids"), "--to bids: expected one of msd, nnunet"),
        (("Task02_Heart", "--split", "mine"), "no published division 'mine' of Task02_Heart; known: none"),
        (("KiTS19",), "no case of KiTS19 in the sources; looked for case_00000/imaging.nii.gz"),
    ],
    ids=["name", "layout", "division", "archive"],
)
def test_mistakes_say_what_was_expected(hearts: Path, arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    name, *rest = arguments
    with pytest.raises(ValueError, match=message):
        prepare(name, hearts, *rest, "-o", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_mistake_is_one_line_on_the_terminal(hearts: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lossodyssey",
        "data",
        "prepare",
        "Task03",
        str(hearts),
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("error: no case of Task03_Liver in the sources")
    assert "Traceback" not in done.stderr


STUCK = """
import signal
import time
from pathlib import Path
from lossodyssey import __main__
from lossodyssey.data.prepare import checking
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
def stuck(*_):
    Path(SIGN).touch()
    time.sleep(60)
checking.read_case = stuck
__main__.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_process_that_is_stopped_leaves_nothing(number: signal.Signals, hearts: Path, tmp_path: Path) -> None:
    out, sign = tmp_path / "out", tmp_path / "sign"
    code = STUCK.replace("SIGN", repr(str(sign)))
    command = [sys.executable, "-c", code, "data", "prepare", "Task02", str(hearts), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not sign.exists() and process.poll() is None:
        time.sleep(0.05)
    assert len(list(out.iterdir())) == 1
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode not in (0, None) and "Traceback" not in told
    assert not out.exists()


def test_what_a_killed_process_left_is_told(hearts: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / ".making-abc").mkdir(parents=True)
    assert (
        ".making-abc was left by a process that was killed" in prepare("task02", hearts, "-o", tmp_path / "out").stderr
    )


def test_help_shows_how_to_call_it() -> None:
    result = prepare("--help")
    assert result.exit_code == 0 and "lossodyssey data prepare LiTS Training_Batch1.zip" in result.stdout

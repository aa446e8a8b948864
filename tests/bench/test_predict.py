"""Which files are cases, and which runs can predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lossodyssey.bench.predict import find_cases, predict
from lossodyssey.bench.record import write_record

from .test_record import RECORD


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_every_image_is_a_case_and_other_files_are_none(tmp_path: Path) -> None:
    cases = find_cases(touched(tmp_path, "b.nii.gz", "a_0007.nii", "notes.txt", ".hidden.png"), 1)
    assert [case.name for case in cases] == ["a_0007", "b"]


def test_numbered_files_are_the_channels_of_one_case(tmp_path: Path) -> None:
    names = [f"{case}_{channel:04d}.nii.gz" for case in "ab" for channel in range(2)]
    cases = find_cases(touched(tmp_path, *names), 2)
    assert [(case.name, [path.name for path in case.images]) for case in cases] == [
        ("a", names[:2]),
        ("b", names[2:]),
    ]


def test_a_single_file_will_do(tmp_path: Path) -> None:
    assert [case.name for case in find_cases(touched(tmp_path, "a.png", "b.png") / "b.png", 1)] == ["b"]


def test_missing_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        find_cases(tmp_path / "nowhere", 1)
    with pytest.raises(ValueError, match="holds no image"):
        find_cases(tmp_path, 1)


def test_only_a_finished_run_predicts(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    with pytest.raises(ValueError, match="this run is diverged; expected a finished one"):
        predict(tmp_path, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("single", [True, False], ids=["an image", "a folder"])
def test_no_image_is_overwritten_by_its_prediction(tmp_path: Path, single: bool) -> None:
    write_record(tmp_path / "run", replace(RECORD, status="finished"))
    images = touched(tmp_path, "a.nii.gz", "b_0000.nii.gz")
    with pytest.raises(ValueError, match=r"a\.nii\.gz: is one of the images; expected another folder"):
        predict(tmp_path / "run", images / "a.nii.gz" if single else images, tmp_path / "run" / "..")
    assert (tmp_path / "a.nii.gz").stat().st_size == 0

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.nnunet import case_name, read_summaries


def summary(path: Path, dice: float, file: str = "/labels/case_{}.nii.gz") -> Path:
    cases = [
        {
            "metrics": {
                "1": {"Dice": dice + 0.01 * i, "IoU": 0.5, "n_pred": 10, "n_ref": 12},
                "2": {"Dice": float("nan"), "IoU": float("nan"), "n_pred": 0, "n_ref": 0},
            },
            "prediction_file": f"/pred/case_{i}.nii.gz",
            "reference_file": file.format(i),
        }
        for i in range(6)
    ]
    path.write_text(json.dumps({"metric_per_case": cases, "mean": {}}))
    return path


def test_summaries_become_rows_that_rank(tmp_path: Path) -> None:
    rows = read_summaries([("CE", summary(tmp_path / "ce.json", 0.5)), ("Dice", summary(tmp_path / "dice.json", 0.7))])
    assert len(rows) == 2 * 6 * 2 * 2
    assert {row.status for row in rows} == {"ok", "both_empty"}
    assert (rows[0].case, rows[0].metric, rows[0].class_name, rows[0].size) == ("case_0", "DSC", "1", 12.0)
    assert rank(rows).losses[rank(rows).overall.order[0]] == "Dice"


def test_repeated_losses_are_folds(tmp_path: Path) -> None:
    path = summary(tmp_path / "s.json", 0.5)
    assert {row.fold for row in read_summaries([("CE", path), ("CE", path)])} == {0, 1}


@pytest.mark.parametrize("text", ["[]", "{", '{"mean": 1}', '{"metric_per_case": [1]}'])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json: not nnU-Net"):
        read_summaries([("CE", path)])


@pytest.mark.parametrize("path, name", [
    ("/labels/sub-01.ses-1.nii.gz", "sub-01.ses-1"),
    ("/labels/1.2.840.113619.nii", "1.2.840.113619"),
    ("/labels/patient 7.v2.NII.GZ", "patient 7.v2"),
    ("/labels/case.nii.gz_copy.nii.gz", "case.nii.gz_copy"),
    ("/labels/case.nii.gz.nii.gz", "case.nii.gz"),
    ("/labels/a\\b.png", "a\\b"),
    ("labelsTr/liver_0.mha", "liver_0"),
    ("D:\\nnUNet raw\\labelsTr\\sub-01.ses-1.nii.gz", "sub-01.ses-1"),
    ("D:/nnUNet_raw\\labelsTr\\liver_0.nrrd", "liver_0"),
    ("\\\\server\\share\\scan.1.tif", "scan.1"),
    ("sub-01.ses-1", "sub-01.ses-1"),
    ("/labels/.nii.gz", ".nii.gz"),
])  # fmt: skip
def test_a_case_is_the_name_of_its_file_without_the_ending_alone(path: str, name: str) -> None:
    assert case_name(path) == name


@pytest.mark.parametrize("file", ["/labels/sub-1{}.ses-{}.nii.gz", "C:\\labels\\1.2.{}.{}.nrrd"])
def test_sessions_of_a_patient_in_two_folds_stay_two_cases(tmp_path: Path, file: str) -> None:
    folds = [summary(tmp_path / f"{i}.json", 0.5 + 0.2 * i, file.format("{}", i)) for i in (1, 2)]
    rows = read_summaries([("CE", folds[0]), ("CE", folds[1]), ("Dice", folds[0]), ("Dice", folds[1])])
    assert len({row.case for row in rows}) == 12
    assert len(rank(rows).overall.cell.cases) == 12


def test_sessions_of_a_patient_in_one_summary_are_read(tmp_path: Path) -> None:
    path = summary(tmp_path / "s.json", 0.5, "/labels/sub-01.ses-{}.nii.gz")
    assert [row.case for row in read_summaries([("CE", path)])][::4] == [f"sub-01.ses-{i}" for i in range(6)]


def test_one_set_of_cases_scored_on_linux_and_on_windows_is_one(tmp_path: Path) -> None:
    linux = summary(tmp_path / "a.json", 0.5, "/labels/c.{}.nii.gz")
    windows = summary(tmp_path / "b.json", 0.6, "D:\\labels\\c.{}.nii.gz")
    ranking = rank(read_summaries([("CE", linux), ("Dice", windows)]))
    assert len(ranking.overall.cell.cases) == 6
    assert ranking.notes == ()

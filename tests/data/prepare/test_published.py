"""The divisions that published experiments rest on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossodyssey.data import read_dataset
from lossodyssey.data.divisions import read_folds
from lossodyssey.data.prepare.odyssey import folds_of
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import prepare

from .builders import ARCHIVES

# Of the files of folds released with the published comparison of losses: the first cases scored in the first fold.
LIVER = (101, 11, 112, 115, 12, 120, 128, 17, 19, 24, 25, 27, 3, 38, 40, 41, 42, 44, 5, 51, 52, 58, 64, 70, 75, 77, 82)
TUMOUR = (
    101,
    108,
    114,
    115,
    116,
    118,
    122,
    123,
    126,
    128,
    13,
    132,
    134,
    14,
    141,
    143,
    145,
    147,
    148,
    16,
    174,
    175,
    18,
    186,
    189,
    19,
)
ORGANS = (11, 13, 15, 18, 21, 28, 37, 43, 45, 48, 50, 53, 55, 66, 7, 74, 85, 88)


def test_the_folds_of_the_published_tasks() -> None:
    assert folds_of([f"train_{number}" for number in range(131)])[0] == tuple(f"train_{n}" for n in LIVER)
    tumour = folds_of([f"train_{number}" for number in range(434)])
    assert tumour[0][: len(TUMOUR)] == tuple(f"train_{n}" for n in TUMOUR)
    assert [len(fold) for fold in tumour] == [87, 87, 87, 87, 86]
    organs = folds_of([f"multiorgan_{number}" for number in range(1, 91)])
    assert organs[0] == tuple(f"multiorgan_{n}" for n in ORGANS)


@pytest.mark.usefixtures("small_sources")
@pytest.mark.parametrize("name", ["odyssey-liver", "odyssey-liver-tumour", "odyssey-pancreas", "odyssey-multi-organ"])
def test_the_first_published_fold_is_held_out(name: str, tmp_path: Path) -> None:
    if name in ("odyssey-pancreas", "odyssey-multi-organ"):
        pytest.importorskip("SimpleITK")
    done = prepare(find_recipe(name), ARCHIVES[name].build(tmp_path / "in"), tmp_path / "out")
    dataset = read_dataset(done.folder)
    (division,) = read_folds(dataset, done.folder / "splits_final.json")
    every = read_folds(dataset, done.folder / "published_folds.json")
    assert division.scored == every[0].scored and len(division.scored) == done.test
    # Of the small set of organs, the one case of a fold is the scan that was withdrawn.
    assert len(every) == (4 if name == "odyssey-multi-organ" else 5)
    assert sorted(case for fold in every for case in fold.scored) == sorted(case.name for case in dataset.cases)


@pytest.mark.usefixtures("small_sources")
def test_the_sources_of_a_published_task_keep_their_numbers(tmp_path: Path) -> None:
    folders = ARCHIVES["odyssey-liver-tumour"].build(tmp_path / "in")
    done = prepare(find_recipe("odyssey-liver-tumour"), folders, tmp_path / "out")
    cases = json.loads((done.folder / "manifest.json").read_text())["cases"]
    assert cases["train_7"].endswith("segmentation-7.nii")
    assert cases["train_10"].endswith("hepaticvessel_001.nii.gz")
    assert any("inferred" in note for note in done.notes)


def test_a_published_task_is_not_made_of_a_part_of_its_source(tmp_path: Path) -> None:
    folders = ARCHIVES["odyssey-liver-tumour"].build(tmp_path / "in")
    with pytest.raises(ValueError, match="Task08_HepaticVessel: 10 cases, expected all 303"):
        prepare(find_recipe("odyssey-liver-tumour"), folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "tested"),
    [
        (
            "ACDC2017",
            {
                f"patient{patient:03d}_frame{frame:02d}"
                for patient, frame in ((1, 1), (1, 7), (3, 1), (3, 9), (5, 1), (5, 11))
            },
        ),
        ("KiTS19", {f"case_{number:05d}" for number in (1, 3, 5, 7, 9)}),
        ("BraTS2018", {"Brats18_TCIA01_100_2", "Brats18_TCIA01_101_2", "Brats18_TCIA01_102_2"}),
    ],
)
@pytest.mark.parametrize("form", ["msd", "nnunet"])
def test_the_division_of_the_region_wise_loss(name: str, tested: set[str], form: str, tmp_path: Path) -> None:
    folders = ARCHIVES[name].build(tmp_path / "in")
    done = prepare(find_recipe(name), folders, tmp_path / "out", form, "region-wise")
    if form == "nnunet":
        assert {path.name[:-7] for path in (done.folder / "labelsTs").iterdir()} == tested
    else:
        (fold,) = json.loads((done.folder / "splits_final.json").read_text())
        assert set(fold["val"]) == tested and not tested & set(fold["train"])


def test_the_cases_that_a_division_leaves_out_are_told(tmp_path: Path) -> None:
    folders = ARCHIVES["ACDC2017"].build(tmp_path / "in")
    done = prepare(find_recipe("ACDC"), folders, tmp_path / "out", split="region-wise")
    assert any("4 cases are in neither part" in note for note in done.notes)


def test_a_division_that_nobody_published(tmp_path: Path) -> None:
    folders = ARCHIVES["KiTS19"].build(tmp_path / "in")
    with pytest.raises(ValueError, match="no published division 'mine' of KiTS19; known: region-wise"):
        prepare(find_recipe("KiTS19"), folders, tmp_path / "out", split="mine")
    with pytest.raises(ValueError, match="'mine' of LiTS; known: none"):
        prepare(find_recipe("LiTS"), ARCHIVES["LiTS"].build(tmp_path / "other"), tmp_path / "out", split="mine")


def test_the_folds_for_nnunet_part_no_patient_and_hold_no_test_case(tmp_path: Path) -> None:
    folders = ARCHIVES["ACDC2017"].build(tmp_path / "in")
    done = prepare(find_recipe("ACDC"), folders, tmp_path / "out", "nnunet")
    every = json.loads((done.folder / "splits_final.json").read_text())
    assert len(every) == 5
    for fold in every:
        assert not {name[:10] for name in fold["train"]} & {name[:10] for name in fold["val"]}
        assert not {"patient101_frame01", "patient102_frame01"} & {*fold["train"], *fold["val"]}

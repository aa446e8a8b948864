"""Which file of a released study is which loss, data set, fold and case."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossodyssey.metrics.sets import Sets, find_sets, key_of


@pytest.fixture
def truths(tmp_path: Path) -> Path:
    for name in ("odyssey-liver", "odyssey-liver-tumour/labelsTr", "Task07_Pancreas/labelsTr"):
        for case in ("train_0", "train_1", "train_2"):
            path = tmp_path / "truths" / name / f"{case}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path / "truths"


def found(paths: list[str], truths: Path, layout: str = "") -> Sets:
    return find_sets({path: Path("/predictions") / path for path in paths}, truths, layout)


def described(sets: Sets) -> list[tuple[str, str, int, str, str]]:
    return [
        (one.loss, one.dataset, one.fold, pair.name, pair.prediction.parent.as_posix() if pair.prediction else "none")
        for one in sets.sets
        for pair in one.pairs
    ]


@pytest.mark.parametrize(
    "path",
    [
        "Liver/DiceCE/train_0.nii.gz",
        "DiceCE/liver/train_0.nii.gz",
        "SegLossResults/DiceCE/odyssey_liver/fold_0/validation_raw/train_0.nii.gz",
        "Task029_Liver/nnUNetTrainer_DiceCE__nnUNetPlans/fold_0/train_0.nii.gz",
        "Task029_Liver/nnUNetTrainerV2_Loss_DiceCE__nnUNetPlansv2.1/train_0.nii.gz",
    ],
)
def test_folders_in_any_order_say_loss_and_data_set(path: str, truths: Path) -> None:
    other = path.replace("DiceCE", "Focal")
    sets = found([path, other, other.replace("train_0", "train_1")], truths).sets
    assert [(one.loss, one.dataset) for one in sets] == [("DiceCE", "odyssey-liver"), ("Focal", "odyssey-liver")]
    assert [pair.name for pair in sets[0].pairs] == ["train_0", "train_1"]
    assert sets[0].pairs[0].truth == truths / "odyssey-liver" / "train_0.nii.gz"
    assert sets[0].pairs[1].prediction is None


@pytest.mark.parametrize(
    "path",
    [
        "SegLoss.zip/Liver/CE/train_0.nii.gz",
        "download/Liver.tar.gz/Liver/CE/train_0.nii.gz",
        "download/CE.zip/CE/Liver/train_0.nii.gz",
        "CE/Liver/train_0.nii.gz",
    ],
)
def test_names_of_archives_count_as_folders(path: str, truths: Path) -> None:
    (one,) = found([path], truths).sets
    assert (one.loss, one.dataset) == ("CE", "odyssey-liver")


def test_liver_and_its_tumour_are_told_apart(truths: Path) -> None:
    sets = found(["LiverTumor/CE/train_0.nii.gz", "Liver/CE/train_0.nii.gz"], truths)
    assert [one.dataset for one in sets.sets] == ["odyssey-liver", "odyssey-liver-tumour"]


def test_folds_hold_their_own_cases(truths: Path) -> None:
    names = ["Liver/CE/fold_0/train_0.nii.gz", "Liver/CE/fold_1/train_1.nii.gz", "Liver/TopK/fold_0/train_0.nii.gz"]
    assert described(found(names, truths)) == [
        ("CE", "odyssey-liver", 0, "train_0", "/predictions/Liver/CE/fold_0"),
        ("CE", "odyssey-liver", 1, "train_1", "/predictions/Liver/CE/fold_1"),
        ("TopK", "odyssey-liver", 0, "train_0", "/predictions/Liver/TopK/fold_0"),
    ]


def test_what_has_no_rows_is_told(truths: Path) -> None:
    sets = found(["Liver/CE/train_0.nii.gz", "Liver/CE/train_9.nii.gz", "Liver/CE/plans.pkl"], truths)
    assert [pair.name for one in sets.sets for pair in one.pairs] == ["train_0"]
    assert sets.notes == (
        "odyssey-liver: predicted cases without a truth, which have no rows, 1: train_9",
        "odyssey-liver: truths that no loss predicts, which have no rows, 2: train_1, train_2",
    )


@pytest.mark.parametrize(
    ("path", "layout", "loss", "fold"),
    [
        ("Liver_DiceCE/train_0.nii.gz", "{dataset}_{loss}/{case}", "DiceCE", 0),
        ("v1/DiceCE-Liver-f3/train_0.nii.gz", "{loss}-{dataset}-f{fold}/{case}.nii.gz", "DiceCE", 3),
        ("Liver_nnUNetTrainer_DiceCE/train_0.nii.gz", "{dataset}_{loss}/{case}", "DiceCE", 0),
        ("DiceCE/x7/Liver/out_train_0.nii.gz", "{loss}/*/{dataset}/out_{case}", "DiceCE", 0),
    ],
)
def test_a_layout_names_the_parts(path: str, layout: str, loss: str, fold: int, truths: Path) -> None:
    (one,) = found([path], truths, layout).sets
    assert (one.loss, one.dataset, one.fold, one.pairs[0].name) == (loss, "odyssey-liver", fold, "train_0")


def test_of_two_known_names_in_a_layout_the_longer_one_is_meant(truths: Path) -> None:
    (one,) = found(["Liver_Tumor_CE/train_0.nii.gz"], truths, "{dataset}_{loss}/{case}").sets
    assert (one.loss, one.dataset) == ("CE", "odyssey-liver-tumour")


@pytest.mark.parametrize(
    ("paths", "layout", "message"),
    [
        (["Kidney/CE/train_0.nii.gz"], "", "no folder of its path has the name of a data set"),
        (["Liver/train_0.nii.gz"], "", r"0 folders \(none\) of its path can be the loss"),
        (["Liver/CE/a/train_0.nii.gz", "Liver/Dice/b/train_0.nii.gz"], "", r"2 folders \(CE, a\)"),
        (["Liver/CE/a/train_0.nii.gz"], "", r"2 folders \(CE, a\)"),
        (["Liver/CE/train_0.nii.gz", "Liver/CE/validation/train_0.nii.gz"], "", "case 'train_0' of CE"),
        (["Liver/CE/other_0.nii.gz"], "", "no prediction has a truth of its name: predictions are other_0"),
        (["Liver/CE/plans.pkl"], "", "no predicted label map"),
        (["Liver/CE/train_0.nii.gz"], "{dataset}/{case}", "expected each of"),
        (["Liver/CE/train_0.nii.gz"], "{dataset}/{loss}/{loss}/{case}", "expected each of"),
        (["Liver/CE/train_0.nii.gz"], "{dataset}/{loss}/x_{case}", "does not fit the layout"),
        (["Kidney/CE/train_0.nii.gz"], "{dataset}/{loss}/{case}", "data set 'Kidney' is none of"),
    ],
    ids=range(11),
)
def test_what_does_not_fit_is_refused(paths: list[str], layout: str, message: str, truths: Path) -> None:
    with pytest.raises(ValueError, match=message):
        found(paths, truths, layout)


def test_truths_without_label_maps_are_refused(tmp_path: Path) -> None:
    (tmp_path / "liver").mkdir()
    with pytest.raises(ValueError, match="no folder in it has label maps"):
        found(["Liver/CE/train_0.nii.gz"], tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        found(["Liver/CE/train_0.nii.gz"], tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("one", "other"),
    [("odyssey-liver-tumour", "LiverTumor"), ("Task03_Liver", "liver"), ("Multi-organ", "odyssey-multi-organ")],
)
def test_names_of_one_data_set(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)

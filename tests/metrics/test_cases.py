from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from lossodyssey.metrics import score
from lossodyssey.metrics.cases import Request, score_cases
from lossodyssey.metrics.folders import find_classes, pair_files
from lossodyssey.metrics.geometry import read_pair
from lossodyssey.metrics.summary import long_rows, summarise, write_nnunet_summary, write_summary

AFFINE = np.diag([2.0, 0.8, 0.8, 1.0])
BOTH = Request(("DSC", "HD95"))


def labels(seed: int, classes: int = 2) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, classes + 1, (3, 4, 4))
    return np.kron(coarse, np.ones((3, 3, 3))).astype(np.uint8)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for number in range(4):
        save(tmp_path / "truths" / f"case_{number}.nii.gz", labels(number))
        save(tmp_path / "predictions" / f"case_{number}.nii.gz", np.roll(labels(number), 1, 1))
    return tmp_path / "predictions", tmp_path / "truths"


def test_files_give_what_the_arrays_give(folders):
    for number, result in enumerate(score_cases(pair_files(*folders), BOTH, workers=1)):
        truth = labels(number)
        expected = score(np.roll(truth, 1, 1), truth, spacing=(2, 0.8, 0.8), metrics=BOTH.metrics)
        found = [entry for entry in result.classes.values() for entry in entry.scores]
        assert [entry.value for entry in found] == pytest.approx([entry.value for entry in expected])
        assert result.classes[1].truth_volume == pytest.approx((truth == 1).sum() * 2 * 0.8 * 0.8)


@pytest.mark.parametrize("metric", ["HD", "HD95", "ASSD_voxel", "ASD_truth_to_pred", "MASD"])
def test_a_distance_carries_the_diagonal_of_its_image(folders, metric):
    results = score_cases(pair_files(*folders), Request(("DSC", metric, "NSD@2")), workers=1)
    rows = long_rows(results, {}, loss="l", dataset="d")
    assert {row.metric for row in rows if math.isfinite(row.greatest)} == {metric}
    distances = [row for row in rows if row.metric == metric]
    assert [row.greatest for row in distances] == pytest.approx([math.hypot(18, 9.6, 9.6)] * len(distances))
    assert all(row.value <= row.greatest for row in distances)


def test_number_of_workers_changes_nothing_and_every_case_is_announced(folders):
    announced: list[int] = []
    alone = score_cases(pair_files(*folders), BOTH, workers=1, done=lambda: announced.append(1))
    together = score_cases(pair_files(*folders), BOTH, workers=2, done=lambda: announced.append(2))
    assert alone == together
    assert sorted(announced) == [1] * 4 + [2] * 4


def test_all_cases_cover_the_same_labels(folders):
    predictions, truths = folders
    save(truths / "case_0.nii.gz", labels(0, classes=1))
    save(predictions / "case_0.nii.gz", labels(0, classes=1))
    results = score_cases(pair_files(*folders), BOTH, workers=1)
    assert [list(result.classes) for result in results] == [[1, 2]] * 4
    assert {entry.status for entry in results[0].classes[2].scores} == {"both_empty"}


def break_prediction(predictions: Path, truths: Path, kind: str) -> None:
    path = predictions / "case_1.nii.gz"
    good = labels(1)
    if kind == "missing":
        path.unlink()
    elif kind == "extra":
        (truths / "case_1.nii.gz").unlink()
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "not an image":
        path.write_text("hello")
    elif kind == "shape":
        save(path, good[:-1])
    elif kind == "spacing":
        save(path, good, np.diag([1.0, 0.8, 0.8, 1.0]))
    elif kind == "affine":
        moved = AFFINE.copy()
        moved[0, 3] = 7
        save(path, good, moved)
    elif kind == "orientation":
        save(path, good[::-1], np.diag([-2.0, 0.8, 0.8, 1.0]))
    elif kind == "4D":
        save(path, np.stack([good, good], axis=-1))
    elif kind == "fractions":
        save(path, good + np.float32(0.5))
    elif kind == "label":
        save(path, np.where(good == 1, 9, good))


PROBLEMS = {
    "missing": "case_1.nii.gz: no prediction of this name",
    "extra": "case_1.nii.gz: no truth of this name",
    "truncated": "predictions/case_1.nii.gz",
    "not an image": "predictions/case_1.nii.gz",
    "shape": r"predictions/case_1.nii.gz: shape (8, 12, 12), the truth has (9, 12, 12)",
    "spacing": "predictions/case_1.nii.gz: spacing 1 x 0.8 x 0.8 mm, the truth has 2 x 0.8 x 0.8",
    "affine": "predictions/case_1.nii.gz: affine differs from the truth's by 7",
    "orientation": "predictions/case_1.nii.gz: axes run LAS, the truth's RAS; --reorient turns it",
    "4D": "predictions/case_1.nii.gz",
    "fractions": "predictions/case_1.nii.gz: labels are not whole numbers",
    "label": "predictions/case_1.nii.gz: label 9 is none of [0, 1, 2]",
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_bad_case_is_named_and_the_others_are_scored(folders, kind):
    break_prediction(*folders, kind)
    request = Request(("DSC", "HD95"), known=frozenset({0, 1, 2}))
    results = score_cases(pair_files(*folders), request, workers=1)
    expected = ["ok", "missing" if kind == "missing" else "failed", "ok", "ok"]
    assert [result.status for result in results] == expected
    assert PROBLEMS[kind] in results[1].reason
    rows = [row for row in long_rows(results, {}, loss="l", dataset="d") if row.case == "case_1"]
    if kind == "extra":  # not a case: in a ranking its rows would be failures of the loss
        assert rows == []
        return
    assert [(row.class_name, row.metric) for row in rows] == [(c, m) for c in "12" for m in ("DSC", "HD95")]
    assert all(math.isnan(row.value) and row.status == expected[1] for row in rows)
    diagonal = math.hypot(9 * 2, 12 * 0.8, 12 * 0.8)
    assert [row.greatest for row in rows] == pytest.approx([math.nan, diagonal] * 2, nan_ok=True)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1)])
def test_reoriented_prediction_equals_the_truth(tmp_path, order, flip):
    truth = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = save(tmp_path / "truth.nii.gz", truth)
    turned = nibabel.load(path).as_reoriented(np.array(list(zip(order, flip, strict=True))))
    nibabel.save(turned, tmp_path / "prediction.nii.gz")
    predicted, true = read_pair(tmp_path / "prediction.nii.gz", path, reorient=True)
    assert np.array_equal(predicted.labels, true.labels)
    assert predicted.spacing == pytest.approx(true.spacing)


def coded(path, array, forms):
    """Save with these affines: a diagonal for sform and qform each, or nothing."""
    picture = nibabel.Nifti1Image(array, None)
    for form, put in zip(forms, (picture.set_sform, picture.set_qform), strict=True):
        put(None if form is None else np.diag([*form, 1.0]), 0 if form is None else 1)
    nibabel.save(picture, path)


RAS, LAS, RPS = (1, 1, 1), (-1, 1, 1), (1, -1, 1)
NOTHING, TWO = "says nothing of how its axes lie (sform_code and", "says two things of how its axes lie (sform: "


@pytest.mark.parametrize("reorient", [True, False])
@pytest.mark.parametrize(
    ("prediction", "truth", "named", "said"),
    [
        ((None, None), (RAS, RAS), "prediction", NOTHING),
        ((None, None), (None, RPS), "prediction", NOTHING),
        ((RAS, None), (None, None), "truth", NOTHING),
        ((LAS, RAS), (RAS, RAS), "prediction", TWO + "LAS, qform: RAS)"),
        ((None, LAS), (RAS, RPS), "truth", TWO + "RAS, qform: RPS)"),
    ],
)
def test_nothing_is_turned_by_a_header_that_does_not_say_how(tmp_path, prediction, truth, named, said, reorient):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name, forms in (("prediction", prediction), ("truth", truth)):
        coded(tmp_path / f"{name}.nii.gz", array, forms)
    with pytest.raises(ValueError, match="copy the image's header to both") as caught:
        read_pair(tmp_path / "prediction.nii.gz", tmp_path / "truth.nii.gz", reorient=reorient)
    assert f"{named}.nii.gz: its header {said}" in str(caught.value)


@pytest.mark.parametrize("forms", [(None, None), (LAS, RAS)], ids=["silent", "contradictory"])
def test_two_headers_that_say_the_same_are_compared_as_they_are(tmp_path, forms):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name in ("prediction", "truth"):
        coded(tmp_path / f"{name}.nii.gz", array, forms)
    predicted, true = read_pair(tmp_path / "prediction.nii.gz", tmp_path / "truth.nii.gz", reorient=True)
    assert np.array_equal(predicted.labels, true.labels) and np.array_equal(true.labels, array)


@pytest.mark.parametrize("forms", [(None, RPS), (RPS, None), (RPS, RPS)], ids=["qform", "sform", "both"])
def test_one_form_is_enough_to_turn_by(tmp_path, forms):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = save(tmp_path / "truth.nii.gz", array)
    true = nibabel.load(path).affine
    flipped = true @ np.array([[1, 0, 0, 0], [0, -1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]])
    picture = nibabel.Nifti1Image(array[:, ::-1], None)
    for form, put in zip(forms, (picture.set_sform, picture.set_qform), strict=True):
        put(None if form is None else flipped, 0 if form is None else 1)
    nibabel.save(picture, tmp_path / "prediction.nii.gz")
    predicted, _ = read_pair(tmp_path / "prediction.nii.gz", path, reorient=True)
    assert np.array_equal(predicted.labels, array)


def test_pictures_are_scored_in_pixels(tmp_path):
    for name, shift in (("truths", 0), ("predictions", 2)):
        (tmp_path / name).mkdir()
        image = np.zeros((20, 30), np.uint8)
        image[5:9, 5 + shift : 9 + shift] = 255
        Image.fromarray(image).save(tmp_path / name / "a.png")
    (result,) = score_cases(pair_files(tmp_path / "predictions", tmp_path / "truths"), BOTH, workers=1)
    assert [entry.value for entry in result.classes[255].scores] == [0.5, 2.0]
    rows = long_rows([result], {255: "cell"}, loss="Dice()", dataset="cells")
    assert {row.metric: row.lengths for row in rows} == {"DSC": "", "HD95": "px"}


def test_pairs_are_found_by_name_and_other_files_passed_over(folders):
    predictions, truths = folders
    for name in ("dataset.json", "._case_0.nii.gz", "case_0.npz"):
        (predictions / name).write_text("{}")
    pairs = pair_files(predictions, truths)
    assert [pair.name for pair in pairs] == [f"case_{number}" for number in range(4)]
    assert pair_files(predictions / "case_0.nii.gz", truths / "case_0.nii.gz") == [pairs[0]]


def test_two_files_of_one_name_and_empty_folders_are_refused(folders, tmp_path):
    predictions, truths = folders
    save(predictions / "case_0.nii", labels(0))
    with pytest.raises(ValueError, match=r"case_0.nii and case_0.nii.gz are both case 'case_0'"):
        pair_files(predictions, truths)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        pair_files(tmp_path / "nowhere", truths)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no image files"):
        pair_files(tmp_path / "empty", truths)


def test_class_names_come_from_the_nearest_dataset_json(folders):
    predictions, truths = folders
    assert find_classes(predictions, truths) is None
    content = {"name": "Organs", "labels": {"0": "background", "1": "liver", "2": "tumour"}}
    (truths.parent / "dataset.json").write_text(json.dumps(content))
    assert find_classes(predictions, truths) == ("Organs", {0: "background", 1: "liver", 2: "tumour"})


@pytest.mark.parametrize("table", [{"0": "background", "1": "a", "4": "b"}, {"background": 0, "b": 4, "a": 1}])
def test_numbers_of_classes_may_have_gaps(folders, table):
    (folders[1].parent / "dataset.json").write_text(json.dumps({"labels": table}), encoding="utf-8-sig")
    _, names = find_classes(*folders)
    assert list(names.items()) == [(0, "background"), (1, "a"), (4, "b")]


def test_regions_stand_under_their_labels_in_the_order_of_the_file(folders):
    table = {"background": 0, "whole": [1, 2, 4], "core": [4, 1], "enhancing": [4], "ignore": 5}
    (folders[1].parent / "dataset.json").write_text(json.dumps({"labels": table}))
    _, names = find_classes(*folders)
    expected = [(0, "background"), ((1, 2, 4), "whole"), ((1, 4), "core"), (4, "enhancing"), (5, "ignore")]
    assert list(names.items()) == expected


@pytest.mark.parametrize("asked", [None, (1,), (1, 2)])
def test_a_label_of_no_class_is_named_whatever_is_scored(folders, asked):
    path = save(folders[0] / "case_1.nii.gz", np.where(labels(1) == 2, 9, labels(1)))
    request = Request(("DSC",), labels=asked, known=frozenset({0, 1, 2}))
    results = score_cases(pair_files(*folders), request, workers=1)
    assert [result.status for result in results] == ["ok", "failed", "ok", "ok"]
    assert results[1].reason.startswith(f"{path}: label 9 is none of [0, 1, 2] of dataset.json; change")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_grid_a_little_off_is_scored_and_told(folders, workers):
    moved = AFFINE.copy()
    moved[1, 3] = 0.002
    path = save(folders[0] / "case_2.nii.gz", np.roll(labels(2), 1, 1), moved)
    results = score_cases(pair_files(*folders), BOTH, workers=workers)
    assert [(result.status, bool(result.note)) for result in results] == [("ok", n == 2) for n in range(4)]
    assert results[2].note == f"{path}: affine differs from the truth's by 0.002; taken for the same grid"


def test_ignored_voxels_are_in_no_count(folders):
    _, truths = folders
    truth = labels(0)
    truth[0] = 3
    save(truths / "case_0.nii.gz", truth)
    (result, *_) = score_cases(pair_files(*folders), Request(("DSC",), labels=(1, 2), ignore=3), workers=1)
    counts = result.classes[1].counts
    assert counts.tp + counts.fp + counts.fn + counts.tn == truth[1:].size
    assert counts.tp + counts.fp == (np.roll(labels(0), 1, 1)[1:] == 1).sum()


def test_regions_have_the_keys_of_nnunet_in_its_summary(folders):
    results = score_cases(pair_files(*folders), Request(("DSC",), labels=((1, 2), 2)), workers=1)
    path = folders[0].parent / "summary.json"
    write_nnunet_summary(path, results)
    content = json.loads(path.read_text())
    assert list(content["mean"]) == ["(1, 2)", "2"]
    assert content["metric_per_case"][0]["metrics"]["(1, 2)"]["n_ref"] == (labels(0) > 0).sum()


def test_both_averages_differ_where_a_value_is_undefined(tmp_path):
    # Class 1: DSC 1 and 0. Class 2: only in the first case, DSC 1.
    arrays = {"a": ([[1, 2]], [[1, 2]]), "b": ([[0, 1]], [[1, 0]])}
    for name, pair in arrays.items():
        for folder, array in zip(("predictions", "truths"), pair, strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(np.array(array, np.uint8)).save(tmp_path / folder / f"{name}.png")
    results = score_cases(pair_files(tmp_path / "predictions", tmp_path / "truths"), Request(("DSC",)), workers=1)
    rows = long_rows(results, {1: "one"}, loss="l", dataset="d")
    lines, (macro,) = summarise(rows)
    assert [(line.class_name, line.mean, line.median, line.statuses) for line in lines] == [
        ("one", 0.5, 0.5, {"ok": 2}),
        ("2", 1.0, 1.0, {"ok": 1, "both_empty": 1}),
    ]
    assert macro.macro_case == pytest.approx((1 + 0) / 2)
    assert macro.macro_class == pytest.approx((0.5 + 1) / 2)

    write_summary(tmp_path / "cases.csv", rows, results)
    content = json.loads((tmp_path / "cases.summary.json").read_text())
    assert content["macro"] == [{"metric": "DSC", "macro_case": 0.5, "macro_class": 0.75}]
    assert "left out" in content["policy"]
    assert (tmp_path / "cases.summary.csv").read_text().splitlines()[1].startswith("one,DSC,0.5,0.5,0.25,0.75,2,0")


def test_nnunet_summary_has_the_keys_and_values_its_readers_expect(folders):
    results = score_cases(pair_files(*folders), BOTH, workers=1)
    path = folders[0].parent / "summary.json"
    write_nnunet_summary(path, results)
    content = json.loads(path.read_text())
    case, truth = content["metric_per_case"][2], labels(2)
    prediction = np.roll(truth, 1, 1)
    metrics = case["metrics"]["2"]
    assert case["reference_file"].endswith("truths/case_2.nii.gz")
    assert set(metrics) == {"Dice", "FN", "FP", "IoU", "TN", "TP", "n_pred", "n_ref"}
    assert metrics["n_ref"] == metrics["TP"] + metrics["FN"] == (truth == 2).sum()
    assert metrics["TP"] + metrics["FP"] + metrics["FN"] + metrics["TN"] == truth.size
    assert metrics["Dice"] == pytest.approx(score(prediction, truth, metrics=["DSC"]).value(2, "DSC"))
    dice = [table["metrics"]["1"]["Dice"] for table in content["metric_per_case"]]
    assert content["mean"]["1"]["Dice"] == pytest.approx(np.mean(dice))
    means = [table["Dice"] for table in content["mean"].values()]
    assert content["foreground_mean"]["Dice"] == pytest.approx(np.mean(means))

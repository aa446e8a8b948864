"""Labels that do not fit, and ignored ones: nothing of it is scored without a word."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import evaluate
from lossodyssey.table import Row, read_rows

app = typer.Typer()
app.command(cls=evaluate.ManyValues)(evaluate.evaluate)
runner = CliRunner()

LIVER = {"background": 0, "liver": 1}
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}


@dataclass
class Told:
    code: int
    text: str
    rows: list[Row]
    summary: dict[str, Any]
    nnunet: dict[str, Any]


@dataclass
class Study:
    root: Path

    def save(self, folder: str, *labels: np.ndarray) -> None:
        (self.root / folder).mkdir(exist_ok=True)
        for number, array in enumerate(labels):
            image = nibabel.Nifti1Image(array.astype(np.uint8), np.eye(4))
            nibabel.save(image, self.root / folder / f"c{number}.nii.gz")

    def names(self, labels: dict[str, Any] | None, folder: str = "") -> None:
        if labels is not None:
            (self.root / folder / "dataset.json").write_text(json.dumps({"labels": labels}))

    def evaluate(self, *words: str, file: str = "") -> Told:
        output = self.root / "out" / "cases.csv"
        folders = [str(self.root / folder / file) for folder in ("predictions", "labelsTr")]
        done = runner.invoke(app, [*folders, "-o", str(output), "--metrics", "DSC", "--workers", "1", *words])
        text = " ".join([*done.output.split(), str(done.exception or "")])
        if not output.exists():
            return Told(done.exit_code, text, [], {}, {})
        read = [
            json.loads(path.read_text())
            for path in (output.with_suffix(".summary.json"), output.with_suffix(".nnunet.json"))
        ]
        return Told(done.exit_code, text, read_rows(output), *read)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def square(shift: int = 0) -> np.ndarray:
    labels = np.zeros((8, 8, 8), int)
    labels[2:5, 2:5, 2 + shift : 5 + shift] = 1
    return labels


TRUE, MASK = square(), square(1)
TWO = np.where(np.roll(TRUE, 3, 0) == 1, 2, TRUE)


@pytest.mark.parametrize("words", [[], ["--labels", "1"]], ids=["all", "asked"])
@pytest.mark.parametrize(
    ("names", "prediction", "truth", "strange"),
    [
        (LIVER, MASK, 255 * TRUE, "label 255 is none of [0, 1]"),
        (LIVER, 255 * MASK, 255 * TRUE, "label 255 is none of [0, 1]"),
        (LIVER, 7 * MASK, TRUE, "label 7 is none of [0, 1]"),
        (LIVER, MASK, TWO, "label 2 is none of [0, 1]"),
        (REGIONS, MASK, 3 * TRUE, "label 3 is none of [0, 1, 2]"),
        (REGIONS, 128 * MASK, 128 * TRUE, "label 128 is none of [0, 1, 2]"),
        ({"0": "background", "1": "a", "4": "b"}, MASK, TWO, "label 2 is none of [0, 1, 4]"),
        ({**LIVER, "ignore": 2}, MASK, 3 * TRUE, "label 3 is none of [0, 1, 2]"),
    ],
    ids=["255 and 1", "255 and 255", "7", "two", "regions", "regions 128", "gap", "ignore"],
)
def test_a_label_that_the_set_does_not_know_fails_its_case(
    study: Study, words: list[str], names: dict[str, Any], prediction: np.ndarray, truth: np.ndarray, strange: str
) -> None:
    study.save("predictions", prediction, TRUE)
    study.save("labelsTr", truth, TRUE)
    study.names(names)
    told = study.evaluate(*words)
    assert told.code == 1 and strange in told.text and "1 of 2 cases scored" in told.text
    assert {(row.case, row.status) for row in told.rows if row.class_name in ("liver", "whole", "1", "a")} == {
        ("c0", "failed"),
        ("c1", "ok"),
    }


@pytest.mark.parametrize(
    ("names", "words", "message"),
    [
        (LIVER, ["--labels", "255"], "--labels asks for 255, but dataset.json knows [0, 1]"),
        (REGIONS, ["--labels", "1", "3"], "--labels asks for 3, but dataset.json knows [0, 1, 2]"),
        (None, ["--labels", "1"], "label 1 occurs in no file; predictions hold label 255 and truths label 255"),
        (None, ["--labels", "2", "3"], "label 2, 3 occurs in no file"),
        ({**LIVER, "ignore": 2}, ["--labels", "1", "2"], "labels holds 2, but voxels of label 2 are ignored"),
        (None, ["--ignore", "255", "--labels", "255"], "labels holds 255, but voxels of label 255 are ignored"),
        ({**LIVER, "ignore": 2}, ["--ignore", "3"], "--ignore is 3, but dataset.json ignores 2"),
        (REGIONS, ["--ignore", "2"], "--ignore is 2, which is part of region 'whole'"),
        ({**LIVER, "Ignore": 2}, [], "label 'Ignore' is a class to nnU-Net; write 'ignore'"),
        ({**LIVER, "ignore": [2, 3]}, [], "'ignore' is (2, 3); expected one whole number above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_table_is_written(
    study: Study, names: dict[str, Any] | None, words: list[str], message: str
) -> None:
    study.save("predictions", 255 * MASK)
    study.save("labelsTr", 255 * TRUE)
    study.names(names)
    told = study.evaluate(*words)
    assert told.code != 0 and message in told.text and told.rows == []


@pytest.mark.parametrize("file", ["", "c0.nii.gz"], ids=["folders", "files"])
def test_dataset_json_counts_for_single_files_too(study: Study, file: str) -> None:
    study.save("predictions", 255 * MASK)
    study.save("labelsTr", 255 * TRUE)
    study.names(LIVER)
    assert study.evaluate(file=file).code == 1
    study.names({"background": 0, "liver": 255})
    told = study.evaluate(file=file)
    assert told.code == 0 and [row.class_name for row in told.rows] == ["liver"]


@pytest.mark.parametrize(
    ("predictions", "truths", "words", "message"),
    [
        ([MASK, MASK], [TRUE, 255 * TRUE], [], "share no label in 1 of 2 cases (c1; the first holds label 1 against"),
        ([TWO, MASK], [TRUE, TRUE], [], "predictions hold label 2, and no truth does"),
        ([MASK, MASK], [TRUE, 5 * TWO], [], "truths hold label 5, 10, and no prediction does"),
        (
            [MASK, MASK],
            [TWO, TRUE],
            [],
            "truths hold label 2, and no prediction does: scored as a class that was never",
        ),
        ([0 * MASK, 0 * MASK], [TRUE, TRUE], [], "no prediction holds any label but 0, and truths hold label 1"),
        ([MASK, TWO], [0 * TRUE, 0 * TRUE], [], "no truth holds any label but 0, and predictions hold label 1, 2"),
        ([MASK, MASK], [255 * TRUE, 255 * TRUE], ["--labels", "1"], "class 1 and truths class 255, none in common"),
        ([MASK, MASK], [TRUE, TRUE], ["--labels", "1", "3"], "label 3 was asked for and occurs in no file"),
        ([MASK, MASK], [TRUE, TRUE], ["--ignore", "2"], "no truth holds the ignored label 2, so no voxel was left out"),
    ],
)
def test_without_dataset_json_label_sets_that_differ_are_told_of(
    study: Study, predictions: list[np.ndarray], truths: list[np.ndarray], words: list[str], message: str
) -> None:
    study.save("predictions", *predictions)
    study.save("labelsTr", *truths)
    told = study.evaluate(*words)
    assert told.code == 0 and message in told.text
    assert any(message in warning for warning in told.summary["warnings"])


@pytest.mark.parametrize("names", [None, {"background": 0, "a": 1, "b": 2}], ids=["plain", "named"])
def test_label_sets_that_fit_are_not_told_of(study: Study, names: dict[str, Any] | None) -> None:
    study.save("predictions", TWO, MASK)
    study.save("labelsTr", TRUE, TWO)
    study.names(names)
    told = study.evaluate()
    assert told.code == 0 and "warning" not in told.text and told.summary["warnings"] == []


@pytest.mark.parametrize(
    ("names", "others", "message"),
    [
        ({**LIVER, "spleen": 2}, {"background": 0, "spleen": 1, "liver": 2}, "'spleen' is 1, but 2 in"),
        ({**LIVER, "ignore": 3}, {**LIVER, "ignore": 2}, "'ignore' is 2, but 3 in"),
        ({"background": 0, "Liver": 255}, LIVER, "'liver' is 1, but 255 in"),
        (REGIONS, {"background": 0, "whole": 1, "core": 2}, "'whole' is 1, but [1, 2] in"),
    ],
)
def test_predictions_of_another_numbering_are_refused(
    study: Study, names: dict[str, Any], others: dict[str, Any], message: str
) -> None:
    study.save("predictions", MASK)
    study.save("labelsTr", TRUE)
    study.names(names)
    study.names(others, "predictions")
    told = study.evaluate()
    assert told.code != 0 and message in told.text and told.rows == []


def test_predictions_of_other_names_are_told_of_and_other_spellings_are_not(study: Study) -> None:
    study.save("predictions", MASK)
    study.save("labelsTr", TRUE)
    study.names({"background": 0, "left_kidney": 1})
    study.names({"Background": 0, "Left Kidney": 1}, "predictions")
    assert "warning" not in study.evaluate().text
    study.names({"background": 0, "spleen": 1}, "predictions")
    assert "calls label 1 'spleen'" in study.evaluate().text


IGNORING = TRUE.copy()
IGNORING[5:] = 2
FILLED = np.where(IGNORING == 2, 1, TRUE)


@pytest.mark.parametrize(
    ("names", "words", "label"),
    [
        ({**LIVER, "ignore": 2}, [], 2),
        ({"0": "background", "1": "liver", "2": "ignore"}, [], 2),
        ({**LIVER, "ignore": 255}, [], 255),
        (None, ["--ignore", "2"], 2),
        (None, ["--ignore", "255", "--labels", "1"], 255),
        (LIVER, ["--ignore", "2"], 2),
        ({**LIVER, "void": 9}, ["--ignore", "9"], 9),
        ({"background": 0, "liver": [1, 3], "tumour": 3, "ignore": 4}, [], 4),
    ],
)
def test_ignored_voxels_leave_truth_and_prediction(
    study: Study, names: dict[str, Any] | None, words: list[str], label: int
) -> None:
    study.save("predictions", FILLED, MASK)
    study.save("labelsTr", np.where(IGNORING == 2, label, IGNORING), TRUE)
    study.names(names)
    told = study.evaluate(*words)
    assert told.code == 0 and "warning" not in told.text
    assert {row.class_name for row in told.rows} <= {"1", "liver", "tumour"}
    first, second = (row.value for row in told.rows if row.class_name in ("1", "liver"))
    assert first == 1.0 and second == pytest.approx(2 / 3)
    counts = next(iter(told.nnunet["metric_per_case"][0]["metrics"].values()))
    assert (counts["TP"], counts["FP"], counts["FN"], counts["TN"]) == (27, 0, 0, 5 * 64 - 27)
    assert set(told.nnunet["mean"]).isdisjoint({str(label)})
    assert told.summary["ignore"] == label and told.summary["ignored_voxels"] == {"c0": 3 * 64}


def test_true_negatives_leave_ignored_voxels_out_where_a_class_is_absent(study: Study) -> None:
    study.save("predictions", FILLED, TWO)
    study.save("labelsTr", np.where(IGNORING == 2, 9, IGNORING), TWO)
    told = study.evaluate("--ignore", "9")
    absent = told.nnunet["metric_per_case"][0]["metrics"]["2"]
    assert math.isnan(absent["Dice"]) and absent["TN"] == 5 * 64


@pytest.mark.parametrize("words", [[], ["--labels", "1"]], ids=["all", "asked"])
def test_a_prediction_that_copies_the_ignored_label_is_told_of_and_has_no_class_for_it(
    study: Study, words: list[str]
) -> None:
    study.save("predictions", np.where(np.roll(IGNORING, -1, 0) == 2, 2, TRUE))
    study.save("labelsTr", IGNORING)
    told = study.evaluate("--ignore", "2", *words)
    assert "c0.nii.gz: holds the ignored label 2 where the truth does not" in told.text
    assert [(row.class_name, row.status) for row in told.rows] == [("1", "ok")]
    assert told.rows[0].value == pytest.approx(2 * 18 / (18 + 27))


def test_a_truth_that_is_ignored_as_a_whole_is_told_of(study: Study) -> None:
    study.save("predictions", MASK, MASK)
    study.save("labelsTr", np.full_like(TRUE, 2), TRUE)
    study.names({**LIVER, "ignore": 2})
    told = study.evaluate()
    assert "c0.nii.gz: every voxel has the ignored label 2" in told.text
    assert [row.status for row in told.rows] == ["both_empty", "ok"]

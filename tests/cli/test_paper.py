"""The paper's segmentations, in an archive of the layout that is assumed, are scored and ranked again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import paper
from lossodyssey.table import read_rows

app = typer.Typer()
app.command()(paper.paper)
TASKS = {"liver": "odyssey-liver", "pancreas": "odyssey-pancreas"}
LOSSES = {"nnUNetTrainer_DiceTopK10": 0, "nnUNetTrainer_CE": 1, "nnUNetTrainer_Dice": 2, "nnUNetTrainer_WCE": 4}


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.astype(np.uint8), np.eye(4)), path)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Write six truths of two tasks, and predictions that are the truth moved by some voxels for each loss."""
    rng = np.random.default_rng(0)
    for task, truth in TASKS.items():
        for number in range(6):
            values = np.kron(rng.integers(0, 2, (3, 3, 3)), np.ones((4, 4, 4)))
            save(tmp_path / "truths" / truth / f"{task}_{number}.nii.gz", values)
            for loss, shift in LOSSES.items():
                save(tmp_path / "released" / task / loss / f"{task}_{number}.nii.gz", np.roll(values, shift, 0))
        names = {"0": "background", "1": task}
        (tmp_path / "truths" / truth / "dataset.json").write_text(json.dumps({"labels": names}))
    shutil.make_archive(str(tmp_path / "released"), "zip", tmp_path / "released")
    return tmp_path


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_an_archive_is_ranked_under_tests_of_both_kinds(released: Path) -> None:
    table = released / "cases.csv"
    code, text = run(
        "--segmentations", released / "released.zip", "--truths", released / "truths", "--cases", table, "--workers", 1
    )  # fmt: skip
    assert code == 0
    words = " ".join(text.split())
    assert "significantly worse, one-sided tests" in words and "significantly worse, two-sided tests" in words
    assert "Without the compound losses, CE is third." in text
    assert "WCE liver" in text and "published 0.8284" in text
    rows = read_rows(table)
    assert {row.loss for row in rows} == {"DiceTopK", "CE", "Dice", "WCE"}
    assert {row.dataset for row in rows} == {"liver", "pancreas"} and len(rows) == 4 * 12 * 2
    perfect = [row.value for row in rows if row.loss == "DiceTopK"]
    assert perfect == [1.0] * len(perfect)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--segmentations", "x"), "--segmentations and --truths"),
        (("--truths", "x"), "--segmentations and --truths"),
        (("--layout", "{loss}/{dataset}/{case}"), "--layout: has no effect without --segmentations"),
        (("--workers", "2"), "--workers: has no effect without --segmentations"),
        (("--segmentations", "x", "--truths", "y", "-o", "z.html"), "--output: is the page of the published means"),
    ],
    ids=["segmentations", "truths", "layout", "workers", "output"],
)
def test_options_without_effect_are_refused(words: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        run(*words)


def test_without_segmentations_the_means_are_ranked() -> None:
    code, text = run()
    assert code == 0 and "Mean rank of the 27 losses" in text and "Dice batch squared" in text

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.nnunet import read_summaries


def summary(path: Path, dice: float) -> Path:
    cases = [
        {
            "metrics": {
                "1": {"Dice": dice + 0.01 * i, "IoU": 0.5, "n_pred": 10, "n_ref": 12},
                "2": {"Dice": float("nan"), "IoU": float("nan"), "n_pred": 0, "n_ref": 0},
            },
            "prediction_file": f"/pred/case_{i}.nii.gz",
            "reference_file": f"/labels/case_{i}.nii.gz",
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

"""Scores of ignored voxels, regions and absent classes are those of nnU-Net's own evaluation, count by count."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; make test-nnunet has it")

from nnunetv2.evaluation.evaluate_predictions import compute_metrics
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from lossodyssey.metrics.cases import Label, Request, score_cases
from lossodyssey.metrics.folders import pair_files
from lossodyssey.metrics.summary import write_nnunet_summary

pytestmark = pytest.mark.filterwarnings("ignore")


def save(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), np.diag([1, 2, 3, 1])), path)


@pytest.mark.parametrize(
    ("labels", "ignore"), [(None, 9), ((1, 2), 9), (((1, 2), 2), 9), ((1, 2, 3), None), (((1, 3), 2), 255)]
)
def test_counts_are_those_of_nnunet(tmp_path: Path, labels: tuple[Label, ...] | None, ignore: int | None) -> None:
    rng = np.random.default_rng(0)
    for name, most in (("a", 4), ("b", 4), ("without", 2)):
        truth, found = (np.kron(rng.integers(0, most, (4, 3, 2)), np.ones((3, 3, 3), int)) for _ in range(2))
        truth[rng.random(truth.shape) < 0.2] = ignore or 0
        found[rng.random(truth.shape) < 0.02] = ignore or 0
        save(tmp_path / "truths" / f"{name}.nii.gz", truth)
        save(tmp_path / "predictions" / f"{name}.nii.gz", found)
    pairs = pair_files(tmp_path / "predictions", tmp_path / "truths")
    write_nnunet_summary(
        tmp_path / "summary.json", score_cases(pairs, Request(("DSC",), labels=labels, ignore=ignore), workers=1)
    )
    content = json.loads((tmp_path / "summary.json").read_text())
    assert len(content["metric_per_case"]) == 3
    for case in content["metric_per_case"]:
        wanted = list(labels or (1, 2, 3))
        files = case["reference_file"], case["prediction_file"]
        theirs = compute_metrics(*files, SimpleITKIO(), wanted, ignore)["metrics"]
        assert list(case["metrics"]) == [str(label) for label in wanted]
        for label in wanted:
            np.testing.assert_equal(case["metrics"][str(label)], {key: value for key, value in theirs[label].items()})

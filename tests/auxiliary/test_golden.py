"""Auxiliaries in the formulas whose values other implementations recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossodyssey.auxiliary import BorderWeights, Cells, HardSkeleton, InverseSize, thinning

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
if not GOLDEN.exists():
    pytest.skip("no recorded values beside the repository", allow_module_level=True)
INPUTS = np.load(GOLDEN / "inputs.npz")


def records(file: str, loss: str) -> list[Any]:
    found = [record for record in json.loads((GOLDEN / f"{file}.json").read_text()) if record["loss"] == loss]
    assert found
    return [pytest.param(record, id=f"{record['case']}-{number}") for number, record in enumerate(found)]


def inputs(case: str) -> tuple[Tensor, Tensor, int]:
    logits, labels = (torch.from_numpy(INPUTS[f"{case}.{name}"]) for name in ("logits", "labels"))
    return logits, labels, logits.shape[1]


@pytest.mark.parametrize("record", records("structure", "skeleton_recall"))
def test_skeleton_recall(record: dict[str, Any]) -> None:
    logits, labels, classes = inputs(record["case"])
    if thinning.fast_package() is None and labels.ndim == 4:
        pytest.skip("the lines of three axes may lie elsewhere without scikit-image")
    lines = HardSkeleton(tube=2 if record["params"]["do_tube"] else 0)(labels, classes).double()[:, 1:]
    axes = (0, *range(2, lines.ndim)) if record["params"]["batch_dice"] else tuple(range(2, lines.ndim))
    hit, smooth = (torch.softmax(logits, 1)[:, 1:] * lines).sum(axes), record["params"]["smooth"]
    recall = (hit + smooth) / (lines.sum(axes) + smooth)
    assert -recall.mean().item() == pytest.approx(record["value"], abs=1e-9)


@pytest.mark.parametrize("record", records("structure", "inverse_weighted_bce"))
def test_inverse_weighted_cross_entropy(record: dict[str, Any]) -> None:
    logits, labels, _ = inputs(record["case"])
    weight, difference = InverseSize()(labels, 2)[:, 0].double(), logits[:, 1] - logits[:, 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(difference, labels.double(), weight)
    assert loss.item() == pytest.approx(record["value"], rel=1e-6)


@pytest.mark.parametrize("record", records("core", "UNetWeightedCE"))
def test_unet_weighted_cross_entropy(record: dict[str, Any]) -> None:
    logits, labels, classes = inputs(record["case"])
    weight = BorderWeights()(labels, classes)[:, 0].double()
    loss = (weight * torch.nn.functional.cross_entropy(logits, labels, reduction="none")).mean()
    assert loss.item() == pytest.approx(record["value"], rel=1e-6)


@pytest.mark.parametrize("record", records("newer", "cc_dice"))
def test_dice_of_cells(record: dict[str, Any]) -> None:
    logits, labels, classes = inputs(record["case"])
    if record["params"].get("global_weight") or record["params"].get("units") not in ("voxels", "mm"):
        pytest.skip("another formula")
    spacing = INPUTS[f"{record['case']}.spacing"].tolist() if record["params"]["units"] == "mm" else None
    cells, s, values = Cells()(labels, classes, spacing), torch.softmax(logits, 1), []
    for sample in range(len(labels)):
        for label in range(1, classes):
            cell, g = cells[sample, label].long().flatten(), (labels[sample] == label).double().flatten()
            p = s[sample, label].flatten()
            tp, total = (torch.bincount(cell, weights)[1:] for weights in (p * g, p + g))
            values.append((1 - 2 * tp / total.clamp(min=1e-7)).mean())
    assert torch.stack(values).mean().item() == pytest.approx(record["value"], abs=1e-9)

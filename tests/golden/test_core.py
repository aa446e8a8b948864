"""The core losses give the numbers that others give for them, and the check that says so can fail."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossodyssey as lo

sys.path.insert(0, str(Path(__file__).parent))
import check
from by_hand import FORMULAS, Example
from by_hand_distances import FORMULAS as DISTANCES
from centerline_builders import BUILDERS as CENTERLINE_BUILDERS
from distance_builders import BUILDERS as DISTANCE_BUILDERS
from overlap_builders import BUILDERS as OVERLAP_BUILDERS
from partial_builders import BUILDERS as PARTIAL_BUILDERS
from relation_builders import BUILDERS as RELATION_BUILDERS
from room_builders import BUILDERS
from topology_builders import BUILDERS as TOPOLOGY_BUILDERS
from voxel_builders import BUILDERS as VOXEL_BUILDERS

SHELF = {
    *OVERLAP_BUILDERS,
    *PARTIAL_BUILDERS,
    *VOXEL_BUILDERS,
    *RELATION_BUILDERS,
    *CENTERLINE_BUILDERS,
    *TOPOLOGY_BUILDERS,
}
EXAMPLES = [Example((5, 6), classes=3), Example((3, 4, 4), classes=2), Example((4, 5), classes=5)]


def shared_golden() -> Path:
    data = os.environ.get("LOSSODYSSEY_DATA")
    shared = Path(data).parent if data else Path(__file__).parents[3] / "shared"
    return shared / "golden"


@pytest.mark.parametrize("example", EXAMPLES, ids=["2d", "3d", "five classes"])
@pytest.mark.parametrize("text", [*FORMULAS, *DISTANCES])
def test_value_and_gradient_are_those_of_the_formula(text: str, example: Example) -> None:
    formula = (FORMULAS | DISTANCES)[text]
    leaf = torch.tensor(example.logits, requires_grad=True)
    with check.double_precision():
        value = lo.parse(text)(leaf, torch.tensor(example.labels))
    assert float(value.detach()) == pytest.approx(formula(example.at(example.logits)), rel=1e-10)
    (gradient,) = torch.autograd.grad(value, leaf)
    for index in range(0, leaf.numel(), 17):
        step = np.zeros(leaf.numel())
        step[index] = 1e-5
        ahead, behind = (formula(example.at(example.logits + sign * step.reshape(leaf.shape))) for sign in (1, -1))
        assert float(gradient.flatten()[index]) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-9)


def record(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "loss": "Dice",
        "case": "sines",
        "reference": "paper formula",
        "params": {"batch_dice": True, "include_background": True, "smooth": 0.5},
        "value": FORMULAS["Dice(batch=True, background=True, smooth=0.5)"](EXAMPLES[0].at(EXAMPLES[0].logits)),
        "grad_l2": None,
        "grad_probe": [],
        "precision": "float64",
    }
    return known | changes


@pytest.mark.parametrize(
    ("changes", "verdict", "line"),
    [
        ({}, "matched", "Dice: 1/1"),
        ({"value": 0.5}, "missed", "reference 0.5"),
        ({"grad_l2": 1.0}, "missed", "gradient norm"),
        ({"grad_probe": [[3, 0.25]]}, "missed", "gradient at 3"),
        ({"loss": "Dise"}, "missed", "unknown loss 'Dise'"),
        ({"params": {"sharpness": 3}}, "missed", "sharpness"),
        ({"case": "none"}, "missed", "no such input"),
        ({"value": None}, "excused", "the reference gives NaN"),
    ],
)
def test_every_record_is_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], verdict: str, line: str
) -> None:
    example = EXAMPLES[0]
    arrays = {"sines.logits": example.logits, "sines.labels": example.labels, "sines.spacing": np.ones(2)}
    np.savez(tmp_path / "inputs.npz", **arrays)
    (tmp_path / "records.json").write_text(json.dumps([record(**changes)]))
    code = check.main(["--inputs", str(tmp_path / "inputs.npz"), "--records", str(tmp_path / "records.json")])
    output = capsys.readouterr().out
    counts = {name: int(name == verdict) for name in ("matched", "excused", "missed")}
    assert output.splitlines()[-1] == "matched {matched}, excused {excused}, missed {missed} of 1".format(**counts)
    assert line in output and code == counts["missed"]


@pytest.mark.skipif(not shared_golden().is_dir(), reason="the reference values are not part of the repository")
def test_no_reference_value_is_missed_and_no_independent_one_excused() -> None:
    golden = shared_golden()
    outcomes = list(check.check(golden / "inputs.npz", json.loads((golden / "core.json").read_text())))
    assert [outcome for outcome in outcomes if outcome.verdict == "missed"] == []
    excused = [outcome.record for outcome in outcomes if outcome.verdict == "excused"]
    assert [record for record in excused if record["reference"].startswith(check.INDEPENDENT)] == []


@pytest.mark.skipif(not shared_golden().is_dir(), reason="the reference values are not part of the repository")
@pytest.mark.parametrize("loss", sorted({*BUILDERS, *DISTANCE_BUILDERS, *SHELF}))
def test_no_reference_value_beyond_the_core_is_missed(loss: str) -> None:
    golden = shared_golden()
    files = ("structure", "boundary", *(["newer"] if loss in SHELF else []))
    known = [json.loads((golden / f"{name}.json").read_text()) for name in files]
    records = [record for each in known for record in each if record["loss"] == loss]
    outcomes = list(check.check(golden / "inputs.npz", records))
    assert [outcome for outcome in outcomes if outcome.verdict == "missed"] == []
    assert outcomes and all(outcome.verdict == "matched" or outcome.why for outcome in outcomes)

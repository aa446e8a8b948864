"""The Triton kernels, compiled for GPUs that need not be there: nothing spills, and half of the warps have work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lossodyssey import kernels

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not kernels.has_triton(), reason="Triton is not installed")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    # Another process: in this one Triton interprets its kernels.
    target = tmp_path_factory.mktemp("ahead") / "rows.json"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "benchmarks.gpu_paper", "--json", str(target)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(target.read_text())["rows"]
    return found


def test_every_variant_is_compiled_for_both_architectures(rows: list[dict[str, Any]]) -> None:
    assert {row["kernel"] for row in rows} == {"read_softmax", "write_softmax", "read_sigmoid", "write_sigmoid"}
    assert {row["architecture"] for row in rows} == {80, 90}
    assert {row["truth"] for row in rows} == {"hard", "soft"}
    assert {row["architecture"] for row in rows if row["asks"] == "margin and any exponents"} == {80, 90}


def test_nothing_spills(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["spilled"]] == []


def test_half_of_the_warps_have_work_up_to_32_classes(rows: list[dict[str, Any]]) -> None:
    assert [row for row in rows if row["classes"] <= 32 and row["occupancy"] < 0.5] == []


def test_formulas_are_read_from_the_logits_alone(rows: list[dict[str, Any]]) -> None:
    moved = {
        row["asks"]: row["bytes_per_voxel"]
        for row in rows
        if (row["kernel"], row["truth"], row["classes"], row["architecture"]) == ("read_softmax", "hard", 14, 90)
    }
    # Logits and a label, and no log-probability, which the request for the table has handed out.
    assert moved["cross entropy"] == pytest.approx(14 * 4 + 1, rel=0.03)
    assert moved["table"] == pytest.approx(moved["cross entropy"] + 4, rel=0.01)


def test_no_kernel_moves_more_than_its_inputs_and_outputs(rows: list[dict[str, Any]]) -> None:
    (row,) = (
        row
        for row in rows
        if (row["kernel"], row["truth"], row["asks"], row["classes"], row["dtype"], row["architecture"])
        == ("write_softmax", "hard", "table", 14, "float32", 80)
    )
    # Logits and gradient, 14 numbers of 4 bytes each, a label of 1 and dL/d(log_p) of 4; the table weighs nothing.
    assert row["bytes_per_voxel"] == pytest.approx(2 * 14 * 4 + 1 + 4, rel=0.01)

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the checker as the command does; gives its exit code and last line."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import check_metrics

    def main(inputs: Path, records: Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["check_metrics", "--inputs", str(inputs), "--records", str(records)])
        code = check_metrics.main()
        return code, capsys.readouterr().out.splitlines()[-1]

    return main


@pytest.fixture
def golden(tmp_path: Path) -> tuple[Path, Path]:
    """A 4 x 4 truth of four voxels, predicted one voxel too far to the right."""
    truth = np.zeros((1, 4, 4), np.int64)
    truth[0, 1:3, 1:3] = 1
    logits = np.stack([-np.roll(truth, 1, 2), np.roll(truth, 1, 2)], axis=1).astype(float)
    np.savez(tmp_path / "inputs.npz", **{"tiny.logits": logits, "tiny.labels": truth, "tiny.spacing": [1.0, 1.0]})
    common = {"case": "tiny", "sample": 0, "class": 1, "spacing": [1.0, 1.0], "params": {}, "notes": ""}
    records = [
        {"metric": "DSC", "reference": "medpy.binary.dc", "mask": "real", "value": 0.5},
        {"metric": "HD", "reference": "medpy.binary.hd", "mask": "real", "value": 1.0},
        {"metric": "HD", "reference": "medpy.binary.hd", "mask": "pred_empty", "value": "error:RuntimeError"},
        {"metric": "counts", "reference": "definition", "mask": "real", "value": [2.0, 2.0, 2.0, 10.0]},
    ]
    (tmp_path / "records.json").write_text(json.dumps({"records": [{**common, **record} for record in records]}))
    return tmp_path / "inputs.npz", tmp_path / "records.json"


def test_counts_matched_and_excused_records(run, golden):
    assert run(*golden) == (0, "matched 3, excused 1, missed 0 of 4")


def test_a_wrong_value_is_missed(run, golden):
    inputs, records = golden
    records.write_text(records.read_text().replace('"value": 0.5', '"value": 0.51'))
    assert run(inputs, records) == (1, "matched 2, excused 1, missed 1 of 4")


def test_every_published_record_is_accounted_for(run):
    folder = DATA.parent / "golden"
    if not (folder / "metrics.json").exists():
        pytest.skip("no reference values beside the folder of data sets")
    pytest.importorskip("skimage")
    code, line = run(folder / "inputs.npz", folder / "metrics.json")
    assert code == 0, line

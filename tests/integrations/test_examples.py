"""The examples run where their framework is installed, and stay short; that for Keras is run by `keras_suite.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore")


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_are_short() -> None:
    files = [path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")]
    assert len(files) >= 5
    for path in files:
        assert path.read_text(encoding="utf-8").count("\n") < 60, path.name


def test_pytorch_loop_learns() -> None:
    curve = load("pytorch_loop").main()
    assert curve[-1] < curve[0]


def test_monai_trainer_learns() -> None:
    pytest.importorskip("ignite", reason="MONAI's trainers need pytorch-ignite")
    module = load("monai_trainer")
    network = module.main(epochs=20)
    (case,) = module.cases(1)
    dice = module.lo.Dice()(network(case["image"][None]), case["label"][None].long())
    assert float(dice) < 0.5


def test_lightning_module_logs_its_summands(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    metrics = load("lightning_module").main(logger=False, enable_checkpointing=False, default_root_dir=tmp_path)
    assert len(metrics) == 3 and all(torch.isfinite(value) for value in metrics.values())

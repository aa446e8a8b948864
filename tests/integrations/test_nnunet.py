"""nnU-Net itself: its commands find, train and predict with our trainers, its trainer resumes with ours.

Needs an environment with nnU-Net (`make test-nnunet`). The data are ten cases of the hippocampus set where it is at
hand, else of the phantom.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossodyssey as lo

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; make test-nnunet has it")

from lossodyssey.data import find_dataset
from lossodyssey.integrations.nnunet import environment, runner
from lossodyssey.integrations.nnunet.raw import add_small_configuration, export
from lossodyssey.integrations.nnunet.recipe import Recipe
from lossodyssey.integrations.nnunet.trainer import LossTrainer, trainer_class

pytestmark = pytest.mark.filterwarnings("ignore")

BIN = Path(sys.executable).parent
DATA = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))
SHIM = """
import torch
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""Two operators that let a torchvision built for CUDA be imported beside torch for the CPU; nobody calls them."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """nnU-Net's three folders with ten cases, planned and preprocessed by its own command."""
    root = tmp_path_factory.mktemp("nnunet")
    variables = {f"nnUNet_{name}": str(root / name) for name in ("raw", "preprocessed", "results")}
    variables |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        if environment.search_problem():
            (root / "sitecustomize.py").write_text(SHIM, encoding="utf-8")
        hippocampus = DATA / "Task04_Hippocampus"
        dataset = find_dataset(str(hippocampus) if hippocampus.is_dir() else "phantom")
        folder = root / "raw" / "Dataset004_Small"
        export(dataset, folder, training=dataset.cases[:8], test=dataset.cases[8:10])
        command("nnUNetv2_plan_and_preprocess", "-d", "4", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
        plans = root / "preprocessed" / "Dataset004_Small" / "nnUNetPlans.json"
        name = add_small_configuration(plans, "3d_fullres", features=(4, 8, 8))
        content = json.loads(plans.read_text(encoding="utf-8"))
        content["configurations"]["tiny"] = {"inherits_from": name, "patch_size": [16, 16, 16]}
        plans.write_text(json.dumps(content), encoding="utf-8")
        patch.setenv("nnUNet_n_proc_DA", "0")
        yield root


@pytest.fixture
def results(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results of its own."""
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    return tmp_path


def command(name: str, *arguments: str) -> str:
    done = subprocess.run([BIN / name, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def recipe(loss: str, **changes: Any) -> Recipe:
    return Recipe(**{"loss": loss, "epochs": 3, "iterations": 2, "seed": 0} | changes)


def make(loss: str, labels: dict[str, Any] | None = None, **changes: Any) -> LossTrainer:
    """A trainer on the tiny configuration; `labels` replaces those of the data set's description."""
    trainer = runner.make_trainer("4", "tiny", 0, recipe(loss, **changes), device="cpu")
    if labels is None:
        return trainer
    description = trainer.dataset_json | {"labels": labels, "regions_class_order": [1, 2]}
    plans = trainer.plans_manager.plans | {"continue_training": False}
    return trainer_class(recipe(loss, **changes))(plans, "tiny", 0, description, torch.device("cpu"))


def step(trainer: LossTrainer) -> float:
    """One training step on noise and random labels, in the targets that nnU-Net's own transforms make."""
    from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
    from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

    trainer.initialize()
    manager = trainer.label_manager
    classes = 4 if manager.has_ignore_label else 3
    target = torch.randint(classes, (2, 1, 16, 16, 16), dtype=torch.int16)
    if manager.has_regions:
        regions = [*manager.foreground_regions, *([manager.ignore_label] if manager.has_ignore_label else [])]
        target = torch.stack([ConvertSegmentationToRegionsTransform(regions)._apply_to_segmentation(t) for t in target])
    scales = trainer._get_deep_supervision_scales()
    targets: Any = target
    if scales is not None:
        samples = [DownsampleSegForDSTransform(scales)._apply_to_segmentation(sample) for sample in target]
        targets = [torch.stack(scale) for scale in zip(*samples, strict=True)]
    trainer.on_train_epoch_start()
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    value = float(trainer.train_step({"data": torch.randn(2, 1, 16, 16, 16), "target": targets})["loss"])
    after = list(trainer.network.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    return value


PLAIN = {"background": 0, "anterior": 1, "posterior": 2}
LABELS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "ignore": PLAIN | {"ignore": 3},
    "regions": {"background": 0, "whole": [1, 2], "posterior": [2]},
    "regions and ignore": {"background": 0, "whole": [1, 2], "posterior": [2], "ignore": 3},
}
CARDS = [card for card in lo.atlas() if card.category not in ("custom", "as_released")]


@pytest.mark.parametrize("kind", LABELS)
def test_every_loss_trains_or_refuses_with_a_reason(results: Path, kind: str) -> None:
    refused = {}
    for card in CARDS:
        try:
            trainer = make(f"{card.name}()", LABELS[kind])
            assert np.isfinite(step(trainer)), card.name
        except ValueError as error:
            refused[card.name] = str(error)
    assert all("does not fit this configuration" in reason for reason in refused.values()), refused
    assert len(refused) < len(CARDS) / 4, sorted(refused)


def test_protocols_differ_as_they_should(results: Path) -> None:
    today, then = make("Dice()"), make("Dice()", protocol="odyssey")
    step(today), step(then)
    assert isinstance(today.optimizer, torch.optim.SGD) and isinstance(then.optimizer, torch.optim.Adam)
    assert today.loss.criterion.scales is not None and then.loss.criterion.scales is None
    assert (today.initial_lr, then.initial_lr) == (1e-2, 3e-4)
    assert make("DiceBoundary()", protocol="odyssey").initial_lr == 3e-5


def weights(trainer: LossTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


@pytest.mark.parametrize("options", [{"loss": "DiceHausdorff()"}, {"loss": "Dice()", "protocol": "odyssey"}], ids=str)
def test_killed_training_resumes_to_the_same_weights(
    results: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("nnUNet_results", str(results / "whole"))
    whole = make(**options)
    whole.run_training()
    monkeypatch.setenv("nnUNet_results", str(results / "broken"))
    broken = make(**options)
    at = np.random.default_rng().integers(2, 6)
    steps = iter(range(6))
    train = broken.train_step

    def interrupted(batch: dict[str, Any]) -> Any:
        if next(steps) == at:
            raise KeyboardInterrupt
        return train(batch)

    monkeypatch.setattr(broken, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        broken.run_training()
    folder = runner.train("4", "tiny", 0, recipe(**options), device="cpu", resume=True, validate=False)
    checkpoint = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    expected = weights(whole)
    assert checkpoint["current_epoch"] == 3 and checkpoint["lossodyssey"]["loss"] == recipe(**options).loss
    for name, value in checkpoint["network_weights"].items():
        assert torch.equal(value, expected[name]), f"{name} differs after a kill in step {at}"


def test_another_loss_cannot_go_on_from_a_checkpoint(results: Path) -> None:
    first = make("Dice()", epochs=1)
    first.run_training()
    path = Path(first.output_folder) / "checkpoint_final.pth"
    with pytest.raises(ValueError, match=r"trained with Dice\(\), cannot go on with CrossEntropy\(\)"):
        make("CrossEntropy()").load_checkpoint(str(path))


def test_second_stage_begins_with_the_weights_of_the_first(results: Path) -> None:
    second = make("DiceBoundary()", protocol="odyssey", epochs=1)
    with pytest.raises(FileNotFoundError, match="train nnUNetTrainerLO_Dice__odyssey__1epochs__2iterations__seed0"):
        second.on_train_start()
    first = make("Dice()", protocol="odyssey", epochs=1)
    first.run_training()
    second = make("DiceBoundary()", protocol="odyssey", epochs=1)
    second.on_train_start()
    expected = weights(first)
    assert all(torch.equal(value, expected[name]) for name, value in weights(second).items())


def test_its_commands_train_predict_and_our_evaluation_scores(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = command("lossodyssey", "nnunet", "env").strip()
    variable, value = line.removeprefix("export ").split("=", 1)
    root = Path(os.environ["nnUNet_raw"]) / "Dataset004_Small"  # noqa: SIM112
    for loss in ("DiceTopK", "Tversky"):
        monkeypatch.setenv(variable, value)
        name = f"nnUNetTrainerLO_{loss}__lr1e2__2epochs__4iterations"
        command("nnUNetv2_train", "4", "3d_fullres_small", "0", "-tr", name, "-device", "cpu")
        model = results / "Dataset004_Small" / f"{name}__nnUNetPlans__3d_fullres_small"
        assert (model / "fold_0" / "validation" / "summary.json").is_file()
        monkeypatch.delenv(variable)
        output = results / loss
        options = ["-f", "0", "-device", "cpu", "--disable_tta", "-npp", "1", "-nps", "1"]
        images = ["-i", str(root / "imagesTs"), "-o", str(output)]
        command("nnUNetv2_predict_from_modelfolder", *images, "-m", str(model), *options)
        table = results / f"{loss}.csv"
        command("lossodyssey", "evaluate", str(output), str(root / "labelsTs"), "-o", str(table), "--loss", loss)
        assert table.read_text(encoding="utf-8").count("DSC") == 2 * 2

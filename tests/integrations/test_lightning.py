"""Lightning moves the schedules and logs the summands."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo

pytest.importorskip("lightning")

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lossodyssey.integrations.lightning import AdvanceLoss, log_summands

pytestmark = pytest.mark.filterwarnings("ignore")

LOSS = "Ramp(1, 0) * Dice() + Ramp(0, 1) * CrossEntropy()"


class Network(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network, self.loss = torch.nn.Conv2d(1, 2, 3, padding=1), lo.parse(LOSS)
        self.seen: list[dict[str, float]] = []

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        images, labels = batch
        logits = self.network(images)
        value = log_summands(self, self.loss, logits, labels)
        torch.testing.assert_close(value, self.loss(logits, labels), rtol=1e-6, atol=1e-6)
        return value

    def on_train_epoch_end(self) -> None:
        self.seen.append({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.05)


def loader() -> Any:
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(4, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6] = 1
    images = labels[:, None] + 0.1 * torch.randn(4, 1, 8, 8, generator=generator)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=2)


def trainer(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=folder, **quiet | {"enable_checkpointing": False} | options)


def test_schedules_move_and_summands_are_logged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Network()
    trainer(tmp_path, max_epochs=3, callbacks=[AdvanceLoss()]).fit(module, loader())
    first, second = (f"train/{term}" for term in LOSS.split(" + "))
    assert module.seen[0][first] > 0 and module.seen[0][second] == 0
    assert module.seen[2][first] == 0 and module.seen[2][second] > 0
    for metrics in module.seen:
        assert metrics["train/loss"] == pytest.approx(metrics[first] + metrics[second], abs=1e-6)


def test_resumed_training_goes_on_at_its_epoch(tmp_path: Path) -> None:
    trainer(tmp_path, max_epochs=5, enable_checkpointing=True, callbacks=[AdvanceLoss(epochs=9)]).fit(
        Network(), loader()
    )
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    module = Network()
    trainer(tmp_path, max_epochs=6, callbacks=[AdvanceLoss(epochs=9)]).fit(module, loader(), ckpt_path=checkpoint)
    assert float(module.loss.get_buffer("progress")) == 5 / 8 and len(module.seen) == 1


class Training(LightningModule):
    """`bits` are its weights after each step."""

    def __init__(self, text: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network, self.criterion = torch.nn.Conv2d(1, 2, 3, padding=1), lo.Criterion(text)
        self.bits: list[Tensor] = []

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        value: Tensor = self.criterion(self.network(batch[0]), batch[1])
        return value

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.bits.append(torch.cat([each.detach().flatten() for each in self.network.parameters()]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.05)


def alike() -> Any:
    """Two equal batches: a trainer that is resumed within an epoch begins with the first of them again."""
    images, labels = (tensor.repeat(2, *[1] * (tensor.ndim - 1)) for tensor in loader().dataset.tensors)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=4)


def trained(folder: Path, module: Training, *, resume: Path | None = None, **options: Any) -> Training:
    trainer(folder, **{"callbacks": [AdvanceLoss(epochs=4)]} | options).fit(module, alike(), ckpt_path=resume)
    return module


@pytest.mark.parametrize("steps", [4, 5], ids=["between epochs", "within an epoch"])
@pytest.mark.parametrize("text", ["DiceHausdorff()", "Ramp(1, 0) * Dice() + Ratio() * CrossEntropy()"])
def test_a_resumed_training_has_the_bits_of_an_undisturbed_one(tmp_path: Path, text: str, steps: int) -> None:
    whole = trained(tmp_path, Training(text), max_epochs=4)
    saved = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=1, save_top_k=-1, filename="{step}")
    callbacks = [AdvanceLoss(epochs=4), saved]
    trained(tmp_path, Training(text), enable_checkpointing=True, max_steps=steps, max_epochs=4, callbacks=callbacks)
    path = tmp_path / "saved" / f"step={steps}.ckpt"
    resumed = trained(tmp_path, Training(text), max_epochs=4, resume=path)
    assert len(whole.bits) == 8 and len(resumed.bits) == 8 - steps
    assert all(map(torch.equal, resumed.bits, whole.bits[steps:]))


def test_a_training_that_goes_on_with_another_loss_begins_its_schedules_anew(tmp_path: Path) -> None:
    trained(tmp_path, Training("DiceHausdorff()"), max_epochs=2, enable_checkpointing=True)
    (path,) = tmp_path.rglob("*.ckpt")
    with pytest.warns(UserWarning, match="the schedules of the loss start over: state is that of"):
        module = trained(tmp_path, Training("Ratio() * Dice() + Focal()"), max_epochs=3, resume=path)
    assert len(module.bits) == 2
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the schedules")
        trained(tmp_path, Training("DiceCE()"), max_epochs=3, resume=path)


def test_a_trained_number_moves_is_logged_and_goes_on_where_it_was(tmp_path: Path) -> None:
    text = "Dice() + RobustT()"
    whole, first = Training(text), Training(text)
    trained(tmp_path, whole, max_epochs=4)
    trained(tmp_path, first, max_epochs=2, enable_checkpointing=True)
    (path,) = tmp_path.rglob("*.ckpt")
    resumed = trained(tmp_path, Training(text), max_epochs=4, resume=path)
    values = [float(lo.trained_values(module)["RobustT().nu"]) for module in (first, whole, resumed)]
    assert 1 != values[0] != values[1] == values[2]
    module: Any = Recorder()
    log_summands(module, whole.criterion, torch.randn(2, 2, 4, 4), torch.ones(2, 4, 4, dtype=torch.long))
    assert float(module.values["train/RobustT().nu"]) == values[1]


def test_unknown_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"AdvanceLoss\(epochs=...\)"):
        trainer(tmp_path, max_epochs=-1, max_steps=2, callbacks=[AdvanceLoss()]).fit(Network(), loader())


class Recorder:
    """What `log_summands` needs of a module."""

    def log_dict(self, values: dict[str, Tensor], batch_size: int) -> None:
        self.values, self.batch_size = values, batch_size


def test_terms_of_a_preset_are_logged_under_its_name() -> None:
    module: Any = Recorder()
    logits, labels = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 4, 4))
    value = log_summands(module, lo.DiceTopK() + lo.Boundary(), logits, labels)
    names = ["DiceTopK(): Dice()", "DiceTopK(): TopK()", "Boundary()"]
    assert list(module.values) == ["train/loss", *(f"train/{name}" for name in names)]
    torch.testing.assert_close(value, (lo.DiceTopK() + lo.Boundary())(logits, labels))


def test_a_loss_without_summands_is_logged_as_one() -> None:
    module: Any = Recorder()
    logits, labels = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4).long()
    for loss in (lo.Dice(), lo.Criterion("Dice()")):
        value = log_summands(module, loss, logits, labels)
        assert list(module.values) == ["train/loss"] and torch.equal(module.values["train/loss"], value)
    marked = np.full((1, 4, 4), 255, dtype=np.uint8)
    marked[:, :2] = 1
    value = log_summands(module, lo.DiceCE(), {"out": logits}, marked, ignore=[7, -1])  # type: ignore[arg-type]
    assert torch.equal(value, lo.DiceCE()(logits[..., :2, :], torch.ones(1, 2, 4)))


@pytest.mark.parametrize("scales", [1, 2])
def test_summands_of_a_criterion_are_logged_over_its_scales(scales: int) -> None:
    module: Any = Recorder()
    logits = [torch.randn(3, 2, n, n).requires_grad_() for n in (8, 4)[:scales]]
    labels = torch.randint(0, 3, (3, 8, 8))
    criterion = lo.Criterion("Dice() + 0.5 * Boundary()", ignore=2)
    output = logits if scales > 1 else logits[0]
    value = log_summands(module, criterion, output, labels, prefix="", spacing=(1.0, 2.0))
    torch.testing.assert_close(value, criterion(output, labels, spacing=(1.0, 2.0)))
    assert list(module.values) == ["loss", "Dice()", "0.5 * Boundary()"] and module.batch_size == 3
    torch.testing.assert_close(module.values["Dice()"] + module.values["0.5 * Boundary()"], module.values["loss"])
    value.backward()
    assert all(scale.grad is not None for scale in logits)


def test_summands_of_the_loss_for_monai_are_logged_too() -> None:
    loss = pytest.importorskip("lossodyssey.integrations.monai").MonaiLoss("Dice() + Focal()")
    module: Any = Recorder()
    logits, labels = torch.randn(1, 2, 4, 4), torch.randint(0, 2, (1, 1, 4, 4))
    torch.testing.assert_close(log_summands(module, loss, logits, labels), loss(logits, labels))
    assert list(module.values) == ["train/loss", "train/Dice()", "train/Focal()"]


@pytest.mark.parametrize("loss", ["Dice()", torch.nn.CrossEntropyLoss()])
def test_what_has_no_summands_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a loss, a Criterion or a MonaiLoss; parse\(text\)"):
        log_summands(Recorder(), loss, torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4))  # type: ignore[arg-type]

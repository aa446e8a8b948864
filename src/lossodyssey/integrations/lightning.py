"""Lightning: schedules that move with the epochs, and a curve for every summand."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from lossodyssey.core.arrays import outputs
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.core.trained import trained_values
from lossodyssey.integrations.epochs import advance_to_epoch

STATE = "lossodyssey"
"""Key of a checkpoint under which the callback keeps the state that a module's state dict leaves out."""


class AdvanceLoss(Callback):  # type: ignore[misc, unused-ignore]
    """Moves the schedules of every loss inside the module at the start of each epoch, and keeps them in checkpoints.

        Trainer(max_epochs=100, callbacks=[AdvanceLoss()])

    `epochs` is the length of the training where the trainer does not know it (`max_epochs=-1`, or `max_steps`).
    A training that is resumed from a checkpoint needs the callback too.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self.epochs = epochs
        self.epoch: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Drop the epoch of an earlier training: the next may begin with one of the same number."""
        self.epoch = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the schedules."""
        self._advance(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Move the schedules where a resumed trainer has begun an epoch without saying so."""
        self._advance(trainer, pl_module)

    def _advance(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = self.epochs or trainer.max_epochs
        if epochs is None or epochs < 1:
            raise ValueError(
                f"the trainer's max_epochs is {trainer.max_epochs}, so the progress of schedules is not known; "
                "give AdvanceLoss(epochs=...)"
            )
        if self.epoch != trainer.current_epoch:
            advance_to_epoch(pl_module, trainer.current_epoch, epochs)
        self.epoch = trainer.current_epoch

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the state of all schedules inside the module."""
        checkpoint[STATE] = {"schedules": schedule_state(pl_module), "epoch": self.epoch}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the schedules back; a warning says where the checkpoint is that of another loss."""
        saved = checkpoint.get(STATE, {"schedules": None, "epoch": None})
        try:
            load_schedule_state(pl_module, saved["schedules"])
            self.epoch = saved["epoch"]
        except ValueError as problem:
            if schedule_state(pl_module)["losses"]:
                warnings.warn(f"the schedules of the loss start over: {problem}", stacklevel=2)


class HasSummands(Protocol):
    """A loss, a criterion, or a loss of another integration."""

    def summands(self, *args: Any, **context: Any) -> dict[str, Tensor]: ...


def log_summands(
    module: LightningModule,
    loss: HasSummands,
    logits: Any,
    target: Any,
    *,
    prefix: str = "train/",
    **context: Any,
) -> Tensor:
    """Compute `loss`, log its value as `prefix + "loss"` and each weighted summand under its text; return the value.

    Hyper-parameters that are trained are logged, too: `RobustT().nu`.

    To be called in `training_step` instead of the loss. `loss` is a loss, a `Criterion` or a `MonaiLoss`, and the rest
    are its arguments: for a criterion logits may be a list of scales; `context` are the arguments beside logits
    and target. A loss that is not a sum is logged once.

    Raises:
        ValueError: `loss` is a text, or another library's loss.
    """
    if not hasattr(loss, "summands"):
        raise ValueError(
            f"loss is {loss!r}, expected a loss, a Criterion or a MonaiLoss; parse(text) makes one of a text"
        )
    summands = loss.summands(logits, target, **context)
    value = torch.stack(list(summands.values())).sum()
    logged = {"loss": value, **summands} if len(summands) > 1 else {"loss": value}
    logged |= trained_values(loss) if isinstance(loss, nn.Module) else {}
    samples = len(outputs(logits)[0])
    module.log_dict({prefix + name: number.detach() for name, number in logged.items()}, batch_size=samples)
    return value

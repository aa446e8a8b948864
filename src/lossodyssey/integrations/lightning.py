"""Lightning: schedules that move with the epochs, and a curve for every summand."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lossodyssey import Loss, Pair, Sum
from lossodyssey.integrations.epochs import advance_to_epoch


class AdvanceLoss(Callback):  # type: ignore[misc, unused-ignore]
    """Moves the schedules of every loss inside the module at the start of each epoch.

        Trainer(max_epochs=100, callbacks=[AdvanceLoss()])

    `epochs` is the length of the training where the trainer does not know it (`max_epochs=-1`, or `max_steps`).
    """

    def __init__(self, epochs: int | None = None) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the schedules; also right after a checkpoint is resumed."""
        epochs = self.epochs or trainer.max_epochs
        if epochs is None or epochs < 1:
            raise ValueError(
                f"the trainer's max_epochs is {trainer.max_epochs}, so the progress of schedules is not known; "
                "give AdvanceLoss(epochs=...)"
            )
        advance_to_epoch(pl_module, trainer.current_epoch, epochs)


def log_summands(
    module: LightningModule, loss: Loss, logits: Tensor, target: Tensor, *, prefix: str = "train/", **context: Any
) -> Tensor:
    """Compute `loss`, log its value as `prefix + "loss"` and each weighted summand under its text; return the value.

    To be called in `training_step` instead of the loss. `context` is what the loss takes beside logits and target:
    `link`, `ignore`, `weight`, `spacing`, `maps`.
    """
    pair = Pair(logits, target, losses=[leaf for _, leaf in loss.terms], **context)
    with torch.autocast(pair.logits.device.type, enabled=False):
        summands = loss.summands(pair) if isinstance(loss, Sum) else {}
        value = torch.stack(list(summands.values())).sum() if summands else loss.of(pair)
    value = value.to(pair.dtype)
    logged = {"loss": value, **summands}
    module.log_dict({prefix + name: number.detach() for name, number in logged.items()}, batch_size=len(pair.logits))
    return value

"""Lightning: schedules that move with the epochs, and a curve for every summand."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lossodyssey.core.arrays import outputs
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

    To be called in `training_step` instead of the loss. `loss` is a loss, a `Criterion` or a `MonaiLoss`, and the rest
    is what it is called with: for a criterion logits may be a list of scales; `context` is what it takes beside logits
    and target. A loss that is no sum is logged once.

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
    samples = len(outputs(logits)[0])
    module.log_dict({prefix + name: number.detach() for name, number in logged.items()}, batch_size=samples)
    return value

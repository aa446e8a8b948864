"""The two protocols: how nnU-Net trains today, and how the Loss odyssey's networks were trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch.optim import Optimizer

from lossodyssey.training.rates import FACTOR, LOWEST, stalls
from lossodyssey.training.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """`learning_rates` is the grid to choose from, the default first; `stages` maps a loss to the one before it."""

    adam: bool
    learning_rates: tuple[float, ...]
    deep_supervision: bool
    epochs: int = 1000
    iterations: int = 250
    patience: int = 50
    stages: Mapping[str, str] = field(default_factory=dict)
    fine_tuning_rates: tuple[float, ...] = ()

    def rates(self, loss: str) -> tuple[float, ...]:
        """Return the grid for a loss of this name: losses that continue from Dice have a grid of their own."""
        return self.fine_tuning_rates if self.stages.get(loss) == "Dice" else self.learning_rates


PROTOCOLS = {
    "nnunet": Protocol(adam=False, learning_rates=(1e-2,), deep_supervision=True),
    "odyssey": Protocol(
        adam=True,
        learning_rates=(3e-4, 3e-3, 3e-5),
        deep_supervision=False,
        stages={"Lovasz": "CrossEntropy", "DiceBoundary": "Dice", "DiceHausdorff": "Dice"},
        fine_tuning_rates=(3e-5, 3e-4, 1e-5, 3e-6, 1e-6),
    ),
}


class Plateau:
    """A fifth of the rate whenever the training loss stalls for `patience` epochs; below 1e-6 the training is over.

    nnU-Net calls `step(epoch)`. The rate follows from the `losses` that it has logged, so a resumed training needs
    no state of this.
    """

    def __init__(self, optimizer: Optimizer, rate: float, losses: Callable[[], Sequence[float]], patience: int) -> None:
        self.optimizer, self.losses = optimizer, losses
        self.settings = Settings(epoch=1, learning_rate=rate, patience=patience)

    def rate(self, epoch: int) -> float:
        """Return the rate of this epoch, counted from 0."""
        losses = [float(loss) for loss in self.losses()[:epoch]]
        return self.settings.learning_rate * float(FACTOR ** stalls(self.settings, losses))

    def step(self, epoch: int) -> None:
        """Set the rate of this epoch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(epoch)

    def over(self, epoch: int) -> bool:
        """Return whether the training ends before this epoch."""
        return self.rate(epoch) < LOWEST

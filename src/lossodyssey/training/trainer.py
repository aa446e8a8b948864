"""One training run: the same weights and the same batches for every loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from lossodyssey.atomic import writing
from lossodyssey.core.criterion import Criterion
from lossodyssey.core.loss import Loss
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.core.schedules import advance, follows_dice, observe
from lossodyssey.core.trained import train_loss_with, trained_values
from lossodyssey.data.patches import CachedCase
from lossodyssey.training.batches import Batch, Batches
from lossodyssey.training.checkpoint import BrokenCheckpoint, begin_with, load_network
from lossodyssey.training.device import choose_precision
from lossodyssey.training.heads import HeadsApart
from lossodyssey.training.network import build_network
from lossodyssey.training.parts import Clock
from lossodyssey.training.rates import learning_rate
from lossodyssey.training.settings import Settings
from lossodyssey.training.truth import build_criterion
from lossodyssey.training.watching import Seen, Validate, Watch, undisturbed, watched_steps

OnBatch = Callable[[Batch], None]
OnStep = Callable[[int, float, float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run: the network, how it ended and its curve.

    `reason` is empty unless the run diverged. `curve` holds (step, loss, learning rate), steps from 1;
    `clipped` is the share of steps whose gradient was clipped; `seconds` counts training alone, `parts` those of its
    parts (see `Clock`); `watched` holds what was seen of the network along the way, and `trained` the final values of
    hyper-parameters of the loss that are trained with the network.
    """

    network: nn.Module
    reason: str
    curve: list[tuple[int, float, float]]
    clipped: float
    seconds: float
    parts: Mapping[str, float]
    watched: Sequence[Seen]
    trained: Mapping[str, float]


def fit(
    loss: Loss,
    cases: Sequence[CachedCase],
    settings: Settings,
    *,
    classes: int,
    seed: int,
    regions: Sequence[Sequence[int]] = (),
    ignore: int | None = None,
    flip_axes: Sequence[int] = (),
    checkpoint: Path | None = None,
    run: str = "",
    weights: Path | None = None,
    watch: Watch | None = None,
    validate: Validate | None = None,
    device: torch.device | None = None,
    on_step: OnStep = lambda step, loss, rate: None,
    on_batch: OnBatch = lambda batch: None,
) -> Outcome:
    """Train a network on `cases` with `loss` for `settings.steps` steps.

    Where the loss asks for heads, the network returns them to it alone: every other caller gets the logits.

    `settings.patch` must be known, and `cases` share a number of channels. The network lies on `device`, else on that
    of the first case. Weights and batches follow from `seed` alone, or the weights are those of another run, in the
    checkpoint `weights`; the loss is told the spacing of the cases, their images where it looks at them, and which
    classes are annotated. With `regions`, each the labels that it is made of, the network has one output for each of
    them and none for `classes`, under a sigmoid. Voxels labelled `ignore` do not count. With `checkpoint`, the run
    goes on from that file where it exists, and saves itself there under its identity `run`. `watch` looks at the
    network at every quarter of the steps, which the training neither notices nor counts as its time. `validate` scores
    it before every epoch but the first, where a schedule of the loss follows the scores. A loss or gradient that is
    not finite ends the run; `Outcome.reason` then says where.

    Raises:
        ValueError: the loss follows scores, and there is no `validate`.
    """
    follows = _follows_scores(loss, settings, validate)
    device, outputs, heads = device or cases[0].image.device, len(regions) or classes, tuple(loss.heads().values())
    network = build_network(
        settings,
        dimensions=len(settings.known_patch()),
        channels=len(cases[0].image),
        classes=outputs,
        seed=seed,
        heads=len(heads),
    )
    criterion = build_criterion(loss, regions, ignore).to(device)
    apart = HeadsApart(network, outputs, heads) if heads else None
    state = State(network.to(device), criterion, settings, run, apart)
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint)
    elif weights is not None:
        begin_with(network, weights, state.device, heads=bool(heads))
    batches = Batches(
        criterion,
        cases,
        settings,
        classes=classes,
        seed=seed,
        regions=regions,
        ignore=ignore,
        flip_axes=flip_axes,
        clock=state.clock,
        device=device,
    )
    with closing(batches.ahead(state.step, settings.steps)) as ahead:
        reason = _descend_along(state, ahead, checkpoint, watch, validate if follows else None, on_step, on_batch)
    clipped = state.clipped / max(state.step, 1)
    spent = (state.seconds, state.clock.seconds)
    trained = {name: float(value) for name, value in trained_values(criterion).items()}
    return Outcome(network, reason, state.curve, clipped, *spent, state.watched, trained)


def _follows_scores(loss: Loss, settings: Settings, validate: Validate | None) -> bool:
    """Return whether the loss follows the scores of validation cases, which there must be then."""
    follows = follows_dice(loss) and settings.loss_schedules
    if follows and validate is None:
        raise ValueError(
            f"{loss!r} follows the Dice scores of validation cases, and this run has none: set some apart, as with "
            "validation: 0.2 in a plan, or give a number in place of FromDice"
        )
    return follows


def _descend_along(
    state: State,
    batches: Iterable[Batch],
    checkpoint: Path | None,
    watch: Watch | None,
    validate: Validate | None,
    on_step: OnStep,
    on_batch: OnBatch,
) -> str:
    """Take a step for each batch; return why the training could not go on, or nothing."""
    settings = state.settings
    began = time.perf_counter() - state.seconds
    looks = watched_steps(settings) if watch else ()
    for batch in batches:
        if state.step % settings.epoch == 0:
            state.begin_epoch(validate)
        on_batch(batch)
        reason = state.update(batch)
        state.seconds = time.perf_counter() - began
        on_step(*state.curve[-1])
        if reason:
            return reason
        if watch and state.step in looks:
            began += state.look(watch)
        if checkpoint is not None and (state.step % settings.checkpoint_every == 0 or state.step == settings.steps):
            state.save(checkpoint)
    return ""


class State:
    """Everything that changes from step to step, and therefore everything a checkpoint holds."""

    def __init__(
        self,
        network: nn.Module,
        criterion: Criterion,
        settings: Settings,
        run: str = "",
        apart: HeadsApart | None = None,
    ) -> None:
        self.network, self.criterion, self.settings, self.run = network, criterion, settings, run
        self.apart = apart
        self.device = next(network.parameters()).device
        self.precision = choose_precision(settings, self.device)
        self.optimizer = _optimizer(network, criterion, settings)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.curve: list[tuple[int, float, float]] = []
        self.clipped = 0
        self.seconds = 0.0
        self.clock = Clock(self.device)
        self.watched: list[Seen] = []

    @property
    def step(self) -> int:
        """Steps done so far."""
        return len(self.curve)

    @property
    def progress(self) -> float:
        """Share of the run that lies before the current epoch: 0 in the first, 1 in the last."""
        epochs = -(-self.settings.steps // self.settings.epoch)
        return min(self.step // self.settings.epoch / max(epochs - 1, 1), 1.0)

    def begin_epoch(self, validate: Validate | None) -> None:
        """Move the schedules of the loss, and tell it the scores that it follows: 0 at first, or without `validate`."""
        if self.settings.loss_schedules:
            advance(self.criterion.loss, self.progress)
        if not follows_dice(self.criterion):
            return
        with undisturbed(self.network):
            observe(self.criterion, dice=validate(self.network) if validate and self.step else 0)

    def update(self, batch: Batch) -> str:
        """Run one step of the optimizer; return why it could not be done, or nothing."""
        rate = learning_rate(self.settings, [loss for _, loss, _ in self.curve])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        half = torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
        with self.clock("network"), half:
            logits = self.network(batch.images)
        with self.clock("loss"):
            loss = self.criterion(logits, batch.target, batch.context, heads=self.apart and self.apart.taken())
        self.curve.append((self.step + 1, loss.item(), rate))
        if not isfinite(self.curve[-1][1]):
            return f"the loss is {self.curve[-1][1]} at step {self.step}"
        with self.clock("network"):
            problem = self._descend(loss)
        self.clock.settle()
        return problem

    def _descend(self, loss: Tensor) -> str:
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        norm = float(clip_grad_norm_(self.network.parameters(), self.settings.clip))
        # The scaler skips steps that overflow and halves its scale; at scale 1 the gradient itself is at fault.
        if not isfinite(norm) and self.scaler.get_scale() <= 1:
            return f"the norm of the gradient is {norm} at step {self.step}"
        self.clipped += norm > self.settings.clip
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return ""

    def look(self, watch: Watch) -> float:
        """Keep what is seen of the network now; return the seconds that it took."""
        began = time.perf_counter()
        with undisturbed(self.network):
            self.watched += [(self.step, *seen) for seen in watch(self.network)]
        return time.perf_counter() - began

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "schedules": schedule_state(self.criterion),
            "criterion": self.criterion.state_dict(),
            "curve": torch.tensor(self.curve, dtype=torch.float64),
            "clipped": self.clipped,
            "seconds": self.seconds,
            "parts": dict(self.clock.seconds),
            "watched": self.watched,
            "run": self.run,
            "heads": list(self.apart.names) if self.apart else [],
        }
        # A file of Python's own tells a full disk from other errors.
        with writing(path) as draft, draft.open("wb") as file:
            torch.save(state, file)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            BrokenCheckpoint: the file is not a checkpoint, or that of another network or run.
        """
        state = load_network(self.network, path, self.device, self.run)
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            load_schedule_state(self.criterion, state["schedules"])
            self.criterion.load_state_dict(state.get("criterion", {}))
            self.curve = [(int(step), loss, rate) for step, loss, rate in state["curve"].tolist()]
            self.clipped, self.seconds = int(state["clipped"]), float(state["seconds"])
            # Absent from checkpoints of earlier versions, which measured no parts and watched nothing.
            self.clock.resume(state.get("parts", {}))
            self.watched = [(int(step), *seen) for step, *seen in state.get("watched", ())]
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise BrokenCheckpoint(path, error) from None


def _optimizer(network: nn.Module, criterion: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    parameters, rate, decay = network.parameters(), settings.learning_rate, settings.weight_decay
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "adam":
        optimizer = torch.optim.Adam(parameters, rate, weight_decay=decay)
    else:
        optimizer = torch.optim.SGD(parameters, rate, momentum=0.99, nesterov=True, weight_decay=decay)
    train_loss_with(optimizer, criterion)
    return optimizer

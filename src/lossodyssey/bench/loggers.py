"""Trackers that show the curves of runs while they go on: TensorBoard, MLflow, Weights & Biases, behind one interface.

Every tenth step and the last one of each phase is logged, and at the end the mean scores of the run: those of the
validation cases along the training, and those of the cases that make its table. The pictures are the first batch, as
the network sees it, and the worst, median and best case.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from lossodyssey.bench.tuning import METRIC
from lossodyssey.core.fields import nearest

if TYPE_CHECKING:
    from lossodyssey.bench.job import Job, Progress
    from lossodyssey.bench.shown import Picture
    from lossodyssey.table import Row
    from lossodyssey.training.watching import Seen

NOT_TRAINING = ("scoring", "validating")
EVERY = 10
"""Steps from one logged value to the next."""


class Logger(Protocol):
    """One tracker, opened for one phase of a run."""

    def scalar(self, step: int, name: str, value: float) -> None:
        """Log a value of a step."""

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Log a picture of a step."""

    def close(self) -> None:
        """Write everything and end."""


class TensorBoard:
    """Event files in `tensorboard/RUN` of the output folder."""

    def __init__(self, folder: Path, run: str, first: int) -> None:
        from torch.utils import tensorboard

        # Values that a killed attempt wrote after its checkpoint are taken back.
        open_writer: Any = tensorboard.SummaryWriter
        self.writer: Any = open_writer(str(folder / "tensorboard" / run), purge_step=first)

    def scalar(self, step: int, name: str, value: float) -> None:
        """Log a value of a step, so that it outlives the process."""
        self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Log a picture of a step."""
        self.writer.add_image(name, picture, step, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        """Write everything and end."""
        self.writer.close()


class MLflow:
    """Runs of an experiment named after the output folder, at MLFLOW_TRACKING_URI or else in its `mlflow.db`.

    Pictures lie where that server keeps files, else in `mlflow` of the output folder.
    """

    def __init__(self, folder: Path, run: str, first: int) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        folder, server = folder.resolve(), os.environ.get("MLFLOW_TRACKING_URI")
        self.client: Any = MlflowClient(server or f"sqlite:///{folder / 'mlflow.db'}")
        name = folder.name
        with suppress(MlflowException):  # another run has created it
            self.client.create_experiment(name, None if server else (folder / "mlflow").as_uri())
        experiment = self.client.get_experiment_by_name(name).experiment_id
        known = self.client.search_runs([experiment], f"attributes.run_name = '{run}'")
        self.run = (known[0] if known else self.client.create_run(experiment, run_name=run)).info.run_id
        self.last: dict[str, int] = {}

    def scalar(self, step: int, name: str, value: float) -> None:
        """Log a value of a step, unless an attempt that was killed has done so."""
        name = re.sub(r"[^\w\-. :/]", "_", name)
        if name not in self.last:
            self.last[name] = max((each.step for each in self.client.get_metric_history(self.run, name)), default=0)
        if step > self.last[name]:
            self.client.log_metric(self.run, name, value, step=step)
            self.last[name] = step

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Keep a picture among the run's files; one of the same name is replaced."""
        from PIL import Image

        self.client.log_image(self.run, Image.fromarray(picture), f"{re.sub(r'[^-.A-Za-z0-9 ]', '_', name)} {step}.png")

    def close(self) -> None:
        """Mark the run there as ended."""
        self.client.set_terminated(self.run)


class WandB:
    """Runs of a project named after the output folder; WANDB_MODE=offline keeps them in `wandb` of the folder."""

    def __init__(self, folder: Path, run: str, first: int) -> None:
        import wandb

        # The same identity continues the same run; W&B itself leaves out steps that it has.
        identity = hashlib.sha256(f"{folder.resolve()}/{run}".encode()).hexdigest()[:16]
        self.run: Any = wandb.init(
            project=folder.resolve().name, name=run, id=identity, resume="allow", dir=str(folder.resolve())
        )
        self.last = 0

    def scalar(self, step: int, name: str, value: float) -> None:
        """Log a value of a step; one of an earlier step under an axis of its own, since W&B takes steps in order."""
        if step >= self.last:
            self.last = step
            self.run.log({name: value}, step=step)
        else:
            self.run.define_metric(name, step_metric="training step")
            self.run.log({name: value, "training step": step})

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Log a picture of a step."""
        import wandb

        self.run.log({name: wandb.Image(picture)}, step=max(step, self.last))

    def close(self) -> None:
        """Write everything and end."""
        self.run.finish()


LOGGERS: dict[str, type[TensorBoard] | type[MLflow] | type[WandB]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}
"""The trackers, by the name of their package and of the extra that installs it."""


def check_loggers(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of loggers, each once.

    Raises:
        ValueError: one is unknown or not installed.
    """
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in LOGGERS:
            raise ValueError(f"logger is {name!r}{nearest(name, LOGGERS)}; expected one of {', '.join(LOGGERS)}")
        spec = find_spec(name)
        # A folder of this name, such as a tracker leaves behind, is not a package.
        if spec is None or spec.origin is None:
            raise ValueError(f'logger {name}: {name} is not installed; pip install ".[{name}]"')
    return found


def open_loggers(names: Iterable[str], folder: Path, run: str, first: int) -> dict[str, Logger]:
    """Open loggers for a run; `first` is the step that it begins or goes on with."""
    return {name: LOGGERS[name](folder, run, first) for name in names}


class Tracking:
    """Passes the reports of a run to its loggers; one that fails is dropped, as `notes` say, and stops no run."""

    def __init__(self, job: Job) -> None:
        self.job, self.phase = job, ""
        self.wanted = list(job.loggers)
        self.open: dict[str, Logger] = {}
        self.notes: tuple[str, ...] = ()

    def tell(self, progress: Progress) -> None:
        """Log a step."""
        regular = progress.done % EVERY == 0 or progress.done == progress.total
        if progress.phase in NOT_TRAINING or not (regular or progress.picture is not None):
            return
        if progress.phase != self.phase:
            self._begin(progress.phase, progress.done)
        if progress.picture is not None:
            self._show(progress.done, "batch", progress.picture)
        if regular:
            self._log(progress.done, {"loss": progress.loss, "learning rate": progress.learning_rate})

    def watched(self, seen: Sequence[Seen]) -> None:
        """Log the means over validation cases of every class, along the training."""
        found: dict[tuple[int, str], list[float]] = {}
        for step, _, name, value in seen:
            if math.isfinite(value):
                found.setdefault((step, name), []).append(value)
        self._begin_late()
        for (step, name), values in found.items():
            self._log(step, {f"along/{METRIC}/{name}": fmean(values)})

    def scores(self, rows: Sequence[Row]) -> None:
        """Log the mean of every metric and class over the cases, at the last step."""
        found: dict[str, list[float]] = {}
        for row in rows:
            if math.isfinite(row.value):
                found.setdefault(f"{row.metric}/{row.class_name}", []).append(row.value)
        self._begin_late()
        cases = "validation" if self.job.purpose == "search" else "held out"
        self._log(self.job.engine.steps, {f"{cases}/{name}": fmean(values) for name, values in found.items()})

    def pictures(self, rows: Sequence[Row]) -> None:
        """Show the run's worst, median and best case, with true and predicted outlines."""
        if not self.open:
            return
        from lossodyssey.bench.shown import overlays

        try:
            for name, picture in overlays(self.job, rows):
                self._show(self.job.engine.steps, name, picture)
        except Exception as error:
            # A failing picture must not end a training either.
            self.notes += (f"no pictures for the loggers: {type(error).__name__}: {error}",)

    def close(self) -> None:
        """Close all loggers."""
        for name in list(self.open):
            self._try(name, lambda logger: logger.close())
        self.open = {}

    def _begin_late(self) -> None:
        """Open the loggers where all steps were done, and logged, by an earlier attempt."""
        if self.wanted and not self.phase:
            self._begin("training", self.job.engine.steps + 1)

    def _begin(self, phase: str, first: int) -> None:
        self.close()
        self.phase = phase
        run = self.job.folder.name + f"-{phase}" * (phase != "training")
        for name in list(self.wanted):
            try:
                self.open |= open_loggers([name], self.job.runs.parent, run, first)
            except Exception as error:
                self._leave(name, error)

    def _log(self, step: int, values: dict[str, float]) -> None:
        for name in list(self.open):
            for about, value in values.items():
                self._try(name, lambda logger, about=about, value=value: logger.scalar(step, about, value))

    def _show(self, step: int, about: str, picture: Picture) -> None:
        for name in list(self.open):
            self._try(name, lambda logger: logger.picture(step, about, picture))

    def _try(self, name: str, act: Any) -> None:
        # A tracker is third-party code on a third-party server: neither may end a training.
        try:
            if name in self.open:
                act(self.open[name])
        except Exception as error:
            self._leave(name, error)

    def _leave(self, name: str, error: Exception) -> None:
        self.open.pop(name, None)
        self.wanted.remove(name)
        self.notes += (f"logger {name} failed and was left out: {type(error).__name__}: {error}",)

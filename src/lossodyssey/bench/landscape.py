"""The landscape of losses around the network of a finished run, on cases that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lossodyssey.bench.predict import load_network, settings_of
from lossodyssey.bench.record import Record, read_record
from lossodyssey.core.class_weights import needs_counts, with_class_weights
from lossodyssey.core.loss import Loss
from lossodyssey.data import Case, Dataset
from lossodyssey.data.caching import cache
from lossodyssey.data.patches import CachedCase
from lossodyssey.table import read_rows
from lossodyssey.training.batches import Batch, Batches
from lossodyssey.training.device import choose_device
from lossodyssey.training.directions import Plane
from lossodyssey.training.settings import Settings
from lossodyssey.training.truth import build_criterion, count_targets

OnPoint = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Landscape:
    """Values of losses on a plane through a network's weights.

    `steps` (P,) are the places along both directions, 0 the network itself; `values` (P, P) by the text of the loss,
    its first axis along the first direction; `cases` are those whose patches the losses are means over.
    """

    run: str
    trained_with: str
    steps: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]]
    cases: tuple[str, ...]


def landscape(
    run: Path,
    dataset: Dataset,
    losses: Sequence[Loss] = (),
    *,
    cases: int = 2,
    points: int = 15,
    reach: float = 1.0,
    seed: int = 0,
    on_point: OnPoint = lambda done, total: None,
) -> Landscape:
    """Compute the mean of losses over patches of held-out cases, around the network of a finished run.

    Args:
        run: the folder of a run of the light engine.
        dataset: the data set of the run.
        losses: the losses; the run's own where none is given.
        cases: the number of held-out cases; each gives one patch, on an object.
        points: places along each of two random directions, an odd number, so that the network itself is one.
        reach: the distance from the network to the ends, in norms of its filters.
        seed: of the directions and patches.
        on_point: called with the number of places that are done and that of all.

    Raises:
        ValueError: not a finished run of the light engine, another data set, an even number of points, or a loss that
            asks the network for heads.
        FileNotFoundError: a folder that holds no run.
    """
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points is {points}; expected an odd number of 3 or more, so that the network is one of them")
    record = read_record(run)
    if record.status != "finished":
        raise ValueError(f"{run}: this run is {record.status}; expected a finished one")
    settings = settings_of(run, record)
    seen = _read(run, record, settings, dataset, cases)
    chosen = [_own_weights(loss, seen, dataset) for loss in losses or [_loss_of(record)]]
    network = load_network(run, record, settings).eval()
    batches = [_batches(loss, seen, settings, dataset, seed) for loss in chosen]

    steps = np.linspace(-reach, reach, points)
    values = np.full((len(chosen), points, points), np.nan)
    plane = Plane(network, seed)
    for done, (i, j) in enumerate(np.ndindex(points, points), start=1):
        with plane.at(float(steps[i]), float(steps[j])) as moved:
            values[:, i, j] = _means(moved, chosen, batches, dataset)
        on_point(done, points * points)
    texts = [repr(loss) for loss in losses] or [record.expression]
    return Landscape(
        run.name, record.label, steps, dict(zip(texts, values, strict=True)), tuple(case.name for case in seen)
    )


@torch.inference_mode()
def _means(
    network: nn.Module, losses: Sequence[Loss], batches: Sequence[Sequence[Batch]], dataset: Dataset
) -> list[float]:
    """Return the mean of each loss over the patches: one pass of the network serves all losses."""
    found = np.zeros((len(losses), len(batches[0])))
    for k in range(len(batches[0])):
        logits = network(batches[0][k].images)
        for number, (loss, own) in enumerate(zip(losses, batches, strict=True)):
            criterion = build_criterion(loss, [region.labels for region in dataset.regions], dataset.ignore)
            found[number, k] = float(criterion(logits, own[k].target, own[k].context))
    return [float(mean) for mean in found.mean(1)]


def _loss_of(record: Record) -> Loss:
    from lossodyssey.core.text import parse

    return parse(record.expression)


def _own_weights(loss: Loss, seen: Sequence[CachedCase], dataset: Dataset) -> Loss:
    """Return a loss whose class weights by frequency, if it asks for such, are those of the cases that are seen."""
    if loss.heads():
        names = ", ".join(loss.heads().values())
        raise ValueError(
            f"{loss!r} asks the network for {names} beside the logits, which are not a part of its landscape here; "
            "expected a loss without heads"
        )
    if not needs_counts(loss):
        return loss
    regions = [region.labels for region in dataset.regions]
    counts = count_targets((case.labels for case in seen), len(dataset.classes), regions, dataset.ignore)
    return with_class_weights(loss, counts)


def _read(run: Path, record: Record, settings: Settings, dataset: Dataset, count: int) -> list[CachedCase]:
    """Read the first held-out cases of a run, prepared as its training cases were."""
    held_out = list(dict.fromkeys(row.case for row in read_rows(run / "cases.csv")))[:count]
    known: dict[str, Case] = {case.name: case for case in dataset.cases}
    lost = [name for name in held_out if name not in known]
    if lost or tuple(dataset.classes.values()) != record.classes:
        why = f"it has no case {lost[0]}" if lost else f"its classes are {', '.join(dataset.classes.values())}"
        raise ValueError(f"{run}: trained on {record.dataset}, but {dataset.root} is another data set: {why}")
    # A few cases suffice: a landscape is a picture, and each of its points costs a pass over all of them.
    return cache(dataset, [known[name] for name in held_out], choose_device(settings), (), settings.preprocessing())


def _batches(loss: Loss, seen: Sequence[CachedCase], settings: Settings, dataset: Dataset, seed: int) -> list[Batch]:
    """Return a patch on an object of every case, as it is, with the context that the loss asks for."""
    plain = replace(settings, batch=1, augmentation=False, elastic=0.0, foreground=1.0)
    regions = [region.labels for region in dataset.regions]
    criterion = build_criterion(loss, regions, dataset.ignore)
    return [
        Batches(
            criterion, [case], plain, classes=len(dataset.classes), seed=seed, regions=regions, ignore=dataset.ignore
        ).make(0)
        for case in seen
    ]

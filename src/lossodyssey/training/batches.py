"""The batches of a run: each follows from the seed and its step alone, and is made while the step before it trains."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lossodyssey.core.context import Context
from lossodyssey.core.criterion import Criterion
from lossodyssey.core.preparation import Preparation
from lossodyssey.data import augmentation
from lossodyssey.data.patches import CachedCase
from lossodyssey.training.parts import Clock
from lossodyssey.training.settings import Settings
from lossodyssey.training.truth import Regions, truth_of


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch that one step trains on: images (N, K, *S), the target of the loss, and its context."""

    images: Tensor
    target: Tensor
    context: Context


class Batches:
    """Makes the batches of one run.

    The context of a batch holds everything the loss may ask for: which voxels count, each sample's spacing, the images
    where the loss looks at them, which classes are annotated, and the auxiliary values.
    """

    def __init__(
        self,
        criterion: Criterion,
        cases: Sequence[CachedCase],
        settings: Settings,
        *,
        classes: int,
        seed: int,
        regions: Regions = (),
        ignore: int | None = None,
        flip_axes: Sequence[int] = (),
        clock: Clock | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.cases, self.settings, self.seed = cases, settings, seed
        # Cases that are mapped from files lie beside the processor; the batches do not.
        self.device = device or cases[0].image.device
        self.regions, self.ignore, self.flip_axes = regions, ignore, flip_axes
        self.outputs, loss = len(regions) or classes, criterion.loss
        self.needs_image = loss.needs_image
        self.clock = clock or Clock(self.device)
        self.prepare = Preparation(loss, self.outputs, link=criterion.link, ignore=criterion.ignore)

    def ahead(self, first: int, last: int) -> Generator[Batch, None, None]:
        """Yield the batches of the steps from `first` to before `last`; a thread makes the next one meanwhile.

        The thread computes with the caller's number of threads. An error in it is raised here.
        """
        # Threads begin with PyTorch's default, all cores, unless they are told otherwise.
        threads = (torch.get_num_threads(),)
        with ThreadPoolExecutor(1, "batches", initializer=torch.set_num_threads, initargs=threads) as thread:
            waiting = thread.submit(self.make, first) if first < last else None
            for step in range(first + 1, last + 1):
                assert waiting is not None
                with self.clock("data"):
                    batch = waiting.result()
                waiting = thread.submit(self.make, step) if step < last else None
                yield batch

    def make(self, step: int) -> Batch:
        """Make the batch of a step."""
        patch = self.settings.known_patch()
        parameters = augmentation.draw(
            np.random.default_rng((self.seed, step)),
            self.cases,
            batch=self.settings.batch,
            patch=patch,
            foreground=self.settings.foreground,
            flip_axes=self.flip_axes,
            elastic=self.settings.elastic,
        )

        cut_out = augmentation.apply if self.settings.augmentation else augmentation.leave
        images, labels = cut_out(parameters, self.cases, patch, self.device)
        target, weight = truth_of(labels, self.regions, self.ignore)
        seen = [self.cases[place.case] for place in parameters.places]

        # Scaling shows an object of another size on the grid of its case, so the spacing stays that of the case.
        spacing = [case.spacing for case in seen]
        with self.clock("auxiliaries"):
            auxiliary = self.prepare(target, spacing=spacing)
        context = Context(
            weight=weight,
            spacing=spacing,
            image=images if self.needs_image else None,
            annotated=self._annotated(seen),
            auxiliary=auxiliary,
        )
        return Batch(images, target, context)

    def _annotated(self, seen: Sequence[CachedCase]) -> Tensor | None:
        """Return which outputs are annotated in which sample, (N, C); None where the data have whole labels."""
        if all(case.annotated is None for case in self.cases):
            return None
        whole = (True,) * self.outputs
        return torch.tensor([case.annotated or whole for case in seen], device=self.device)

"""MONAI: the losses in its call, its trainers and its bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.utils.enums import CommonKeys
from monai.utils.module import optional_import
from torch import Tensor, nn

from lossodyssey import Criterion, Loss, maps_for
from lossodyssey.core.arrays import outputs, plain
from lossodyssey.core.context import Link
from lossodyssey.core.ignored import Ignore
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.integrations.epochs import advance_to_epoch

Outputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
MAPS = "maps"
Events, _ = optional_import("ignite.engine", name="Events")


class MonaiLoss(nn.Module):
    """A loss called as MONAI calls them: `loss(logits, target)`.

        trainer = SupervisedTrainer(..., loss_function=MonaiLoss("Dice() + CrossEntropy()"))

    Args:
        loss: a loss, or its text; in a bundle `{"_target_": "lossodyssey.integrations.monai.MonaiLoss", "loss": ...}`.
        link: "softmax" for exclusive classes (MONAI's `softmax=True`, `to_onehot_y=True`), "sigmoid" for one region
            per channel. The network returns logits in both cases.
        ignore: label of voxels that do not count, or several.
        scales: weight of each scale, where the network returns a list (or dictionary) of them; see `Criterion`.
        spacing: size of a voxel along each spatial axis; None takes each sample's own from a target that is a
            `MetaTensor`, and voxels from a plain one.

    The target is channel first: labels (N, 1, *S), one-hot or regions (N, C, *S). With maps made by `AddMaps` it is
    `{"label": ..., "maps": ...}`, as `prepare_batch` gives it. Where the samples' spacings differ, distances of the
    truth are each in its own, distances of the prediction in their mean.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        scales: Sequence[float] | None = None,
        spacing: Sequence[float] | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__()
        self.criterion = Criterion(loss, link=link, ignore=ignore, scales=scales, **foreign)
        self.spacing = spacing

    def forward(
        self, logits: Outputs, target: Tensor | Mapping[str, Any], weight: Tensor | None = None, **foreign: Any
    ) -> Tensor:
        """Scalar loss; `weight` says how much each voxel counts, or each channel of regions, as for `Pair`."""
        scales, truth, context = self._read(logits, target)
        value: Tensor = self.criterion(scales, truth, weight=weight, **context, **foreign)
        return value

    def summands(
        self, logits: Outputs, target: Tensor | Mapping[str, Any], weight: Tensor | None = None, **foreign: Any
    ) -> dict[str, Tensor]:
        """Compute the weighted value of each term of the loss by its text; together they are the loss."""
        scales, truth, context = self._read(logits, target)
        return self.criterion.summands(scales, truth, weight=weight, **context, **foreign)

    def _read(self, logits: Outputs, target: Tensor | Mapping[str, Any]) -> tuple[list[Tensor], Tensor, dict[str, Any]]:
        """What the criterion is called with: scales, truth, and their spacing and maps."""
        label, maps = (target[CommonKeys.LABEL], target.get(MAPS)) if isinstance(target, Mapping) else (target, None)
        scales = outputs(logits)
        spacings = self._spacings(label)
        truth = plain("target", label, like=scales[0])
        if maps is None and any(spacing != spacings[0] for spacing in spacings):
            maps = self._maps(truth, spacings, classes=scales[0].shape[1])
        mean = torch.tensor(spacings).mean(0).tolist() if spacings else None
        return scales, truth, {"spacing": mean, "maps": maps}

    def _spacings(self, target: Tensor) -> list[tuple[float, ...]]:
        """Spacing of every sample; none where distances are not asked for, or are in voxels."""
        if not any(leaf.needs for _, leaf in self.criterion.loss.terms):
            return []
        if self.spacing is not None:
            return [tuple(self.spacing)]
        return _affine_spacings(target) if isinstance(target, MetaTensor) else []

    def _maps(self, truth: Tensor, spacings: Sequence[Sequence[float]], classes: int) -> dict[str, Tensor]:
        loss, link, ignore = self.criterion.loss, self.criterion.link, self.criterion.ignore
        samples = [
            maps_for(loss, sample[None], classes, spacing=spacing, link=link, ignore=ignore)
            for sample, spacing in zip(truth, spacings, strict=True)
        ]
        return {key: torch.cat([sample[key] for sample in samples]) for key in samples[0]}


class AdvanceLoss:
    """An Ignite handler that moves a loss's schedules at the start of every epoch, and can be part of checkpoints.

    schedules = AdvanceLoss(loss)
    SupervisedTrainer(..., loss_function=loss, train_handlers=[schedules])
    CheckpointSaver(..., save_dict={"network": network, "schedules": schedules})
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def attach(self, engine: Any) -> None:
        """Listen to the engine."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Any) -> None:
        """Move the schedules to the engine's epoch, which counts from 1."""
        advance_to_epoch(self.loss, engine.state.epoch - 1, engine.state.max_epochs)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the schedules, as checkpoints ask for it."""
        return schedule_state(self.loss)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned; ValueError where it is that of another loss."""
        load_schedule_state(self.loss, state_dict)


def prepare_batch(
    batch: Mapping[str, Any], device: str | torch.device | None = None, non_blocking: bool = False, **options: Any
) -> tuple[Tensor, dict[str, Any]]:
    """A trainer's `prepare_batch` for batches with maps: image, and label and maps as `MonaiLoss` takes them."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device=device, non_blocking=non_blocking, **options)

    maps = {key: move(found) for key, found in batch[MAPS].items()}
    return move(batch[CommonKeys.IMAGE]), {CommonKeys.LABEL: move(batch[CommonKeys.LABEL]), MAPS: maps}


def _affine_spacings(target: MetaTensor) -> list[tuple[float, ...]]:
    affines = target.affine if target.is_batch else [target.affine]
    return [tuple(affine_to_spacing(affine, r=target.ndim - 2).tolist()) for affine in affines]

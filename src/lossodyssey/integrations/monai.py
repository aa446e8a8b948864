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

from lossodyssey import Criterion, Loss
from lossodyssey.core.arrays import outputs, plain
from lossodyssey.core.context import Link
from lossodyssey.core.ignored import Ignore
from lossodyssey.core.kinds import OverlapLoss, VoxelLoss
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.integrations.epochs import advance_to_epoch

Outputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
CONTEXT = ("weight", "image", "annotated", "auxiliary", "maps")
"""The entries of a context that a target may carry beside its label."""
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
        classes: the number of classes or regions, which a loss with heads needs; see `Criterion`. The inferer sees all
            channels of the network: segment with the first `classes`.

    The target is channel first: labels (N, 1, *S), one-hot or regions (N, C, *S). It may be a dictionary, as
    `prepare_batch` makes it: the target as "label", and beside it the entries of the context, "maps" made by
    `AddMaps` (or "auxiliary"), "image", "annotated" and "weight", as for `Context`; each may be a keyword instead.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        scales: Sequence[float] | None = None,
        spacing: Sequence[float] | None = None,
        classes: int | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__()
        self.criterion = Criterion(loss, link=link, ignore=ignore, scales=scales, classes=classes, **foreign)
        self.spacing = spacing

    def forward(self, logits: Outputs, target: Tensor | Mapping[str, Any], **given: Any) -> Tensor:
        """Return the scalar loss; `given` are entries of the context, as the weight of each voxel: see `Criterion`."""
        value: Tensor = self.criterion(*self._read(logits, target, given), **given)
        return value

    def summands(self, logits: Outputs, target: Tensor | Mapping[str, Any], **given: Any) -> dict[str, Tensor]:
        """Return the weighted value of each term of the loss by its text; together they are the loss."""
        return self.criterion.summands(*self._read(logits, target, given), **given)

    def _read(
        self, logits: Outputs, target: Tensor | Mapping[str, Any], given: dict[str, Any]
    ) -> tuple[list[Tensor], Tensor]:
        """Return scales and truth as the criterion takes them; add to `given` the entries that the target carries.

        Raises:
            ValueError: an entry is given twice, or the target has no label.
        """
        label, carried = _parts(target) if isinstance(target, Mapping) else (target, {})
        for name in carried.keys() & given.keys():
            raise ValueError(f"{name} is given twice, by the target's {name!r} and by name; leave one of them out")
        given |= carried
        scales = outputs(logits)
        if given.get("spacing") is None and getattr(given.get("context"), "spacing", None) is None:
            given["spacing"] = self._spacing(label)
        return scales, plain("target", label, like=scales[0])

    def _spacing(self, target: Any) -> Any:
        """Return the spacing of all samples, or that of each; None where the loss does not ask, or counts voxels."""
        if self.spacing is not None or not isinstance(target, MetaTensor) or not measures(self.criterion.loss):
            return self.spacing
        affines = target.affine if target.is_batch else [target.affine]
        rows = [tuple(affine_to_spacing(affine, r=target.ndim - 2).tolist()) for affine in affines]
        return rows if target.is_batch else rows[0]


def measures(loss: Loss) -> bool:
    """Return whether a loss may ask for distances: sums over voxels do not, unless they are taken under maps.

    Batches that were joined keep the affines of the first alone; a loss that needs no spacing must not fail for it.
    """
    return any(leaf.auxiliaries() or not isinstance(leaf, VoxelLoss | OverlapLoss) for _, leaf in loss.terms)


def _parts(target: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the label of a target, and the entries of the context beside it."""
    if CommonKeys.LABEL not in target:
        raise ValueError(f"target holds {', '.join(map(str, target))}; expected 'label', and beside it {CONTEXT}")
    return target[CommonKeys.LABEL], {name: target[name] for name in CONTEXT if target.get(name) is not None}


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
        """Put back a state that `state_dict` returned.

        Raises:
            ValueError: the state is that of another loss.
        """
        load_schedule_state(self.loss, state_dict)


def prepare_batch(
    batch: Mapping[str, Any], device: str | torch.device | None = None, non_blocking: bool = False, **options: Any
) -> tuple[Tensor, dict[str, Any]]:
    """Return the image, and the target as `MonaiLoss` takes it: label, image and the other entries of the context.

    A trainer's `prepare_batch`. Beside image and label, a batch may have "maps" (see `AddMaps`), "annotated" and
    "weight".
    """

    def move(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: move(found) for key, found in value.items()}
        return value.to(device=device, non_blocking=non_blocking, **options)

    image = move(batch[CommonKeys.IMAGE])
    carried = {name: move(batch[name]) for name in CONTEXT if name != "image" and name in batch}
    return image, {CommonKeys.LABEL: move(batch[CommonKeys.LABEL]), "image": image, **carried}

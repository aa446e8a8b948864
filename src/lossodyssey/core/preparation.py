"""Auxiliary values made from the labels ahead of time: in a data loader's workers, after augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary
from lossodyssey.core.arrays import plain
from lossodyssey.core.context import Link, Spacing
from lossodyssey.core.ignored import Ignore, canonical
from lossodyssey.core.loss import Loss
from lossodyssey.core.pair import Pair
from lossodyssey.core.text import parse


class Preparation:
    """Makes the auxiliary values that a loss asks for, of batches of labels, for one scale or for several.

        prepare = lo.Preparation("DiceBoundary()", classes=3)
        criterion(logits, labels, spacing=spacing, auxiliary=prepare(labels, spacing=spacing))

    Args:
        loss: a loss, a sum, or its text.
        classes: number of classes or channels of the logits.
        link: as for the loss's call.
        ignore: as for the loss's call.

    The values are the ones that the loss would make itself in the training step; here a loader's worker makes them.
    """

    def __init__(self, loss: Loss | str, classes: int, *, link: Link = "softmax", ignore: Ignore = None) -> None:
        self.loss = parse(loss) if isinstance(loss, str) else loss
        self.classes, self.link, self.ignore = classes, link, canonical(ignore)
        leaves = [wanted for _, leaf in self.loss.terms for wanted in leaf.auxiliaries().values()]
        self.wanted: dict[str, Auxiliary] = {each.key: each for each in leaves}

    def __call__(self, target: Any, *, spacing: Spacing = None) -> dict[str, Tensor]:
        """Return the values by key, to be given to the loss as `auxiliary=`.

        Args:
            target: of a batch, as for `Pair`: labels (N, *S) or (N, 1, *S), or one channel per class or region.
            spacing: size of a voxel along each spatial axis, (D,) or per sample (N, D).

        Returns:
            (N, C or 1, *S) by key; empty for a loss that needs none.
        """
        if not self.wanted:
            return {}
        labels = plain("target", target)
        space = labels.shape[2:] if self._has_channels(labels, spacing) else labels.shape[1:]
        # The values follow from the shape of the logits alone: a zero expanded to it takes no memory.
        logits = torch.zeros((), device=labels.device).expand(len(labels), self.classes, *space)
        pair = Pair(logits, labels, link=self.link, ignore=self.ignore, spacing=spacing)
        flat = {key: pair.auxiliary(wanted) for key, wanted in self.wanted.items()}
        return {key: found.reshape(*found.shape[:2], *space) for key, found in flat.items()}

    def at_scales(self, targets: Sequence[Any], *, spacing: Spacing = None) -> list[dict[str, Tensor]]:
        """Return the values for the targets of every scale, the finest first, whose `spacing` is given."""
        from lossodyssey.core.context import Context

        finest = plain("target", targets[0])
        axes = finest.ndim - (2 if self._has_channels(finest, spacing) else 1)
        shapes = [plain("target", target).shape[-axes:] for target in targets]
        steps = [Context(spacing=spacing).at_scale(shapes[0], shape).spacing for shape in shapes]
        return [self(target, spacing=own) for target, own in zip(targets, steps, strict=True)]

    def _has_channels(self, target: Tensor, spacing: Spacing) -> bool:
        """Return whether axis 1 of a target is a channel: told by the spacing's length, else by its size."""
        if spacing is not None:
            return target.ndim == torch.as_tensor(spacing).shape[-1] + 2
        return target.ndim > 3 and target.shape[1] in (1, self.classes)


def maps_for(
    loss: Loss | str,
    target: Tensor,
    classes: int,
    *,
    spacing: Spacing = None,
    link: Link = "softmax",
    ignore: Ignore = None,
) -> dict[str, Tensor]:
    """Return the auxiliary values of one batch that `loss` needs, by key; `Preparation` makes them for many."""
    return Preparation(loss, classes, link=link, ignore=ignore)(target, spacing=spacing)


class AddMaps:
    """A dictionary transform that adds a loss's auxiliary values, for MONAI, batchgenerators or plain loaders.

        transform = Compose([..., AddMaps("DiceBoundary()", key="label", classes=3)])
        criterion(logits, batch["label"], maps=batch["maps"])

    Reads `sample[key]`, labels (1, *S), and writes `sample["maps"]`, a dictionary of (C, *S) tensors that the loader's
    default collation stacks. Put it last: a map must be made of the label that is trained on. Spacing is the
    argument, else that of a label with an affine (MONAI's MetaTensor), else voxels.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        classes: int,
        key: str = "label",
        spacing: Sequence[float] | None = None,
        link: Link = "softmax",
        ignore: Ignore = None,
    ) -> None:
        self.prepare = Preparation(loss, classes, link=link, ignore=ignore)
        self.key, self.spacing = key, spacing

    def __call__(self, sample: Mapping[str, Any] | None = None, **named: Any) -> dict[str, Any]:
        """Return the sample with `maps`; batchgenerators hand it over as keyword arguments."""
        made = dict(sample or named)
        label = plain("label", made[self.key])
        spacing = getattr(made[self.key], "pixdim", None) if self.spacing is None else self.spacing
        steps = None if spacing is None else [float(step) for step in spacing]
        made["maps"] = {key: found[0] for key, found in self.prepare(label[None], spacing=steps).items()}
        return made

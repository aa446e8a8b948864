"""Distance maps made ahead of time: in a data loader's workers, after augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossodyssey.distance.maps import map_key
from lossodyssey.losses.algebra import parse
from lossodyssey.losses.arrays import plain
from lossodyssey.losses.ignored import Ignore
from lossodyssey.losses.loss import Loss
from lossodyssey.losses.pair import Link, Pair


def maps_for(
    loss: Loss | str,
    target: Tensor,
    classes: int,
    *,
    spacing: Sequence[float] | None = None,
    link: Link = "softmax",
    ignore: Ignore = None,
) -> dict[str, Tensor]:
    """The maps of the truth that `loss` needs, by name, to be given to it as `maps=`.

    Args:
        loss: a loss, a sum, or its text.
        target: of a batch, as for `Pair`: labels (N, *S) or (N, 1, *S), or one channel per class or region.
        classes: number of classes or channels of the logits.
        spacing, link, ignore: as for `Pair`.

    Returns:
        float32 (N, C or 1, *S) by name; empty for a loss that needs no map.
    """
    target = plain("target", target)
    leaves = [leaf for _, leaf in (parse(loss) if isinstance(loss, str) else loss).terms if leaf.needs]
    if not leaves:
        return {}
    space = target.shape[2:] if _has_channels(target, classes, spacing) else target.shape[1:]
    logits = torch.zeros((), device=target.device).expand(len(target), classes, *space)
    pair = Pair(logits, target, link=link, ignore=ignore, spacing=spacing)
    wanted = {map_key(kind, leaf.map_options()): (kind, leaf.map_options()) for leaf in leaves for kind in leaf.needs}
    flat = {key: pair.map(kind, **options) for key, (kind, options) in wanted.items()}
    return {key: found.reshape(*found.shape[:2], *space) for key, found in flat.items()}


def _has_channels(target: Tensor, classes: int, spacing: Sequence[float] | None) -> bool:
    """Whether axis 1 of a target is a channel: told by the spacing's length, else by its size."""
    if spacing is not None:
        return target.ndim == len(spacing) + 2
    return target.ndim > 3 and target.shape[1] in (1, classes)


class AddMaps:
    """A dictionary transform that adds the maps a loss needs to one case, for MONAI, batchgenerators or plain loaders.

        transform = Compose([..., AddMaps("DiceBoundary()", key="label", classes=3)])
        criterion(logits, batch["label"], maps=batch["maps"])

    Reads `sample[key]`, labels (1, *S), and writes `sample["maps"]`, a dictionary of (C, *S) float32 tensors that
    the loader's default collation stacks. Put it last: a map must be made of the label that is trained on. Spacing
    is the argument, else that of a label with an affine (MONAI's MetaTensor), else voxels.
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
        self.loss = parse(loss) if isinstance(loss, str) else loss
        self.classes, self.key, self.spacing, self.link, self.ignore = classes, key, spacing, link, ignore

    def __call__(self, sample: dict[str, Any] | None = None, **named: Any) -> dict[str, Any]:
        """The sample with `maps`; batchgenerators hand it over as keyword arguments."""
        sample = dict(sample or named)
        label = plain("label", sample[self.key])
        spacing = getattr(sample[self.key], "pixdim", None) if self.spacing is None else self.spacing
        maps = maps_for(
            self.loss,
            label[None],
            self.classes,
            spacing=None if spacing is None else [float(step) for step in spacing],
            link=self.link,
            ignore=self.ignore,
        )
        sample["maps"] = {key: found[0] for key, found in maps.items()}
        return sample

"""Auxiliary values made from the labels in the workers of nnU-Net's data loaders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from torch import Tensor

from lossodyssey.core.preparation import Preparation


class AddAuxiliaries(BasicTransform):  # type: ignore[misc]
    """The last transform of a pipeline: appends auxiliary values to the targets of a sample.

    nnU-Net's loader hands on the image and the list of targets alone, so the values travel after the targets, scale
    by scale and in the order of `preparation.wanted`; `parted` takes them off again.

    Args:
        preparation: makes the values.
        targets: the number of targets of a sample: of scales, under deep supervision.
        scales: the number of scales whose loss is computed, finest first.
        spacing: the size of a voxel along each axis.
        masked: whether the last channel of a target marks voxels that do not count.
    """

    def __init__(
        self, preparation: Preparation, *, targets: int, scales: int, spacing: Sequence[float], masked: bool
    ) -> None:
        super().__init__()
        self.preparation, self.targets, self.scales = preparation, targets, scales
        self.spacing, self.masked = spacing, masked

    def apply(self, data_dict: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        """Return the sample with targets and values in one list."""
        given = data_dict["segmentation"]
        targets = list(given) if isinstance(given, list | tuple) else [given]
        wanted = [target[: -1 if self.masked else None][None] for target in targets[: self.scales]]
        made = self.preparation.at_scales(wanted, spacing=self.spacing)
        data_dict["segmentation"] = [*targets, *(values[key][0] for values in made for key in self.preparation.wanted)]
        return data_dict

    def parted(self, target: Sequence[Tensor]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Return the targets of a batch, and the values of every scale by key."""
        keys, values = list(self.preparation.wanted), target[self.targets :]
        rows = [values[k : k + len(keys)] for k in range(0, len(values), len(keys))]
        return list(target[: self.targets]), [dict(zip(keys, row, strict=True)) for row in rows]


def after(pipeline: BasicTransform, last: AddAuxiliaries | None) -> BasicTransform:
    """Return the pipeline followed by one more transform, or as it is."""
    return pipeline if last is None else ComposeTransforms([pipeline, last])

"""Labels of whole volumes from a network that was trained on patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lossodyssey.data.preprocessing import frame_of, prepare_image, restore
from lossodyssey.data.regions import write_regions
from lossodyssey.training.device import choose_precision
from lossodyssey.training.settings import Settings


def segment(
    network: nn.Module,
    image: NDArray[np.float32],
    settings: Settings,
    written: Sequence[int] = (),
    spacing: Sequence[float] | None = None,
) -> NDArray[np.integer[Any]]:
    """Segment one raw `image` (channels, *S) with windows of `settings.patch`, blended by a Gaussian; labels (*S).

    The image is prepared as the training cases were, and the logits are brought back to its own grid before they
    become labels; `spacing` is that of its axes, and must be given where the settings resample. Where the network
    predicts regions, `written` is the label of each: a region takes the voxels whose probability is above 1/2, and
    writes over those before it, as in nnU-Net.
    """
    return _labels(_logits(network, image, settings, spacing, regions=bool(written)), written)


def segment_with_probabilities(
    network: nn.Module,
    image: NDArray[np.float32],
    settings: Settings,
    written: Sequence[int] = (),
    spacing: Sequence[float] | None = None,
) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
    """Segment one raw image as `segment` does; return the probabilities (C, *S) of classes or regions, too."""
    logits = _logits(network, image, settings, spacing, regions=bool(written))
    probabilities = logits.float().sigmoid() if written else logits.float().softmax(0)
    return _labels(logits, written), probabilities.cpu().numpy()


@torch.inference_mode()
def _logits(
    network: nn.Module,
    image: NDArray[np.float32],
    settings: Settings,
    spacing: Sequence[float] | None,
    *,
    regions: bool,
) -> torch.Tensor:
    """Compute the logits (C, *S) of an image on its own grid."""
    from monai.inferers.utils import sliding_window_inference

    preprocessing = settings.preprocessing()
    if preprocessing.spacing is not None and spacing is None:
        raise ValueError(f"spacing is None; expected that of the image, which is resampled to {preprocessing.spacing}")
    frame = frame_of(image, spacing or (1.0,) * (image.ndim - 1), preprocessing)
    prepared = torch.from_numpy(prepare_image(image, frame, preprocessing))
    device = next(network.parameters()).device
    precision = choose_precision(settings, device)
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        logits = sliding_window_inference(
            prepared[None].to(device),
            roi_size=settings.known_patch(),
            sw_batch_size=settings.batch,
            predictor=network.eval(),
            overlap=settings.overlap,
            mode="gaussian",
        )
    return restore(logits[0], frame, regions=regions)


def _labels(logits: torch.Tensor, written: Sequence[int]) -> NDArray[np.integer[Any]]:
    if written:
        return write_regions((logits > 0).cpu().numpy(), written)
    labels: NDArray[np.integer[Any]] = (
        logits.argmax(0).to(torch.int16 if len(logits) > 256 else torch.uint8).cpu().numpy()
    )
    return labels

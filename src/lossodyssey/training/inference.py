"""Labels of whole volumes from a network that was trained on patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lossodyssey.data.patches import normalise
from lossodyssey.data.regions import write_regions
from lossodyssey.training.device import choose_precision
from lossodyssey.training.settings import Settings


def segment(
    network: nn.Module, image: NDArray[np.float32], settings: Settings, written: Sequence[int] = ()
) -> NDArray[np.integer[Any]]:
    """Segment one raw `image` (channels, *S) with windows of `settings.patch`, blended by a Gaussian; labels (*S).

    Where the network predicts regions, `written` is the label of each: a region takes the voxels whose probability is
    above 1/2, and writes over those before it, as in nnU-Net.
    """
    return _labels(_logits(network, image, settings), written)


def segment_with_probabilities(
    network: nn.Module, image: NDArray[np.float32], settings: Settings, written: Sequence[int] = ()
) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
    """Segment one raw image as `segment` does; return the probabilities (C, *S) of classes or regions, too."""
    logits = _logits(network, image, settings)
    probabilities = logits.float().sigmoid() if written else logits.float().softmax(0)
    return _labels(logits, written), probabilities.cpu().numpy()


@torch.inference_mode()
def _logits(network: nn.Module, image: NDArray[np.float32], settings: Settings) -> torch.Tensor:
    from monai.inferers.utils import sliding_window_inference

    device = next(network.parameters()).device
    precision = choose_precision(settings, device)
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        logits = sliding_window_inference(
            torch.from_numpy(normalise(image))[None].to(device),
            roi_size=settings.known_patch(),
            sw_batch_size=settings.batch,
            predictor=network.eval(),
            overlap=settings.overlap,
            mode="gaussian",
        )
    volume: torch.Tensor = logits[0]
    return volume


def _labels(logits: torch.Tensor, written: Sequence[int]) -> NDArray[np.integer[Any]]:
    if written:
        return write_regions((logits > 0).cpu().numpy(), written)
    labels: NDArray[np.integer[Any]] = (
        logits.argmax(0).to(torch.int16 if len(logits) > 256 else torch.uint8).cpu().numpy()
    )
    return labels

"""The network that every loss trains: a small U-Net (Ronneberger et al. 2015; Cicek et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn

from lossodyssey.training.heads import begin_as
from lossodyssey.training.settings import Settings


def build_network(
    settings: Settings, *, dimensions: int, channels: int, classes: int, seed: int, heads: int = 0
) -> nn.Module:
    """Build MONAI's U-Net with instance normalisation; the same `seed` gives the same weights.

    It maps images (N, channels, *S) to logits (N, classes, *S), S multiples of `settings.divisor`, and as many maps
    more for each of `heads`, which leave the logits as they are; the global random state stays as it was.
    """
    network = _unet(settings, dimensions, channels, classes, seed)
    if not heads:
        return network
    wide = _unet(settings, dimensions, channels, classes * (1 + heads), seed)
    begin_as(wide, network)
    return wide


def _unet(settings: Settings, dimensions: int, channels: int, outputs: int, seed: int) -> nn.Module:
    from monai.networks.nets.unet import UNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = UNet(
            spatial_dims=dimensions,
            in_channels=channels,
            out_channels=outputs,
            channels=settings.features,
            strides=(2,) * (len(settings.features) - 1),
            norm="instance",
        )
    return network

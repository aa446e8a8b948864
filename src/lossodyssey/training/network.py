"""The network that every loss trains: a small U-Net (Ronneberger et al. 2015; Cicek et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn

from lossodyssey.training.settings import Settings


def build_network(settings: Settings, *, dimensions: int, channels: int, classes: int, seed: int) -> nn.Module:
    """Build MONAI's U-Net with instance normalisation; the same `seed` gives the same weights.

    It maps images (N, channels, *S) to logits (N, classes, *S), S multiples of `settings.divisor`;
    the global random state stays as it was.
    """
    from monai.networks.nets.unet import UNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = UNet(
            spatial_dims=dimensions,
            in_channels=channels,
            out_channels=classes,
            channels=settings.features,
            strides=(2,) * (len(settings.features) - 1),
            norm="instance",
        )
    return network

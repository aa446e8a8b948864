"""nnU-Net's network with heads: nnU-Net itself, its checkpoints and its predictor see the segmentation alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from lossodyssey.training.heads import HeadsApart, begin_as, narrowed

Build = Callable[..., nn.Module]


class HeadedNetwork:
    """Builds the network with the heads `names` and keeps its heads apart; without names it changes nothing.

    nnU-Net's own prediction commands build the network without heads, so a checkpoint's `network_weights` are those of
    that network; the whole weights that differ from them go beside them, for a training that goes on.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.apart: HeadsApart | None = None
        self.shapes: dict[str, torch.Size] = {}

    def builder(self, build: Build) -> Build:
        """Return `build_network_architecture` of nnU-Net with the heads, whose logits begin as those without them."""

        def build_with_heads(
            plans_manager: Any,
            configuration_manager: Any,
            num_input_channels: int,
            num_output_channels: int,
            enable_deep_supervision: bool = True,
        ) -> nn.Module:
            def of(outputs: int) -> nn.Module:
                return build(plans_manager, configuration_manager, num_input_channels, outputs, enable_deep_supervision)

            narrow = of(num_output_channels)
            # The random numbers after it are those of a training without heads: it sees the same batches.
            with torch.random.fork_rng(devices=[]):
                wide = of(num_output_channels * (1 + len(self.names)))
            begin_as(wide, narrow)
            self.apart = HeadsApart(wide, num_output_channels, self.names)
            self.shapes = {key: own.shape for key, own in narrow.state_dict().items()}
            return wide

        return build_with_heads

    def parted(self, weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weights of the network without heads, and the whole ones where they are more."""
        if not self.names:
            return weights, {}
        whole = {key: own for key, own in weights.items() if own.shape != self.shapes[key]}
        return narrowed(weights, self.shapes), whole

    @contextmanager
    def whole(self, checkpoint: str, with_heads: dict[str, Tensor]) -> Iterator[str]:
        """Yield the path of the checkpoint with the whole weights, which nnU-Net reads into the network."""
        if not with_heads:
            yield checkpoint
            return
        with TemporaryDirectory() as folder:
            content = torch.load(checkpoint, map_location="cpu", weights_only=False)
            content["network_weights"] |= with_heads
            path = str(Path(folder) / Path(checkpoint).name)
            torch.save(content, path)
            yield path

"""Hyper-parameters of a loss that an optimizer trains beside the network."""

from __future__ import annotations

import torch
from torch import nn


def train_loss_with(optimizer: torch.optim.Optimizer, loss: nn.Module) -> list[nn.Parameter]:
    """Let the network's optimizer train the parameters of a loss, too; return them.

    They learn at the network's rate and without weight decay, which would pull them towards 1 whatever the data say. A
    loss without parameters leaves the optimizer as it is. Engines clip the gradient of the network alone: clipped with
    it, the loss's would change the steps of the network.
    """
    parameters = list(loss.parameters())
    if parameters:
        optimizer.add_param_group({"params": parameters, "weight_decay": 0.0})
    return parameters

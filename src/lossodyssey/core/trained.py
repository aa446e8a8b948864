"""Hyper-parameters of a loss that an optimizer trains beside the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lossodyssey.core import fields
from lossodyssey.core.loss import Loss


def trained_values(module: nn.Module) -> dict[str, Tensor]:
    """Return what trained hyper-parameters have become, in a loss, a criterion, or a module that holds some.

    By the text of the loss and the name of its field, as `RobustT().nu`.
    """
    losses = [each for each in module.modules() if isinstance(each, Loss)]
    named = [(each, name) for each in losses for name in fields.trainable(type(each))]
    return {f"{each!r}.{name}": each.trained(name).detach() for each, name in named}


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

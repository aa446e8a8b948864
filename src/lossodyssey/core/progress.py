"""The state of a loss in its training, for checkpoints: the progress of its schedules and what they follow.

    torch.save({"network": network.state_dict(), "schedules": schedule_state(criterion)}, path)
    load_schedule_state(criterion, torch.load(path)["schedules"])

It stays outside `state_dict()`, so that the weights of a network that holds its loss fit one with another loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lossodyssey.core.loss import Loss
from lossodyssey.core.text import meaning


def schedule_state(loss: nn.Module) -> dict[str, Any]:
    """Return the state of `loss` (a loss, a criterion, or a module that holds some) that a checkpoint has to keep.

    A copy, of texts and tensors alone: `torch.load(..., weights_only=True)` reads it.
    """
    found = list(_remembering(loss))
    return {
        "losses": [text for text, _ in found],
        "buffers": [{name: buffer.detach().cpu().clone() for name, buffer in own.items()} for _, own in found],
    }


def load_schedule_state(loss: nn.Module, state: Mapping[str, Any]) -> None:
    """Put back a state that `schedule_state` returned; a training then goes on as if it had not been interrupted.

    Raises:
        ValueError: `state` is not that of a loss which computes the same; nothing was changed.
    """
    found = list(_remembering(loss))
    texts = [text for text, _ in found]
    if not isinstance(state, Mapping) or not {"losses", "buffers"} <= state.keys():
        raise ValueError(f"state is {state!r:.80}, expected what schedule_state(loss) returned")
    if list(state["losses"]) != texts:
        raise ValueError(
            f"state is that of {_named(state['losses'])}, expected that of {_named(texts)}; build the loss that was "
            "trained with, or leave the state out to start its schedules over"
        )
    with torch.no_grad():
        for (_, own), saved in zip(found, state["buffers"], strict=True):
            for name, buffer in own.items():
                buffer.resize_as_(saved[name]).copy_(saved[name])


def _remembering(loss: nn.Module) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield text and own buffers of each loss within that has some outside its `state_dict()`, and uses them."""
    for module in loss.modules():
        if isinstance(module, Loss) and not _is_constant(module):
            saved = module.state_dict()
            own = {name: each for name, each in module.named_buffers(recurse=False) if name not in saved}
            if own:
                # By meaning: a preset and the sum that it stands for have one state.
                yield meaning(module), own


def _is_constant(loss: Loss) -> bool:
    """Return whether it is a sum whose weights are all numbers."""
    return all(isinstance(weight, int | float) and leaf is not loss for weight, leaf in loss.terms)


def _named(losses: Sequence[str]) -> str:
    return ", ".join(losses) or "a loss without schedules"

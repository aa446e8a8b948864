"""The only module in the folder that `nnUNet_extTrainer` names: nnU-Net's search asks it for trainers by name."""

from __future__ import annotations

from typing import Any

from lossodyssey.integrations.nnunet.recipe import PREFIX


def __getattr__(name: str) -> Any:
    if not name.startswith(PREFIX):
        raise AttributeError(name)
    from lossodyssey.integrations.nnunet.trainer import trainer_class

    return trainer_class(name)

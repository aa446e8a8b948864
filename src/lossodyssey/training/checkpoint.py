"""The checkpoint of a run: read as a whole, or refused in one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lossodyssey.training.heads import widened


class BrokenCheckpoint(ValueError):
    """A file that is not a checkpoint of the run that asks for it; `problem` says why."""

    def __init__(self, path: Path, problem: object) -> None:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        self.path = path
        self.problem = f"not a checkpoint of this network ({lines[0]:.200})"
        super().__init__(f"{path}: {self.problem}; remove it to start over")


def read_checkpoint(path: Path, device: torch.device | str, run: str = "") -> dict[str, Any]:
    """Read a checkpoint; `run` is the identity of the run that asks, compared where the file knows its own.

    Raises:
        BrokenCheckpoint: the file is absent, damaged, or of another run.
    """
    if not path.is_file():
        raise BrokenCheckpoint(path, "no such file")
    if not is_whole(path):  # torch silently reads changed weights
        raise BrokenCheckpoint(path, "it is cut, changed, or not a file of torch.save")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    # Damaged files fail anywhere inside torch's readers, with errors of a dozen types.
    except Exception as error:
        raise BrokenCheckpoint(path, error) from None
    if not isinstance(state, dict) or "network" not in state:
        raise BrokenCheckpoint(path, "it holds no network")
    if run and state.get("run", run) not in ("", run):
        raise BrokenCheckpoint(path, f"it is that of run {state['run']}, not {run}")
    return state


def load_network(network: nn.Module, path: Path, device: torch.device | str, run: str = "") -> dict[str, Any]:
    """Read a checkpoint and put its weights into a network; BrokenCheckpoint where they do not fit."""
    state = read_checkpoint(path, device, run)
    try:
        network.load_state_dict(state["network"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise BrokenCheckpoint(path, error) from None
    return state


def begin_with(network: nn.Module, path: Path, device: torch.device | str, *, heads: bool) -> None:
    """Give a network the weights of another run; where it has `heads`, weights without them are accepted, too."""
    if not heads:
        load_network(network, path, device)
        return
    state = read_checkpoint(path, device)
    try:
        network.load_state_dict(widened(state["network"], network.state_dict()))
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise BrokenCheckpoint(path, error) from None


def is_whole(path: Path) -> bool:
    """Return whether a file that torch wrote is complete, by the checksums in it; nothing of it is loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        return False

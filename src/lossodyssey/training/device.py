"""Which device a run uses and in which precision it computes there."""

from __future__ import annotations

import platform
import sys

import torch

from lossodyssey.training.allocator import keep_freed_memory
from lossodyssey.training.settings import Settings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(settings: Settings) -> torch.device:
    """Turn `settings.device` into a device.

    Raises:
        ValueError: a device that this machine does not have.
    """
    cuda = torch.cuda.is_available()
    if settings.device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        device = torch.device(settings.device)
    except RuntimeError:
        raise ValueError(f"settings: device is {settings.device!r}; expected auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"settings: device is {settings.device!r}, but this machine has no such GPU; try auto or cpu")
    return device


def choose_precision(settings: Settings, device: torch.device) -> torch.dtype:
    """Turn `settings.precision` into the number format of the network's convolutions."""
    if settings.precision != "auto":
        return DTYPES[settings.precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def prepare_process(settings: Settings) -> torch.device:
    """Set this process's threads, memory and reproducible kernels for a run; return its device."""
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    # The search for the fastest kernel chooses another one from run to run.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return choose_device(settings)


def describe(device: torch.device) -> str:
    """Name the hardware behind `device`: the GPU's name, or cpu and the machine's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held so far: by tensors on a GPU, by the whole process on the CPU (0 where unknown)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024

"""Inputs that users hand over for tensors: NumPy arrays, MONAI's tensors, lists of numbers, outputs in dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossodyssey.kernels import transformed

SIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}
"""Wide unsigned integers, which few PyTorch operations support, and the signed integers that hold their values."""

MAIN, AUXILIARY = ("out", "logits"), "aux"


def plain(name: str, given: Any, like: Tensor | None = None) -> Tensor:
    """Return `given` as a tensor without a subclass; an array is moved to where `like` is.

    Raises:
        ValueError: it holds no numbers, or lies on another device than `like`.
    """
    if isinstance(given, Tensor):
        tensor = _without_subclass(given)
        if like is not None and tensor.device != like.device:
            raise ValueError(
                f"{name} is on {tensor.device}, but logits are on {like.device}: give {name}.to({str(like.device)!r})"
            )
    else:
        array = torch.from_numpy(_numbers(name, given))
        tensor = array if like is None else array.to(like.device)
    if tensor.is_complex():
        raise ValueError(f"{name} is {tensor.dtype}, expected real numbers")
    return tensor


def _without_subclass(tensor: Tensor) -> Tensor:
    """Return the tensor without its subclass, unless that computes on its own, as a compiler's does."""
    if type(tensor) is Tensor or transformed() or type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return tensor
    return tensor.as_subclass(Tensor)


def _numbers(name: str, given: Any) -> np.ndarray:
    """Return a C-contiguous array that torch can share: native byte order, writable."""
    if isinstance(given, Mapping):
        raise ValueError(f"{name} is a dictionary with the entries {list(given)}, expected one of its tensors")
    if isinstance(given, list | tuple) and any(isinstance(item, Tensor) for item in given):
        raise ValueError(
            f"{name} is a {type(given).__name__} of {len(given)} tensors, expected one tensor; Criterion(loss) takes "
            f"a list with one per scale, torch.stack({name}) makes a batch of samples"
        )
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{name} is {type(given).__name__}, expected a tensor or an array: {problem}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is {type(given).__name__} of {array.dtype}, expected a tensor or an array of numbers")
    # A longdouble is wider than any dtype of torch.
    kind = array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.dtype(np.float64)
    return np.require(array, kind, ["C", "W"])


def signed(tensor: Tensor) -> Tensor:
    """Return wide unsigned integers as signed ones, which hold the same values; others as they are."""
    return tensor.to(SIGNED[tensor.dtype]) if tensor.dtype in SIGNED else tensor


def extent(tensor: Tensor) -> tuple[float, float]:
    """Return the least and the greatest value, NaN where one is NaN, in one transfer; (0, 0) of nothing."""
    if tensor.numel() == 0:
        return 0.0, 0.0
    # Both in one tensor: every value that is read from an accelerator waits for it.
    wide = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
    low, high = torch.stack(torch.aminmax(wide)).tolist()
    return low, high


def outputs(given: Any) -> list[Tensor]:
    """Return the outputs of a network as a list, the main output first.

    `given` is a tensor, a list of them (deep supervision), or a dictionary: of one entry, or of "out" (torchvision) or
    "logits" beside entries whose names begin with "aux". Entries may be lists or dictionaries again; None is left out.

    Raises:
        ValueError: a dictionary of other entries.
    """
    if isinstance(given, Mapping):
        given = [given[name] for name in _main_first(given)]
    elif not isinstance(given, list | tuple):
        return [plain("logits", given)]
    return [each for part in given if part is not None for each in outputs(part)]


def _main_first(given: Mapping[Any, Any]) -> list[Any]:
    names = [name for name in given if given[name] is not None]
    others = [name for name in names if str(name).startswith(AUXILIARY)]
    main = [name for name in names if name in MAIN]
    if len(names) == 1:
        return names
    if len(main) != 1 or len(main) + len(others) != len(names):
        raise ValueError(
            f"logits are a dictionary with the entries {names}, expected one entry, or 'out' or 'logits' beside "
            "entries that begin with 'aux'; give the entry that counts, or a list of those that do, the main one first"
        )
    return main + others


def one_output(given: Any) -> Tensor:
    """Return the logits of a network with one output.

    Raises:
        ValueError: several outputs; the text says which call takes them.
    """
    if not isinstance(given, Mapping | list | tuple):
        return plain("logits", given)
    found = outputs(given)
    if len(found) != 1:
        raise ValueError(
            f"logits are {len(found)} outputs, expected one tensor (N, C, *S); Criterion(loss) weighs several by its "
            "`scales`, or give the one that counts"
        )
    return found[0]

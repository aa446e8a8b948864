"""The cases of a training: prepared, then held in memory or mapped from files where they are too large for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lossodyssey.data import Case, Dataset
from lossodyssey.data.case_arrays import Source, arrays_of, case_of, key_of
from lossodyssey.data.patches import CachedCase
from lossodyssey.data.preprocessing import Preprocessing
from lossodyssey.data.store import Store

HELD = 1 << 62  # more bytes than any machine has
ON_DEVICE = ("image", "labels")  # the rest chooses the patches, on the processor


@dataclass(frozen=True, slots=True)
class Keeping:
    """The place of prepared cases: at most `most` bytes of them on the device, the others mapped from `store`."""

    store: Store
    most: int


def cache(
    dataset: Dataset,
    cases: Sequence[Case],
    device: torch.device | str = "cpu",
    wrong: Collection[str] = (),
    preprocessing: Preprocessing | None = None,
    keeping: Keeping | None = None,
) -> list[CachedCase]:
    """Read and prepare `cases`, except those in which every voxel is ignored.

    The cases named in `wrong` get a label map that is wrong on purpose: see `wrong_labels`. Without `keeping`, all are
    held on `device`. With it, cases that do not fit, and those that were resampled or cropped, are kept in its store,
    where the next run finds them. The values are the same either way.

    Raises:
        ValueError: a case has no labels, cannot be read, or holds a class that is not annotated in it; or no case is
            left.
        OSError: the folder of the store cannot be written, or its disk is full.
    """
    sources = [Source(dataset, case, case.name in wrong) for case in cases]
    placed = _placed(sources, preprocessing or Preprocessing(), torch.device(device), keeping)
    found = (case_of(source, tensors) for source, tensors in zip(sources, placed, strict=True))
    kept = [case for case in found if case.counted is None or case.counted.any()]
    if not kept:
        raise ValueError(
            f"{dataset.name}: every voxel of the {len(cases)} cases is ignored; label some of them to train"
        )
    return kept


def _placed(
    sources: Sequence[Source], preprocessing: Preprocessing, device: torch.device, keeping: Keeping | None
) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors of each case, on the device or mapped."""
    used = 0
    for source in sources:
        if keeping is None:
            yield _on(device, _tensors(arrays_of(source, preprocessing)))
            continue
        tensors, mapped = _found(source, preprocessing, keeping, full=used >= keeping.most)
        used += sum(tensor.nbytes for tensor in tensors.values())
        if used <= keeping.most:
            yield _on(device, tensors, copied=mapped)
        elif mapped:
            yield tensors
        else:
            yield _stored(source, preprocessing, keeping.store, {name: t.numpy() for name, t in tensors.items()})


def _found(
    source: Source, preprocessing: Preprocessing, keeping: Keeping, *, full: bool
) -> tuple[dict[str, Tensor], bool]:
    """Return the tensors of a case and whether they are mapped."""
    # Resampling takes longer than reading: what it made is kept whether or not it fits into memory.
    if full or preprocessing.moves_voxels:
        return _stored(source, preprocessing, keeping.store), True
    return _tensors(arrays_of(source, preprocessing)), False


def _stored(
    source: Source, preprocessing: Preprocessing, store: Store, made: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, Tensor]:
    return store.find(key_of(source, preprocessing, store), lambda: made or arrays_of(source, preprocessing))


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _on(device: torch.device, tensors: Mapping[str, Tensor], *, copied: bool = False) -> dict[str, Tensor]:
    """Move image and labels to the device; mapped ones are copied, so that their files are needed no longer."""
    held = {name: tensor.clone() if copied else tensor for name, tensor in tensors.items()}
    return {name: tensor.to(device) if name in ON_DEVICE else tensor for name, tensor in held.items()}

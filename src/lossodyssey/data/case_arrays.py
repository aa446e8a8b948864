"""The arrays of one training case: image, labels, and the voxels that patches are chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lossodyssey.data import Case, Dataset, Volume, read_case
from lossodyssey.data.grids import size_file
from lossodyssey.data.patches import CachedCase
from lossodyssey.data.preprocessing import Frame, Preprocessing, check_sized, frame_of, prepare_image, prepare_labels
from lossodyssey.data.regions import Region
from lossodyssey.data.store import Store
from lossodyssey.data.unannotated import cleared
from lossodyssey.data.wrong_labels import shifted

MOST_VOXELS = 10_000  # that patches are centred on, per case and class
FOREGROUND = "foreground"


@dataclass(frozen=True, slots=True)
class Source:
    """A case to be prepared; `wrong` asks for a label map that is wrong on purpose."""

    dataset: Dataset
    case: Case
    wrong: bool = False

    def volume(self) -> Volume:
        """Read the case.

        Raises:
            ValueError: it has no labels, or cannot be read.
        """
        volume = read_case(self.dataset, self.case)
        if volume.labels is None:
            raise ValueError(
                f"{self.dataset.name}: case {self.case.name} has no labels; training needs them for every case"
            )
        labels = cleared(volume.labels, self.dataset, self.case.name) if self.dataset.clears else volume.labels
        return replace(volume, labels=shifted(labels) if self.wrong else labels)

    def key(self, store: Store, purpose: str, *facts: Any) -> str:
        """Return the name of what is kept of this case for a purpose."""
        dataset, case = self.dataset, self.case
        files: list[Path] = [*case.images, *([case.label] if case.label else [])]
        files += filter(None, [size_file(path) for path in files])
        rules: list[Any] = [
            [target.labels for target in dataset.targets],
            dataset.ignore,
            dataset.annotated.get(case.name),
        ]
        rules += [dataset.spacing]
        return store.key(files, purpose, rules, self.wrong, *facts)


def key_of(source: Source, preprocessing: Preprocessing, store: Store) -> str:
    """Return the name of a case's arrays in a store."""
    return source.key(store, "case", asdict(preprocessing))


def arrays_of(source: Source, preprocessing: Preprocessing) -> dict[str, NDArray[Any]]:
    """Read and prepare a case.

    Raises:
        ValueError: it has no labels, cannot be read, or holds a class that is not annotated in it.
    """
    volume = source.volume()
    assert volume.labels is not None
    annotated = _annotated(source.dataset, source.case, volume)
    if preprocessing.spacing:
        check_sized(volume, source.case.images[0])
    frame = frame_of(volume.image, volume.spacing, preprocessing)
    labels = prepare_labels(volume.labels, frame)
    found: dict[str, NDArray[Any]] = {
        "image": prepare_image(volume.image, frame, preprocessing),
        "labels": labels.astype(np.promote_types(labels.dtype, np.int16)),
        "spacing": np.array(frame.spacing, np.float64),
    }
    found |= _foreground(labels, annotated) | _counted(labels, source.dataset.ignore)
    return found | _kept(volume, frame, labels, source.dataset.targets) if preprocessing.moves_voxels else found


def case_of(source: Source, tensors: Mapping[str, Tensor]) -> CachedCase:
    """Make the case of its arrays, wherever they lie."""
    numbered = [f"{FOREGROUND}{number}" for number in range(len(tensors))]
    return CachedCase(
        name=source.case.name,
        image=tensors["image"],
        labels=tensors["labels"],
        spacing=tuple(tensors["spacing"].tolist()),
        foreground=tuple(tensors[name].numpy() for name in numbered if name in tensors),
        counted=tensors["counted"].numpy() if "counted" in tensors else None,
        centres=tensors["centres"].numpy() if "centres" in tensors else None,
        annotated=source.dataset.annotated.get(source.case.name),
        kept=tuple(tensors["kept"].tolist()) if "kept" in tensors else (),
    )


def _foreground(labels: NDArray[Any], targets: list[Region]) -> dict[str, NDArray[Any]]:
    # At most MOST_VOXELS per class, evenly spread: to find a class a sample is enough, and memory stays small.
    present = [np.argwhere(np.isin(labels, target.labels)) for target in targets]
    chosen = [voxels[:: 1 + len(voxels) // MOST_VOXELS].copy() for voxels in present if len(voxels)]
    return {f"{FOREGROUND}{number}": voxels for number, voxels in enumerate(chosen)}


def _counted(labels: NDArray[Any], ignore: int | None) -> dict[str, NDArray[Any]]:
    counted = None if ignore is None else np.asarray(labels != ignore)
    return {} if counted is None or counted.all() else {"counted": counted, "centres": _spread(counted)}


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Choose at most 10,000 voxels of a mask at random, always the same; return their indices (count, dimensions)."""
    places = np.flatnonzero(mask)
    if len(places) > MOST_VOXELS:
        # Every n-th voxel, as for a class, would be a lattice: most of an image may be in the mask.
        places = np.random.default_rng(0).choice(places, MOST_VOXELS, replace=False)
    return np.stack(np.unravel_index(places, mask.shape), axis=1)


def _annotated(dataset: Dataset, case: Case, volume: Volume) -> list[Region]:
    """Return the classes or regions that are annotated in a case."""
    pairs = list(zip(dataset.targets, dataset.is_annotated(case.name), strict=True))
    left_out = [] if dataset.regions else [target for target, known in pairs if not known]
    for target in left_out:  # with regions, a label of one that is not annotated may occur in another
        if volume.labels is not None and np.isin(volume.labels, target.labels).any():
            raise ValueError(
                f"{dataset.root / 'dataset.json'}: 'annotated' leaves {target.name!r} out for case {case.name!r}, but "
                "its label map holds this class; add it to the list, or clear it from the label map"
            )
    return [target for target, known in pairs if known]


def _kept(volume: Volume, frame: Frame, labels: NDArray[Any], targets: Sequence[Region]) -> dict[str, NDArray[Any]]:
    """Return the share of each target's volume that cropping and resampling leave of it; NaN where it had none."""
    before = [np.isin(volume.labels, target.labels).sum() for target in targets]  # type: ignore[arg-type]
    after = [np.isin(labels, target.labels).sum() for target in targets]
    size = np.prod(frame.spacing) / np.prod(volume.spacing)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"kept": np.array(after, np.float64) * size / np.array(before)}

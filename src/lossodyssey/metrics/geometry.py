"""Two label maps that must lie on the same grid before they can be compared."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lossodyssey.data.alignment import misfit
from lossodyssey.data.grids import share_axes
from lossodyssey.data.volumes import LabelMap, read_labels

Affine = npt.NDArray[np.float64]
OTHER_SPACING = 1e-3  # mm


def read_pair(
    prediction: Path, truth: Path, *, reorient: bool = False, spacing: tuple[float, ...] = ()
) -> tuple[LabelMap, LabelMap]:
    """Read both label maps and check that they share shape, spacing and affine.

    With `reorient`, a prediction whose axes are permuted or flipped against the truth's is turned first. A difference
    of little more than rounding is told by a warning. `spacing` is the pixel size of pictures that their data set says;
    where only one of two pictures has a size, it is that of both.

    Raises:
        ValueError: the grids differ, or a header does not say how its axes lie where the other's are turned; the text
            names the file, both grids and the likely fix.
    """
    predicted, true = (read_labels(path, spacing=spacing) for path in (prediction, truth))
    if predicted.affine.shape != true.affine.shape or not share_axes(prediction, truth):
        raise ValueError(f"{prediction}: not the kind of file that {truth.name} is; convert one to the other")
    if predicted.sized != true.sized:
        known = true if true.sized else predicted
        predicted, true = (replace(each, spacing=known.spacing, affine=known.affine) for each in (predicted, true))
    # Before shapes: permuted axes explain a shape that differs, and their fix is another one.
    if _is_volume(true) and (codes := axis_codes(predicted.affine)) != axis_codes(true.affine):
        for path, labels in ((prediction, predicted), (truth, true)):
            if labels.doubt:
                raise ValueError(
                    f"{path}: {labels.doubt}, so a mirrored prediction cannot be told from one that is not; if the "
                    f"voxels of {prediction} and {truth} correspond, copy the image's header to both"
                )
        if not reorient:
            raise ValueError(
                f"{prediction}: axes run {codes}, the truth's {axis_codes(true.affine)}; --reorient turns it"
            )
        predicted = _turn(predicted, true.affine)
    _check_same_grid(prediction, predicted, true)
    return predicted, true


def _is_volume(labels: LabelMap) -> bool:
    return labels.labels.ndim == 3 and labels.affine.shape == (4, 4)


def axis_codes(affine: Affine) -> str:
    """Name the directions that the array axes run to, such as RAS."""
    import nibabel

    codes = nibabel.orientations.aff2axcodes(affine)  # type: ignore[no-untyped-call]
    return "".join(code or "?" for code in codes)


def _turn(labels: LabelMap, affine: Affine) -> LabelMap:
    import nibabel.orientations as orientations

    start: Any = orientations.io_orientation(labels.affine)  # type: ignore[no-untyped-call]
    end: Any = orientations.io_orientation(affine)  # type: ignore[no-untyped-call]
    turn: Any = orientations.ornt_transform(start, end)  # type: ignore[no-untyped-call]
    turned = orientations.apply_orientation(labels.labels, turn)  # type: ignore[no-untyped-call]
    moved = labels.affine @ orientations.inv_ornt_aff(turn, labels.labels.shape)  # type: ignore[no-untyped-call]
    # turn[:, 0] says where each old axis goes; the spacing needs the old axis of each new one, the inverse.
    order = np.argsort(turn[:, 0])
    return replace(labels, labels=turned, affine=moved, spacing=tuple(labels.spacing[axis] for axis in order))


def _check_same_grid(path: Path, predicted: LabelMap, true: LabelMap) -> None:
    if predicted.labels.shape != true.labels.shape:
        raise ValueError(
            f"{path}: shape {predicted.labels.shape}, the truth has {true.labels.shape}; "
            "was the prediction resampled back to the image's grid?"
        )

    difference = misfit(true.affine, predicted.affine, true.labels.shape)
    if difference.negligible:
        return
    if not difference.too_large:
        warnings.warn(f"{path}: affine differs from the truth's by {difference}; taken for the same grid", stacklevel=3)
    # Spacing is named before the affine that holds it: it is the mistake people recognise.
    elif not np.allclose(predicted.spacing, true.spacing, rtol=0, atol=OTHER_SPACING):
        raise ValueError(
            f"{path}: spacing {_short(predicted.spacing)} mm, the truth has {_short(true.spacing)}; "
            "copy the image's header when writing predictions"
        )
    else:
        raise ValueError(
            f"{path}: affine differs from the truth's by {difference}; copy the image's header when writing predictions"
        )


def _short(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{step:.4g}" for step in spacing)

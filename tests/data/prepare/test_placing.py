"""Files of other formats become what the data set's are, and are never renamed to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from lossodyssey.data.grids import read_grid, write_array
from lossodyssey.data.prepare.placing import _place

VALUES = np.random.default_rng(0).integers(0, 3, (5, 6, 4)).astype(np.uint8)


@pytest.mark.parametrize("tail", [".mha", ".nrrd"])
@pytest.mark.parametrize("name", ["b.nii", "b.nii.gz"])
def test_volumes_of_another_format_are_written_anew(tmp_path: Path, tail: str, name: str) -> None:
    pytest.importorskip("SimpleITK")
    affine = np.array([[0.5, 0, 0, 3], [0, 0, 2, -1], [0, -1, 0, 7], [0, 0, 0, 1]])
    write_array(tmp_path / f"a{tail}", VALUES, affine)
    _place(None, tmp_path / f"a{tail}", tmp_path / name, label=True)  # type: ignore[arg-type]
    found = read_grid(tmp_path / name)
    np.testing.assert_array_equal(found.values, VALUES)
    np.testing.assert_allclose(found.affine, affine, atol=1e-6)


def test_a_stack_does_not_become_a_volume_without_a_word(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES)
    with pytest.raises(ValueError, match=r"a\.tif: cannot become b\.nii\.gz"):
        _place(None, tmp_path / "a.tif", tmp_path / "b.nii.gz", label=True)  # type: ignore[arg-type]

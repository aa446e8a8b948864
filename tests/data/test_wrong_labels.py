"""Label maps that are wrong on purpose: which, and how."""

from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.data import Dataset, read_case, read_dataset, write_phantom
from lossodyssey.data.caching import cache
from lossodyssey.data.wrong_labels import shifted, wrongly_labelled

NAMES = [f"case_{number:02d}" for number in range(20)]


def test_cases_are_chosen_by_their_names_alone() -> None:
    chosen = wrongly_labelled(NAMES, 0.3)
    assert len(chosen) == 6 and chosen == sorted(chosen) and set(chosen) < set(NAMES)
    assert wrongly_labelled(NAMES[::-1], 0.3) == chosen
    assert set(chosen) < set(wrongly_labelled(NAMES, 0.5))
    assert set(chosen) - {"case_03"} <= set(wrongly_labelled([name for name in NAMES if name != "case_03"], 0.3))


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.001, 1), (0.5, 10), (1.0, 20)])
def test_a_share_above_zero_has_at_least_one_case(share: float, count: int) -> None:
    assert len(wrongly_labelled(NAMES, share)) == count


@pytest.mark.parametrize("shape", [(20, 33), (4, 30, 16), (1, 12)], ids=str)
def test_a_map_is_shifted_voxel_by_voxel(shape: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    moved, steps = shifted(labels), [0 if size == 1 else max(round(size / 10), 1) for size in shape]
    for place in np.ndindex(shape):
        origin = tuple(index - step for index, step in zip(place, steps, strict=True))
        assert moved[place] == (labels[origin] if min(origin) >= 0 else 0)
    assert moved.dtype == labels.dtype


def test_a_wrong_case_has_its_image_and_another_foreground(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=2)
    dataset: Dataset = read_dataset(folder)
    right, wrong = cache(dataset, dataset.cases), cache(dataset, dataset.cases, wrong=[dataset.cases[1].name])
    assert np.array_equal(right[0].labels, wrong[0].labels) and np.array_equal(right[1].image, wrong[1].image)
    labels = read_case(dataset, dataset.cases[1]).labels
    assert labels is not None and np.array_equal(wrong[1].labels, shifted(labels))
    for number, voxels in enumerate(wrong[1].foreground, 1):
        assert set(wrong[1].labels[tuple(voxels.T)].tolist()) == {number}

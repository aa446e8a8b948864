from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from scipy import ndimage

from lossodyssey.data import find_dataset, places, read_dataset, write_lesion_phantom
from lossodyssey.data.lesion_phantom import CLASSES, SIDE, render

AROUND = numpy.ones((3, 3))


@pytest.fixture(scope="module")
def pictures() -> list[tuple[numpy.ndarray, numpy.ndarray]]:
    return [render(numpy.random.default_rng([2024, index])) for index in range(6)]


def test_it_is_made_on_first_use_and_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "former"))
    monkeypatch.setitem(places.MADE, "phantom_lesions", lambda folder: write_lesion_phantom(folder, 2))
    dataset = find_dataset("phantom_lesions", tmp_path)
    assert tuple(dataset.classes.values()) == CLASSES and dataset.flip_axes == (0, 1)
    assert [case.name for case in dataset.cases] == ["lesions_000", "lesions_001"]


def test_equal_seeds_give_equal_bytes_whatever_the_number_of_cases(tmp_path: Path) -> None:
    for name, cases, seed in (("one", 1, 5), ("two", 2, 5), ("three", 1, 6)):
        write_lesion_phantom(tmp_path / name, cases=cases, seed=seed)
    files = ["imagesTr/lesions_000.png", "labelsTr/lesions_000.png"]
    one, two, three = ([(tmp_path / name / file).read_bytes() for file in files] for name in ("one", "two", "three"))
    assert one == two and all(a != b for a, b in zip(one, three, strict=True))
    assert len(read_dataset(tmp_path / "two").cases) == 2


def test_most_lesions_are_small_and_few_have_most_of_the_pixels(
    pictures: list[tuple[numpy.ndarray, numpy.ndarray]],
) -> None:
    sizes = []
    for image, labels in pictures:
        assert image.dtype == labels.dtype == numpy.uint8 and image.shape == labels.shape == (SIDE, SIDE)
        numbers, count = ndimage.label(labels, AROUND)
        assert count >= 6
        sizes += numpy.bincount(numbers.ravel())[1:].tolist()
    ordered = numpy.sort(sizes)
    assert ordered[0] >= 4 and numpy.median(ordered) < 30
    assert ordered[-len(ordered) // 5 :].sum() > ordered.sum() / 2


def test_lesions_are_brighter_than_what_is_around(pictures: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    for image, labels in pictures:
        local = image - ndimage.gaussian_filter(image.astype(float), 12)
        assert local[labels > 0].mean() - local[labels == 0].mean() > 15

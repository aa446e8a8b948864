from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from scipy import ndimage

from lossodyssey.data import find_dataset, places, read_case, read_dataset, write_vessel_phantom
from lossodyssey.data.vessel_phantom import CLASSES, SIDE, render

AROUND = numpy.ones((3, 3))


@pytest.fixture(scope="module")
def pictures() -> list[tuple[numpy.ndarray, numpy.ndarray]]:
    return [render(numpy.random.default_rng([2024, index])) for index in range(8)]


def test_the_folder_is_a_data_set(tmp_path: Path) -> None:
    write_vessel_phantom(tmp_path / "phantom_vessels", cases=2)
    dataset = read_dataset(tmp_path / "phantom_vessels")
    assert tuple(dataset.classes.values()) == CLASSES
    assert dataset.flip_axes == (0, 1)
    assert [case.name for case in dataset.cases] == ["vessels_000", "vessels_001"]
    volume = read_case(dataset, dataset.cases[1])
    assert volume.image.shape == (1, SIDE, SIDE)
    assert volume.spacing == (1.0, 1.0)


def test_it_is_made_on_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "former"))
    monkeypatch.setitem(places.MADE, "phantom_vessels", lambda folder: write_vessel_phantom(folder, 1))
    assert find_dataset("phantom_vessels", tmp_path).root == tmp_path / "phantom_vessels"


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        write_vessel_phantom(tmp_path / name, cases=1, seed=seed)
    files = ["imagesTr/vessels_000.png", "labelsTr/vessels_000.png", "dataset.json"]
    one, two, three = ([(tmp_path / name / file).read_bytes() for file in files] for name in ("one", "two", "three"))
    assert one == two
    assert all(a != b for a, b in zip(one, three, strict=True))


def test_a_case_does_not_depend_on_the_number_of_cases(tmp_path: Path) -> None:
    write_vessel_phantom(tmp_path / "few", cases=1)
    write_vessel_phantom(tmp_path / "more", cases=2)
    few, more = (tmp_path / name / "imagesTr" / "vessels_000.png" for name in ("few", "more"))
    assert few.read_bytes() == more.read_bytes()


def test_vessels_are_thin_of_many_widths_and_in_few_pieces(pictures: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    for image, labels in pictures:
        assert image.dtype == labels.dtype == numpy.uint8 and image.shape == labels.shape == (SIDE, SIDE)
        assert 0.01 < labels.mean() < 0.3 and ndimage.label(labels, AROUND)[1] <= 4
        depth = ndimage.distance_transform_edt(labels)
        assert depth.max() < 10
        thin = ~ndimage.binary_opening(labels, AROUND) & (labels > 0)
        assert 0.05 < thin.sum() / labels.sum() < 0.9


def test_vessels_are_darker_than_what_is_around_but_not_everywhere(
    pictures: list[tuple[numpy.ndarray, numpy.ndarray]],
) -> None:
    faded = []
    for image, labels in pictures:
        local = image - ndimage.gaussian_filter(image.astype(float), 8)
        inside, outside = local[labels > 0], local[labels == 0]
        assert outside.mean() - inside.mean() > 10
        faded.append((inside > outside.mean()).mean())
    assert 0.05 < numpy.mean(faded) < 0.4

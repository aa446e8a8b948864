from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from lossodyssey.data import read_case, read_dataset, write_phantom
from lossodyssey.data.phantom import CLASSES, LIVER, SHAPE, SPACING, TUMOUR, render


@pytest.fixture(scope="module")
def volumes() -> list[tuple[numpy.ndarray, numpy.ndarray]]:
    return [render(numpy.random.default_rng([2024, index])) for index in range(8)]


def test_the_folder_is_a_data_set(tmp_path: Path) -> None:
    write_phantom(tmp_path / "phantom", cases=2)
    dataset = read_dataset(tmp_path / "phantom")
    assert tuple(dataset.classes.values()) == CLASSES
    assert dataset.flip_axes == ()
    assert [case.name for case in dataset.cases] == ["phantom_000", "phantom_001"]
    volume = read_case(dataset, dataset.cases[1])
    assert volume.image.shape == (1, *SHAPE)
    assert volume.spacing == SPACING


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        write_phantom(tmp_path / name, cases=1, seed=seed)
    files = ["imagesTr/phantom_000.nii.gz", "labelsTr/phantom_000.nii.gz", "dataset.json"]
    one, two, three = ([(tmp_path / name / file).read_bytes() for file in files] for name in ("one", "two", "three"))
    assert one == two
    assert all(a != b for a, b in zip(one, three, strict=True))


def test_a_case_does_not_depend_on_the_number_of_cases(tmp_path: Path) -> None:
    write_phantom(tmp_path / "few", cases=1)
    write_phantom(tmp_path / "more", cases=2)
    few, more = (tmp_path / name / "imagesTr" / "phantom_000.nii.gz" for name in ("few", "more"))
    assert few.read_bytes() == more.read_bytes()


def test_every_class_is_there_and_the_tumour_is_rare(volumes: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    for _, labels in volumes:
        count = numpy.bincount(labels.ravel(), minlength=len(CLASSES))
        assert count.min() >= 10
        assert count[0] > 100 * count[TUMOUR]


def test_grey_values_overlap_but_differ(volumes: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    for image, labels in volumes:
        liver, tumour = image[labels == LIVER], image[labels == TUMOUR]
        assert liver.mean() - tumour.mean() > 10
        assert numpy.percentile(tumour, 95) > numpy.percentile(liver, 5)


def test_borders_have_partial_volume(volumes: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    image, _ = volumes[0]
    assert ((image > -850) & (image < -250)).mean() > 0.01


def test_the_liver_is_on_the_right_and_above_the_kidneys(volumes: list[tuple[numpy.ndarray, numpy.ndarray]]) -> None:
    for _, labels in volumes:
        liver, spleen, kidney = (numpy.argwhere(labels == index).mean(axis=0) for index in (1, 2, 3))
        assert liver[0] > spleen[0]
        assert liver[2] > kidney[2]

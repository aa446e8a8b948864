"""The size of pixels: who says it, who is believed, and where it goes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
import tifffile
from PIL import Image

from lossodyssey.data import read_case, read_dataset, read_labels, write_labels
from lossodyssey.data.caching import cache
from lossodyssey.data.contents import read_contents
from lossodyssey.data.grids import read_grid
from lossodyssey.data.volumes import read_truth

FLAT = numpy.zeros((8, 9), numpy.uint8)
STACK = numpy.zeros((3, 8, 9), numpy.uint8)


def spacing_of(path: Path, *given: Any) -> Any:
    grid = read_grid(path, *given)
    return grid.spacing(len(grid.affine) - 1) if grid.sized else None


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"resolution": (20, 40), "resolutionunit": "CENTIMETER"}, (0.25, 0.5)),
        ({"resolution": (254, 508), "resolutionunit": "INCH"}, (0.05, 0.1)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (96, 96), "resolutionunit": "INCH"}, None),
        ({"resolution": (28.35, 28.35), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (1, 1), "resolutionunit": "INCH"}, None),
        ({"resolution": (20, 40), "resolutionunit": "NONE"}, None),
        ({}, None),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um"}}, (0.0005, 0.00025)),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "\\u00B5m"}}, (0.0005, 0.00025)),
        ({"imagej": True, "resolution": (4, 2), "metadata": {"unit": "pixel"}}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}}, (0.00025, 0.0005)),
        (
            {"ome": True, "metadata": {"PhysicalSizeX": 5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}},
            (0.00025, 0.000005),
        ),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5}}, None),
    ],
    ids=str,
)
def test_tags_of_pictures(tmp_path: Path, how: dict[str, Any], expected: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FLAT, **how)
    found = spacing_of(tmp_path / "a.tif")
    assert found == (expected and pytest.approx(expected))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (
            {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "mm", "spacing": 3, "axes": "ZYX"}},
            (3, 0.5, 0.5),
        ),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "mm", "axes": "ZYX"}}, None),
        (
            {
                "ome": True,
                "metadata": {"PhysicalSizeX": 500, "PhysicalSizeY": 250, "PhysicalSizeZ": 2000, "axes": "ZYX"},
            },
            (2, 0.25, 0.5),
        ),
        ({"ome": True, "metadata": {"PhysicalSizeX": 500, "PhysicalSizeY": 250, "axes": "ZYX"}}, None),
        ({"resolution": (20, 20), "resolutionunit": "CENTIMETER"}, None),
    ],
    ids=str,
)
def test_tags_of_stacks_count_where_they_say_all_three_sizes(
    tmp_path: Path, how: dict[str, Any], expected: Any
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack", **how)
    found = spacing_of(tmp_path / "a.tif")
    assert found == (expected and pytest.approx(expected))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_what_pictures_say_to_printers_is_passed_over(tmp_path: Path, name: str) -> None:
    Image.fromarray(FLAT).save(tmp_path / name, dpi=(300, 300))
    assert spacing_of(tmp_path / name) is None
    assert read_grid(tmp_path / name).spacing(2) == (1, 1)


@pytest.mark.parametrize("name", ["case_0000.png", "case.png", "case_0000.tif"])
def test_a_file_beside_is_that_of_the_picture_or_of_its_case(tmp_path: Path, name: str) -> None:
    Image.fromarray(FLAT).save(tmp_path / name)
    (tmp_path / "case.json").write_text('{"spacing": [0.5, 2]}')
    assert spacing_of(tmp_path / name) == (0.5, 2)


def test_the_data_set_is_believed_before_the_file_beside_and_that_before_tags(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FLAT, resolution=(10, 10), resolutionunit="CENTIMETER")
    (tmp_path / "a.json").write_text('{"spacing": [2, 2]}')
    with pytest.warns(UserWarning, match=r"a\.tif: pixels of 1 x 1 mm say its tags, 2 x 2 mm says a\.json, which is"):
        assert spacing_of(tmp_path / "a.tif") == (2, 2)
    with pytest.warns(UserWarning, match=r"pixels of . x . mm say .*, 3 x 3 mm says dataset\.json") as caught:
        assert spacing_of(tmp_path / "a.tif", (3.0, 3.0)) == (3, 3)
    assert len(caught) == 2


def test_sizes_that_differ_by_rounding_are_one(tmp_path: Path) -> None:
    Image.fromarray(FLAT).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"spacing": [0.33, 0.33]}')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spacing_of(tmp_path / "a.png", (0.3333, 0.3333)) == (0.3333, 0.3333)


@pytest.mark.parametrize(
    "wrong", ["[1]", "[1, 1, 1]", "[0, 1]", "[1, -1]", "[true, 1]", '"1"', "null", "[NaN, 1]"], ids=str
)
def test_a_file_beside_that_says_no_size_is_named(tmp_path: Path, wrong: str) -> None:
    Image.fromarray(FLAT).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(f'{{"spacing": {wrong}}}')
    with pytest.raises(ValueError, match=r"a\.json: 'spacing' must list 2 numbers above 0, in mm, found"):
        read_grid(tmp_path / "a.png")


@pytest.fixture
def flat(folder: Any) -> Any:
    """A data set of two PNG pictures."""
    for part in ("imagesTr", "labelsTr"):
        for name in "ab":
            folder.picture(f"{part}/{name}.png", numpy.random.default_rng(1).integers(0, 3, (8, 9), numpy.uint8))
    folder.save(training=[{"image": f"imagesTr/{n}.png", "label": f"labelsTr/{n}.png"} for n in "ab"])
    return folder


def test_the_size_of_a_data_set_reaches_training_and_predictions(flat: Any) -> None:
    flat.save(spacing=[0.5, 0.25])
    dataset = read_dataset(flat.root)
    assert dataset.spacing == (0.5, 0.25)
    volume = read_case(dataset, dataset.cases[0])
    assert volume.spacing == (0.5, 0.25)
    assert [case.spacing for case in cache(dataset, dataset.cases)] == [(0.5, 0.25)] * 2
    assert read_truth(dataset.cases[0], dataset.spacing).spacing == (0.5, 0.25)
    write_labels(flat.root / "out" / "a.png", volume.labels, volume)
    assert json.loads((flat.root / "out" / "a.json").read_text()) == {"spacing": [0.5, 0.25]}
    assert read_labels(flat.root / "out" / "a.png").spacing == (0.5, 0.25)


def test_without_a_size_nothing_is_written_beside(flat: Any) -> None:
    dataset = read_dataset(flat.root)
    volume = read_case(dataset, dataset.cases[0])
    assert volume.spacing == (1, 1) and dataset.rules == []
    write_labels(flat.root / "out" / "a.png", volume.labels, volume)
    assert [path.name for path in (flat.root / "out").iterdir()] == ["a.png"]


@pytest.mark.parametrize("part", ["imagesTr", "labelsTr"])
def test_one_file_of_a_case_says_it_for_all(flat: Any, part: str) -> None:
    (flat.root / part / "a.json").write_text('{"spacing": [3, 4]}')
    dataset = read_dataset(flat.root)
    assert [read_case(dataset, case).spacing for case in dataset.cases] == [(3, 4), (1, 1)]
    assert [read_truth(case).spacing for case in dataset.cases] == [(3, 4), (1, 1)]


def test_two_files_of_a_case_that_say_two_sizes_are_refused(flat: Any) -> None:
    for part, size in (("imagesTr", 3), ("labelsTr", 4)):
        (flat.root / part / "a.json").write_text(f'{{"spacing": [{size}, {size}]}}')
    dataset = read_dataset(flat.root)
    with pytest.raises(ValueError, match=r"labelsTr/a\.png: affine differs by 1 .*imagesTr/a\.png"):
        read_case(dataset, dataset.cases[0])


def test_sizes_are_part_of_what_decides_a_result(flat: Any, tmp_path: Path) -> None:
    found = []
    for size in (1, 2):
        flat.save(spacing=[size, size])
        found.append(read_dataset(flat.root).rules)
    assert found[0] != found[1] and all(found)
    before = read_contents(read_dataset(flat.root), tmp_path / "memory").digest
    (flat.root / "imagesTr" / "a.json").write_text('{"spacing": [2, 2]}')
    assert read_contents(read_dataset(flat.root), tmp_path / "memory").digest != before


@pytest.mark.parametrize("wrong", [[1], [1, 1, 1], "1 mm", [1, 0]], ids=str)
def test_a_size_of_a_data_set_that_does_not_fit_is_refused(flat: Any, wrong: Any) -> None:
    flat.save(spacing=wrong)
    with pytest.raises(ValueError, match=r"dataset\.json: 'spacing' must list 2 numbers"):
        read_dataset(flat.root)


def test_a_size_for_files_that_keep_their_own_has_no_effect_and_is_refused(folder: Any) -> None:
    folder.save(spacing=[1, 1, 1])
    with pytest.raises(ValueError, match=r"'spacing' is for pictures, and a\.nii\.gz keeps its own; leave the key out"):
        read_dataset(folder.root)

"""Several masks of one image: classes, objects, annotators."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossodyssey.data.adopt import Understanding
from lossodyssey.data.adopt.labels import case_labels

Look = Callable[..., Understanding]
SHAPE = (12, 14)
IMAGE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def box(top: int, left: int, size: int = 4) -> Any:
    mask = np.zeros(SHAPE, np.uint8)
    mask[top : top + size, left : left + size] = 255
    return mask


def labels(found: Understanding, case: str) -> Any:
    return case_labels(found.cases[case], found.decision.rule, found.layers)


def test_a_file_per_class(put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}_liver.png", box(1, 1))
        put(f"masks/{case}_spleen.png", box(6, 6))
    found = seen()
    assert found.layers == ("liver", "spleen") and not found.doubts and not found.refused
    assert found.decision.classes == {0: "background", 1: "liver", 2: "spleen"}
    np.testing.assert_array_equal(labels(found, "a"), (box(1, 1) > 0) + 2 * (box(6, 6) > 0))
    other = seen(classes="spleen=Milz,liver=Leber")
    assert other.decision.classes == {0: "background", 1: "Milz", 2: "Leber"}
    np.testing.assert_array_equal(labels(other, "a"), (box(6, 6) > 0) + 2 * (box(1, 1) > 0))


def test_a_folder_of_classes_per_case(put: Any, seen: Look) -> None:
    for case in ("s1", "s2", "s3"):
        put(f"{case}/ct.png", IMAGE)
        put(f"{case}/segmentations/liver.png", box(1, 1))
        put(f"{case}/segmentations/spleen.png", box(6, 6))
    found = seen()
    assert list(found.cases) == ["s1", "s2", "s3"] and found.layers == ("liver", "spleen")


def test_a_class_that_is_missing_is_a_doubt(put: Any, seen: Look) -> None:
    for case in ("a", "b", "c"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}_liver.png", box(1, 1))
    put("masks/a_spleen.png", box(6, 6))
    put("masks/b_spleen.png", box(6, 6))
    found = seen()
    assert "1 of 3 images have no mask of spleen" in found.doubts[0]
    assert labels(found, "c").max() == 1


def test_classes_that_overlap_are_a_doubt_until_their_order_is_said(put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}_tumour.png", box(2, 2, 2))
        put(f"masks/{case}_liver.png", box(1, 1, 6))
    found = seen()
    assert "overlap in 8 pixels" in found.doubts[0]
    other = seen(classes="tumour,liver")
    assert not other.doubts and any("overlap in 8 pixels" in note for note in other.notes)
    assert (labels(found, "a") == 2).sum() == 4 and (labels(other, "a") == 1).sum() == 0


@pytest.mark.parametrize("classes", ["liver", "liver,spleen,kidney", "1=liver,2=spleen"])
def test_names_that_are_not_the_files_are_refused(classes: str, put: Any, seen: Look) -> None:
    put("images/a.png", IMAGE)
    put("masks/a_liver.png", box(1, 1))
    put("masks/a_spleen.png", box(6, 6))
    with pytest.raises(ValueError, match="the masks' files name liver, spleen"):
        seen(classes=classes)


@pytest.mark.parametrize("names", [("liver", "spleen"), ("liver", "spleen", "kidney")], ids=len)
def test_another_class_in_every_image_is_a_doubt(names: tuple[str, ...], put: Any, seen: Look) -> None:
    for number, name in enumerate(names):
        put(f"images/{number}.png", IMAGE)
        put(f"masks/{number}_{name}.png", box(1, 1))
    found = seen()
    assert found.layers == tuple(sorted(names)) and len(found.doubts) == len(names)


def test_numbers_that_every_image_has_may_be_classes(put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}_1.png", box(1, 1))
        put(f"masks/{case}_2.png", box(6, 6))
    found = seen()
    assert "every image has masks 1, 2: objects, which are joined, or classes?" in found.doubts[0]
    classes = seen(pattern="{case}_{class}")
    assert not classes.doubts
    np.testing.assert_array_equal(labels(classes, "b"), (box(1, 1) > 0) + 2 * (box(6, 6) > 0))


def test_objects_are_joined_and_told(put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        for number in range(1, 4 if case == "a" else 3):
            put(f"masks/{case}_{number}.png", box(3 * number - 2, 3 * number - 2, 2))
    found = seen()
    assert not found.doubts
    assert not found.layers and any("2 of 2 images have several masks, one per object" in note for note in found.notes)
    assert (labels(found, "a") == 1).sum() == 12


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a_1stHO.png", "a_2ndHO.png"), "several annotators.*--pattern '{case}_1stHO'"),
        (("a_observer1.png", "a_observer2.png"), "several annotators"),
        (("a_manual1.png", "a_manual2.png"), "several annotators"),
        (("a_mask.png", "a_seg.png"), "whose names tell no difference"),
        (("a_mask.png", "a_mask.bmp"), "whose names tell no difference"),
        (("a_mask.png", "a_liver.png"), "others, such as .*a_mask.png, do not"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_masks_of_unclear_meaning_are_refused(names: tuple[str, str], message: str, put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        for name in names:
            put(f"masks/{name.replace('a_', case + '_')}", box(1, 1))
    assert re.search(message, seen().refused[0])


def test_the_pattern_that_is_proposed_chooses_an_annotator(put: Any, seen: Look) -> None:
    for case in ("a", "b"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}_1stHO.png", box(1, 1))
        put(f"masks/{case}_2ndHO.png", box(2, 2))
    found = seen(pattern="{case}_1stHO")
    assert not found.refused and not found.doubts and len(found.unpaired) == 2
    np.testing.assert_array_equal(labels(found, "b"), box(1, 1) > 0)


def test_masks_of_two_folders_are_two_opinions(put: Any, mine: Path, seen: Look) -> None:
    for case in ("21", "22"):
        put(f"images/{case}_training.png", IMAGE)
        put(f"1st_manual/{case}_manual1.png", box(1, 1))
        put(f"2nd_manual/{case}_manual2.png", box(2, 2))
    assert "annotators" in seen().refused[0]
    assert not seen(images=mine / "images", masks=mine / "1st_manual").refused


def test_several_masks_of_several_values_are_refused(put: Any, seen: Look) -> None:
    put("images/a.png", IMAGE)
    put("masks/a_1.png", box(1, 1) // 255)
    put("masks/a_2.png", box(6, 6) // 255 * 2)
    assert "hold more than two values" in seen().refused[0]


def test_ignore_has_no_place_among_files_of_classes(put: Any, seen: Look) -> None:
    put("images/a.png", IMAGE)
    put("masks/a_liver.png", box(1, 1))
    put("masks/a_spleen.png", box(6, 6))
    with pytest.raises(ValueError, match="--ignore"):
        seen(ignore="255")

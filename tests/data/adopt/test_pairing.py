"""Which files are pairs, by names and folders as people have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lossodyssey.data.adopt import Understanding

IMAGE = np.arange(48, dtype=np.uint8).reshape(6, 8)
MASK = np.zeros((6, 8), np.uint8)
MASK[1:4, 2:5] = 255

Look = Callable[..., Understanding]

FOLDINGS: Mapping[str, list[tuple[str, list[str]]]] = {
    "equal names": [("images/a.png", ["masks/a.png"]), ("images/b.png", ["masks/b.png"])],
    "capitals and spaces": [("Original/1.tif", ["Ground Truth/1.tif"]), ("Original/10.tif", ["Ground Truth/10.tif"])],
    "short names": [("img/a.bmp", ["GT/a.png"]), ("img/b.bmp", ["GT/b.png"])],
    "suffix": [("imgs/a.png", ["labels/a_seg.png"]), ("imgs/a_1.png", ["labels/a_1_seg.png"])],
    "prefix": [("image/a.png", ["annotations/label_a.png"]), ("image/b.png", ["annotations/label_b.png"])],
    "both": [("images/img_01.png", ["masks/mask_01.png"]), ("images/img_02.png", ["masks/mask_02.png"])],
    "words": [("images/21_training.tif", ["1st_manual/21_manual1.gif"]),
              ("images/22_training.tif", ["1st_manual/22_manual1.gif"])],
    "one folder": [("a.jpg", ["a_segmentation.png"]), ("b.jpg", ["b_segmentation.png"])],
    "an annotator's": [("Image_01L.jpg", ["Image_01L_1stHO.png"]), ("Image_01R.jpg", ["Image_01R_1stHO.png"])],
    "a word that comes again": [("a.png", ["a_lesion.png"]), ("b.png", ["b_lesion.png"])],
    "brackets": [("benign/benign (1).png", ["benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"]),
                 ("benign/benign (10).png", ["benign/benign (10)_mask.png"])],
    "longest wins": [("images/img_1.png", ["masks/img_1_mask_2.png"]),
                     ("images/img_1_2.png", ["masks/img_1_2_mask.png"])],
    "a folder per case": [("x/image.png", ["x/mask.png"]), ("y/image.png", ["y/mask.png"])],
    "a folder per case, a mask per object": [("k1/images/k1.png", ["k1/masks/0f.png", "k1/masks/1a.png"]),
                                             ("k2/images/k2.png", ["k2/masks/7c.png", "k2/masks/9b.png"])],
    "a folder of masks per image": [("images/p.png", ["masks/p/0.png", "masks/p/1.png"]),
                                    ("images/q.png", ["masks/q/0.png"])],
    "mirrored folders": [("images/s/a.png", ["masks/s/a.png"]), ("images/t/a.png", ["masks/t/a.png"])],
    "leading zeros": [("images/case_1.png", ["masks/case_001.png"]), ("images/case_2.png", ["masks/case_002.png"])],
    "roles at the end": [("Task_Training_Input/I_1.jpg", ["Task_Training_GroundTruth/I_1_segmentation.png"]),
                         ("Task_Training_Input/I_2.jpg", ["Task_Training_GroundTruth/I_2_segmentation.png"])],
    "words of folders": [("img_dir/train/a.png", ["ann_dir/train/a.png"]),
                         ("img_dir/val/a.png", ["ann_dir/val/a.png"])],
    "humps": [("JPEGImages/a.jpg", ["SegmentationClass/a.png"]), ("JPEGImages/b.jpg", ["SegmentationClass/b.png"])],
    "masks called images": [("images/a.png", ["label_images/a.png"]), ("images/b.png", ["label_images/b.png"])],
    "nnU-Net's folders": [("imagesTr/a_0000.png", ["labelsTr/a.png"]), ("imagesTr/b_0000.png", ["labelsTr/b.png"])],
}  # fmt: skip


@pytest.mark.parametrize("folding", FOLDINGS)
def test_pairs_are_found(folding: str, put: Any, mine: Path, seen: Look) -> None:
    for image, masks in FOLDINGS[folding]:
        put(image, IMAGE)
        for mask in masks:
            put(mask, MASK)
    found = seen()
    pairs = {
        (read.images[0].path.relative_to(mine).as_posix(), *(m.path.relative_to(mine).as_posix() for m in read.masks))
        for read in found.cases.values()
    }
    assert pairs == {(image, *masks) for image, masks in FOLDINGS[folding]}
    assert not found.unpaired and not found.refused and not found.doubts
    assert len(found.cases) == len(FOLDINGS[folding])


def test_channels_by_number_and_by_modality(put: Any, seen: Look) -> None:
    for case in "ab":
        for channel in ("flair", "t1", "t2"):
            put(f"{case}/{case}_{channel}.png", IMAGE)
        put(f"{case}/{case}_seg.png", MASK)
    found = seen()
    assert found.channels == ("t1", "t2", "flair")
    assert [[i.path.stem for i in read.images] for read in found.cases.values()] == [
        [f"{case}_{channel}" for channel in found.channels] for case in "ab"
    ]


def test_a_missing_channel_is_told(put: Any, seen: Look) -> None:
    for case in "abc":
        put(f"images/{case}_0000.png", IMAGE)
        put(f"masks/{case}.png", MASK)
        if case != "b":
            put(f"images/{case}_0001.png", IMAGE)
    found = seen()
    assert list(found.cases) == ["a", "c"]
    assert found.channels == ("channel 0", "channel 1")
    why = {path.stem: reason for path, reason in found.unpaired}
    assert "no channel 0001" in why["b_0000"] and "no image" in why["b"]
    assert found.doubts == ("2 files with no partner would be left out",)


def test_files_without_a_partner_are_listed_with_the_nearest_name(put: Any, seen: Look) -> None:
    for name in ("ant", "bee"):
        put(f"images/{name}.png", IMAGE)
        put(f"masks/{name}.png", MASK)
    put("images/wasp.png", IMAGE)
    put("masks/wsap.png", MASK)
    found = seen()
    why = {path.parent.name: reason for path, reason in found.unpaired}
    assert why == {
        "images": "no mask of its name; the nearest is wsap",
        "masks": "no image of its name; the nearest is wasp",
    }
    assert "2 files" in found.doubts[0]


def test_two_images_for_a_mask_fit_neither(put: Any, seen: Look) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        put(f"images/{name}", IMAGE)
    put("masks/a.png", MASK)
    put("masks/b.png", MASK)
    found = seen()
    assert list(found.cases) == ["b"]
    assert any("fits 2 images" in reason for _, reason in found.unpaired)


def test_nothing_pairs(put: Any, seen: Look) -> None:
    put("images/ant.png", IMAGE)
    put("images/bee.png", IMAGE)
    put("masks/cow.png", MASK)
    with pytest.raises(ValueError, match=r"none of 1 masks fits any of 2 images.*cow\.png.*--pattern"):
        seen()


def test_patterns_say_what_names_do_not(put: Any, seen: Look) -> None:
    for case in ("3", "4"):
        put(f"data/x{case}y-raw.png", IMAGE)
        put(f"data/{case}=liver.png", MASK)
        put(f"data/{case}=notes.png", MASK)
    found = seen(pattern="{case}=liver", image_pattern="x{case}y-raw")
    assert list(found.cases) == ["3", "4"]
    assert [path.stem for path, _ in found.unpaired] == ["3=notes", "4=notes"] and not found.doubts


@pytest.mark.parametrize("pattern", ["mask", "{case}_{klass}", "{case}_{case}", "{}"])
def test_broken_patterns_are_refused(pattern: str, put: Any, seen: Look) -> None:
    put("images/a.png", IMAGE)
    put("masks/a.png", MASK)
    with pytest.raises(ValueError, match="--pattern is"):
        seen(pattern=pattern)


@pytest.mark.parametrize("masks", ["masks", "masks/../images"], ids=["no masks", "masks are images"])
def test_a_folder_without_masks_is_refused(masks: str, put: Any, mine: Path, seen: Look) -> None:
    put("images/a.png", IMAGE)
    (mine / "masks").mkdir()
    with pytest.raises(ValueError, match="holds no mask"):
        seen(images=mine / "images", masks=mine / masks)


def test_a_folder_that_is_not_there(mine: Path, seen: Look) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        seen()


@pytest.mark.parametrize("inner", ["masks in images", "images in masks"])
def test_a_folder_inside_the_other(inner: str, put: Any, mine: Path, seen: Look) -> None:
    image, mask = ("data", "data/truth") if inner == "masks in images" else ("data/scans", "data")
    for case in "ab":
        put(f"{image}/{case}.png", IMAGE)
        put(f"{mask}/{case}.png", MASK)
    found = seen(images=mine / image, masks=mine / mask)
    assert list(found.cases) == ["a", "b"] and not found.unpaired


def test_cases_of_one_name_get_their_folders(put: Any, seen: Look) -> None:
    for place in ("s", "t"):
        put(f"images/{place}/a.png", IMAGE)
        put(f"masks/{place}/a.png", MASK)
        put(f"images/{place}/b.png", IMAGE)
        put(f"masks/{place}/b.png", MASK)
    assert list(seen().cases) == ["s_a", "s_b", "t_a", "t_b"]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("p[0-9]+", "no capture group"),
        ("(p[0-9]+", "not a regular expression"),
        ("(q[0-9]+)", "finds no patient in 3 of 3"),
        ("(p)", "one patient of all 3"),
    ],
)
def test_groups_that_do_not_serve(group: str, message: str, put: Any, seen: Look) -> None:
    for case in ("p1_slice1", "p1_slice2", "p2_slice1"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}.png", MASK)
    with pytest.raises(ValueError, match=message):
        seen(group=group)


def test_patients_are_proposed_and_taken_only_when_said(put: Any, seen: Look) -> None:
    for case in ("p1_slice1", "p1_slice2", "p2_slice1"):
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}.png", MASK)
    found = seen()
    (note,) = [note for note in found.notes if "--group" in note]
    assert not found.groups and "'p1'" in note
    proposed = note.split("--group '")[1].split("'")[0]
    assert set(seen(group=proposed).groups.values()) == {"p1", "p2"}
    assert not [note for note in seen(group=proposed).notes if "--group" in note]


def test_folders_that_are_links_are_followed_once(put: Any, mine: Path, seen: Look, tmp_path: Path) -> None:
    for case in "ab":
        put(f"images/{case}.png", IMAGE)
        put(f"masks/{case}.png", MASK)
    (mine / "masks").rename(tmp_path / "elsewhere")
    (mine / "masks").symlink_to(tmp_path / "elsewhere")
    (mine / "images" / "loop").symlink_to(mine)
    assert list(seen().cases) == ["a", "b"]


def test_files_of_other_formats_do_not_go_unnoticed(put: Any, mine: Path, seen: Look) -> None:
    put("images/a.png", IMAGE)
    put("masks/a.png", MASK)
    (mine / "images" / "b.dcm").touch()
    (mine / "images" / "notes.txt").touch()
    (note,) = [note for note in seen().notes if "not read" in note]
    assert "1 .dcm" in note and ".txt" not in note and ".nii.gz" in note


def test_pictures_that_viewers_turn_are_a_doubt(put: Any, seen: Look) -> None:
    exif = Image.Exif()
    exif[274] = 3
    put("images/a.jpg", IMAGE, exif=exif)
    put("masks/a.png", MASK)
    assert "viewers turn 1 of the images" in seen().doubts[0]

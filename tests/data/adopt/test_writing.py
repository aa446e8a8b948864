"""The data set that is written: links, new files, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile

from lossodyssey.data import read_case, read_dataset
from lossodyssey.data.adopt import Choices, Understanding, adopted, preview, understand, write, writing
from lossodyssey.data.adopt.summary import rows

sitk = pytest.importorskip("SimpleITK")

Look = Callable[..., Understanding]
SHAPE = (12, 14)
GREY = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
BOX = np.zeros(SHAPE, np.uint8)
BOX[3:8, 3:9] = 1


@pytest.fixture
def pairs(put: Any) -> Callable[..., None]:
    def write_pairs(images: dict[str, Any], mask: Any = BOX, ending: str = "png", **how: Any) -> None:
        for name, values in images.items():
            put(f"images/{name}", values, **how)
            put(f"masks/{name.rpartition('.')[0]}.{ending}", mask)

    return write_pairs


def test_what_is_right_is_linked_and_the_rest_written(
    pairs: Any, put: Any, mine: Path, seen: Look, tmp_path: Path
) -> None:
    pairs({"a.png": GREY, "b.png": GREY})
    put("masks/b.png", BOX, "RGB")
    dataset = write(seen(classes="lesion"), tmp_path / "new")
    files = {path.name: path.is_symlink() for path in (tmp_path / "new/labelsTr").iterdir()}
    assert files == {"a.png": True, "b.png": False}
    assert all(path.is_symlink() for path in (tmp_path / "new/imagesTr").iterdir())
    assert (tmp_path / "new/labelsTr/a.png").resolve() == (mine / "masks/a.png").resolve()
    for case in dataset.cases:
        volume = read_case(dataset, case)
        np.testing.assert_array_equal(volume.labels, BOX)
        np.testing.assert_array_equal(volume.image[0], GREY)
    assert dataset.classes == {0: "background", 1: "lesion"}


def test_copies_do_not_need_their_source(pairs: Any, put: Any, seen: Look, mine: Path, tmp_path: Path) -> None:
    pairs({"a.tif": GREY})
    (mine / "images/a.json").write_text('{"spacing": [0.5, 0.25]}')
    write(seen(), tmp_path / "new", copy=True)
    mine.rename(tmp_path / "gone")
    dataset = read_dataset(tmp_path / "new")
    assert read_case(dataset, dataset.cases[0]).spacing == (0.5, 0.25)


@pytest.mark.parametrize("copy", [False, True], ids=["links", "copies"])
def test_nothing_is_overwritten_and_nothing_left_half(
    copy: bool, pairs: Any, seen: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs({"a.png": GREY, "b.png": GREY}, mask=BOX * 255)
    real, calls = writing.write_array, []

    def stopped(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr(writing, "write_array", stopped)
    with pytest.raises(KeyboardInterrupt):
        write(seen(), tmp_path / "new", copy=copy)
    assert len(calls) == 2 and sorted(path.name for path in tmp_path.iterdir()) == ["mine"]

    monkeypatch.setattr(writing, "write_array", real)
    write(seen(), tmp_path / "new", copy=copy)
    before = (tmp_path / "new/dataset.json").read_bytes()
    with pytest.raises(ValueError, match="exists already"):
        write(seen(), tmp_path / "new", copy=copy)
    assert (tmp_path / "new/dataset.json").read_bytes() == before


def test_another_process_that_was_faster_is_noticed(
    pairs: Any, seen: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs({"a.png": GREY})
    real = writing._check

    def slow(draft: Path) -> None:
        monkeypatch.setattr(writing, "_check", real)
        write(seen(classes="lesion"), tmp_path / "new")

    monkeypatch.setattr(writing, "_check", slow)
    with pytest.raises(ValueError, match="another process made it meanwhile"):
        write(seen(), tmp_path / "new")
    assert read_dataset(tmp_path / "new").classes[1] == "lesion"


def test_a_full_disk_leaves_nothing(pairs: Any, seen: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs({"a.png": GREY})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_write_json", full)
    with pytest.raises(OSError, match="No space left"):
        write(seen(), tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_disk_without_links_names_the_way(
    pairs: Any, seen: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs({"a.png": GREY})

    def unable(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", unable)
    with pytest.raises(OSError, match=r"takes no links.*--copy"):
        write(seen(), tmp_path / "new")


@pytest.mark.parametrize(
    ("images", "channels", "said"),
    [
        ({"a.png": GREY, "b.png": np.dstack([GREY] * 3)}, 1, "all are grey: those of three get one"),
        ({"a.png": GREY, "b.png": COLOUR}, 3, "grey ones get three equal channels"),
        ({"a.png": np.dstack([COLOUR, np.full(SHAPE, 255, np.uint8)])}, 3, "1 of 1 images have transparency: left out"),
        ({"a.png": np.dstack([GREY] * 3)}, 3, "stored as three equal channels: taken as they are"),
        ({"a.jpg": GREY, "b.bmp": np.dstack([GREY] * 3)}, 1, "all are grey"),
    ],
    ids=["grey as colour", "colour beside grey", "transparency", "all grey as colour", "formats"],
)
def test_channels_are_made_alike_and_told(
    images: dict[str, Any], channels: int, said: str, pairs: Any, seen: Look, tmp_path: Path
) -> None:
    pairs(images)
    found = seen()
    assert any(said in note for note in found.notes)
    dataset = write(found, tmp_path / "new")
    assert len(dataset.channels) == channels
    for case, (name, values) in zip(dataset.cases, images.items(), strict=True):
        image = read_case(dataset, case).image
        expected = np.atleast_3d(values)[..., : channels if values.ndim == 3 else 1]
        if not name.endswith("jpg"):
            np.testing.assert_array_equal(np.moveaxis(image, 0, -1), np.broadcast_to(expected, (*SHAPE, channels)))


def test_channels_that_cannot_be_alike_are_refused(put: Any, mine: Path, seen: Look) -> None:
    for number, channels in enumerate((2, 5)):
        image = sitk.GetImageFromArray(np.zeros((3, 6, 7, channels), np.float32), isVector=True)
        for folder in ("images", "masks"):
            (mine / folder).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(mine / f"images/{number}.mha"))
        sitk.WriteImage(
            sitk.GetImageFromArray(np.eye(6, 7, dtype=np.uint8)[None].repeat(3, 0)), str(mine / f"masks/{number}.mha")
        )
    assert "images differ in their channels" in seen().refused[0]


def test_channels_of_several_files(put: Any, seen: Look, tmp_path: Path) -> None:
    for case in "ab":
        put(f"images/{case}_t1.png", GREY)
        put(f"images/{case}_t2.png", 255 - GREY)
        put(f"masks/{case}.png", BOX * 255)
    dataset = write(seen(), tmp_path / "new")
    assert dataset.channels == ("t1", "t2")
    image = read_case(dataset, dataset.cases[0]).image
    np.testing.assert_array_equal(image[1], 255 - image[0])


def test_names_that_end_like_channels_are_cases(pairs: Any, seen: Look, tmp_path: Path) -> None:
    pairs({f"ISIC_{number:04d}.png": np.roll(COLOUR, number, 0) for number in range(3)})
    dataset = write(seen(), tmp_path / "new")
    for number, case in enumerate(dataset.cases):
        np.testing.assert_array_equal(np.moveaxis(read_case(dataset, case).image, 0, -1), np.roll(COLOUR, number, 0))


def test_spacing_of_pictures_reaches_the_data_set(pairs: Any, seen: Look, tmp_path: Path) -> None:
    pairs({"a.png": GREY})
    found = seen(spacing=(0.5, 0.25))
    assert dict(rows(found))["spacing"] == "0.5 x 0.25 mm, as --spacing says"
    dataset = write(found, tmp_path / "new")
    assert read_case(dataset, dataset.cases[0]).spacing == (0.5, 0.25)


def test_spacing_of_volumes_is_their_own(mine: Path, seen: Look, tmp_path: Path) -> None:
    volumes(mine)
    with pytest.raises(ValueError, match="keeps its own spacing"):
        seen(spacing=(1.0, 1.0, 1.0))


def volumes(folder: Path, ending: str = "mha", shift: float = 0.0) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        values = np.zeros((4, 6, 7), np.uint8)
        values[1:3, 2:5, 2:6] = 255
        picture = sitk.GetImageFromArray(values if name == "masks" else values + np.arange(7, dtype=np.uint8))
        picture.SetSpacing((0.5, 0.75, 2.0))
        picture.SetOrigin((1.0, 2.0, 3.0 + shift * (name == "masks")))
        picture.SetMetaData("dim[0]", "3")
        sitk.WriteImage(picture, str(folder / name / f"a.{ending}"))


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nhdr", "nii", "nii.gz"])
def test_volumes_of_every_format(ending: str, mine: Path, seen: Look, tmp_path: Path) -> None:
    volumes(mine, ending)
    dataset = write(seen(), tmp_path / "new")
    volume = read_case(dataset, dataset.cases[0])
    assert volume.labels is not None and volume.labels.sum() == 24
    assert sorted(volume.spacing) == [0.5, 0.75, 2.0]


def test_masks_elsewhere_in_space_are_refused(mine: Path, seen: Look) -> None:
    volumes(mine, shift=5.0)
    assert "size or place of its pixels differ by 5" in seen().refused[0]


def test_a_stack_of_pages_is_not_laid_on_a_volume(mine: Path, seen: Look) -> None:
    volumes(mine, "nii.gz")
    pages = np.eye(7, 6, dtype=np.uint8)[..., None].repeat(4, 2) * 255
    tifffile.imwrite(mine / "masks/a.tif", pages, photometric="minisblack")
    (mine / "masks/a.nii.gz").unlink()
    assert "run otherwise" in seen().refused[0]


def test_a_header_without_orientation_stays_without(mine: Path, seen: Look, tmp_path: Path) -> None:
    for folder, values in (("images", np.arange(60.0).reshape(5, 4, 3)), ("masks", np.eye(5, 4)[..., None] * 255)):
        picture = nibabel.Nifti1Image(np.broadcast_to(values, (5, 4, 3)).astype(np.float32), np.eye(4))
        picture.set_sform(None, code=0)
        picture.set_qform(None, code=0)
        (mine / folder).mkdir(parents=True)
        nibabel.save(picture, mine / folder / "a.nii.gz")
    write(seen(), tmp_path / "new")
    header = nibabel.load(tmp_path / "new/labelsTr/a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


def test_pixel_sizes_that_differ_are_refused(pairs: Any, mine: Path, seen: Look) -> None:
    pairs({"a.png": GREY})
    (mine / "images/a.json").write_text('{"spacing": [0.5, 0.5]}')
    assert not seen().refused
    (mine / "masks/a.json").write_text('{"spacing": [0.7, 0.7]}')
    assert "size or place of its pixels differ by 0.2" in seen().refused[0]


def test_pixel_sizes_survive_that_an_image_is_written_anew(pairs: Any, mine: Path, seen: Look, tmp_path: Path) -> None:
    pairs({"a.png": np.dstack([COLOUR, np.full(SHAPE, 255, np.uint8)])}, mask=BOX * 255)
    (mine / "images/a.json").write_text('{"spacing": [0.5, 0.25]}')
    found = seen()
    dataset = write(found, tmp_path / "new")
    assert read_case(dataset, dataset.cases[0]).spacing == (0.5, 0.25)
    assert dict(rows(found))["spacing"] == "0.5 x 0.25 mm (1)"


def test_patients_and_the_record_are_kept(pairs: Any, seen: Look, mine: Path, tmp_path: Path) -> None:
    pairs({"p1_slice1.png": GREY, "p1_slice2.png": GREY, "p2_slice1.png": GREY}, mask=BOX * 255)
    dataset = write(seen(group="(p[0-9]+)"), tmp_path / "new")
    assert [case.group for case in dataset.cases] == ["p1", "p1", "p2"]
    record = json.loads((tmp_path / "new/adopted.json").read_text())
    assert record["choices"] == {"folder": str(mine), "group": "(p[0-9]+)"}
    assert record["rule"]["table"] == [[0.0, 0], [255, 1]]
    assert record["cases"]["p2_slice1"]["masks"] == [str(mine / "masks/p2_slice1.png")]


def test_an_ignored_value_is_nnunets_ignore(pairs: Any, seen: Look, tmp_path: Path) -> None:
    mask = BOX.copy()
    mask[0] = 255
    pairs({"a.png": GREY}, mask=mask)
    dataset = write(seen(ignore="255"), tmp_path / "new")
    labels = read_case(dataset, dataset.cases[0]).labels
    assert dataset.ignore == 2 and labels is not None and (labels[0] == 2).all()


def test_a_file_that_changed_meanwhile_is_noticed(pairs: Any, put: Any, seen: Look, tmp_path: Path) -> None:
    pairs({"a.png": GREY}, mask=BOX * 255)
    found = seen()
    put("masks/a.png", BOX * 77)
    with pytest.raises(ValueError, match="which it did not before"):
        write(found, tmp_path / "new")


def test_a_folder_is_adopted_again_only_when_it_changed(pairs: Any, put: Any, mine: Path, tmp_path: Path) -> None:
    pairs({"a.png": GREY, "b.png": GREY})
    told: list[Path] = []
    first = adopted(mine, tmp_path / "out", lambda found, target: told.append(target))
    assert adopted(mine, tmp_path / "out", lambda found, target: told.append(target)) == (first[0], True)
    assert told == [first[0]] and first[0].name == "mine" and not first[1]

    put("masks/b.png", np.roll(BOX, 1, axis=0))
    os.utime(mine / "masks/b.png", ns=(0, 0))
    changed = adopted(mine, tmp_path / "out", lambda found, target: told.append(target))
    assert changed[0] != first[0] and not changed[1] and len(told) == 2
    assert read_dataset(first[0]).name == read_dataset(changed[0]).name == "mine"


def test_pictures_show_the_fullest_slice(mine: Path, seen: Look) -> None:
    volumes(mine)
    (shown,) = preview(seen())
    assert shown.image.shape == shown.labels.shape == (6, 7)
    assert (shown.labels > 0).sum() == 12 and shown.pixel == (0.75, 0.5)


def test_the_table_counts_classes(pairs: Any, seen: Look) -> None:
    pairs({"a.png": GREY, "b.png": GREY})
    told = dict(rows(seen(classes="lesion")))
    assert told["class 1"] == f"lesion: in 2 of 2 cases, {30 / 168:.2%} of pixels"
    assert told["cases"] == "2: a, b"
    assert told["written"].startswith("2 of 2 images and 2 of 2 masks stay")


def test_what_is_undecided_is_not_written(pairs: Any, seen: Look, tmp_path: Path) -> None:
    mask = BOX.copy()
    mask[0] = 255
    pairs({"a.png": GREY}, mask=mask)
    with pytest.raises(ValueError, match="--ignore 255"):
        write(seen(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_choices_need_a_place() -> None:
    with pytest.raises(ValueError, match="either a folder, or both"):
        understand(Choices())

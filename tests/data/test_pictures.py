"""JPEG, BMP, GIF and PNG files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from lossodyssey.data import read_case, read_dataset, read_labels
from lossodyssey.data.grids import read_grid, written_ending

GREY = numpy.random.default_rng(0).integers(0, 255, (24, 32)).astype(numpy.uint8)
DISC = (numpy.hypot(*numpy.indices((24, 32)) - numpy.array([[[12]], [[16]]])) < 8).astype(numpy.uint8)


@pytest.mark.parametrize("tail", [".bmp", ".gif", ".png", ".BMP"])
def test_formats_without_loss_give_what_was_stored(tmp_path: Path, tail: str) -> None:
    Image.fromarray(GREY).save(tmp_path / f"a{tail}")
    numpy.testing.assert_array_equal(read_grid(tmp_path / f"a{tail}").shown, GREY)


@pytest.mark.parametrize("tail", [".bmp", ".gif", ".png"])
def test_places_in_a_palette_are_labels(tmp_path: Path, tail: str) -> None:
    picture = Image.frombytes("P", (32, 24), DISC.tobytes())
    picture.putpalette([10, 20, 30, 200, 100, 0])
    picture.save(tmp_path / f"a{tail}")
    numpy.testing.assert_array_equal(read_labels(tmp_path / f"a{tail}").labels, DISC)
    assert read_grid(tmp_path / f"a{tail}").shown.shape == (24, 32, 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_images_are_read_as_every_program_shows_them(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(GREY).convert(mode)
    picture.save(tmp_path / "a.jpg", quality=90)
    numpy.testing.assert_array_equal(
        read_grid(tmp_path / "a.jpg").values, numpy.asarray(Image.open(tmp_path / "a.jpg"))
    )


def test_a_jpeg_of_inks_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: holds CMYK, the inks of a printer; save it as RGB or grey"):
        read_grid(tmp_path / "a.jpg")


def test_a_picture_that_viewers_turn_is_read_as_stored_and_that_is_said(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif)
    with pytest.warns(UserWarning, match=r"a\.jpg: viewers turn it \(orientation 6\), it is read as it is stored"):
        assert read_grid(tmp_path / "a.jpg").values.shape == GREY.shape


def test_moving_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(GREY // 2)])
    with pytest.raises(ValueError, match=r"a\.gif: .*several pages"):
        read_grid(tmp_path / "a.gif")


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_jpeg_of_black_and_white_is_a_label_map_of_two_values(tmp_path: Path, quality: int) -> None:
    Image.fromarray(255 * DISC.repeat(8, 0).repeat(8, 1)).save(tmp_path / "a.jpg", quality=quality)
    stored = numpy.asarray(Image.open(tmp_path / "a.jpg"))
    near = ((stored <= 32) | (stored >= 223)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if near:
            numpy.testing.assert_array_equal(
                read_labels(tmp_path / "a.jpg").labels, 255 * DISC.repeat(8, 0).repeat(8, 1)
            )
        else:
            with pytest.raises(ValueError, match=r"neither near 0 nor near 255; save label maps as PNG"):
                read_labels(tmp_path / "a.jpg")


def test_a_jpeg_changed_in_packing_says_so(tmp_path: Path) -> None:
    labels = numpy.full((16, 16), 3, numpy.uint8)
    labels[:, 8:] = 250
    Image.fromarray(labels).save(tmp_path / "a.jpg", quality=95)
    with pytest.warns(UserWarning, match="JPEG changed its values; those near 0 are read as 0, those near 255 as 255"):
        numpy.testing.assert_array_equal(read_labels(tmp_path / "a.jpg").labels, 255 * (labels > 9))


@pytest.mark.parametrize("values", [DISC, 100 * DISC, GREY], ids=["classes", "one grey", "greys"])
def test_other_labels_in_jpeg_are_refused(tmp_path: Path, values: Any) -> None:
    Image.fromarray(values).save(tmp_path / "a.jpg", quality=95)
    with pytest.raises(ValueError, match=r"a\.jpg: JPEG changes the values that it packs.*save label maps as PNG"):
        read_labels(tmp_path / "a.jpg")


def test_an_empty_jpeg_mask_is_empty(tmp_path: Path) -> None:
    Image.fromarray(0 * DISC).save(tmp_path / "a.jpg")
    assert not read_labels(tmp_path / "a.jpg").labels.any()


@pytest.mark.parametrize("tail", [".jpg", ".bmp", ".gif"])
def test_a_picture_that_is_cut_is_refused(tmp_path: Path, tail: str) -> None:
    Image.fromarray(GREY).save(tmp_path / f"a{tail}")
    content = (tmp_path / f"a{tail}").read_bytes()
    (tmp_path / f"a{tail}").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match=rf"a\{tail}: cannot be read"):
        read_grid(tmp_path / f"a{tail}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JPG", ".png"), ("a.gif", ".png"), ("a.mhd", ".mha"), ("a.TIF", ".TIF"), ("a.nii", ".nii")],
)
def test_label_maps_are_written_in_a_format_that_keeps_them(name: str, expected: str) -> None:
    assert written_ending(Path(name)) == expected


def test_jpeg_images_with_png_masks_are_cases(folder: Any) -> None:
    Image.fromarray(GREY).save(folder.root / "imagesTr" / "a.jpg")
    folder.picture("labelsTr/a.png", DISC)
    folder.save(training=[{"image": "imagesTr/a.jpg", "label": "labelsTr/a.png"}])
    dataset = read_dataset(folder.root)
    volume = read_case(dataset, dataset.cases[0])
    numpy.testing.assert_array_equal(volume.labels, DISC)
    assert volume.image.shape == (1, 24, 32)

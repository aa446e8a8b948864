from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy
import pytest
from PIL import Image

from lossodyssey.data import Volume, read_case, read_dataset, read_labels, write_labels


def first(folder: Any) -> Volume:
    dataset = read_dataset(folder.root)
    return read_case(dataset, dataset.cases[0])


def pictures(folder: Any, image: Any, label: Any, channels: int = 1) -> None:
    folder.picture("imagesTr/a.png", image)
    folder.picture("labelsTr/a.png", label)
    folder.save(
        modality={str(index): "grey" for index in range(channels)},
        training=[{"image": "imagesTr/a.png", "label": "labelsTr/a.png"}],
    )


def test_a_volume(folder: Any) -> None:
    volume = first(folder)
    stored = nibabel.load(folder.root / "imagesTr" / "a.nii.gz").get_fdata()
    assert volume.image.dtype == numpy.float32 and volume.image.flags.c_contiguous
    numpy.testing.assert_array_equal(volume.image[0], stored.astype(numpy.float32))
    assert volume.labels is not None and volume.labels.dtype == numpy.uint8
    assert volume.spacing == (1.5, 2.0, 3.0)
    numpy.testing.assert_array_equal(volume.affine, folder.affine)


def test_spacing_follows_the_array_axes_when_the_affine_permutes_them(folder: Any) -> None:
    affine = numpy.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -5.0, 0.7, 0.9, 1.0
    for kind in ("images", "labels"):
        folder.nifti(f"{kind}Tr/a.nii.gz", numpy.zeros((5, 6, 4), dtype=numpy.uint8), affine)
    assert first(folder).spacing == pytest.approx((5.0, 0.7, 0.9))


def test_the_last_axis_of_a_4d_image_is_the_channel(folder: Any) -> None:
    image = numpy.random.default_rng(1).normal(size=(5, 6, 4, 2)).astype(numpy.float32)
    folder.nifti("imagesTr/a.nii.gz", image)
    folder.save(modality={"0": "T2", "1": "ADC"})
    numpy.testing.assert_array_equal(first(folder).image, numpy.moveaxis(image, -1, 0))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_colour_picture(folder: Any, ending: str) -> None:
    rng = numpy.random.default_rng(2)
    image, label = rng.integers(0, 256, (7, 9, 3), dtype=numpy.uint8), rng.integers(0, 3, (7, 9), dtype=numpy.uint8)
    folder.picture(f"imagesTr/a.{ending}", image)
    folder.picture(f"labelsTr/a.{ending}", label)
    training = [{"image": f"imagesTr/a.{ending}", "label": f"labelsTr/a.{ending}"}]
    folder.save(modality={"0": "R", "1": "G", "2": "B"}, training=training)
    volume = first(folder)
    numpy.testing.assert_array_equal(volume.image, numpy.moveaxis(image, -1, 0))
    numpy.testing.assert_array_equal(volume.labels, label)
    assert volume.spacing == (1.0, 1.0)


@pytest.mark.parametrize("grey", [True, False])
def test_images_with_a_palette_are_their_colours_and_labels_its_places(folder: Any, grey: bool) -> None:
    places = numpy.random.default_rng(2).integers(0, 3, (7, 9), dtype=numpy.uint8)
    palette = numpy.array([[200] * 3, [7] * 3, [90] * 3] if grey else [[9, 8, 7], [0, 255, 0], [1, 2, 3]], numpy.uint8)
    picture = Image.new("P", (9, 7))
    picture.putdata(places.ravel().tolist())
    picture.putpalette(palette.tobytes())
    for part in ("imagesTr", "labelsTr"):
        picture.save(folder.root / part / "a.png")
    channels = {"0": "grey"} if grey else {"0": "R", "1": "G", "2": "B"}
    folder.save(modality=channels, training=[{"image": "imagesTr/a.png", "label": "labelsTr/a.png"}])
    volume = first(folder)
    numpy.testing.assert_array_equal(volume.labels, places)
    numpy.testing.assert_array_equal(volume.image, numpy.moveaxis(palette[places], -1, 0)[: len(channels)])


def test_sixteen_bit_pictures_keep_their_range(folder: Any) -> None:
    image = numpy.array([[0, 65535], [1, 300]], dtype=numpy.uint16)
    pictures(folder, image, numpy.zeros((2, 2), dtype=numpy.uint8))
    numpy.testing.assert_array_equal(first(folder).image[0], image)


def test_float_labels_with_whole_numbers_are_labels(folder: Any) -> None:
    labels = numpy.random.default_rng(3).integers(0, 3, (5, 6, 4))
    folder.nifti("labelsTr/a.nii.gz", labels.astype(numpy.float32))
    numpy.testing.assert_array_equal(first(folder).labels, labels)


@pytest.mark.parametrize("slope", [0.9999999998, 1 / 3, 0.1, 1 / 255])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_labels_that_a_slope_leaves_beside_whole_numbers_are_rounded(folder: Any, slope: float, kind: Any) -> None:
    labels = numpy.random.default_rng(3).integers(0, 3, (5, 6, 4))
    labels[0, 0, :3] = 0, 1, 2
    picture = kind(numpy.round(labels / slope).astype(numpy.int16), folder.affine)
    picture.header.set_slope_inter(slope, 0)
    picture.header.set_data_dtype(numpy.int16)
    path = folder.root / "labelsTr" / "a.nii"
    picture.header["scl_slope"] = slope
    stored = bytearray(picture.to_bytes())
    where = slice(112, 116) if kind is nibabel.Nifti1Image else slice(176, 184)
    stored[where] = numpy.array([slope], "<f4" if kind is nibabel.Nifti1Image else "<f8").tobytes()
    path.write_bytes(bytes(stored))
    numpy.testing.assert_array_equal(read_labels(path).labels, labels)


@pytest.mark.parametrize(
    ("top", "stored", "expected"),
    [
        (32768, numpy.uint16, numpy.int32),
        (65535, numpy.uint16, numpy.int32),
        (65536, numpy.int32, numpy.int32),
        (4_000_000_000, numpy.uint32, numpy.int64),
        (70000, numpy.float32, numpy.int32),
    ],
)
def test_labels_of_instances_are_read_and_written(
    folder: Any, tmp_path: Path, top: int, stored: Any, expected: Any
) -> None:
    labels = numpy.zeros((5, 6, 4), dtype=stored)
    labels[1, 2, 3], labels[0, 0, 0] = top, 1
    folder.nifti("labelsTr/ids.nii.gz", labels)
    found = read_labels(folder.root / "labelsTr" / "ids.nii.gz").labels
    assert found.dtype == expected
    numpy.testing.assert_array_equal(found, labels)
    write_labels(tmp_path / "again.nii.gz", found, first(folder))
    numpy.testing.assert_array_equal(read_labels(tmp_path / "again.nii.gz").labels, labels)


def test_a_picture_that_cannot_hold_a_label_is_not_written(folder: Any, tmp_path: Path) -> None:
    pictures(folder, numpy.zeros((4, 4), dtype=numpy.uint8), numpy.zeros((4, 4), dtype=numpy.uint8))
    volume = first(folder)
    write_labels(tmp_path / "fits.png", numpy.full((4, 4), 65535), volume)
    assert read_labels(tmp_path / "fits.png").labels.min() == 65535
    with pytest.raises(ValueError, match=r"ids\.png: pictures hold labels up to 65535, found 65536"):
        write_labels(tmp_path / "ids.png", numpy.full((4, 4), 65536), volume)
    assert not (tmp_path / "ids.png").exists()


def test_black_and_white_pictures_are_labels(folder: Any) -> None:
    mask = numpy.random.default_rng(4).random((6, 9)) < 0.5
    pictures(folder, numpy.zeros((6, 9), dtype=numpy.uint8), mask)
    numpy.testing.assert_array_equal(first(folder).labels, mask)


def test_more_than_256_classes_need_int16(folder: Any) -> None:
    folder.save(labels={str(index): f"class {index}" for index in range(400)})
    folder.nifti("labelsTr/a.nii.gz", numpy.full((5, 6, 4), 399, dtype=numpy.int16))
    labels = first(folder).labels
    assert labels is not None and labels.dtype == numpy.int16 and labels.max() == 399


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii"])
@pytest.mark.parametrize("top", [2, 300])
def test_labels_written_are_read_back(folder: Any, tmp_path: Path, name: str, top: int) -> None:
    volume = first(folder)
    labels = numpy.zeros((5, 6, 4), dtype=numpy.int64)
    labels[2, 3, 1] = top
    write_labels(tmp_path / name, labels, volume)
    again = read_labels(tmp_path / name)
    numpy.testing.assert_array_equal(again.labels, labels)
    numpy.testing.assert_allclose(again.affine, volume.affine, atol=1e-6)
    assert again.spacing == volume.spacing


@pytest.mark.parametrize("top", [2, 300])
def test_pictures_written_are_read_back(folder: Any, tmp_path: Path, top: int) -> None:
    pictures(folder, numpy.zeros((7, 9), dtype=numpy.uint8), numpy.zeros((7, 9), dtype=numpy.uint8))
    labels = numpy.zeros((7, 9), dtype=numpy.int64)
    labels[2, 3] = top
    write_labels(tmp_path / "out.png", labels, first(folder))
    numpy.testing.assert_array_equal(read_labels(tmp_path / "out.png").labels, labels)


def test_equal_labels_are_equal_files(folder: Any, tmp_path: Path) -> None:
    volume = first(folder)
    for name in ("one/a.nii.gz", "two/b.nii.gz"):
        write_labels(tmp_path / name, numpy.ones((5, 6, 4), dtype=numpy.uint8), volume)
    assert (tmp_path / "one/a.nii.gz").read_bytes() == (tmp_path / "two/b.nii.gz").read_bytes()


def test_labels_of_another_shape_or_format_are_not_written(folder: Any, tmp_path: Path) -> None:
    volume = first(folder)
    with pytest.raises(ValueError, match=r"labels of shape \(2, 2\) do not fit the image \(5, 6, 4\)"):
        write_labels(tmp_path / "out/x.nii.gz", numpy.zeros((2, 2), dtype=numpy.uint8), volume)
    with pytest.raises(ValueError, match=r"x\.webp: not an image format"):
        write_labels(tmp_path / "out/x.webp", numpy.zeros((5, 6, 4), dtype=numpy.uint8), volume)
    assert not (tmp_path / "out").exists()


def test_a_label_outside_the_classes_names_case_and_classes(folder: Any) -> None:
    labels = numpy.zeros((5, 6, 4), dtype=numpy.uint8)
    labels[0, 0, 0] = 7
    folder.nifti("labelsTr/a.nii.gz", labels)
    with pytest.raises(ValueError, match=r"case 'a' has labels \[0, 7\], but the classes are .*1 liver, 2 tumour"):
        first(folder)


def test_black_and_white_masks_are_recognised_as_outside_the_classes(folder: Any) -> None:
    pictures(folder, numpy.zeros((4, 4), dtype=numpy.uint8), numpy.full((4, 4), 255, dtype=numpy.uint8))
    with pytest.raises(ValueError, match=r"labelsTr/a\.png: case 'a' has labels \[255\]"):
        first(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (numpy.full((5, 6, 4), 0.5, dtype=numpy.float32), "labels are not whole numbers"),
        (numpy.full((5, 6, 4), numpy.nan, dtype=numpy.float32), "labels are not whole numbers"),
        (numpy.full((5, 6, 4), -1, dtype=numpy.int16), "labels run from -1 to -1"),
        (numpy.full((5, 6, 4), 70000, dtype=numpy.int32), "labels run from 70000 to 70000"),
        (numpy.arange(120, dtype=numpy.uint8).reshape(5, 6, 4), "has 120 labels; labels run from 0 to 119"),
        (numpy.full((5, 6, 4), 1e12), r"labels run from 1e\+12 to 1e\+12, expected 0 to 4294967295"),
        (numpy.full((5, 6, 4), numpy.inf), "labels are not whole numbers"),
        (numpy.full((5, 6, 4), 0.99, dtype=numpy.float32), "not whole numbers .off by up to 0.01"),
        (numpy.full((5, 6, 4), 2.002), "not whole numbers .off by up to 0.002"),
        (numpy.zeros((5, 6, 3), dtype=numpy.uint8), r"shape \(5, 6, 3\) does not fit \(5, 6, 4\) of .*imagesTr/a"),
        (numpy.zeros((5, 6, 4, 2), dtype=numpy.uint8), r"shape \(5, 6, 4, 2\) does not fit"),
    ],
)
def test_a_label_map_that_does_not_fit_is_named(folder: Any, values: Any, message: str) -> None:
    folder.nifti("labelsTr/a.nii.gz", values)
    with pytest.raises(ValueError, match=rf"labelsTr/a\.nii\.gz: .*{message}"):
        first(folder)


def test_a_label_map_of_four_axes(folder: Any) -> None:
    folder.nifti("labelsTr/a.nii.gz", numpy.zeros((5, 6, 4, 2), dtype=numpy.uint8))
    with pytest.raises(ValueError, match=r"4 axes \(5, 6, 4, 2\), expected 3: one label per voxel"):
        read_labels(folder.root / "labelsTr" / "a.nii.gz")


def test_colour_labels(folder: Any) -> None:
    folder.picture("labelsTr/a.png", numpy.zeros((4, 4, 3), dtype=numpy.uint8))
    with pytest.raises(ValueError, match="3 axes"):
        read_labels(folder.root / "labelsTr" / "a.png")


@pytest.mark.parametrize(("shift", "fails"), [(0.0005, False), (0.01, True)])
def test_affines_agree_within_a_thousandth(folder: Any, shift: float, fails: bool) -> None:
    moved = folder.affine + numpy.eye(4, k=3) * shift
    folder.nifti("labelsTr/a.nii.gz", numpy.zeros((5, 6, 4), dtype=numpy.uint8), moved)
    if fails:
        with pytest.raises(ValueError, match=r"labelsTr/a.*: affine differs by 0\.01 from that of .*imagesTr/a"):
            first(folder)
    else:
        assert first(folder).labels is not None


@pytest.mark.parametrize("shift", [0.002, 0.0045])
@pytest.mark.parametrize("role", ["labelsTr/a.nii.gz", "imagesTr/second.nii.gz"])
def test_an_origin_a_little_off_is_told(folder: Any, shift: float, role: str) -> None:
    moved = folder.affine + numpy.eye(4, k=3) * shift
    folder.nifti(role, numpy.zeros((5, 6, 4), dtype=numpy.uint8), moved)
    if role.startswith("images"):
        both = {"image": ["imagesTr/a.nii.gz", role], "label": "labelsTr/a.nii.gz"}
        folder.save(training=[both], modality={"0": "T1", "1": "T2"})
    with pytest.warns(
        UserWarning, match=rf"{role}: affine differs by {shift} from that of .*; taken for the same grid"
    ):
        assert first(folder).labels is not None


@pytest.mark.parametrize(
    ("scale", "change", "message"),
    [
        (1.0, numpy.eye(4, k=3) * 0.006, "affine differs by 0.006 from"),
        (1e-3, numpy.eye(4, k=3) * 2e-4, "affine differs by 0.0002 from"),
        (1.0, numpy.diag([0.0009, 0, 0, 0]), r"affine differs by 0.0009 \(0.8991 mm at a corner\) from"),
    ],
    ids=["a hundredth of a millimetre", "a fifth of a micrometre voxel", "a spacing that adds up"],
)
def test_grids_that_truly_differ_are_refused(folder: Any, scale: float, change: Any, message: str) -> None:
    affine = numpy.diag([scale, scale, scale, 1.0])
    folder.nifti("imagesTr/a.nii.gz", numpy.zeros((1000, 2, 2), dtype=numpy.float32), affine)
    folder.nifti("labelsTr/a.nii.gz", numpy.zeros((1000, 2, 2), dtype=numpy.uint8), affine + change)
    with pytest.raises(ValueError, match=rf"labelsTr/a\.nii\.gz: {message}"):
        first(folder)


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf, 1e300])
def test_values_that_are_not_finite(folder: Any, bad: float) -> None:
    image = numpy.zeros((5, 6, 4))
    image[1, 1, 1:3] = bad
    folder.nifti("imagesTr/a.nii.gz", image)
    with pytest.raises(ValueError, match=r"imagesTr/a\.nii\.gz: image holds 2 values that are NaN or infinite"):
        first(folder)


def test_a_number_of_channels_other_than_announced(folder: Any) -> None:
    folder.nifti("imagesTr/a.nii.gz", numpy.zeros((5, 6, 4, 3), dtype=numpy.float32))
    with pytest.raises(ValueError, match=r"case 'a' has 3 channels, dataset\.json names 1 \(CT\)"):
        first(folder)


@pytest.mark.parametrize("kept", [0, 5, 60, -30, -9])
def test_a_truncated_volume_is_named(folder: Any, kept: int, capfd: Any) -> None:
    path = folder.root / "imagesTr" / "a.nii.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"imagesTr/a\.nii\.gz: cannot be read, is it cut short\?") as caught:
        first(folder)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"\x00" * 400, b"<html>not found</html>" * 50])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".png"])
def test_a_file_of_something_else_is_named(folder: Any, tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"label{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    with pytest.raises(ValueError, match=r"label\S+: cannot be read"):
        read_labels(path)


def test_a_header_that_is_repaired_is_not_talked_about(folder: Any, caplog: Any) -> None:
    folder.nifti("labelsTr/a.nii", numpy.ones((5, 6, 4), dtype=numpy.uint8))
    path = folder.root / "labelsTr" / "a.nii"
    content = bytearray(path.read_bytes())
    qform_code = slice(252, 254)
    content[qform_code] = (230).to_bytes(2, "little")
    path.write_bytes(bytes(content))
    assert read_labels(path).labels.min() == 1
    assert caplog.records == []


def test_damaged_bytes_are_named(folder: Any) -> None:
    path = folder.root / "imagesTr" / "a.nii.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"imagesTr/a\.nii\.gz"):
        first(folder)


def test_a_truncated_picture_is_named(folder: Any) -> None:
    pictures(folder, numpy.zeros((64, 64), dtype=numpy.uint8), numpy.zeros((64, 64), dtype=numpy.uint8))
    path = folder.root / "imagesTr" / "a.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"imagesTr/a\.png: cannot be read"):
        first(folder)


def test_a_moving_picture_is_refused(tmp_path: Path) -> None:
    more = [Image.new("L", (4, 4), 9)]
    Image.new("L", (4, 4)).save(tmp_path / "moving.png", save_all=True, append_images=more)
    with pytest.raises(ValueError, match=r"moving\.png: .*several pages"):
        read_labels(tmp_path / "moving.png")


def test_a_volume_with_a_picture_as_label(folder: Any) -> None:
    folder.picture("labelsTr/a.png", numpy.zeros((5, 6), dtype=numpy.uint8))
    folder.save(training=[{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.png"}])
    with pytest.raises(ValueError, match=r"a\.png: shape \(5, 6\) does not fit"):
        first(folder)

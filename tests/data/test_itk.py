"""MHA, MHD, NRRD and NHDR files: the same image in another format, and hostile ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy
import pytest

from lossodyssey.data import read_case, read_dataset, read_labels, write_labels
from lossodyssey.data.grids import is_volume, read_grid, write_array

sitk = pytest.importorskip("SimpleITK")

VALUES = numpy.random.default_rng(0).integers(0, 900, (5, 6, 4)).astype(numpy.int16)
LABELS = (VALUES % 3).astype(numpy.uint8)


def turned(degrees: float) -> list[float]:
    """A rotation about two axes with the third reversed, as ITK has it."""
    angle = numpy.deg2rad(degrees)
    cos, sin = numpy.cos(angle), numpy.sin(angle)
    about_z = numpy.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    about_x = numpy.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return (about_z @ about_x @ numpy.diag([1, -1, 1])).ravel().tolist()


def image(values: Any, direction: list[float] | None = None, **how: Any) -> Any:
    made = sitk.GetImageFromArray(values.transpose(2, 1, 0, *range(3, values.ndim)), **how)
    made.SetSpacing((0.7, 1.1, 3.0))
    made.SetOrigin((-12.5, 30.0, 7.25))
    made.SetDirection(direction or turned(0))
    return made


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("degrees", [0, 25, 140])
@pytest.mark.parametrize("tail", [".mha", ".mhd", ".nrrd", ".nhdr", ".MHA"])
def test_one_image_has_one_affine_in_every_format(tmp_path: Path, tail: str, degrees: float, packed: bool) -> None:
    made = image(VALUES, turned(degrees))
    sitk.WriteImage(made, str(tmp_path / "a.nii.gz"))
    lower = tmp_path / f"a{tail.lower()}"
    sitk.WriteImage(made, str(lower), useCompression=packed)
    path = lower.rename(tmp_path / f"a{tail}")
    nifti, found = read_grid(tmp_path / "a.nii.gz"), read_grid(path)
    numpy.testing.assert_array_equal(found.values, VALUES)
    numpy.testing.assert_allclose(found.affine, nifti.affine, atol=1e-5)
    assert found.spacing(3) == pytest.approx((0.7, 1.1, 3.0))
    assert is_volume(path) and not found.doubt


@pytest.mark.parametrize("tail", [".mha", ".nrrd"])
def test_what_is_written_is_read_with_the_same_affine(tmp_path: Path, tail: str) -> None:
    sitk.WriteImage(image(VALUES, turned(25)), str(tmp_path / "a.mha"))
    first = read_grid(tmp_path / "a.mha")
    write_array(tmp_path / f"b{tail}", LABELS, first.affine)
    second = read_grid(tmp_path / f"b{tail}")
    numpy.testing.assert_array_equal(second.values, LABELS)
    numpy.testing.assert_allclose(second.affine, first.affine, atol=1e-9)
    before = (tmp_path / f"b{tail}").read_bytes()
    write_array(tmp_path / f"b{tail}", LABELS, first.affine)
    assert (tmp_path / f"b{tail}").read_bytes() == before


@pytest.mark.parametrize("tail", [".mha", ".nrrd"])
def test_components_are_channels(tmp_path: Path, tail: str) -> None:
    values = numpy.random.default_rng(1).normal(size=(5, 6, 4, 2)).astype(numpy.float32)
    sitk.WriteImage(image(values, isVector=True), str(tmp_path / f"a{tail}"))
    numpy.testing.assert_array_equal(read_grid(tmp_path / f"a{tail}").values, values)
    with pytest.raises(ValueError, match=r"label map has 4 axes \(5, 6, 4, 2\), expected 3"):
        read_labels(tmp_path / f"a{tail}")


def test_two_axes_are_a_picture_with_rows_first(tmp_path: Path) -> None:
    made = sitk.GetImageFromArray(VALUES[..., 0])
    made.SetSpacing((0.25, 0.5))
    sitk.WriteImage(made, str(tmp_path / "a.mha"))
    found = read_grid(tmp_path / "a.mha")
    assert not is_volume(tmp_path / "a.mha")
    numpy.testing.assert_array_equal(found.values, VALUES[..., 0])
    assert found.spacing(2) == (0.5, 0.25)
    write_array(tmp_path / "b.nrrd", LABELS[..., 0], found.affine)
    numpy.testing.assert_array_equal(read_grid(tmp_path / "b.nrrd").affine, found.affine)


def test_a_series_of_volumes_is_refused_and_a_single_moment_is_not(tmp_path: Path) -> None:
    for count in (1, 3):
        moments = sitk.JoinSeries([image(VALUES)] * count)
        sitk.WriteImage(moments, str(tmp_path / f"{count}.mha"))
    numpy.testing.assert_array_equal(read_grid(tmp_path / "1.mha").values, VALUES)
    with pytest.raises(ValueError, match=r"3\.mha: has 4 axes \(5, 6, 4, 3\), expected 2 or 3"):
        read_grid(tmp_path / "3.mha")


def test_segments_of_slicer_are_read_unless_they_overlap(tmp_path: Path) -> None:
    sitk.WriteImage(image(LABELS), str(tmp_path / "a.seg.nrrd"), useCompression=True)
    numpy.testing.assert_array_equal(read_labels(tmp_path / "a.seg.nrrd").labels, LABELS)
    layers = numpy.stack([LABELS > 0, LABELS > 1], axis=-1).astype(numpy.uint8)
    sitk.WriteImage(image(layers, isVector=True), str(tmp_path / "b.seg.nrrd"))
    with pytest.raises(ValueError, match=r"b\.seg\.nrrd: holds segments in 2 layers that overlap"):
        read_labels(tmp_path / "b.seg.nrrd")


def test_a_header_without_directions_says_nothing_of_the_axes(tmp_path: Path) -> None:
    text = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 5 6 4\nspacings: 1 2 3\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + LABELS.tobytes(order="F"))
    found = read_labels(tmp_path / "a.nrrd")
    numpy.testing.assert_array_equal(found.labels, LABELS)
    assert found.spacing == (1, 2, 3) and "nothing of how its axes lie" in found.doubt


@pytest.mark.parametrize("tail", [".mha", ".nrrd", ".mhd", ".nhdr"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("cut", [1, 9, 60])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, tail: str, packed: bool, cut: int) -> None:
    path = tmp_path / f"a{tail}"
    sitk.WriteImage(image(VALUES), str(path), useCompression=packed)
    data = next((file for file in tmp_path.iterdir() if "raw" in file.name), path)
    data.write_bytes(data.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=rf"a\{tail}: .*cut short"):
        read_grid(path)


@pytest.mark.parametrize("tail", [".mha", ".nrrd"])
def test_no_flipped_bit_of_packed_values_changes_one(tmp_path: Path, tail: str) -> None:
    path = tmp_path / f"a{tail}"
    sitk.WriteImage(image(VALUES), str(path), useCompression=True)
    content = path.read_bytes()
    for place in range(len(content) - 150, len(content)):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        try:
            found = read_grid(path).values
        except ValueError:
            continue
        numpy.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize("size", ["30000 30000 30000", "900 900 900"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize(("tail", "key"), [(".mha", "DimSize ="), (".nrrd", "sizes:")])
def test_a_header_that_claims_too_much_is_refused(tmp_path: Path, tail: str, key: str, packed: bool, size: str) -> None:
    path = tmp_path / f"a{tail}"
    sitk.WriteImage(image(VALUES), str(path), useCompression=packed)
    content = re.sub(rf"{key} \d+ \d+ \d+".encode(), f"{key} {size}".encode(), path.read_bytes(), count=1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\{tail}: .*header claims"):
        read_grid(path)


def test_packed_values_beyond_the_claim_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    sitk.WriteImage(image(VALUES), str(path), useCompression=True)
    path.write_bytes(path.read_bytes().replace(b"DimSize = 5 6 4", b"DimSize = 5 6 3"))
    with pytest.raises(ValueError, match=r"a\.mha: its header claims 180 bytes, but it unpacks to more"):
        read_grid(path)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/hostname", "..\\secret.raw", "LIST", "a%03d.raw 1 4 1"])
@pytest.mark.parametrize("tail", [".mhd", ".nhdr", ".mha", ".nrrd"])
def test_values_outside_the_folder_are_not_read(tmp_path: Path, tail: str, name: str) -> None:
    (tmp_path / "secret.raw").write_bytes(VALUES.tobytes())
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / f"a{tail}"
    if tail in (".mhd", ".mha"):
        fields = "ObjectType = Image\nNDims = 3\nDimSize = 5 6 4\nElementType = MET_SHORT\n"
        path.write_text(f"{fields}ElementDataFile = {name}\n")
    else:
        fields = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 6 4\nendian: little\nencoding: raw\n"
        path.write_text(f"{fields}data file: {name}\n\n")
    with pytest.raises(ValueError, match=r"outside its folder|in several files"):
        read_grid(path)


@pytest.mark.parametrize(
    "trick",
    [
        "Comment =\nElementDataFile = LOCAL",
        "Comment\nElementDataFile = LOCAL",
        "elementdatafile = LOCAL",
        "Comment = ElementDataFile = LOCAL",
        "ElementSpacing = 1 1\nElementDataFile = LOCAL",
    ],
)
def test_a_second_place_of_the_values_is_not_hidden(tmp_path: Path, trick: str) -> None:
    (tmp_path / "secret.raw").write_bytes(VALUES.tobytes())
    (tmp_path / "set").mkdir()
    fields = "ObjectType = Image\nNDims = 3\nDimSize = 5 6 4\nElementType = MET_SHORT\n"
    (tmp_path / "set" / "a.mhd").write_text(f"{fields}{trick}\nElementDataFile = ../secret.raw\n")
    with pytest.raises(ValueError, match=r"a\.mhd: "):
        read_grid(tmp_path / "set" / "a.mhd")


def test_the_notes_that_itk_keeps_of_another_format_are_no_obstacle(tmp_path: Path) -> None:
    """Its writer copies the header of a NIfTI file to keys of its own, some of them without a value."""
    sitk.WriteImage(image(VALUES), str(tmp_path / "a.nii.gz"))
    for tail in (".mha", ".mhd", ".nrrd", ".nhdr"):
        sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / f"a{tail}"), useCompression=True)
        numpy.testing.assert_array_equal(read_grid(tmp_path / f"a{tail}").values, VALUES)
    assert b"dim[0] = 3" in (tmp_path / "a.mha").read_bytes()


def test_an_encoding_that_is_not_read_is_named(tmp_path: Path) -> None:
    text = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 5 6 4\nencoding: bzip2\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + b"BZh9")
    with pytest.raises(ValueError, match=r"a\.nrrd: encoding 'bzip2' is not read; save it as raw or gzip"):
        read_grid(tmp_path / "a.nrrd")


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sitk.WriteImage(image(VALUES), str(tmp_path / "a.mha"))
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    with pytest.raises(ValueError, match=r'a\.mha: \.mha files need SimpleITK.*pip install "\.\[formats\]"'):
        read_grid(tmp_path / "a.mha")


def test_a_case_in_two_formats_is_one_grid(folder: Any) -> None:
    made = image(VALUES, turned(25))
    sitk.WriteImage(sitk.Cast(made, sitk.sitkFloat32), str(folder.root / "imagesTr" / "a.mha"))
    sitk.WriteImage(image(LABELS, turned(25)), str(folder.root / "labelsTr" / "a.nrrd"))
    folder.save(training=[{"image": "imagesTr/a.mha", "label": "labelsTr/a.nrrd"}])
    dataset = read_dataset(folder.root)
    volume = read_case(dataset, dataset.cases[0])
    numpy.testing.assert_array_equal(volume.labels, LABELS)
    assert volume.spacing == pytest.approx((0.7, 1.1, 3.0))
    write_labels(folder.root / "out" / "a.nrrd", LABELS, volume)
    numpy.testing.assert_allclose(read_labels(folder.root / "out" / "a.nrrd").affine, volume.affine, atol=1e-9)
    with pytest.raises(ValueError, match=r"\.mhd files are read and not written; write \.mha"):
        write_labels(folder.root / "out" / "a.mhd", LABELS, volume)

"""Files as people have them: names, axes and headers that claim more than there is."""

from __future__ import annotations

import gzip
import resource
import struct
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy
import pytest
from PIL import Image

from lossodyssey.data import read_case, read_dataset, read_labels, write_labels
from lossodyssey.data.grids import ending, is_image, is_volume, read_grid, stem

LABELS = numpy.random.default_rng(0).integers(0, 3, (5, 6, 4)).astype(numpy.uint8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", ("a", ".nii.gz")),
        ("A.NII.GZ", ("A", ".NII.GZ")),
        ("scan.Nii", ("scan", ".Nii")),
        ("a.nii.b_seg.nii.gz", ("a.nii.b_seg", ".nii.gz")),
        ("slice.nii.png", ("slice.nii", ".png")),
        ("b.nii.gz.TIFF", ("b.nii.gz", ".TIFF")),
        ("1.2.840.PNG", ("1.2.840", ".PNG")),
        ("photo.JPeG", ("photo", ".JPeG")),
        ("liver.seg.nrrd", ("liver", ".seg.nrrd")),
        ("liver.mha", ("liver", ".mha")),
    ],
)
def test_a_name_is_parted_at_its_last_ending(name: str, expected: tuple[str, str]) -> None:
    path = Path("folder.nii") / name
    assert (stem(path), ending(path)) == expected
    assert is_image(path)


@pytest.mark.parametrize(
    ("name", "volume"), [("A.NII.GZ", True), ("a.nii", True), ("a.nii.png", False), ("a.jpg", False)]
)
def test_most_names_say_whether_an_image_is_a_volume(name: str, volume: bool) -> None:
    assert is_volume(Path(name)) is volume


def test_where_the_name_leaves_it_open_the_file_is_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.TIFF: no such file"):
        is_volume(tmp_path / "a.TIFF")


@pytest.mark.parametrize("name", [".nii.gz", ".a.png", "a.nii.txt", "a.gz", "nii"])
def test_other_names_are_no_images(name: str) -> None:
    assert not is_image(Path(name))


@pytest.mark.parametrize("name", ["A.NII.GZ", "a.NII", "a.Nii.Gz", "a.nii.GZ", "a.Nii", "a.nii.b_seg.nii.gz"])
def test_volumes_are_read_and_written_whatever_their_name(tmp_path: Path, folder: Any, name: str) -> None:
    plain = tmp_path / ("plain.nii.gz" if name.lower().endswith(".gz") else "plain.nii")
    nibabel.save(nibabel.Nifti1Image(LABELS, numpy.eye(4)), plain)
    plain.rename(tmp_path / name)
    numpy.testing.assert_array_equal(read_labels(tmp_path / name).labels, LABELS)
    dataset = read_dataset(folder.root)
    write_labels(tmp_path / "out" / name, LABELS, read_case(dataset, dataset.cases[0]))
    numpy.testing.assert_array_equal(read_labels(tmp_path / "out" / name).labels, LABELS)


@pytest.mark.parametrize("name", ["large.nii", "LARGE.NII.GZ", "Large.Nii.gz"])
def test_headers_of_the_second_version_are_read(tmp_path: Path, name: str) -> None:
    plain = tmp_path / ("plain.nii.gz" if name.lower().endswith(".gz") else "plain.nii")
    nibabel.save(nibabel.Nifti2Image(LABELS, numpy.eye(4)), plain)
    plain.rename(tmp_path / name)
    numpy.testing.assert_array_equal(read_labels(tmp_path / name).labels, LABELS)


@pytest.mark.parametrize("name", ["A.PNG", "slice.nii.png", "x.TIF"])
def test_pictures_are_read_whatever_their_name(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        Image.fromarray(LABELS[..., 0]).save(file, "TIFF" if name.endswith("TIF") else "PNG")
    numpy.testing.assert_array_equal(read_labels(tmp_path / name).labels, LABELS[..., 0])


@pytest.mark.parametrize("shape", [(5, 6, 4, 1), (5, 6, 4, 1, 1)])
def test_single_axes_behind_those_of_space_are_dropped(folder: Any, shape: tuple[int, ...]) -> None:
    folder.nifti("labelsTr/a.nii.gz", LABELS.reshape(shape))
    folder.nifti("imagesTr/a.nii.gz", LABELS.reshape(shape).astype(numpy.float32))
    dataset = read_dataset(folder.root)
    volume = read_case(dataset, dataset.cases[0])
    numpy.testing.assert_array_equal(volume.labels, LABELS)
    assert volume.image.shape == (1, 5, 6, 4)
    assert read_labels(folder.root / "labelsTr" / "a.nii.gz").labels.shape == (5, 6, 4)


@pytest.mark.parametrize("flat", [False, True])
def test_vector_images_of_itk_are_images_of_several_channels(folder: Any, flat: bool) -> None:
    image = numpy.random.default_rng(1).normal(size=(5, 6, 1 if flat else 4, 1, 2)).astype(numpy.float32)
    picture = nibabel.Nifti1Image(image, folder.affine)
    picture.header.set_intent("vector")
    nibabel.save(picture, folder.root / "imagesTr" / "a.nii.gz")
    folder.nifti("labelsTr/a.nii.gz", LABELS[:, :, :1] if flat else LABELS)
    folder.save(modality={"0": "T2", "1": "ADC"})
    dataset = read_dataset(folder.root)
    numpy.testing.assert_array_equal(
        read_case(dataset, dataset.cases[0]).image, numpy.moveaxis(image[:, :, :, 0], -1, 0)
    )


def test_a_series_of_vectors_is_refused(folder: Any) -> None:
    folder.nifti("imagesTr/a.nii.gz", numpy.zeros((5, 6, 4, 3, 2), dtype=numpy.float32))
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match=r"expected real numbers on 3 axes and one of channels"):
        read_case(dataset, dataset.cases[0])


def nifti_bytes(shape: tuple[int, ...], content: bytes) -> bytes:
    """A NIfTI file of bytes whose header claims `shape`."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(numpy.uint8)
    header.set_data_shape((1, 1, 1))
    raw = bytearray(header.binaryblock)
    raw[40:56] = struct.pack("<8h", 3, *shape, 1, 1, 1, 1)
    raw[108:112] = struct.pack("<f", 352)
    raw[344:348] = b"n+1\0"
    return bytes(raw) + b"\0" * 4 + content


def grown() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("name", ["bomb.nii.gz", "bomb.nii", "BOMB.NII.GZ"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((30000, 30000, 30000), "claims 30000 x 30000 x 30000 values; files of up to 2,147,483,648 are read"),
        ((2000, 1000, 1000), "is it cut short.* claims 2,000,000,352 bytes, but a file of .* holds at most"),
    ],
)
def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(
    tmp_path: Path, name: str, shape: tuple[int, ...], message: str
) -> None:
    content = nifti_bytes(shape, b"\0" * 1000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    before = grown()
    with pytest.raises(ValueError, match=rf"{name}: .*{message}"):
        read_grid(tmp_path / name)
    assert grown() - before < 100e6


@pytest.mark.parametrize("parts", [1, 3], ids=["one stream", "several streams"])
def test_a_file_that_unpacks_to_far_more_than_its_header_says_is_refused(tmp_path: Path, parts: int) -> None:
    path = tmp_path / "bomb.nii.gz"
    with path.open("wb") as file:
        file.write(gzip.compress(nifti_bytes((4, 4, 4), b"\1" * 64)) if parts > 1 else b"")
        with gzip.open(file, "wb", compresslevel=1) as stream:
            stream.write(nifti_bytes((4, 4, 4), b"\1" * 64) if parts == 1 else b"")
            for _ in range(200):
                stream.write(b"\0" * (1 << 20))
    before = grown()
    with pytest.raises(ValueError, match=r"bomb\.nii\.gz: its header claims 416 bytes, but it unpacks to more than"):
        read_labels(path)
    assert grown() - before < 50e6


def test_files_of_several_streams_and_with_a_little_behind_them_are_read(tmp_path: Path) -> None:
    content = nifti_bytes((4, 4, 4), b"\1" * 64)
    (tmp_path / "blocks.nii.gz").write_bytes(gzip.compress(content[:200]) + gzip.compress(content[200:]))
    (tmp_path / "padded.nii.gz").write_bytes(gzip.compress(content + b"\0" * 512))
    for name in ("blocks", "padded"):
        assert (read_labels(tmp_path / f"{name}.nii.gz").labels == 1).all()


def test_a_picture_that_claims_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("L", (100, 30)).save(tmp_path / "large.png")
    with pytest.raises(ValueError, match=r"large\.png: claims more than 2,000 pixels; cut the picture into tiles"):
        read_grid(tmp_path / "large.png")

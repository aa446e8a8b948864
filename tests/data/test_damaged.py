"""Files that are damaged, cut or more than readers say: refused, or read in full, but never read as something else."""

from __future__ import annotations

import gzip
import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy
import pytest
from PIL import Image

from lossodyssey.data import read_case, read_dataset, read_labels, write_labels
from lossodyssey.data.grids import read_grid

LABELS = numpy.random.default_rng(0).integers(0, 3, (12, 11, 10)).astype(numpy.uint8)


def volume(path: Path, values: Any = LABELS, kind: Any = nibabel.Nifti1Image) -> bytes:
    nibabel.save(kind(values, numpy.diag([1.0, 2.0, 3.0, 1.0])), path)
    return path.read_bytes()


@pytest.mark.parametrize("place", [-8, -5, -1], ids=["check sum", "check sum's end", "length"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii.gz", "A.NII.GZ", "a.Nii.gz"])
def test_a_wrong_check_sum_is_refused(tmp_path: Path, name: str, kind: Any, place: int) -> None:
    content = bytearray(volume(tmp_path / "plain.nii.gz", kind=kind))
    content[place] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: cannot be read, is it cut short\? Copy it again \((CRC|Incorrect)"):
        read_labels(tmp_path / name)


def test_no_flipped_bit_of_a_compressed_volume_changes_a_label(tmp_path: Path) -> None:
    content = volume(tmp_path / "a.nii.gz", LABELS.astype(numpy.float32))
    draw = random.Random(0)
    for place in draw.sample(range(len(content)), 300):
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        (tmp_path / "a.nii.gz").write_bytes(changed)
        try:
            found = read_grid(tmp_path / "a.nii.gz").values
        except ValueError:
            continue
        numpy.testing.assert_array_equal(found, LABELS)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("kept", [-1, -8, -9])
def test_a_file_that_is_cut_behind_its_values_is_refused(tmp_path: Path, kept: int, streams: int) -> None:
    plain = gzip.decompress(volume(tmp_path / "a.nii.gz"))
    parts = [plain] if streams == 1 else [plain[:700], plain[700:]]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(map(gzip.compress, parts))[:kept])
    with pytest.raises(ValueError, match=r"a\.nii\.gz: cannot be read, is it cut short\?"):
        read_labels(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("garbage", [b"garbage", b"<html>error</html>"])
def test_bytes_behind_a_whole_stream_are_said(tmp_path: Path, garbage: bytes) -> None:
    content = volume(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(content + garbage)
    with pytest.warns(UserWarning, match=r"a\.nii\.gz: bytes that are not of the file lie behind its end"):
        numpy.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").labels, LABELS)
    (tmp_path / "a.nii.gz").write_bytes(content + bytes(300))  # tapes pad files with zeros
    numpy.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").labels, LABELS)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_fewer_slices_than_there_are_is_said(tmp_path: Path, name: str) -> None:
    volume(tmp_path / name, numpy.zeros((32, 32, 9), numpy.int16))
    content = bytearray(
        gzip.decompress((tmp_path / name).read_bytes()) if name[-1] == "z" else (tmp_path / name).read_bytes()
    )
    content[46:48] = struct.pack("<h", 7)
    (tmp_path / name).write_bytes(gzip.compress(bytes(content)) if name[-1] == "z" else bytes(content))
    with pytest.warns(UserWarning, match=rf"{name}: its header claims 14,688 bytes, but it holds more"):
        assert read_labels(tmp_path / name).labels.shape == (32, 32, 7)


def png(depth: int, kind: int, rows: list[bytes], width: int) -> bytes:
    """A PNG file of rows of packed samples."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_labels_in_few_bits_are_the_numbers_that_were_stored(tmp_path: Path, depth: int) -> None:
    """Readers stretch 2 bits to 0, 85, 170, 255."""
    labels = numpy.random.default_rng(depth).integers(0, 2**depth, (7, 16)).astype(numpy.uint8)
    bits = (labels[..., None] >> numpy.arange(depth)[::-1]) & 1
    rows = [row.tobytes() for row in numpy.packbits(bits.reshape(7, -1).astype(bool), axis=1)]
    (tmp_path / "a.png").write_bytes(png(depth, 0, rows, 16))
    numpy.testing.assert_array_equal(read_labels(tmp_path / "a.png").labels, labels)


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_colours_of_sixteen_bits_are_refused_and_not_halved(tmp_path: Path, kind: int, channels: int) -> None:
    values = numpy.random.default_rng(0).integers(0, 65535, (5, 6, channels)).astype(">u2")
    (tmp_path / "a.png").write_bytes(png(16, kind, [row.tobytes() for row in values], 6))
    with pytest.raises(ValueError, match=r"a\.png: holds (RGB|LA|RGBA) of 16 bits, of which 8 would be read"):
        read_grid(tmp_path / "a.png")


def test_no_flipped_bit_of_a_png_changes_a_label(tmp_path: Path) -> None:
    Image.fromarray(LABELS[..., 0]).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for place in random.Random(0).sample(range(8 * len(content)), 300):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        (tmp_path / "a.png").write_bytes(changed)
        try:
            found = read_grid(tmp_path / "a.png").values
        except ValueError:
            continue
        numpy.testing.assert_array_equal(found, LABELS[..., 0])


def tiff(path: Path, values: Any) -> None:
    """A TIFF file of one strip; the writer at hand knows neither signed bytes nor large whole numbers."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width = values.shape
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8 * values.itemsize), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, values.nbytes), (339, 3, kind)]
    directory = b"".join(
        struct.pack("<HHI", tag, form, 1)
        + struct.pack("<HH" if form == 3 else "<I", *([value, 0] if form == 3 else [value]))
        for tag, form, value in entries
    )
    end = struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8 + values.nbytes) + values.tobytes() + end)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "uint32", "float32"])
def test_whole_numbers_of_a_tiff_keep_their_sign_and_size(tmp_path: Path, dtype: str) -> None:
    kind = numpy.dtype(dtype)
    low, high = (-1e30, 1e30) if kind.kind == "f" else (numpy.iinfo(kind).min, numpy.iinfo(kind).max)
    values = numpy.linspace(low, high, 30).astype(kind).reshape(5, 6)
    tiff(tmp_path / "a.tif", values)
    numpy.testing.assert_array_equal(read_grid(tmp_path / "a.tif").values, values)


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3)])
def test_transparency_is_named_where_it_is_a_channel_too_many(folder: Any, mode: str, channels: int) -> None:
    Image.new(mode, (6, 5)).save(folder.root / "imagesTr" / "a.png")
    Image.new("L", (6, 5)).save(folder.root / "labelsTr" / "a.png")
    names = {str(number): f"channel {number}" for number in range(channels)}
    folder.save(modality=names, training=[{"image": "imagesTr/a.png", "label": "labelsTr/a.png"}])
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match="the last is its transparency: save the picture without"):
        read_case(dataset, dataset.cases[0])


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128])], ids=["one place", "a table"])
def test_a_palette_with_transparency_is_its_colours_and_its_places(folder: Any, transparency: Any) -> None:
    places = numpy.random.default_rng(2).integers(0, 3, (7, 9), dtype=numpy.uint8)
    palette = numpy.array([[9, 8, 7], [0, 255, 0], [1, 2, 3]], numpy.uint8)
    picture = Image.frombytes("P", (9, 7), places.tobytes())
    picture.putpalette(palette.tobytes())
    for part in ("imagesTr", "labelsTr"):
        picture.save(folder.root / part / "a.png", transparency=transparency)
    training = [{"image": "imagesTr/a.png", "label": "labelsTr/a.png"}]
    folder.save(modality={"0": "R", "1": "G", "2": "B"}, training=training)
    dataset = read_dataset(folder.root)
    found = read_case(dataset, dataset.cases[0])
    numpy.testing.assert_array_equal(found.labels, places)
    numpy.testing.assert_array_equal(found.image, numpy.moveaxis(palette[places], -1, 0))


@pytest.mark.parametrize("silent", [True, False])
def test_predictions_say_of_their_axes_what_the_image_says(folder: Any, silent: bool) -> None:
    path = folder.root / "imagesTr" / "a.nii.gz"
    if silent:
        for part in ("imagesTr", "labelsTr"):
            picture = nibabel.load(folder.root / part / "a.nii.gz")
            picture = nibabel.Nifti1Image(numpy.asarray(picture.dataobj), None, picture.header)
            picture.set_sform(None, 0)
            picture.set_qform(None, 0)
            nibabel.save(picture, folder.root / part / "a.nii.gz")
    dataset = read_dataset(folder.root)
    found = read_case(dataset, dataset.cases[0])
    assert found.oriented is not silent
    write_labels(folder.root / "p.nii.gz", found.labels, found)
    written, image = nibabel.load(folder.root / "p.nii.gz"), nibabel.load(path)
    codes = int(written.header["sform_code"]), int(written.header["qform_code"])
    assert (codes == (0, 0)) is silent
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numpy.testing.assert_allclose(read_labels(folder.root / "p.nii.gz").affine, image.affine)

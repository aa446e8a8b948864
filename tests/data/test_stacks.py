"""TIFF files of several pages, as writers of several kinds leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import tifffile
from PIL import Image

from lossodyssey.data import read_case, read_dataset, read_labels, write_labels
from lossodyssey.data.grids import is_volume, read_grid

VALUES = numpy.random.default_rng(0).integers(0, 255, (6, 40, 50)).astype(numpy.uint8)
SAMPLES = {
    name: (numpy.random.default_rng(1).normal(scale=100, size=(4, 9, 11)) + 200).astype(name)
    for name in ("uint8", "int16", "uint16", "int32", "float32", "float64")
}


def pages(path: Path, values: Any, **how: Any) -> None:
    first, *rest = [Image.fromarray(page) for page in values]
    first.save(path, save_all=True, append_images=rest, **how)


WRITERS = {
    "plain": lambda path: tifffile.imwrite(path, VALUES),
    "page by page": lambda path: [tifffile.imwrite(path, page, append=True, metadata=None) for page in VALUES],
    "imagej": lambda path: tifffile.imwrite(path, VALUES, imagej=True, metadata={"axes": "ZYX"}),
    "ome": lambda path: tifffile.imwrite(path, VALUES, ome=True, metadata={"axes": "ZYX"}),
    "big": lambda path: tifffile.imwrite(path, VALUES, bigtiff=True),
    "deflate": lambda path: tifffile.imwrite(path, VALUES, compression="zlib", predictor=2),
    "tiles": lambda path: tifffile.imwrite(path, VALUES, tile=(16, 16), compression="zlib"),
    "lzw": lambda path: pages(path, VALUES, compression="tiff_lzw"),
    "pillow": lambda path: pages(path, VALUES),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_axes_of_a_stack_are_page_row_column(tmp_path: Path, writer: str) -> None:
    WRITERS[writer](tmp_path / "a.tif")
    found = read_grid(tmp_path / "a.tif")
    numpy.testing.assert_array_equal(found.values, VALUES)
    assert is_volume(tmp_path / "a.tif")
    assert found.affine.shape == (4, 4) and not found.sized and found.doubt


@pytest.mark.parametrize("dtype", SAMPLES)
def test_samples_keep_their_kind(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SAMPLES[dtype], photometric="minisblack")
    tifffile.imwrite(tmp_path / "flat.tif", SAMPLES[dtype][0])
    found = read_grid(tmp_path / "a.tif").values
    assert found.dtype == dtype
    numpy.testing.assert_array_equal(found, SAMPLES[dtype])
    numpy.testing.assert_array_equal(read_grid(tmp_path / "flat.tif").values, SAMPLES[dtype][0])


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colours_of_sixteen_bits_are_read_in_full(tmp_path: Path, planes: str) -> None:
    values = numpy.random.default_rng(0).integers(0, 65535, (20, 30, 3)).astype(numpy.uint16)
    stored = values if planes == "contig" else numpy.moveaxis(values, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planes)
    numpy.testing.assert_array_equal(read_grid(tmp_path / "a.tif").values, values)
    assert not is_volume(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("axes", "volume"), [("CYX", False), ("ZCYX", True), ("CZYX", True)], ids=lambda each: str(each)
)
def test_channels_come_last(tmp_path: Path, axes: str, volume: bool) -> None:
    shape = {"C": 2, "Z": 3, "Y": 8, "X": 9}
    values = numpy.arange(432).astype(numpy.uint16)[: 432 if volume else 144].reshape([shape[axis] for axis in axes])
    tifffile.imwrite(tmp_path / "a.tif", values, ome=True, metadata={"axes": axes})
    found = read_grid(tmp_path / "a.tif").values
    expected = numpy.einsum(f"{axes.lower()}->{'zyxc' if volume else 'yxc'}", values)
    numpy.testing.assert_array_equal(found, expected)
    assert is_volume(tmp_path / "a.tif") is volume


def test_moments_are_not_slices(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(ValueError, match=r"a\.tif: its pages are 6 moments \(T\), not slices"):
        read_grid(tmp_path / "a.tif")


def test_a_label_map_whose_axes_run_otherwise_is_refused(folder: Any) -> None:
    cube = numpy.zeros((6, 6, 6), numpy.uint8)
    folder.nifti("imagesTr/a.nii.gz", cube, numpy.eye(4))
    tifffile.imwrite(folder.root / "labelsTr" / "a.tif", cube, photometric="minisblack")
    folder.save(training=[{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.tif"}])
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match=r"a\.tif: not the same kind of file as .*a\.nii\.gz; convert one"):
        read_case(dataset, dataset.cases[0])


def test_pages_in_other_files_are_not_read(tmp_path: Path) -> None:
    """OME names the file of every page; a name that leads elsewhere must not be followed, nor a page left empty."""
    (tmp_path / "set").mkdir()
    tifffile.imwrite(tmp_path / "other.ome.tif", 0 * VALUES + 7, ome=True, metadata={"axes": "ZYX"})
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="50" SizeY="40" SizeZ="2" '
        'SizeC="1" SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="1"/>'
        '<TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:a</UUID></TiffData>'
        '<TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="../other.ome.tif">urn:uuid:b</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "set" / "a.ome.tif", VALUES[0], description=text, metadata=None)
    with pytest.raises(ValueError, match=r"a\.ome\.tif: its pages are in 2 files; save them in one"):
        read_grid(tmp_path / "set" / "a.ome.tif")


def test_pages_of_different_sizes_are_refused(tmp_path: Path) -> None:
    for page in (VALUES[0], VALUES[1, :20]):
        tifffile.imwrite(tmp_path / "a.tif", page, append=True, metadata=None)
    with pytest.raises(ValueError, match=r"a\.tif: holds 2 pictures of different sizes.*40 x 50, 20 x 50"):
        read_grid(tmp_path / "a.tif")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("part", [0.2, 0.55, 0.9])
def test_a_stack_that_is_cut_is_never_read_as_a_shorter_one(tmp_path: Path, writer: str, part: float) -> None:
    WRITERS[writer](tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"a\.tif: "):
        read_grid(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "shape", [(30000, 30000, 30000), (600, 2000, 1500)], ids=["beyond the limit", "beyond the file"]
)
def test_a_stack_that_claims_too_much_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    count, height, width = shape
    text = f'{{"shape": [{count}, {height}, {width}]}}'.encode()
    tifffile.imwrite(tmp_path / "a.tif", VALUES[0], metadata=None, description=text.decode(), rowsperstrip=1 << 20)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for tag, value in ((256, width), (257, height)):
        place = content.find(tag.to_bytes(2, "little"), 8)
        content[place + 8 : place + 12] = value.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tif: .*header claims"):
        read_grid(tmp_path / "a.tif")


@pytest.mark.parametrize("how", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_lzma"])
def test_stacks_without_an_object_pack_well_and_are_read(tmp_path: Path, how: str) -> None:
    pages(tmp_path / "a.tif", numpy.zeros((3, 2000, 2000), numpy.uint8), compression=how)
    assert read_grid(tmp_path / "a.tif").values.shape == (3, 2000, 2000)


def test_white_that_is_stored_as_zero_is_read_alike_in_one_page_and_in_many(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", VALUES[0], photometric="miniswhite")
    tifffile.imwrite(tmp_path / "many.tif", VALUES, photometric="miniswhite")
    numpy.testing.assert_array_equal(read_grid(tmp_path / "one.tif").values, read_grid(tmp_path / "many.tif").values[0])


def test_labels_are_written_as_a_stack_with_their_spacing(folder: Any) -> None:
    labels = (VALUES % 3).astype(numpy.uint8)
    for part, values in (("imagesTr", VALUES), ("labelsTr", labels)):
        tifffile.imwrite(folder.root / part / "a.tif", values)
    (folder.root / "imagesTr" / "a.json").write_text('{"spacing": [2, 0.5, 0.25]}')
    folder.save(training=[{"image": "imagesTr/a.tif", "label": "labelsTr/a.tif"}])
    dataset = read_dataset(folder.root)
    volume = read_case(dataset, dataset.cases[0])
    assert volume.image.shape == (1, 6, 40, 50) and volume.spacing == (2, 0.5, 0.25)
    numpy.testing.assert_array_equal(volume.labels, labels)
    write_labels(folder.root / "out" / "a.tif", labels, volume)
    found = read_labels(folder.root / "out" / "a.tif")
    numpy.testing.assert_array_equal(found.labels, labels)
    assert found.spacing == (2, 0.5, 0.25)
    numpy.testing.assert_array_equal(tifffile.imread(folder.root / "out" / "a.tif"), labels)


def test_compression_without_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES, compression="zlib")

    def missing(series: Any, **_: Any) -> Any:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", missing)
    with pytest.raises(ValueError, match=r'a\.tif: its compression .* pip install "\.\[formats\]"'):
        read_grid(tmp_path / "a.tif")

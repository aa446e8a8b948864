"""Wrong sources, damaged files, a full disk and Ctrl-C: said with the name in the source, and nothing is left."""

from __future__ import annotations

import errno
import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy
import pytest

from lossodyssey.data.prepare import archives, checking, placing, writing
from lossodyssey.data.prepare.recipe import Recipe
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import prepare

from .builders import ARCHIVES, SHAPE, decathlon, kits19, lits, organs, packed, write


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize("kind", ["", ".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["LiTS", "KiTS19", "ACDC2017", "BraTS2018", "NIH_Pancreas-CT", "odyssey-liver"])
def test_another_archive_is_told_from_the_right_one(name: str, kind: str, tmp_path: Path) -> None:
    folders = decathlon("Task02_Heart", "la", 1, ("left atrium",))(tmp_path / "in")
    sources = packed(folders, kind) if kind else folders
    with pytest.raises(ValueError, match=rf"no case of {name} in the sources.*; looked for .*") as caught:
        prepare(find_recipe(name), sources, tmp_path / "out")
    assert f"found Task02_Heart{kind}/" in str(caught.value) and find_recipe(name).origin in str(caught.value)
    assert everything(tmp_path / "out") == []


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="found no file at all"):
        prepare(find_recipe("KiTS19"), [tmp_path / "in"], tmp_path / "out")


def test_cases_that_are_not_whole_are_left_out_and_told(tmp_path: Path) -> None:
    folders = kits19(tmp_path / "in")
    (tmp_path / "in/kits19/data/case_00004/segmentation.nii.gz").unlink()
    done = prepare(find_recipe("KiTS19"), folders, tmp_path / "out")
    assert done.training + done.test == 9
    assert any(
        "left out, with an image but no label file: 2 of the cases, case_00004, case_00210" in n for n in done.notes
    )
    assert any("9 cases, the whole of KiTS19 has 210" in note for note in done.notes)


@pytest.mark.parametrize("role", ["imaging", "segmentation"])
def test_a_header_that_claims_more_than_can_be_meant(role: str, tmp_path: Path) -> None:
    folders = kits19(tmp_path / "in")
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    with gzip.open(tmp_path / f"in/kits19/data/case_00003/{role}.nii.gz", "wb") as file:
        file.write(header.binaryblock + bytes(4) + bytes(1000))
    with pytest.raises(ValueError, match=r"case_00003.*30000 x 30000 x 30000 values"):
        prepare(find_recipe("KiTS19"), folders, tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_a_file_that_is_cut_short_is_named_as_in_its_archive(tmp_path: Path) -> None:
    (folder,) = kits19(tmp_path / "in")
    file = folder / "data/case_00002/imaging.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(
        ValueError, match=r"^kits19\.zip/kits19/data/case_00002/segmentation.*case_00002.nii.gz: cannot be read"
    ):
        prepare(find_recipe("KiTS19"), packed([folder], ".zip"), tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_an_image_of_another_shape_than_its_labels(tmp_path: Path) -> None:
    folders = kits19(tmp_path / "in")
    write(tmp_path / "in/kits19/data/case_00001/segmentation.nii.gz", organs(1)[1:])
    with pytest.raises(ValueError, match=r"case_00001.*shape"):
        prepare(find_recipe("KiTS19"), folders, tmp_path / "out")


def test_a_label_without_a_class(tmp_path: Path) -> None:
    folders = lits(tmp_path / "in")
    write(tmp_path / "in/Training_Batch1/Training Batch 1/segmentation-2.nii", organs(1, 7))
    with pytest.raises(ValueError, match=r"segmentation-2\.nii: has label 7; expected 0, 1, 2"):
        prepare(find_recipe("LiTS_tumour"), folders, tmp_path / "out")
    with pytest.raises(ValueError, match=r"segmentation-2\.nii: .*has labels \[0, 1, 7\]"):
        prepare(find_recipe("LiTS"), folders, tmp_path / "out")


def test_labels_that_are_of_another_scan(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    folders = ARCHIVES["NIH_Pancreas-CT"].build(tmp_path / "in")
    values = numpy.zeros(SHAPE, numpy.uint8)
    values[:, :, 6:] = 1
    write(folders[1] / "label0002.nii.gz", values)
    with pytest.raises(ValueError, match=r"label0002\.nii\.gz: 67% of the labelled voxels lie in air"):
        prepare(find_recipe("NIH_Pancreas-CT"), folders, tmp_path / "out")
    write(folders[1] / "label0002.nii.gz", values[1:])
    with pytest.raises(ValueError, match=r"label0002\.nii\.gz: shape \(11, 10, 8\) does not fit"):
        prepare(find_recipe("NIH_Pancreas-CT"), folders, tmp_path / "out")


def test_a_series_that_lacks_a_slice_in_its_middle(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    folders = ARCHIVES["NIH_Pancreas-CT"].build(tmp_path / "in")
    next((folders[0] / "PANCREAS_0003").rglob("*-004.dcm")).unlink()
    with pytest.raises(ValueError, match=r"PANCREAS_0003.*: its slices lie 3 to 6 mm apart; is a slice missing\?"):
        prepare(find_recipe("NIH_Pancreas-CT"), folders, tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_an_archive_that_is_given_twice(tmp_path: Path) -> None:
    (folder,) = kits19(tmp_path / "in")
    shutil.copytree(folder, tmp_path / "copy" / "kits19")
    done = prepare(find_recipe("KiTS19"), [folder], tmp_path / "out")
    with pytest.raises(ValueError, match=r"case_00000/imaging\.nii\.gz is in the sources twice"):
        prepare(find_recipe("KiTS19"), [folder, tmp_path / "copy"], tmp_path / "other")
    with pytest.raises(FileExistsError, match="exists already; remove it, or choose another folder with -o"):
        prepare(find_recipe("KiTS19"), [folder], tmp_path / "out")
    assert done.folder.is_dir()


def test_a_layout_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="form 'bids'; expected one of msd, nnunet"):
        prepare(find_recipe("KiTS19"), kits19(tmp_path / "in"), tmp_path / "out", "bids")


STOPS: list[tuple[object, str]] = [
    (archives, "_write"),
    (placing, "_bring"),
    (writing, "write_facts"),
    (checking, "read_case"),
    (writing, "write_manifest"),
]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
@pytest.mark.parametrize(("module", "name"), STOPS, ids=[name for _, name in STOPS])
def test_nothing_is_left_when_it_stops_in_the_middle(
    module: object, name: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its second call a part of the work is stopped, as by Ctrl-C or a full disk."""
    real: Callable[..., object] = getattr(module, name)
    calls = []

    def stop(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        if len(calls) == 2 or name.startswith("write_"):
            raise error
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, stop)
    with pytest.raises(type(error)):
        prepare(find_recipe("KiTS19"), packed(kits19(tmp_path / "in"), ".zip"), tmp_path / "out")
    assert calls and everything(tmp_path / "out") == []


def test_the_files_of_the_user_stay_as_they_are(tmp_path: Path) -> None:
    folders = lits(tmp_path / "in")
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()}
    prepare(find_recipe("LiTS_tumour"), folders, tmp_path / "out", "nnunet")
    assert {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()} == before


def with_ratio(least: float, most: float) -> Recipe:
    return replace(find_recipe("LiTS_tumour"), ratios=(least, most))


def test_a_class_that_is_far_rarer_than_published_is_told(tmp_path: Path) -> None:
    folders = lits(tmp_path / "in")
    voxels = organs(1, 2)
    ratio = (voxels != 2).sum() / (voxels == 2).sum()
    fitting = prepare(with_ratio(ratio, ratio), folders, tmp_path / "fitting")
    assert not any("published are" in note for note in fitting.notes)
    far = prepare(with_ratio(ratio * 3, ratio * 4), folders, tmp_path / "far")
    expected = (
        f"class 1 tumour: {ratio:.0f} background voxels for one, published are {ratio * 3:g}:1 to {ratio * 4:g}:1"
    )
    assert expected in far.notes
    assert json.loads((far.folder / "manifest.json").read_text())["voxels"]["1"] == 10 * (voxels == 2).sum()


def test_a_class_that_never_occurs_is_told(tmp_path: Path) -> None:
    folders = kits19(tmp_path / "in")
    for file in (tmp_path / "in").rglob("segmentation.nii.gz"):
        write(file, organs(1))
    assert "class 2 tumour occurs in no case" in prepare(find_recipe("KiTS19"), folders, tmp_path / "out").notes

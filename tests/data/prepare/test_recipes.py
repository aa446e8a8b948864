"""Every recipe on small files laid out as its archive: from folders and from archives, to both layouts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy
import pytest

from lossodyssey.data import read_case, read_dataset
from lossodyssey.data.divisions import read_folds
from lossodyssey.data.prepare.registry import find_recipe, recipes
from lossodyssey.data.prepare.writing import prepare

from .builders import ARCHIVES, ORGAN, body, organs, packed, series, write

NEEDS_DICOM = {"NIH_Pancreas-CT", "MultiOrgan_Gibson", "odyssey-pancreas", "odyssey-multi-organ"}
pytestmark = pytest.mark.usefixtures("small_sources")


def sources(name: str, root: Path, kind: str) -> list[Path]:
    if name in NEEDS_DICOM:
        pytest.importorskip("SimpleITK")
    folders = ARCHIVES[name].build(root)
    return packed(folders, kind) if kind else folders


@pytest.mark.parametrize("form", ["msd", "nnunet"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_folder_becomes_a_data_set(name: str, form: str, tmp_path: Path) -> None:
    expected = ARCHIVES[name]
    done = prepare(find_recipe(name), sources(name, tmp_path / "in", ""), tmp_path / "out", form)
    dataset = read_dataset(done.folder)
    assert done.training + done.test == expected.cases
    assert len(dataset.cases) == (done.training if form == "nnunet" else expected.cases)
    assert len(dataset.classes) - 1 == expected.classes and len(dataset.channels) == expected.channels
    if not name.startswith("odyssey"):
        assert done.test == expected.test
    for case in dataset.cases:
        volume = read_case(dataset, case)
        assert volume.labels is not None and volume.labels[volume.image[0] > -100].any()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [done.folder.name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("LiTS", ".zip"), ("ACDC2017", ".tar"), ("Task05_Prostate", ".tar.gz"), ("NIH_Pancreas-CT", ".tgz")],
)
def test_archives_give_what_their_folders_give(name: str, kind: str, tmp_path: Path) -> None:
    folders = sources(name, tmp_path / "in", "")
    plain = prepare(find_recipe(name), folders, tmp_path / "plain")
    archived = prepare(find_recipe(name), packed(folders, kind), tmp_path / "archived")
    first, second = (json.loads((done.folder / "manifest.json").read_text()) for done in (plain, archived))
    assert first["files"] == second["files"] and not first["archives"]
    for archive, digest in second["archives"].items():
        assert hashlib.sha256((tmp_path / "in" / archive).read_bytes()).hexdigest() == digest


def test_a_folder_of_archives_is_read_like_the_archives(tmp_path: Path) -> None:
    for folder in ARCHIVES["LiTS"].build(tmp_path / "built"):
        (archive,) = packed([folder], ".zip")
        (tmp_path / "downloads").mkdir(exist_ok=True)
        archive.rename(tmp_path / "downloads" / archive.name)
    done = prepare(find_recipe("lits"), [tmp_path / "downloads"], tmp_path / "out")
    assert done.training + done.test == 10


@pytest.mark.parametrize("form", ["msd", "nnunet"])
def test_the_manifest_has_the_checksum_of_every_file(form: str, tmp_path: Path) -> None:
    done = prepare(find_recipe("acdc"), sources("ACDC2017", tmp_path / "in", ""), tmp_path / "out", form)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    files = {path.relative_to(done.folder).as_posix(): path for path in done.folder.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
    assert manifest["recipe"] == "ACDC2017" and manifest["cases"]["patient001_frame01"].endswith("_frame01_gt.nii.gz")


def test_both_frames_of_a_patient_stay_together(tmp_path: Path) -> None:
    done = prepare(find_recipe("acdc"), sources("ACDC2017", tmp_path / "in", ""), tmp_path / "out")
    dataset = read_dataset(done.folder)
    assert {case.group for case in dataset.cases} == {f"patient{number:03d}" for number in (1, 2, 3, 4, 5, 101, 102)}
    (division,) = read_folds(dataset, done.folder / "splits_final.json")
    assert {name[:10] for name in division.scored} == {"patient101", "patient102"}
    facts = json.loads((done.folder / "cases.json").read_text())
    assert [facts[f"patient003_frame{frame}"]["phase"] for frame in ("01", "09")] == ["ED", "ES"]
    assert facts["patient003_frame01"]["pathology"] == "DCM"


def test_labels_are_numbered_as_the_classes(tmp_path: Path) -> None:
    folders = sources("BraTS2020", tmp_path / "in", "")
    dataset = read_dataset(prepare(find_recipe("brats2020"), folders, tmp_path / "out").folder)
    volume = read_case(dataset, dataset.cases[0])
    assert (
        volume.labels is not None
        and volume.labels[ORGAN][0, 0, 0] == 1
        and set(numpy.unique(volume.labels)) == {0, 1, 2, 3}
    )
    assert [(region.name, region.labels) for region in dataset.regions] == [
        ("whole tumour", (1, 2, 3)),
        ("tumour core", (2, 3)),
        ("enhancing tumour", (3,)),
    ]


def test_the_misnamed_labels_of_brats_are_found_and_told(tmp_path: Path) -> None:
    done = prepare(find_recipe("BraTS 2020"), sources("BraTS2020", tmp_path / "in", ".zip"), tmp_path / "out")
    assert "BraTS20_Training_355" in {case.name for case in read_dataset(done.folder).cases}
    assert any("W39_1998.09.19_Segm.nii is misnamed" in note for note in done.notes)


def test_labels_that_contradict_the_header_of_their_image_are_told(tmp_path: Path) -> None:
    done = prepare(find_recipe("LiTS"), sources("LiTS", tmp_path / "in", ""), tmp_path / "out")
    told = [note for note in done.notes if "labels were given that of the image" in note]
    assert sorted(note.split(":")[0] for note in told) == [f"case lits_{number:03d}" for number in (0, 3, 6, 9)]


def test_labels_that_lie_in_air_are_mirrored_and_told(tmp_path: Path) -> None:
    done = prepare(find_recipe("nih pancreas"), sources("NIH_Pancreas-CT", tmp_path / "in", ""), tmp_path / "out")
    told = [note for note in done.notes if "mirrored" in note]
    assert len(told) == 1 and told[0].startswith("case pancreas_0006: labels mirrored along axis 1")


def test_the_slices_that_hold_a_label_keep_their_place(tmp_path: Path) -> None:
    folders = sources("KiTS19", tmp_path / "in", "")
    whole = read_dataset(prepare(find_recipe("KiTS19"), folders, tmp_path / "out").folder)
    some = read_dataset(prepare(find_recipe("KiTS19_labelled_slices"), folders, tmp_path / "out").folder)
    first, second = (read_case(dataset, dataset.cases[0]) for dataset in (whole, some))
    assert numpy.array_equal(first.image[:, ORGAN[0]], second.image)
    assert numpy.allclose(second.affine @ [0, 0, 0, 1], first.affine @ [ORGAN[0].start, 0, 0, 1])


@pytest.mark.parametrize("name", ["KiTS19_labelled_slices", "NIH_Pancreas-CT"])
def test_files_that_were_mended_meanwhile_are_read_again(name: str, tmp_path: Path) -> None:
    folders = sources(name, tmp_path / "in", "")
    before = prepare(find_recipe(name), folders, tmp_path / "before")
    if name == "NIH_Pancreas-CT":
        series(next((folders[0] / "PANCREAS_0006").rglob("*.dcm")).parent, body(99))
    else:
        labels = organs(1, 2)
        labels[8, 1, 1] = 1
        write(folders[0] / "data/case_00009/segmentation.nii.gz", labels)
    after = prepare(find_recipe(name), folders, tmp_path / "after")
    last = read_dataset(before.folder).cases[-1]
    images = [
        numpy.asarray(read_case(read_dataset(done.folder), case).image)
        for done in (before, after)
        for case in read_dataset(done.folder).cases
        if case.name == last.name
    ]
    assert images[0].shape != images[1].shape or not numpy.array_equal(images[0], images[1])


def test_every_recipe_of_volumes_is_tried_or_a_task_like_those_that_are() -> None:
    volumes = {recipe.name for recipe in recipes().values() if recipe.ending == ".nii.gz"}
    assert {name for name in volumes if not name.startswith("Task")} <= set(ARCHIVES)
    for recipe in recipes().values():
        assert recipe.origin and recipe.layout and recipe.reference and recipe.licence, recipe.name

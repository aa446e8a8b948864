"""One planted fault at a time is found, named, and found alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from lossodyssey.data.grids import write_array

from .conftest import COUNT, SHAPES, Made, one, scene

RNG = np.random.default_rng(7)


def recoded(image: np.ndarray, gain: float) -> np.ndarray:
    """Save planes as JPEG and read them again, brightened."""
    planes = image[..., None] if image.ndim == 2 else image
    done = []
    for plane in np.moveaxis(planes, -1, 0):
        file = io.BytesIO()
        Image.fromarray(plane).save(file, "JPEG", quality=60)
        done.append(np.asarray(Image.open(file)))
    bright = np.clip(np.stack(done, -1) * gain + 5, 0, 255).astype(np.uint8)
    return bright[..., 0] if image.ndim == 2 else bright


def test_a_clean_set_has_no_finding(made: Made) -> None:
    assert made.check().findings == ()


def test_exchanged_label_files_of_two_cases(made: Made) -> None:
    made.exchange(made.path("label", "c02"), made.path("label", "c07"))
    found = made.check()
    own = one(found, "warning", "pairing")
    assert own.cases == ("c02", "c07") and "seem exchanged" in own.seen and "fit" in own.seen
    assert len(found.findings) == 1


def test_exchanged_label_files_of_other_shapes(made: Made) -> None:
    larger = tuple(size + 6 for size in SHAPES[made.dims])
    made.add("d", *scene(np.random.default_rng(99), larger))
    made.exchange(made.path("label", "c02"), made.path("label", "d"))
    found = made.check()
    assert {own.cases for own in found.findings if own.severity == "error"} == {("c02",), ("d",)}
    assert one(found, "warning", "pairing").cases == ("c02", "d")


def test_image_and_label_of_a_case_exchanged(made: Made) -> None:
    made.exchange(made.path("label", "c05"), made.path("image", "c05"))
    found = made.check()
    assert one(found, "error", "pairing").cases == ("c05",)
    assert "as a label map does" in one(found, "warning", "pairing").seen


def test_a_label_map_of_another_case_copied(made: Made) -> None:
    made.path("label", "c03").write_bytes(made.path("label", "c04").read_bytes())
    assert one(made.check(), "warning", "pairing", "same label map").cases == ("c03", "c04")


@pytest.mark.parametrize("depth", [1, 12], ids=["slice", "volume"])
def test_a_flipped_affine(tmp_path: Path, depth: int) -> None:
    made = Made(tmp_path, 3)
    for kind in ("image", "label"):
        for name in made.names:
            made.write(kind, name, made.read(kind, name)[..., :depth])
    flipped = np.diag([-1.5, 1.5, 3.0, 1.0])
    made.write("label", "c01", made.read("label", "c01"), flipped)
    own = one(made.check(), "error", "geometry")
    assert own.cases == ("c01",) and "axis 0 runs the other way" in own.seen


@pytest.mark.parametrize("change", [(0, 3, 7.5), (1, 1, 1.8)], ids=["origin", "spacing"])
def test_an_affine_of_another_place_or_spacing(tmp_path: Path, change: tuple[int, int, float]) -> None:
    made = Made(tmp_path, 3)
    moved = made.affine.copy()
    moved[change[:2]] = change[2]
    made.write("label", "c01", made.read("label", "c01"), moved)
    assert one(made.check(), "error", "geometry").cases == ("c01",)


def test_label_maps_that_are_all_flipped(made: Made) -> None:
    for name in made.names:
        made.write("label", name, np.ascontiguousarray(made.read("label", name)[::-1]))
    own = one(made.check(), "warning", "pairing")
    assert own.cases == () and "flipped along axis 0" in own.seen


def test_one_flipped_label_map(tmp_path: Path) -> None:
    made = Made(tmp_path, 2)
    made.write("label", "c06", np.ascontiguousarray(made.read("label", "c06")[:, ::-1]))
    own = one(made.check(), "warning", "pairing")
    assert own.cases == ("c06",) and "flipped along axis 1" in own.seen


@pytest.mark.parametrize("label", [3, 255])
def test_a_label_out_of_range(made: Made, label: int) -> None:
    labels = made.read("label", "c08").copy()
    labels.flat[5:9] = label
    made.write("label", "c08", labels)
    own = one(made.check(), "error", "labels")
    assert own.cases == ("c08",) and f"4 voxels have labels that are not classes: {label}" in own.seen


def test_labels_that_are_not_whole(tmp_path: Path) -> None:
    made = Made(tmp_path, 3)
    made.write("label", "c08", zoom(made.read("label", "c08").astype(np.float32), 1.0) * np.float32(0.7))
    assert "not whole numbers" in one(made.check(), "error", "labels").seen


def test_a_class_that_never_occurs(made: Made) -> None:
    made.settings["labels"]["3"] = "vessel"
    made.save()
    assert "class 3 vessel occurs in none of 12" in one(made.check(), "warning", "labels").seen
    made.settings["labels"]["4"] = "duct"
    made.save()
    assert "2 classes (3 vessel, 4 duct) occur in none" in one(made.check(), "warning", "labels").seen


def test_an_empty_label_map_is_a_note(made: Made) -> None:
    made.write("label", "c00", np.zeros(SHAPES[made.dims], np.uint8))
    found = made.check()
    assert one(found, "note", "labels").cases == ("c00",) and not found.errors


def test_a_patient_in_two_folds(made: Made) -> None:
    made.text("cases.json", {"c00": {"group": "ann"}, "c01": {"group": "ann"}, "c02": {"group": "bob"}})
    made.text("splits_final.json", [{"train": made.names[1:], "val": ["c00"]}])
    own = one(made.check(), "error", "leakage")
    assert own.cases == ("c00", "c01") and "one patient or group" in own.seen


def test_a_case_on_both_sides_of_a_fold(made: Made) -> None:
    made.text("splits_final.json", [{"train": made.names, "val": ["c03"]}])
    own = one(made.check(), "error", "leakage")
    assert own.cases == ("c03",) and "one case" in own.seen


def test_a_patient_in_a_fold_and_in_the_test_part(made: Made) -> None:
    made.text("cases.json", {"c00": {"group": "ann"}, "c11": {"group": "ann"}})
    made.text("splits_final.json", [{"train": made.names[1:11], "val": ["c00"], "test": ["c11"]}])
    own = one(made.check(), "error", "leakage")
    assert own.cases == ("c00", "c11") and "the test part of splits_final.json" in own.seen


def test_folds_that_name_unknown_cases_and_leave_some_out(made: Made) -> None:
    made.text("splits_final.json", [{"train": made.names[2:], "val": ["c00", "old"]}])
    found = made.check()
    assert one(found, "error", "leakage").cases == ("old",)
    assert one(found, "warning", "leakage").cases == ("c01",)


def test_a_duplicated_image(made: Made) -> None:
    made.add("copy", made.read("image", "c09"), made.read("label", "c09"))
    made.text("splits_final.json", [{"train": made.names, "val": ["copy"]}])
    found = made.check()
    own = one(found, "warning", "duplicates")
    assert own.cases == ("c09", "copy") and "equal in every value" in own.seen
    assert one(found, "error", "leakage").cases == ("c09", "copy")


@pytest.mark.parametrize("gain", [1.0, 1.15], ids=["recoded", "brightened"])
def test_a_slightly_changed_image(made: Made, gain: float) -> None:
    made.add("copy", recoded(made.read("image", "c09"), gain), made.read("label", "c09"))
    made.text("splits_final.json", [{"train": made.names, "val": ["copy"]}])
    found = made.check()
    own = one(found, "warning", "duplicates")
    assert own.cases == ("c09", "copy") and "near duplicates (correlation of thumbnails 0.9" in own.seen
    assert one(found, "warning", "leakage").cases == ("c09", "copy") and not found.errors


def test_a_duplicate_between_training_and_test_images(made: Made) -> None:
    path = made.root / "imagesTs" / f"t{made.ending}"
    write_array(path, made.read("image", "c04"), made.affine)
    assert one(made.check(), "error", "leakage").cases == ("c04", "imagesTs/t")


def test_duplicates_that_the_default_split_parts(tmp_path: Path) -> None:
    made = Made(tmp_path, 2)
    for number in range(40):
        made.add(f"e{number:02d}", *scene(np.random.default_rng([5, number]), (32, 32)))
    for number in range(6):
        made.add(f"f{number}", made.read("image", f"c{number:02d}"), made.read("label", f"c{number:02d}"))
    found = made.check()
    leaks = [own for own in found.findings if own.question == "leakage"]
    assert leaks and all(own.severity == "error" and "default split (40 cases held out)" in own.seen for own in leaks)
    assert len(found.alike) == 6


@pytest.mark.parametrize("kind", ["image", "label"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file(made: Made, kind: str, share: float) -> None:
    path = made.path(kind, "c10")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    found = made.check()
    own = one(found, "error", "files")
    assert own.cases == ("c10",) and path.name in own.seen
    assert len(found.dataset.cases) == COUNT


def test_an_image_or_a_label_without_partner(made: Made) -> None:
    made.path("label", "c00").unlink()
    made.path("image", "c01").unlink()
    found = made.check()
    errors = [own.seen for own in found.findings if own.severity == "error"]
    assert len(errors) == 2 and "label of case 'c00' is missing" in errors[1] and "image of case 'c01'" in errors[0]
    assert "c01" in one(found, "warning", "partners", "label files").seen


def test_files_that_dataset_json_does_not_list(made: Made) -> None:
    image, labels = scene(RNG, SHAPES[made.dims])
    made.write("image", "x", image)
    made.write("label", "x", labels)
    made.write("image", "y", image)
    found = made.check()
    assert one(found, "warning", "partners", "not listed").cases == ("x",)
    assert "y" in one(found, "warning", "partners", "belong to no case").seen


def test_nan_and_constant_images(tmp_path: Path) -> None:
    made = Made(tmp_path, 3)
    image = made.read("image", "c00").astype(np.float32)
    image[0, 0, :3] = np.nan
    made.write("image", "c00", image)
    made.write("image", "c01", np.full(SHAPES[3], 7, np.uint8))
    found = made.check()
    assert "3 values are NaN" in one(found, "error", "intensities").seen
    assert one(found, "warning", "intensities").cases == ("c01",)


def test_scales_spacings_and_orientations_that_differ(tmp_path: Path) -> None:
    made = Made(tmp_path, 3)
    made.write("image", "c00", made.read("image", "c00").astype(np.float32) * 5000)
    for kind in ("image", "label"):
        made.write(kind, "c01", made.read(kind, "c01"), np.diag([1.5, 1.5, 30.0, 1.0]))
        made.write(kind, "c02", made.read(kind, "c02"), np.diag([1.5, -1.5, 3.0, 1.0]))
    found = made.check()
    assert one(found, "note", "intensities").cases == ("c00",)
    assert one(found, "note", "geometry").cases == ("c01",)
    assert one(found, "warning", "geometry").cases == ("c02",) and not found.errors


def test_a_file_that_two_cases_share(made: Made) -> None:
    made.settings["training"][1]["image"] = made.settings["training"][0]["image"]
    made.save()
    assert one(made.check(), "error", "partners").cases == ("c00", "c01")

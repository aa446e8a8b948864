"""Real pictures, laid out as their archives have them, from there to data sets again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from lossodyssey.data import read_case, read_dataset
from lossodyssey.data.prepare import busi
from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import prepare

SHARED = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[4] / "shared" / "data")


def real(name: str) -> Path:
    folder = SHARED / name
    if not (folder / "dataset.json").is_file():
        pytest.skip(f"{name} is not in {SHARED}")
    return folder


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return numpy.asarray(picture)


def save(path: Path, values: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def compare(folder: Path, source: Path, old: dict[str, str], tolerance: float = 0) -> None:
    """Compare prepared cases with the images and labels that they were made of, by their old names."""
    dataset = read_dataset(folder)
    assert {case.name for case in dataset.cases} == set(old)
    for case in dataset.cases:
        volume = read_case(dataset, case)
        image = pixels(source / "imagesTr" / f"{old[case.name]}.png")
        image = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
        assert numpy.abs(volume.image - image).mean() <= tolerance
        assert numpy.array_equal(volume.labels, pixels(source / "labelsTr" / f"{old[case.name]}.png"))


def test_frames_of_colonoscopy(tmp_path: Path) -> None:
    source = real("CVC_ClinicDB_small")
    names = {f"cvc_{number:03d}": f"cvc_{number:03d}" for number in range(1, 613, 17)}
    for name in names:
        number = int(name[-3:])
        save(tmp_path / "a" / "Original" / f"{number}.tif", pixels(source / "imagesTr" / f"{name}.png"))
        save(tmp_path / "a" / "Ground Truth" / f"{number}.tif", pixels(source / "labelsTr" / f"{name}.png") * 255)
    done = prepare(find_recipe("CVC-ClinicDB"), [tmp_path / "a"], tmp_path / "out")
    compare(done.folder, source, names)
    sequences = json.loads((source / "sequences_unverified.json").read_text())["sequence"]
    for case in read_dataset(done.folder).cases:
        assert case.group == f"sequence_{sequences[case.name]:02d}"


def test_eyes_of_children(tmp_path: Path) -> None:
    source = real("CHASE_DB1")
    names = {f"chase_{child:02d}{side}": f"chase_{child:02d}{side}" for child in range(1, 7) for side in "LR"}
    for name in names:
        save(tmp_path / "a" / f"Image_{name[6:]}.jpg", pixels(source / "imagesTr" / f"{name}.png"), quality=95)
        for observer, folder in (("1stHO", "labelsTr"), ("2ndHO", "labelsTr_2ndHO")):
            save(tmp_path / "a" / f"Image_{name[6:]}_{observer}.png", pixels(source / folder / f"{name}.png") > 0)
    done = prepare(find_recipe("CHASEDB1"), [tmp_path / "a"], tmp_path / "out")
    compare(done.folder, source, names, tolerance=2)
    assert (done.training, done.test) == (10, 2)


def test_breasts_with_several_lesions(tmp_path: Path) -> None:
    source = real("BUSI_small")
    facts = json.loads((source / "cases.json").read_text())
    several = [name for name, fact in facts.items() if fact["masks"] > 1]
    chosen = [*several[:6], *(n for n in facts if "malignant" in n and n not in several)][:10]
    chosen += [name for name in facts if "normal" in name][:3]
    for name in chosen:
        _, kind, number = name.split("_")
        stem = tmp_path / "a" / "Dataset_BUSI_with_GT" / kind / f"{kind} ({int(number)})"
        label = pixels(source / "labelsTr" / f"{name}.png") > 0
        halves = [label] if name not in several else [label.copy(), label.copy()]
        if len(halves) > 1:
            middle = int(numpy.argwhere(label)[:, 1].mean())
            halves[0][:, middle:], halves[1][:, :middle] = False, False
        image = pixels(source / "imagesTr" / f"{name}.png")
        save(Path(f"{stem}.png"), numpy.repeat(image[..., None], 3, -1))
        for place, half in enumerate(halves):
            save(Path(f"{stem}_mask{f'_{place}' if place else ''}.png"), half)
    done = prepare(find_recipe("BUSI"), [tmp_path / "a"], tmp_path / "out")
    compare(done.folder, source, {name: name for name in chosen})


def test_near_duplicates_are_those_that_are_known() -> None:
    source = real("BUSI_small")
    facts = json.loads((source / "cases.json").read_text())
    groups, notes = busi.grouped({name: source / "imagesTr" / f"{name}.png" for name in facts})
    assert notes[0].startswith("groups of near duplicates: 92 with 209 images")
    known: dict[int, set[str]] = {}
    found: dict[str, set[str]] = {}
    for name, fact in facts.items():
        known.setdefault(fact["group"], set()).add(name)
        found.setdefault(groups[name], set()).add(name)
    assert sorted(map(sorted, known.values())) == sorted(map(sorted, found.values()))


def test_nuclei_of_the_bowl(tmp_path: Path) -> None:
    source = real("DSB2018_nuclei")
    ids = json.loads((source / "source_ids.json").read_text())
    names = {f"dsb_{ids[name]}": name for name in sorted(ids)[::40]}
    for name in names.values():
        image = pixels(source / "imagesTr" / f"{name}.png")
        rgba = numpy.stack([image, image, image, numpy.full_like(image, 255)], -1)
        folder = tmp_path / "a" / "stage1_train" / ids[name]
        save(folder / "images" / f"{ids[name]}.png", rgba)
        instances = pixels(source / "instancesTr" / f"{name}.png")
        for nucleus in numpy.unique(instances)[1:]:
            save(folder / "masks" / f"{nucleus:x}.png", (instances == nucleus).astype(numpy.uint8) * 255)
    done = prepare(find_recipe("DSB2018"), [tmp_path / "a"], tmp_path / "out")
    dataset = read_dataset(done.folder)
    for case in dataset.cases:
        volume = read_case(dataset, case)
        assert numpy.array_equal(volume.labels, pixels(source / "labelsTr" / f"{names[case.name]}.png"))
        assert numpy.array_equal(volume.image[1], pixels(source / "imagesTr" / f"{names[case.name]}.png"))

"""Runs that prepare their cases: what they record, how they predict, and that memory changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from lossodyssey.bench.cases import decided
from lossodyssey.bench.damage import probabilities_path
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.predict import predict
from lossodyssey.bench.record import read_record
from lossodyssey.bench.run import execute
from lossodyssey.data import Dataset, caching, read_case, read_dataset, read_labels
from lossodyssey.data.caching import cache
from lossodyssey.data.divisions import hold_out
from lossodyssey.data.intensity import summarise
from lossodyssey.data.phantom import SPACING, render
from lossodyssey.integrations.nnunet.engine import NnUNet
from lossodyssey.training.settings import Settings

from .conftest import QUICK

FULL = replace(QUICK, steps=6, spacing="median", intensity="auto", crop=True, elastic=0.5)


@pytest.fixture(scope="module", autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Phantoms whose voxels differ in size by a factor of two, with a border of zeros."""
    folder = tmp_path_factory.mktemp("data") / "mixed"
    training = []
    for number in range(6):
        image, labels = render(np.random.default_rng(number))
        step = 1 + number % 2
        affine = np.diag([SPACING[0] * step, SPACING[1], SPACING[2], 1])
        item = {role: f"{role}sTr/m{number}.nii.gz" for role in ("image", "label")}
        for role, array in (("image", image[::step] + 1024), ("label", labels[::step])):
            (folder / item[role]).parent.mkdir(parents=True, exist_ok=True)
            values = np.pad(array, ((2, 3), (0, 0), (4, 0)))
            nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), affine), folder / item[role])
        training.append(item)
    classes = ("background", "liver", "spleen", "kidney", "tumour")
    about = {"modality": {"0": "CT"}, "labels": {str(k): name for k, name in enumerate(classes)}, "training": training}
    (folder / "dataset.json").write_text(json.dumps(about))
    return read_dataset(folder)


def job(dataset: Dataset, runs: Path, settings: Settings, **options: Any) -> Job:
    division = hold_out(dataset, 2, validation=1)
    made = {"expression": "DiceCE()", "dataset": dataset, "division": division, "seed": 0, "runs": runs}
    return Job(**{**made, "engine": Light(settings), **options})


def done(made: Job) -> Job:
    execute(made, lambda event: None)
    record = read_record(made.folder)
    assert record.status == "finished", record.reason
    return made


def test_a_run_records_the_numbers_of_its_training_cases_alone(mixed: Dataset, tmp_path: Path) -> None:
    made = done(job(mixed, tmp_path / "runs", FULL))
    settings = read_record(made.folder).settings
    volumes = [read_case(mixed, case) for case in made.training]
    expected = np.median([volume.spacing for volume in volumes], axis=0)
    assert settings["spacing"] == tuple(expected)
    samples = []
    for volume in volumes:
        assert volume.labels is not None
        inside = volume.image[0][volume.labels > 0]
        samples.append(inside[:: 1 + len(inside) // 10_000])
    np.testing.assert_allclose(settings["intensities"][0], summarise(samples), rtol=1e-12)
    assert settings["crop"] is True and len(made.training) == 3


def test_predictions_lie_on_the_grids_of_the_cases(mixed: Dataset, tmp_path: Path) -> None:
    made = done(job(mixed, tmp_path / "runs", FULL))
    for case in made.scored:
        volume = read_case(mixed, case)
        found = read_labels(made.folder / "predictions" / f"{case.name}.nii.gz")
        assert found.labels.shape == volume.image.shape[1:] and np.allclose(found.affine, volume.affine)


@pytest.mark.parametrize("regions", [False, True], ids=["classes", "regions"])
def test_every_way_to_ask_a_network_gives_the_same_labels(mixed: Dataset, tmp_path: Path, regions: bool) -> None:
    if regions:
        from lossodyssey.data.regions import Region

        parts = (Region("organ", (1, 2, 3, 4), 1), Region("tumour", (4,), 4))
        mixed = replace(mixed, regions=parts, classes={0: "background", 1: "a", 2: "b", 3: "c", 4: "d"})
    options = {"metrics": ("DSC", "ECE"), "decoding": ("argmax", "threshold")}
    made = done(job(mixed, tmp_path / "runs", FULL, **options))
    plain = done(job(mixed, tmp_path / "plain", FULL))
    images = tmp_path / "images"
    images.mkdir()
    for case in made.scored:
        (images / case.images[0].name).symlink_to(case.images[0])
    asked = predict(made.folder, images, tmp_path / "out")
    for path, case in zip(asked, made.scored, strict=True):
        with np.load(probabilities_path(made.folder, case)) as file:
            probabilities = file["probabilities"]
        labels = read_labels(path).labels
        assert probabilities.shape[1:] == labels.shape == read_case(mixed, case).image.shape[1:]
        if not regions:
            surest = probabilities.max(0)
            assert (np.take_along_axis(probabilities, labels[None].astype(int), 0)[0] == surest).all()
        for run in (made, plain):
            np.testing.assert_array_equal(labels, read_labels(run.folder / "predictions" / path.name).labels)


def turned(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The affine of an image whose first axis is stored the other way round."""
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = shape[0] - 1
    return affine @ flip


@pytest.mark.parametrize("size", [(0.9, 2.2, 4.0), (4.0, 1.5, 1.0)], ids=["coarse slices", "coarse rows"])
def test_a_new_image_of_other_voxels_and_a_flipped_affine_is_segmented_on_its_own_grid(
    mixed: Dataset, tmp_path: Path, size: tuple[float, ...]
) -> None:
    made = done(job(mixed, tmp_path / "runs", FULL))
    image = np.pad(render(np.random.default_rng(99))[0][3:40, :, 2:] + 1024, 2).astype(np.float32)
    affine = turned(np.diag([*size, 1.0]) @ _rotated(), image.shape)
    nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / "new.nii.gz")
    (path,) = predict(made.folder, tmp_path / "new.nii.gz", tmp_path / "out")
    found = nibabel.load(path)
    assert found.shape == image.shape
    np.testing.assert_allclose(found.affine, affine, atol=1e-5)
    labels = np.asarray(found.dataobj)
    assert not np.pad(labels[2:-2, 2:-2, 2:-2], 2).astype(int).__sub__(labels).any()


def _rotated() -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    return turn


def curve(made: Job) -> str:
    return (made.folder / "curve.csv").read_text()


@pytest.mark.parametrize("settings", [QUICK, FULL], ids=["as they are", "prepared"])
def test_memory_decides_nothing(mixed: Dataset, tmp_path: Path, settings: Settings) -> None:
    runs = {
        memory: done(job(mixed, tmp_path / memory / "runs", replace(settings, memory=memory)))
        for memory in ("held", "mapped", "auto")
    }
    assert len({made.digest for made in runs.values()}) == 1
    assert len({curve(made) for made in runs.values()}) == 1
    assert len({(made.folder / "cases.csv").read_text() for made in runs.values()}) == 1


def test_the_cache_is_used_where_it_must_be(mixed: Dataset, tmp_path: Path, own_cache: Path) -> None:
    done(job(mixed, tmp_path / "a" / "runs", QUICK))
    assert not list(own_cache.rglob("*.npy"))
    done(job(mixed, tmp_path / "b" / "runs", replace(QUICK, memory="mapped")))
    assert len(list(own_cache.rglob("image.npy"))) == 3
    done(job(mixed, tmp_path / "c" / "runs", FULL))
    assert len(list(own_cache.rglob("image.npy"))) == 6 and len(list(own_cache.rglob("sample.npy"))) == 3


def test_cases_are_prepared_before_the_first_run_and_not_again(
    mixed: Dataset, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job(mixed, tmp_path / "runs", FULL)
    made.engine.prepare(made)
    assert len(list(own_cache.rglob("image.npy"))) == 3
    monkeypatch.setattr(caching, "arrays_of", lambda *arguments: pytest.fail("a case was prepared again"))
    done(made)
    assert "before the first run" in made.engine.note

    plain = job(mixed, tmp_path / "plain" / "runs", QUICK)
    plain.engine.prepare(plain)
    assert len(list(own_cache.rglob("image.npy"))) == 3 and "before the first run" not in plain.engine.note


def test_a_measurement_writes_nothing(mixed: Dataset, tmp_path: Path, own_cache: Path) -> None:
    made = job(mixed, tmp_path / "runs", FULL)
    assert made.engine.measure(made, 4) is not None
    assert not own_cache.exists() and not made.runs.exists()


def test_a_run_that_stopped_goes_on_with_the_same_bits(mixed: Dataset, tmp_path: Path) -> None:
    whole = done(job(mixed, tmp_path / "whole" / "runs", replace(FULL, checkpoint_every=2)))
    stopped = job(mixed, tmp_path / "stopped" / "runs", replace(FULL, checkpoint_every=2))

    def stop(event: Any) -> None:
        if event.phase == "training" and event.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(stopped, stop)
    assert curve(done(stopped)) == curve(whole)


def test_a_run_says_that_its_voxels_differ(mixed: Dataset, dataset: Dataset, tmp_path: Path) -> None:
    notes = read_record(done(job(mixed, tmp_path / "mixed", QUICK)).folder).notes
    assert len(notes) == 1 and "along axis 0 from 1.5 to 3 mm" in notes[0] and "spacing: median" in notes[0]
    assert not read_record(done(job(mixed, tmp_path / "median", replace(QUICK, spacing="median"))).folder).notes
    assert not read_record(done(job(dataset, tmp_path / "alike", QUICK)).folder).notes


def test_a_run_says_what_resampling_leaves_of_a_class(dataset: Dataset, tmp_path: Path) -> None:
    coarse = replace(QUICK, patch=(8, 8, 4), spacing=(9.0, 9.0, 12.0))
    (note,) = read_record(done(job(dataset, tmp_path / "runs", coarse)).folder).notes
    assert "change the volume of a class by more than a fifth" in note and "a smaller spacing" in note


def test_settings_that_do_not_fit_the_data_are_refused_before_anything_is_written(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=r"spacing is \(1.0, 1.0\); expected 3 numbers"):
        Light(replace(QUICK, spacing=(1.0, 1.0))).check(dataset)
    ranges = ((0.0, 1.0, 0.5, 0.1), ())
    with pytest.raises(ValueError, match="intensities has 2 entries; expected one for each channel of phantom: CT"):
        Light(replace(QUICK, intensity="ct", intensities=ranges)).check(dataset)


def test_pictures_without_a_size_are_not_resampled(tmp_path: Path) -> None:
    for role, value in (("images", 90), ("labels", 1)):
        (tmp_path / "pictures" / f"{role}Tr").mkdir(parents=True)
        for name in "abcd":
            values = np.zeros((32, 32), np.uint8)
            values[8:24, 8:24] = value
            Image.fromarray(values).save(tmp_path / "pictures" / f"{role}Tr" / f"{name}.png")
    training = [{"image": f"imagesTr/{name}.png", "label": f"labelsTr/{name}.png"} for name in "abcd"]
    about = {"modality": {"0": "grey"}, "labels": {"0": "background", "1": "square"}, "training": training}

    def saved(**more: Any) -> Dataset:
        (tmp_path / "pictures" / "dataset.json").write_text(json.dumps(about | more))
        return read_dataset(tmp_path / "pictures")

    settings = replace(QUICK, patch=(16, 16), spacing=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"a\.png: nobody says how large its pixels are"):
        Light(settings).check(saved())
    with pytest.raises(ValueError, match=r"a\.png: nobody says how large its pixels are"):
        cache(saved(), saved().cases, preprocessing=settings.preprocessing())
    Light(settings).check(saved(spacing=[0.5, 0.5]))
    made = done(job(saved(spacing=[0.5, 0.5]), tmp_path / "runs", settings))
    assert made.scored[0].label is not None
    picture = tmp_path / "new.png"
    picture.write_bytes(made.scored[0].images[0].read_bytes())
    with pytest.raises(ValueError, match=r"new\.png: nobody says how large its pixels are"):
        predict(made.folder, picture, tmp_path / "out")
    (tmp_path / "new.json").write_text('{"spacing": [0.5, 0.5]}')
    (path,) = predict(made.folder, picture, tmp_path / "out")
    kept = made.folder / "predictions" / f"{made.scored[0].name}.png"
    np.testing.assert_array_equal(read_labels(path).labels, read_labels(kept).labels)


def test_channels_are_scaled_by_the_set_where_they_are_ct(dataset: Dataset) -> None:
    cases = dataset.cases[:2]
    assert len(decided(replace(QUICK, intensity="auto"), dataset, cases).intensities[0]) == 4  # type: ignore[index]
    other = replace(dataset, channels=("MR",))
    assert decided(replace(QUICK, intensity="auto"), other, cases).intensities == ((),)
    assert len(decided(replace(QUICK, intensity="ct"), other, cases).intensities[0]) == 4  # type: ignore[index]
    assert decided(QUICK, dataset, cases) is QUICK


PLAN = "datasets: [phantom]\nlosses: [Dice()]\n"


def test_a_plan_asks_for_preprocessing_by_keys() -> None:
    keys = "spacing: [1, 1, 2.5]\nintensity: auto\ncrop: true\nelastic: 0.2\nmemory: mapped\n"
    plan = parse_plan(PLAN + keys, "plan.yaml")
    settings = Light(Settings()).but(**plan.settings).choices
    assert settings.spacing == (1, 1, 2.5) and settings.crop and settings.elastic == 0.2


@pytest.mark.parametrize("name", ["spacing", "intensity", "intensities", "crop", "elastic", "memory"])
def test_nnunet_has_a_preprocessing_of_its_own(name: str) -> None:
    said = f"{name} is a setting of engine light; nnU-Net preprocesses by its own plans"
    with pytest.raises(ValueError, match=said):
        parse_plan(f"{PLAN}engine: nnunet\n{name}: 0\n", "plan.yaml")
    with pytest.raises(ValueError, match=said):
        parse_plan(f"{PLAN}engine: nnunet\nvariants:\n  a: {{{name}: 0}}\n", "plan.yaml")
    with pytest.raises(ValueError, match=said):
        NnUNet().but(**{name: 0})

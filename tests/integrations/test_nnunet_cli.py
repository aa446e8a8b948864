"""`lossodyssey nnunet` where nnU-Net is not needed: names, export to its raw layout, the small configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lossodyssey import atlas
from lossodyssey.cli.nnunet import app
from lossodyssey.data import Dataset, find_dataset, read_case, read_dataset, write_phantom
from lossodyssey.integrations.nnunet.raw import export

RUN = CliRunner()


def test_names_list_the_atlas() -> None:
    lines = RUN.invoke(app, ["names"]).output.split()
    assert {f"nnUNetTrainerLO_{card.name}" for card in atlas()} <= set(lines)


def test_export_is_read_back_with_the_same_voxels(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset004_Phantom"
    done = RUN.invoke(app, ["export", "phantom", str(folder), "--cases", "4", "--held-out", "1"])
    assert done.exit_code == 0, done.output
    source, copied = find_dataset("phantom"), read_dataset(folder)
    assert copied.classes == source.classes and copied.channels == source.channels and len(copied.cases) == 3
    first = copied.cases[0]
    original = next(case for case in source.cases if case.name == first.name)
    assert np.array_equal(read_case(copied, first).image, read_case(source, original).image)
    assert len(list((folder / "labelsTs").iterdir())) == len(list((folder / "imagesTs").iterdir())) == 1
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 3


@pytest.mark.parametrize("mode", ["P", "1"])
def test_pictures_are_exported_as_readers_without_palettes_understand_them(tmp_path: Path, mode: str) -> None:
    places = np.random.default_rng(0).integers(0, 2, (8, 8)).astype(np.uint8)
    for part, greys in (("imagesTr", (200, 7)), ("labelsTr", (0, 255))):
        (tmp_path / "set" / part).mkdir(parents=True)
        picture = Image.fromarray(places > 0)
        if mode == "P":
            picture = Image.frombytes("P", (8, 8), places.tobytes())
            picture.putpalette([grey for grey in greys for _ in range(3)])
        picture.save(tmp_path / "set" / part / "a.png")
    facts = {"modality": {"0": "grey"}, "labels": {"0": "background", "1": "cell"}}
    facts |= {"training": [{"image": "imagesTr/a.png", "label": "labelsTr/a.png"}]}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(facts))
    dataset = read_dataset(tmp_path / "set")
    export(dataset, tmp_path / "raw", training=dataset.cases)
    label, image = Image.open(tmp_path / "raw/labelsTr/a.png"), Image.open(tmp_path / "raw/imagesTr/a_0000.png")
    assert (label.mode, image.mode) == ("L", "L")
    assert np.array_equal(np.asarray(label), places)
    assert np.array_equal(np.asarray(image), np.array([200, 7])[places] if mode == "P" else places)


def test_cases_that_nnunet_cannot_read_are_named(tmp_path: Path) -> None:
    dataset = find_dataset("phantom")
    with pytest.raises(ValueError, match="has no label"):
        export(dataset, tmp_path, training=[replace(dataset.cases[0], label=None)])
    with pytest.raises(ValueError, match="holds all 2 channels"):
        export(replace(dataset, channels=("a", "b")), tmp_path, training=dataset.cases[:1])


def test_small_configuration_inherits_all_but_the_network(tmp_path: Path) -> None:
    plans = tmp_path / "nnUNetPlans.json"
    arguments = {"n_stages": 3, "features_per_stage": [32, 64, 128], "conv_bias": True}
    arguments |= {"kernel_sizes": [[3, 3]] * 3, "strides": [[1, 1], [2, 2], [2, 2]]}
    network = {"network_class_name": "UNet", "arch_kwargs": arguments}
    plans.write_text(json.dumps({"configurations": {"2d": {"batch_size": 2, "architecture": network}}}))
    done = RUN.invoke(app, ["small", str(plans), "--base", "2d"])
    assert done.output.strip() == "2d_small"
    small = json.loads(plans.read_text())["configurations"]["2d_small"]
    assert small["inherits_from"] == "2d" and "batch_size" not in small
    changed = small["architecture"]["arch_kwargs"]
    assert changed["features_per_stage"] == [8, 16, 32] and changed["n_conv_per_stage_decoder"] == [1, 1]
    assert changed["conv_bias"] is True and changed["strides"] == arguments["strides"]
    with pytest.raises(ValueError, match="no configuration '3d_fullres'; there are 2d, 2d_small"):
        RUN.invoke(app, ["small", str(plans)], catch_exceptions=False)


REGIONS = {
    "labels": {"background": 0, "all": [1, 2, 3, 4], "organs": [2, 3, 4], "tumour": 4},
    "regions_class_order": [1, 2, 4],
}


def phantom(folder: Path, **settings: Any) -> Dataset:
    write_phantom(folder, cases=3)
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return read_dataset(folder)


def test_regions_and_the_ignored_label_are_exported_as_nnunet_reads_them(tmp_path: Path) -> None:
    dataset = phantom(tmp_path / "phantom", **REGIONS)
    export(dataset, tmp_path / "raw", training=dataset.cases)
    written = json.loads((tmp_path / "raw" / "dataset.json").read_text())
    assert written["labels"] == REGIONS["labels"] and list(written["labels"]) == list(REGIONS["labels"])
    assert written["regions_class_order"] == [1, 2, 4]
    again = read_dataset(tmp_path / "raw")
    assert (again.regions, again.classes) == (dataset.regions, dataset.classes)

    ignoring = phantom(tmp_path / "other", labels={"Background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4})
    export(ignoring, tmp_path / "raw2", training=ignoring.cases)
    written = json.loads((tmp_path / "raw2" / "dataset.json").read_text())
    assert written["labels"] == {"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4}
    assert "regions_class_order" not in written


@pytest.mark.parametrize(
    "labels", [{"background": 0, "all": [1, 2, 5], "core": [5]}, {"background": 0, "a": 1, "b": 2, "ignore": 7}]
)
def test_labels_that_nnunet_does_not_take_are_refused(tmp_path: Path, labels: dict[str, Any]) -> None:
    dataset = phantom(tmp_path / "phantom", labels=labels, regions_class_order=[1, 5])
    with pytest.raises(ValueError, match=r"labels are \[0, 1, 2, [57]\]; nnU-Net takes 0, 1, 2, ... without gaps"):
        export(dataset, tmp_path / "raw", training=dataset.cases)
    assert not (tmp_path / "raw").exists()


def test_capitals_in_names_are_small_letters_in_the_raw_layout(tmp_path: Path) -> None:
    dataset = phantom(tmp_path / "phantom")
    for path in (*dataset.cases[0].images, dataset.cases[0].label):
        assert path is not None
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    settings = json.loads((dataset.root / "dataset.json").read_text())
    settings.pop("training", None)
    (dataset.root / "dataset.json").write_text(json.dumps(settings))
    dataset = read_dataset(dataset.root)
    export(dataset, tmp_path / "raw", training=dataset.cases)
    names = {path.name for path in (tmp_path / "raw" / "labelsTr").iterdir()}
    assert names == {f"{case.name}.nii.gz" for case in dataset.cases}

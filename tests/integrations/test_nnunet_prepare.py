"""Prepared data sets pass nnU-Net's own check of integrity, on small files laid out as their archives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; make test-nnunet has it")

from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from lossodyssey.data.prepare.registry import find_recipe
from lossodyssey.data.prepare.writing import prepare

pytestmark = pytest.mark.filterwarnings("ignore")


def _builders(name: str) -> ModuleType:
    """Import the builders of the recipes' own tests, which lie in another folder of tests."""
    path = Path(__file__).parents[1] / "data" / "prepare" / f"{name}.py"
    spec = util.spec_from_file_location(f"prepare_{name}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ARCHIVES = _builders("builders").ARCHIVES
PICTURES = _builders("pictures_as_distributed")


# Channels parted, headers mended, frames of patients, regions, DICOM, and a published task; each starts processes anew.
@pytest.mark.parametrize(
    "name", ["Task05_Prostate", "LiTS", "ACDC2017", "BraTS2020", "NIH_Pancreas-CT", "odyssey-liver"]
)
def test_nnunet_takes_a_prepared_set(name: str, tmp_path: Path) -> None:
    if name == "NIH_Pancreas-CT":
        pytest.importorskip("SimpleITK")
    sources = ARCHIVES[name].build(tmp_path / "in")
    done = prepare(find_recipe(name), sources, tmp_path / "raw", "nnunet")
    verify_dataset_integrity(str(done.folder), num_processes=1)
    assert done.folder.name.startswith(f"Dataset{find_recipe(name).number:03d}_")


# A label that is ignored, grey pictures, and an alpha channel.
@pytest.mark.parametrize(
    ("name", "build"),
    [("DRIVE", PICTURES.drive), ("BUSI", PICTURES.busi), ("DSB2018", PICTURES.dsb)],
    ids=["DRIVE", "BUSI", "DSB2018"],
)
def test_nnunet_takes_prepared_pictures(name: str, build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path / "in")
    done = prepare(find_recipe(name), [tmp_path / "in"], tmp_path / "raw", "nnunet")
    verify_dataset_integrity(str(done.folder), num_processes=1)
    assert len(list((done.folder / "labelsTr").iterdir())) == done.training

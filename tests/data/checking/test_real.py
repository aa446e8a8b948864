"""Real data sets, where they are at hand: what they are known to hold is found, and nothing is found beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lossodyssey.data import read_dataset, split
from lossodyssey.data.check import check_dataset, write_groups
from lossodyssey.data.divisions import folds

from .conftest import DATA

CLEAN = ("CHASE_DB1", "DSB2018_nuclei", "ISBI2012_EM", "MS_lesions")


def real(name: str) -> Path:
    if not (DATA / name / "dataset.json").is_file():
        pytest.skip(f"{name} is not here")
    return DATA / name


@pytest.mark.parametrize("name", CLEAN)
def test_no_false_alarm(name: str) -> None:
    assert check_dataset(real(name)).findings == ()


def test_hippocampi_differ_in_scale() -> None:
    (found,) = check_dataset(real("Task04_Hippocampus")).findings
    assert (found.severity, found.question) == ("note", "intensities") and len(found.cases) == 33


def test_acdc_holds_one_image_twice() -> None:
    found = check_dataset(real("ACDC_ED_small"))
    assert found.alike == (("acdc_074", "acdc_076"),) and not found.errors
    assert [own.severity for own in found.findings] == ["warning"]
    assert "equal in every value, with different label maps" in found.findings[0].seen


def test_near_duplicates_of_busi(tmp_path: Path) -> None:
    folder = real("BUSI_small")
    found = check_dataset(folder)
    assert (len(found.alike), sum(map(len, found.alike))) == (92, 209)
    assert {own.severity for own in found.findings} == {"note"}

    # Without the groups that come with the set the check finds them again, and writes the same.
    for part in ("imagesTr", "labelsTr", "dataset.json"):
        (tmp_path / part).symlink_to(folder / part)
    bare = read_dataset(tmp_path)
    write_groups(bare, found.alike)
    ours, theirs = read_dataset(tmp_path), read_dataset(folder)
    assert together(ours) == together(theirs) == set(found.alike)
    for dataset in (ours, theirs):
        for division in (*folds(dataset, 5), None):
            sides = [d.name for d in split(dataset, 0.2)[1]] if division is None else list(division.scored)
            assert all(len(set(names) & set(sides)) in (0, len(names)) for names in found.alike)


def together(dataset: object) -> set[tuple[str, ...]]:
    members: dict[str, list[str]] = {}
    for case in dataset.cases:  # type: ignore[attr-defined]
        if case.group:
            members.setdefault(case.group, []).append(case.name)
    return {tuple(sorted(names)) for names in members.values() if len(names) > 1}


def test_a_planted_exchange_among_real_cases(tmp_path: Path) -> None:
    shutil.copytree(real("DSB2018_nuclei"), tmp_path / "set", copy_function=shutil.copyfile)
    settings = json.loads((tmp_path / "set" / "dataset.json").read_text())
    settings["training"] = settings["training"][:40]
    settings.pop("numTraining", None)
    (tmp_path / "set" / "dataset.json").unlink()
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(settings))
    one, two = (tmp_path / "set" / settings["training"][number]["label"] for number in (3, 21))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    (found,) = [own for own in check_dataset(tmp_path / "set").findings if own.question == "pairing"]
    assert found.cases == (one.stem, two.stem) and found.severity == "warning"

"""The folders of the page on the layout are data sets that are read as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lossodyssey.data import Dataset, read_dataset

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "layout.md").read_text(encoding="utf-8")
FOLDERS = re.findall(r"```\n(\w+)/\n(.*?)```\n\n```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Dataset]:
    """Every data set of the page, with empty files: reading opens no image."""
    for name, tree, content in FOLDERS:
        for line in tree.splitlines():
            first, *others = line.split()
            for file in (Path(first), *(Path(first).parent / other for other in others)):
                path = tmp_path / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content if path.name == "dataset.json" else "", encoding="utf-8")
    return {name: read_dataset(tmp_path / name) for name, _, _ in FOLDERS}


def test_pictures(sets: dict[str, Dataset]) -> None:
    found = sets["lesions"]
    assert [case.name for case in found.cases] == ["patient1_a", "patient1_b", "patient2_a"]
    assert (found.ignore, found.spacing, dict(found.classes)) == (2, (0.5, 0.5), {0: "background", 1: "lesion"})


def test_volumes(sets: dict[str, Dataset]) -> None:
    found = sets["organs"]
    assert [case.group for case in found.cases] == ["anna", "anna", ""]
    assert (found.flip_axes, found.licence, found.reference) == ((1,), "CC BY 4.0", "Doe 2026")
    assert [found.is_annotated(case.name) for case in found.cases] == [(True, False), (True, False), (True, True)]


def test_regions(sets: dict[str, Dataset]) -> None:
    found = sets["tumours"]
    assert [region.name for region in found.regions] == ["whole tumour", "tumour core", "enhancing tumour"]
    assert found.written == (1, 2, 3) and len(found.cases[0].images) == 2


def test_every_key_of_the_examples_is_in_the_table() -> None:
    table = PAGE.split("## Every key")[1]
    keys = {key for _, _, content in FOLDERS for key in re.findall(r'^  "(\w+)":', content, re.MULTILINE)}
    assert {key for key in keys if f"`{key}`" not in table} == {"numTraining"}, "nnU-Net alone reads numTraining"

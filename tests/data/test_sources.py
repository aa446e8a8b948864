"""Where cases come from, and what is annotated in all cases from there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lossodyssey.data import read_dataset
from lossodyssey.data.caching import cache

LIVER, BOTH = (True, True, False), (True, True, True)


def with_source(folder: Any, **sources: Any) -> None:
    items = [
        {"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"}
        | ({"source": sources[name]} if name in sources else {})
        for name in "ab"
    ]
    folder.save(training=items)


def test_the_list_of_a_source_holds_for_all_its_cases(folder: Any) -> None:
    with_source(folder, a="north", b="south")
    folder.save(annotated={"source:south": ["liver"]})
    dataset = read_dataset(folder.root)
    assert [case.source for case in dataset.cases] == ["north", "south"]
    assert dataset.annotated == {"b": LIVER}
    assert [dataset.is_annotated(name) for name in "ab"] == [(True, True), (True, False)]


def test_the_list_of_a_case_comes_before_that_of_its_source(folder: Any) -> None:
    with_source(folder, a="north", b="north")
    folder.save(annotated={"source:north": ["liver"], "a": ["liver", "tumour"]})
    assert read_dataset(folder.root).annotated == {"a": BOTH, "b": LIVER}


def test_cases_json_is_believed_before_the_list_of_files(folder: Any) -> None:
    with_source(folder, a="north")
    folder.text("cases.json", json.dumps({"a": {"source": "south", "group": "p1"}, "b": {"group": "p2"}}))
    folder.save(annotated={"source:south": [1]})
    dataset = read_dataset(folder.root)
    assert [(case.source, case.group) for case in dataset.cases] == [("south", "p1"), ("", "p2")]
    assert dataset.annotated == {"a": LIVER}


def test_the_cases_of_nnunets_key_have_sources(folder: Any) -> None:
    del folder.settings["training"]
    paths = {
        name: {"images": [f"imagesTr/{name}.nii.gz"], "label": f"labelsTr/{name}.nii.gz", "source": name.upper()}
        for name in "ab"
    }
    folder.save(dataset=paths, annotated={"source:B": ["tumour"]})
    assert read_dataset(folder.root).annotated == {"b": (True, False, True)}


@pytest.mark.parametrize("name", ["source:east", "source:", "east"])
def test_a_source_without_cases_is_refused(folder: Any, name: str) -> None:
    with_source(folder, a="north", b="south")
    folder.save(annotated={name: ["liver"]})
    with pytest.raises(ValueError, match=r"sources are north, south|which the data set does not have"):
        read_dataset(folder.root)


@pytest.mark.parametrize("source", [3, "", "  ", ["north"], None], ids=str)
def test_a_source_that_is_no_name_is_refused(folder: Any, source: Any) -> None:
    with_source(folder, a=source)
    with pytest.raises(ValueError, match="'source' of case 'a' must be a name, found"):
        read_dataset(folder.root)


def test_the_classes_of_a_source_reach_patches_and_what_decides_a_result(folder: Any) -> None:
    labels = np.zeros((5, 6, 4), np.uint8)
    labels[2:4] = 1
    folder.nifti("labelsTr/b.nii.gz", labels)
    with_source(folder, a="north", b="south")
    plain = read_dataset(folder.root)
    folder.save(annotated={"source:south": ["liver"]})
    dataset = read_dataset(folder.root)
    whole, partial = cache(dataset, dataset.cases)
    assert (whole.annotated, len(whole.foreground)) == (None, 2)
    assert (partial.annotated, len(partial.foreground)) == (LIVER, 1)
    assert plain.rules == [] and dataset.rules

"""Partial labels: the key `annotated` of dataset.json, read or refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossodyssey.data import read_dataset
from lossodyssey.data.caching import cache

BRATS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}


@pytest.mark.parametrize("listed", [["liver"], [1], ["background", "liver"], [0, 1]], ids=str)
def test_classes_are_listed_by_name_or_number_and_the_background_always_counts(folder: Any, listed: list[Any]) -> None:
    folder.save(annotated={"b": listed})
    assert read_dataset(folder.root).annotated == {"b": (True, True, False)}


def test_a_region_is_annotated_by_its_name_or_by_all_its_labels(folder: Any) -> None:
    folder.save(labels=BRATS, regions_class_order=[1, 2, 3])
    for listed, row in {
        ("whole",): (True, False, False),
        ("core", "enhancing"): (False, True, True),
        (2, 3): (False, True, True),
        (2, "enhancing"): (False, True, True),
        ("label 1",): (False, False, False),
    }.items():
        folder.save(annotated={"a": list(listed)})
        assert read_dataset(folder.root).annotated == {"a": row}, listed


def test_without_the_entry_nothing_changes(folder: Any) -> None:
    dataset = read_dataset(folder.root)
    assert dataset.annotated == {} and dataset.rules == []
    assert [case.annotated for case in cache(dataset, dataset.cases)] == [None, None]


def test_partial_labels_are_part_of_what_decides_a_result(folder: Any) -> None:
    found = []
    for listed in (["liver"], ["tumour"]):
        folder.save(annotated={"b": listed})
        found.append(read_dataset(folder.root).rules)
    assert found[0] != found[1] and all(found)


def test_patches_are_not_centred_on_classes_that_are_not_annotated(folder: Any) -> None:
    labels = np.zeros((5, 6, 4), np.uint8)
    labels[2:4] = 1
    folder.nifti("labelsTr/b.nii.gz", labels)
    folder.save(annotated={"b": ["liver"]})
    dataset = read_dataset(folder.root)
    whole, partial = cache(dataset, dataset.cases)
    assert whole.annotated is None and len(whole.foreground) == 2
    assert partial.annotated == (True, True, False) and len(partial.foreground) == 1


def test_a_label_that_is_not_annotated_but_there_is_refused(folder: Any) -> None:
    folder.save(annotated={"b": ["liver"]})
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match=r"dataset.json: 'annotated' leaves 'tumour' out for case 'b', but its label"):
        cache(dataset, dataset.cases)


@pytest.mark.parametrize(
    ("annotated", "message"),
    [
        (["a"], r"dataset.json: 'annotated' must be an object of cases with their classes.* found \['a'\]"),
        ({"c": ["liver"]}, r"dataset.json: 'annotated' lists case 'c', which the data set does not have"),
        (
            {"a": ["spleen"]},
            r"dataset.json: 'annotated' lists 'spleen' for case 'a', which is not a class .*liver, tumour",
        ),
        ({"a": [3]}, "lists 3 for case 'a'"),
        ({"a": [True]}, "lists True for case 'a'"),
        ({"a": [["liver"]]}, r"lists \['liver'\] for case 'a'"),
        ({"a": []}, r"must list the classes of case 'a' by name or number, found \[\]"),
        ({"a": "liver"}, "must list the classes of case 'a' by name or number, found 'liver'"),
    ],
    ids=str,
)
def test_mistakes_name_file_case_and_class(folder: Any, annotated: Any, message: str) -> None:
    folder.save(annotated=annotated)
    with pytest.raises(ValueError, match=message):
        read_dataset(folder.root)

"""Regions of several labels: read from dataset.json, written back as labels in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossodyssey.data import read_dataset
from lossodyssey.data.regions import Region, write_regions

BRATS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
KIDNEY = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": [2]}


def test_regions_are_read_with_the_labels_that_they_write(folder: Any) -> None:
    folder.save(labels=BRATS, regions_class_order=[1, 2, 3])
    dataset = read_dataset(folder.root)
    assert dataset.regions == (
        Region("whole", (1, 2, 3), 1),
        Region("core", (2, 3), 2),
        Region("enhancing", (3,), 3),
    )
    assert dataset.classes == {0: "background", 1: "label 1", 2: "label 2", 3: "enhancing"}
    assert dataset.targets == dataset.regions
    assert dataset.written == (1, 2, 3)


def test_labels_of_regions_may_have_gaps(folder: Any) -> None:
    labels = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": 4}
    folder.save(labels=labels, regions_class_order=[2, 1, 4])
    assert list(read_dataset(folder.root).classes) == [0, 1, 2, 4]


def test_without_regions_every_class_is_a_target(folder: Any) -> None:
    folder.save(labels={"background": 0, "liver": [1], "tumour": 2}, regions_class_order=[1, 2])
    dataset = read_dataset(folder.root)
    assert dataset.regions == () and dataset.rules == []
    assert dataset.targets == (Region("liver", (1,), 1), Region("tumour", (2,), 2))


@pytest.mark.parametrize("regions", [False, True])
def test_the_ignored_label_is_no_class(folder: Any, regions: bool) -> None:
    folder.save(labels={**(BRATS if regions else {"background": 0, "a": 1, "b": 2, "c": 3}), "ignore": 4})
    folder.save(**({"regions_class_order": [1, 2, 3]} if regions else {}))
    dataset = read_dataset(folder.root)
    assert dataset.ignore == 4
    assert list(dataset.classes) == [0, 1, 2, 3] and list(dataset.known_labels) == [0, 1, 2, 3, 4]
    assert len(dataset.targets) == 3


@pytest.mark.parametrize(
    ("labels", "order", "message"),
    [
        (BRATS, None, r"'whole' must be one whole number, found \[1, 2, 3\]; .*add 'regions_class_order'"),
        (BRATS, [1, 2], r"a label for each of whole, core, enhancing; found \[1, 2\]"),
        (BRATS, 3, "a label for each of whole, core, enhancing; found 3"),
        (BRATS, [1, 2, "3"], "'regions_class_order' must list labels, found '3'"),
        (BRATS, [3, 2, 1], "writes label 1 as 3, which is in other regions"),
        (BRATS, [1, 2, 7], "writes label 3 as 7, which is in other regions"),
        (dict(reversed(BRATS.items())), [3, 2, 1], "writes label 2 as 1, .* list the regions that hold others first"),
        (KIDNEY, [1, 2, 2], "writes label 3 as 2"),
    ],
)
def test_an_order_that_would_lose_a_region_is_refused(folder: Any, labels: Any, order: Any, message: str) -> None:
    folder.save(labels=labels, **({} if order is None else {"regions_class_order": order}))
    with pytest.raises(ValueError, match=rf"dataset\.json: .*{message}"):
        read_dataset(folder.root)


def test_later_regions_write_over_earlier_ones(folder: Any) -> None:
    folder.save(labels=KIDNEY, regions_class_order=[1, 3, 2])
    dataset = read_dataset(folder.root)
    labels = np.array([[0, 1, 2, 3]])
    inside = np.stack([np.isin(labels, region.labels) for region in dataset.regions])
    np.testing.assert_array_equal(write_regions(inside, dataset.written), labels)
    odd = np.array([[[0, 1]], [[1, 0]], [[0, 0]]], bool)
    np.testing.assert_array_equal(write_regions(odd, dataset.written), [[3, 1]])

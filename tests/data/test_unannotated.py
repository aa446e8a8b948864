"""Classes that are taken out of label maps on purpose: which, and how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.bench.light import Light
from lossodyssey.data import Dataset, read_case, read_dataset, write_phantom
from lossodyssey.data.caching import cache
from lossodyssey.data.regions import Region
from lossodyssey.data.unannotated import partly_annotated
from lossodyssey.training.settings import Settings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=3)
    return read_dataset(folder)


def test_each_case_keeps_its_share_of_the_classes_chosen_by_names_alone(dataset: Dataset) -> None:
    names = [case.name for case in dataset.cases]
    shown = partly_annotated(dataset, names[:2], 0.5)
    assert [sum(shown.is_annotated(name)) for name in names] == [2, 2, 4]
    assert all(shown.annotated[name][0] for name in names[:2])  # the background always is
    alone = partly_annotated(dataset, names[1:2], 0.5)
    assert alone.annotated[names[1]] == shown.annotated[names[1]]
    assert sum(partly_annotated(dataset, names[:1], 0.75).is_annotated(names[0])) == 1


def test_what_is_not_annotated_is_background_and_known_as_such(dataset: Dataset) -> None:
    names = [case.name for case in dataset.cases]
    shown = partly_annotated(dataset, names[:2], 0.5)
    for case, cached in zip(shown.cases, cache(shown, shown.cases), strict=True):
        truth = read_case(dataset, case).labels
        assert truth is not None
        known = [0, *(t.labels[0] for t, own in zip(shown.targets, shown.is_annotated(case.name), strict=True) if own)]
        assert np.array_equal(cached.labels, np.where(np.isin(truth, known), truth, 0))
        assert cached.annotated == shown.annotated.get(case.name)
        assert sorted({int(cached.labels[tuple(v.T)][0]) for v in cached.foreground}) == known[1:]


def test_a_class_that_was_left_out_by_the_data_set_stays_so(dataset: Dataset) -> None:
    name = dataset.cases[0].name
    given = replace(dataset, annotated={name: (True, False, True, True, True)})
    assert not partly_annotated(given, [name], 0.25).is_annotated(name)[0]


@pytest.mark.parametrize(("share", "count"), [(0.1, 0), (0.9, 4)])
def test_a_share_of_none_or_all_classes_is_refused_before_training(dataset: Dataset, share: float, count: int) -> None:
    engine = Light(Settings(unannotated=share))
    with pytest.raises(ValueError, match=f"unannotated is {share}, which is {count} of the 4 classes of phantom"):
        engine.check(dataset)


def test_regions_are_refused(dataset: Dataset) -> None:
    regions = replace(dataset, regions=(Region("whole", (1, 2), 1), Region("core", (2,), 2)))
    with pytest.raises(ValueError, match=r"unannotated is 0\.5, but phantom has regions"):
        partly_annotated(regions, [], 0.5)


def test_labels_that_no_setting_takes_out_are_still_refused(dataset: Dataset, tmp_path: Path) -> None:
    name = dataset.cases[0].name
    given = replace(dataset, annotated={name: (True, False, True, True, True)})
    with pytest.raises(ValueError, match="leaves 'liver' out"):
        cache(given, dataset.cases[:1])

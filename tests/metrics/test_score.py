from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from lossodyssey.metrics import MEASURES, score


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 4, (4, 5, 3)), np.ones((3, 3, 3), int))
    prediction = np.where(rng.random(truth.shape) < 0.1, 0, np.roll(truth, 1, 0))
    return prediction, truth


NEEDS_NOTHING = [name for name in MEASURES if name != "clDice"]


def test_every_class_gets_what_its_masks_alone_get(maps):
    prediction, truth = maps
    found = score(prediction, truth, spacing=(2, 0.7, 0.7), metrics=NEEDS_NOTHING)
    assert [entry.label for entry in found][:: len(NEEDS_NOTHING)] == [1, 2, 3]
    for entry in found:
        alone = MEASURES[entry.metric](prediction == entry.label, truth == entry.label, spacing=(2, 0.7, 0.7))
        assert entry.value == pytest.approx(alone, nan_ok=True), entry


@pytest.mark.parametrize("change", [lambda a: a.astype(np.uint8), np.asfortranarray, lambda a: a[::-1][::-1]])
def test_type_and_memory_layout_do_not_matter(maps, change):
    expected = score(*maps, spacing=(2, 1, 1), metrics=NEEDS_NOTHING)
    assert score(*map(change, maps), spacing=(2, 1, 1), metrics=NEEDS_NOTHING) == expected


def test_torch_lists_and_whole_floats_are_read(maps):
    expected = score(*maps)
    assert score(*(torch.from_numpy(labels).to(torch.int16) for labels in maps)) == expected
    assert score(*(torch.from_numpy(labels).float().requires_grad_() for labels in maps)) == expected
    assert score(*(labels.tolist() for labels in maps)) == expected


@pytest.mark.parametrize(
    "names",
    [[-3, 5, 70000], [1, 2, 2**40], [32768, 65535, 65536], [1, 40000, 4_000_000_000], [1, 50, 4096], [7, -1, -2]],
)
def test_any_integers_are_labels(maps, names):
    renamed = [np.array([0, *names])[labels] for labels in maps]
    found = {entry.label: entry.value for entry in score(*renamed, metrics=["HD"])}
    expected = {names[entry.label - 1]: entry.value for entry in score(*maps, metrics=["HD"])}
    assert found == expected
    assert list(found) == sorted(names)


def test_labels_of_both_maps_are_scored_and_absent_ones_if_asked_for():
    prediction, truth = np.array([[1, 1, 0, 3]]), np.array([[1, 1, 2, 0]])
    found = score(prediction, truth, metrics=["DSC", "HD", "precision"])
    assert [(entry.label, entry.status) for entry in found if entry.metric == "HD"] == [
        (1, "ok"),
        (2, "pred_empty"),
        (3, "truth_empty"),
    ]
    asked = score(prediction, truth, metrics=["DSC"], labels=[9, 1])
    assert [(entry.label, entry.status) for entry in asked] == [(9, "both_empty"), (1, "ok")]
    assert math.isnan(asked.value(9, "DSC"))


@pytest.mark.parametrize("regions", [[(1, 2, 3), (2, 3), 3], [(3, 1), (2,)]])
def test_a_tuple_of_labels_is_a_region(maps, regions):
    prediction, truth = maps
    found = score(prediction, truth, spacing=(2, 0.7, 0.7), labels=regions, metrics=NEEDS_NOTHING)
    assert [entry.label for entry in found][:: len(NEEDS_NOTHING)] == regions
    for entry in found:
        masks = (np.isin(labels, entry.label) for labels in maps)
        assert entry.value == pytest.approx(MEASURES[entry.metric](*masks, spacing=(2, 0.7, 0.7)), nan_ok=True)


@pytest.mark.parametrize("label", [0, (0, 2)])
def test_the_background_is_scored_if_asked_for(maps, label):
    prediction, truth = (np.isin(labels, label) for labels in maps)
    (entry,) = score(*maps, labels=[label], metrics=["HD95"])
    assert entry.value == MEASURES["HD95"](prediction, truth) > 0


@pytest.mark.parametrize("labels", [[[1, 2]], [()], [{1, 2}]])
def test_regions_are_tuples(maps, labels):
    with pytest.raises(ValueError, match="expected a number, or a tuple of numbers that make a region"):
        score(*maps, labels=labels)


@pytest.mark.parametrize("labels", [None, [(1, 2), 3]])
def test_ignored_voxels_count_in_neither_map(maps, labels):
    prediction, truth = maps
    ignored = np.random.default_rng(3).random(truth.shape) < 0.3
    found = score(prediction, np.where(ignored, 9, truth), labels=labels, ignore=9, metrics=NEEDS_NOTHING)
    kept = (np.where(ignored, 0, labels) for labels in maps)
    assert found == score(*kept, labels=labels, metrics=NEEDS_NOTHING)
    assert score(prediction, truth, labels=labels, ignore=9) == score(prediction, truth, labels=labels)
    with pytest.raises(ValueError, match="holds the background, which cannot be told from ignored voxels"):
        score(prediction, np.where(ignored, 9, truth), labels=[0], ignore=9)


def test_rounding_errors_of_labels_are_rounded_and_no_more(maps):
    prediction, truth = maps
    assert score(prediction * 0.9999999998, truth * np.float32(1.0000001)) == score(prediction, truth)
    for wrong in (0.999, 1.01):
        with pytest.raises(ValueError, match="not whole numbers"):
            score(prediction * wrong, truth)


def test_value_is_nan_exactly_where_status_is_not_ok():
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    for pair in [(empty, full), (full, empty), (empty, empty), (full, full)]:
        for entry in score(*pair, labels=[1], metrics=NEEDS_NOTHING):
            assert math.isnan(entry.value) == (entry.status != "ok"), entry


def test_every_measure_stays_in_its_range_and_knows_its_best(maps):
    _, truth = maps
    for entry in score(*maps, metrics=NEEDS_NOTHING):
        least, most = MEASURES[entry.metric].range
        assert least <= entry.value <= most
    for entry in score(truth, truth, metrics=NEEDS_NOTHING):
        assert entry.value == (1 if MEASURES[entry.metric].better == "higher" else 0)


def test_parameters_after_the_at_sign(maps):
    found = score(*maps, metrics=["NSD", "NSD@1", "NSD@0.5", "NSD@class"], tolerances={1: 0.5, 2: 1, 3: 1})
    assert found.value(1, "NSD") == found.value(1, "NSD@1") > found.value(1, "NSD@0.5") == found.value(1, "NSD@class")
    assert found.value(2, "NSD@class") == found.value(2, "NSD")


def test_a_measure_in_several_spellings_is_one(maps):
    found = score(*maps, labels=[1], metrics=["DSC", "dice", "Dice coefficient", "NSD", "nsd@1.0", "Betti error"])
    assert [each.metric for each in found] == ["DSC", "NSD", "betti_error"]
    assert found.value(1, "Dice") == found.value(1, "DSC")


def test_scores_tell_the_true_volume(maps):
    sizes = {each.label: each.size for each in score(*maps, spacing=(2, 0.7, 0.7), metrics=["DSC", "NSD"])}
    assert sizes == {label: pytest.approx((maps[1] == label).sum() * 0.98) for label in sizes} and len(sizes) > 1


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["DCS"], "did you mean 'DSC'"),
        (["qqqqqq"], "expected one of DSC"),
        (["DSC@2"], "takes nothing after @"),
        (["NSD@two"], "'two' is not a number"),
        (["NSD@-1"], "'-1' is not a number of 0 or more"),
        (["NSD@nan"], "'nan' is not a number"),
        (["NSD@class"], "needs tolerances"),
    ],
)
def test_wrong_metrics(maps, metrics, message):
    with pytest.raises(ValueError, match=message):
        score(*maps, metrics=metrics)


def test_missing_tolerance_of_a_class(maps):
    with pytest.raises(ValueError, match="no entry for label 2"):
        score(*maps, metrics=["NSD@class"], tolerances={1: 1.0})


@pytest.mark.parametrize(
    ("prediction", "truth", "options", "message"),
    [
        (np.zeros((3, 4), int), np.zeros((4, 3), int), {}, r"shape \(3, 4\) but truth has \(4, 3\)"),
        (np.zeros((1, 2, 3, 4), int), np.zeros((1, 2, 3, 4), int), {}, "2D or 3D image"),
        (np.full((2, 2), 0.5), np.zeros((2, 2), int), {}, "prediction .* not whole numbers"),
        (np.zeros((2, 2), int), np.full((2, 2), np.nan), {}, "truth .* not whole numbers"),
        (np.zeros((2, 2), complex), np.zeros((2, 2), int), {}, "not whole numbers"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), {"spacing": (1, 1, 1)}, "expected 2 positive numbers"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), {"spacing": (1, 0)}, "expected 2 positive numbers"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), {"spacing": (1, math.inf)}, "expected 2 positive numbers"),
    ],
)
def test_wrong_input(prediction, truth, options, message):
    with pytest.raises(ValueError, match=message):
        score(prediction, truth, **options)


def test_scores_print_as_a_table_and_cannot_be_changed():
    found = score(np.array([[1, 2]]), np.array([[1, 0]]), metrics=["DSC", "HD95"])
    assert str(found).splitlines() == [
        "label     DSC         HD95",
        "    1  1.0000       0.0000",
        "    2  0.0000  truth_empty",
    ]
    with pytest.raises(FrozenInstanceError):
        found[0].value = 1.0
    with pytest.raises(KeyError, match="'NSD' of label 1"):
        found.value(1, "NSD")


def test_images_without_foreground_or_without_voxels_have_no_scores():
    assert score(np.zeros((3, 3), int), np.zeros((3, 3), int)) == ()
    assert score(np.zeros((0, 3), int), np.zeros((0, 3), int)) == ()
    assert str(score(np.zeros((3, 3), int), np.zeros((3, 3), int))) == "no class to score"


def test_every_measure_has_a_card():
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert len(measure.definition) > 40
        assert measure.better in ("higher", "lower", "nearer 0")

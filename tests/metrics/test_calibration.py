from __future__ import annotations

import numpy as np
import pytest
import torch

from lossodyssey.metrics import expected_calibration_error, score


def binary(confidences: list[float]) -> np.ndarray:
    return np.array([[confidences], [[1 - c for c in confidences]]])


def test_value_by_hand():
    probabilities, truth = binary([0.9, 0.9, 0.9, 0.6]), np.array([[0, 0, 1, 1]])
    gaps = {"l1": (3 * (0.9 - 2 / 3) + 0.6) / 4, "max": 0.6, "l2": np.sqrt((3 * (0.9 - 2 / 3) ** 2 + 0.36) / 4)}
    for norm, value in gaps.items():
        assert expected_calibration_error(probabilities, truth, norm=norm) == pytest.approx(value)


def test_confident_and_right_is_perfect_confident_and_wrong_is_worst():
    truth = np.array([[0, 1, 2], [2, 1, 0]])
    certain = np.moveaxis(np.eye(3)[truth], -1, 0)
    assert expected_calibration_error(certain, truth) == 0
    assert expected_calibration_error(certain, (truth + 1) % 3) == 1


def test_edges_belong_to_the_bin_below():
    probabilities, truth = binary([0.5, 0.55]), np.array([[0, 1]])
    assert expected_calibration_error(probabilities, truth, bins=2) == pytest.approx((0.5 + 0.55) / 2)
    assert expected_calibration_error(probabilities, truth, bins=1) == pytest.approx(0.525 - 0.5)


def test_per_class_and_torch():
    probabilities, truth = torch.tensor(binary([0.9, 0.2])), torch.tensor([[0, 1]])
    assert expected_calibration_error(probabilities, truth, label=0) == pytest.approx((0.1 + 0.2) / 2)


@pytest.mark.parametrize("arguments", [{"norm": "l3"}, {"bins": 0}, {"label": 7}])
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="expected"):
        expected_calibration_error(binary([0.9]), np.array([[0]]), **arguments)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"expected \(classes, 2, 2\)"):
        expected_calibration_error(binary([0.9]), np.zeros((2, 2), int))


@pytest.mark.parametrize("label", [None, 0, 1])
@pytest.mark.parametrize("ignore", [2, 255, -1])
def test_ignored_voxels_do_not_count(ignore: int, label: int | None) -> None:
    rng = np.random.default_rng(0)
    probabilities, truth = binary(rng.random(40).tolist()), rng.integers(0, 2, (1, 40))
    ignored = rng.random((1, 40)) < 0.4
    value = expected_calibration_error(probabilities, np.where(ignored, ignore, truth), label=label, ignore=ignore)
    kept = probabilities[:, ~ignored][:, None], truth[~ignored][None]
    assert value == expected_calibration_error(*kept, label=label)
    assert np.isnan(expected_calibration_error(probabilities, np.full_like(truth, ignore), label=label, ignore=ignore))


@pytest.mark.parametrize(("truth", "label"), [([[0, 255]], None), ([[2, 1]], 1), ([[0, -1]], 0)])
def test_a_true_label_without_a_channel_is_refused(truth: list[list[int]], label: int | None) -> None:
    with pytest.raises(ValueError, match=r"truth holds (255|2|-1), but probabilities have 2 channels"):
        expected_calibration_error(binary([0.9, 0.4]), np.array(truth), label=label)


def softmax(classes: int, shape: tuple[int, ...]) -> np.ndarray:
    powers = np.exp(np.random.default_rng(1).normal(0, 2, (classes, *shape)))
    return np.asarray(powers / powers.sum(0))


@pytest.mark.parametrize("ignore", [None, 2])
def test_score_takes_probabilities_beside_the_labels(ignore: int | None) -> None:
    probabilities, truth = softmax(3, (9, 8, 7)), np.random.default_rng(2).integers(0, 3, (9, 8, 7))
    labels = [1] if ignore else [1, 2]
    maps = {label: probabilities[label] for label in labels}
    given = {"labels": labels, "ignore": ignore, "metrics": ["dice", "expected calibration error"]}
    found = score(probabilities.argmax(0), truth, probabilities=maps, **given)
    assert [each.metric for each in found] == ["DSC", "ECE"] * len(labels)
    kept = truth != ignore if ignore else np.ones_like(truth, bool)
    for label in labels:
        rest = np.stack([1 - probabilities[label], probabilities[label]])[:, kept][:, None]
        expected = expected_calibration_error(rest, (truth == label)[kept][None].astype(int), label=1)
        assert found.value(label, "ece") == pytest.approx(expected)


def test_a_region_has_a_probability_of_its_own() -> None:
    truth, certain = np.array([[0, 1, 2, 2]]), np.array([[0.0, 1.0, 1.0, 1.0]])
    found = score(truth, truth, labels=[(1, 2)], metrics=["ECE"], probabilities={(1, 2): certain})
    assert found.value((1, 2), "ECE") == 0
    assert score(truth, truth, labels=[2], metrics=["ECE"], probabilities={2: certain}).value(2, "ECE") == 0.25


@pytest.mark.parametrize(
    ("probabilities", "said"),
    [
        (None, "'ECE' is of probabilities, which label maps do not hold"),
        ({2: np.zeros((1, 4))}, r"no entry for label 1, only \[2\]"),
        ({1: np.zeros((4, 4))}, r"probabilities of label 1 have shape \(4, 4\); expected \(1, 4\)"),
    ],
)
def test_probabilities_that_do_not_fit_are_refused(probabilities: dict[int, np.ndarray] | None, said: str) -> None:
    truth = np.array([[0, 1, 1, 0]])
    with pytest.raises(ValueError, match=said):
        score(truth, truth, labels=[1], metrics=["ECE"], probabilities=probabilities)

"""What a network sees of a case, and the way of its answers back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lossodyssey.data import Volume, read_dataset, read_labels
from lossodyssey.data.intensity import is_ct, normalise, summarise
from lossodyssey.data.phantom import SPACING, render
from lossodyssey.data.preprocessing import Preprocessing, frame_of, prepare_image, prepare_labels, restore
from lossodyssey.data.statistics import gather
from lossodyssey.data.volumes import read_case

DATA = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))


def one_hot(labels: np.ndarray, classes: int) -> torch.Tensor:
    """Logits of a network that is sure of these labels."""
    return torch.stack([torch.from_numpy(np.float32(labels == label)) * 10 - 5 for label in range(classes)])


def test_neutral_preprocessing_is_normalisation_alone() -> None:
    image = np.random.default_rng(0).normal(40, 9, (2, 9, 8, 7)).astype(np.float32)
    frame = frame_of(image, (0.7, 0.7, 9.0), Preprocessing())
    assert frame.spacing == (0.7, 0.7, 9.0)
    np.testing.assert_array_equal(prepare_image(image, frame, Preprocessing()), normalise(image))
    logits = torch.rand(3, 9, 8, 7)
    assert restore(logits, frame, regions=False) is logits


def test_a_case_at_the_spacing_already_keeps_its_bits() -> None:
    image = np.random.default_rng(0).normal(size=(1, 9, 8, 7)).astype(np.float32)
    plan = Preprocessing((0.7, 0.7, 3.3), crop=True)
    frame = frame_of(image, (0.7, 0.7, 3.3), plan)
    assert frame.spacing == (0.7, 0.7, 3.3)
    np.testing.assert_array_equal(prepare_image(image, frame, plan), normalise(image))


def test_the_spacing_of_the_prepared_grid_is_that_of_its_voxels() -> None:
    image = np.zeros((1, 10, 10, 7), np.float32)
    frame = frame_of(image, (1.0, 1.0, 2.0), Preprocessing((0.9, 1.0, 4.0)))
    assert frame.shape == (11, 10, 4)
    np.testing.assert_allclose(np.array(frame.spacing) * frame.shape, [10, 10, 14], rtol=1e-15)


@pytest.mark.parametrize("regions", [False, True], ids=["classes", "regions"])
def test_the_border_that_was_cropped_is_background(regions: bool) -> None:
    image = np.zeros((2, 12, 14), np.float32)
    image[0, 3:8, 4:10], image[1, 2, 9] = 5, -1
    frame = frame_of(image, (1.0, 1.0), Preprocessing(crop=True))
    assert (frame.box, frame.shape) == ((slice(2, 8), slice(4, 10)), (6, 6))
    logits = restore(torch.full((3, 6, 6), 2.0), frame, regions=regions)
    assert logits.shape == (3, 12, 14) and (logits[:, 2:8, 4:10] == 2).all()
    outside = torch.ones(12, 14, dtype=torch.bool)
    outside[2:8, 4:10] = False
    probabilities = (logits.sigmoid() if regions else logits.softmax(0))[:, outside]
    torch.testing.assert_close(probabilities[0], torch.full_like(probabilities[0], 0.0 if regions else 1.0))
    torch.testing.assert_close(probabilities[1:], torch.zeros_like(probabilities[1:]))


def test_an_empty_image_is_kept_whole() -> None:
    image = np.zeros((1, 5, 6), np.float32)
    assert frame_of(image, (1.0, 1.0), Preprocessing(crop=True)).kept == (5, 6)


def test_other_axes_than_those_of_the_spacing_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"spacing is \(1.0, 1.0, 2.0\) mm; expected one number for each of the 2 axes"
    ):
        frame_of(np.zeros((1, 5, 6), np.float32), (1.0, 1.0), Preprocessing((1.0, 1.0, 2.0)))


def volumes() -> list[tuple[str, np.ndarray, tuple[float, ...]]]:
    """Label maps with their spacing: real ones where they are at hand, and always a generated one."""
    files = [*sorted(DATA.glob("KiTS19_labels/labelsTr/*.nii.gz"))[:1]]
    for folder in ("Singles_3D/msd_spleen_2", "ACDC_ED_small", "Task04_Hippocampus"):
        files += sorted(path for path in DATA.glob(f"{folder}/**/*.nii.gz") if "label" in str(path).lower())[:1]
    found = [("phantom", render(np.random.default_rng(3))[1].astype(np.int16), SPACING)]
    for path in files:
        labels = read_labels(path)
        # The middle of a large volume will do.
        middle = tuple(slice(max(0, n // 2 - 80), n // 2 + 80) for n in labels.labels.shape)
        found.append((path.parent.parent.name, labels.labels[middle], labels.spacing))
    return found


VOLUMES = volumes()


@pytest.mark.parametrize(("labels", "spacing"), [each[1:] for each in VOLUMES], ids=[each[0] for each in VOLUMES])
def test_labels_that_go_to_a_finer_grid_and_back_are_the_same(labels: np.ndarray, spacing: tuple[float, ...]) -> None:
    finest = min(spacing)
    target = tuple(max(size * 0.8, finest) for size in spacing)
    image = np.ones((1, *labels.shape), np.float32)
    frame = frame_of(image, spacing, Preprocessing(target))
    values, numbers = np.unique(labels, return_inverse=True)
    prepared = prepare_labels(numbers.reshape(labels.shape), frame)
    assert set(np.unique(prepared)) == set(range(len(values)))
    back = restore(one_hot(prepared, len(values)), frame, regions=False).argmax(0).numpy()
    assert back.shape == labels.shape and (back != numbers.reshape(labels.shape)).mean() < 0.02
    for number in range(1, len(values)):
        mine, theirs = back == number, numbers.reshape(labels.shape) == number
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) > 0.9


def test_ct_is_clipped_and_scaled_by_the_set_and_other_channels_by_the_case() -> None:
    image = np.stack([np.linspace(-1000, 1000, 30), np.linspace(0, 1, 30)]).astype(np.float32).reshape(2, 5, 6)
    scaled = normalise(image, ((-100.0, 300.0, 50.0, 80.0), ()))
    np.testing.assert_allclose(scaled[0], (image[0].clip(-100, 300) - 50) / 80, rtol=1e-6)
    np.testing.assert_array_equal(scaled[1:], normalise(image[1:]))
    flat = normalise(np.full((1, 4, 4), 7, np.float32), ((7.0, 7.0, 7.0, 0.0),))
    assert (flat == 0).all()


def test_the_name_of_a_channel_says_ct() -> None:
    assert [is_ct(name) for name in ("CT", " ct ", "CTA", "MRI", "CT perfusion")] == [True, True, False, False, False]


def test_percentiles_are_those_of_the_paper() -> None:
    values = np.random.default_rng(0).normal(60, 30, 5000).astype(np.float32)
    low, high, mean, deviation = summarise([values[:2000], values[2000:]])
    expected = [*np.percentile(values, (0.5, 99.5)), values.mean(), values.std()]
    np.testing.assert_allclose((low, high, mean, deviation), expected, rtol=1e-5)


def test_numbers_are_taken_from_the_foreground_of_the_cases_that_are_named(folder) -> None:
    folder.nifti("imagesTr/b.nii.gz", np.full((5, 6, 4), 1e6, np.float32), np.diag([9.0, 9.0, 9.0, 1.0]))
    labels = np.zeros((5, 6, 4), np.uint8)
    labels[0] = 1
    folder.nifti("labelsTr/b.nii.gz", labels, np.diag([9.0, 9.0, 9.0, 1.0]))
    dataset = read_dataset(folder.root)
    first, second = dataset.cases
    alone, both = gather(dataset, [first]), gather(dataset, [first, second])
    assert alone.median_spacing() == (1.5, 2.0, 3.0)
    assert both.median_spacing() == (5.25, 5.5, 6.0)
    volume: Volume = read_case(dataset, first)
    assert volume.labels is not None
    inside = volume.image[0][volume.labels > 0]
    np.testing.assert_array_equal(alone.intensities([True])[0], summarise([inside]))
    assert both.intensities([True])[0][1] == 1e6
    assert both.intensities([False]) == ((),)


def test_a_set_without_foreground_has_no_range(folder) -> None:
    for name in "ab":
        folder.nifti(f"labelsTr/{name}.nii.gz", np.zeros((5, 6, 4), np.uint8))
    dataset = read_dataset(folder.root)
    with pytest.raises(ValueError, match="no training case has foreground"):
        gather(dataset, dataset.cases).intensities([True])

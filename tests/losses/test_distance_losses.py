"""Losses of distances to boundaries: their exact values on a disc, and what moving, turning and spacing do to them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.auxiliary import SignedShare

LOSSES = [
    "Boundary(offset=True)",
    "HausdorffDT()",
    "HausdorffDT(one_sided=True)",
    "HausdorffConvolution()",
    "WeightedHausdorff(most=999)",
    "GeneralizedSurface()",
    "SignedDistanceRegression()",
]


def disc(side: int = 32, radius: float = 8) -> Tensor:
    """Labels (1, side, side) of a disc in the middle, without the voxels at its very radius."""
    place = torch.arange(side) - side // 2
    return ((place[:, None] ** 2 + place**2) < radius**2).long()[None]


def ball() -> Tensor:
    place = torch.arange(12) - 6
    return ((place[:, None, None] ** 2 + place[:, None] ** 2 + place**2) < 16).long()[None]


def sure(labels: Tensor, classes: int = 2) -> Tensor:
    return 60 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def predictions(labels: Tensor) -> dict[str, Tensor]:
    return {
        "perfect": sure(labels),
        "shift": sure(labels.roll(6, 1)),
        "empty": sure(0 * labels),
        "half": 0 * sure(labels),
        "full": sure(0 * labels + 1),
        "inverse": sure(1 - labels),
    }


# What independent implementations give for the disc, to the digits that they were written down with.
DISC = {
    "Boundary(zero='voxel-shift')": (-0.372, 0.029, 0, 2.39, 4.79, 5.16),
    "HausdorffDT(prediction='threshold')": (0, 3.56, 2.25, 10.8, 41.0, 86.5),
    "WeightedHausdorff(most=999)": (2e-6, 4.19, 45.25, 33.0, 5.16, 11.7),
    "GeneralizedSurface()": (0, 0.041, 0.052, 0.75, 0.95, 1),
}


@pytest.mark.parametrize("text", DISC)
def test_values_on_a_disc_are_those_of_independent_implementations(text: str) -> None:
    loss, labels = lo.parse(text), disc()
    for (name, prediction), expected in zip(predictions(labels).items(), DISC[text], strict=True):
        digits = 1e-6 if abs(expected) < 1e-3 else 0.6 * 10.0 ** -len(str(expected).partition(".")[2])
        assert float(loss(prediction, labels)) == pytest.approx(expected, abs=max(digits, 1e-6)), name


@pytest.mark.parametrize("text", LOSSES)
@pytest.mark.parametrize("labels", [disc(20, 5), ball()], ids=["disc", "ball"])
def test_the_value_grows_with_the_distance_to_the_truth(text: str, labels: Tensor) -> None:
    loss = lo.parse(text)
    for axis in range(1, labels.ndim):
        values = [float(loss(sure(labels.roll(step, axis)), labels)) for step in range(3)]
        assert values[0] < values[1] < values[2]
        back = float(loss(sure(labels.roll(-1, axis)), labels))
        assert back > values[0]


@pytest.mark.parametrize("text", [text for text in LOSSES if "Regression" not in text])
def test_the_perfect_prediction_costs_nothing(text: str) -> None:
    for labels in (disc(), ball()):
        assert float(lo.parse(text)(sure(labels), labels)) == pytest.approx(0, abs=3e-6)


def noisy(labels: Tensor, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Logits and labels of three classes; the disc's upper left quarter is the third."""
    labels = labels.clone()
    labels[:, : labels.shape[1] // 2, : labels.shape[2] // 2] *= 2
    noise = torch.randn(1, classes, *labels.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 2 * noise + sure(labels.roll(2, 1), classes) / 30, labels


@pytest.mark.parametrize("text", LOSSES)
def test_flips_and_quarter_turns_change_nothing(text: str) -> None:
    loss, (logits, labels) = lo.parse(text), noisy(disc(18, 6))
    value = loss(logits, labels, spacing=(0.7, 1.9))
    for axis in (1, 2):
        torch.testing.assert_close(loss(logits.flip(axis + 1), labels.flip(axis), spacing=(0.7, 1.9)), value)
    turned = loss(logits.rot90(1, (2, 3)), labels.rot90(1, (1, 2)), spacing=(1.9, 0.7))
    torch.testing.assert_close(turned, value)


@pytest.mark.parametrize(
    ("text", "power"),
    [
        ("Boundary(offset=True)", 1),
        ("HausdorffDT()", 2),
        ("HausdorffDT(alpha=1, one_sided=True)", 1),
        ("HausdorffConvolution()", 2),
        ("HausdorffConvolution(alpha=1, radii=(1, 2))", 1),
        ("WeightedHausdorff()", 1),
        ("WeightedHausdorff(marks='centroid')", 1),
        ("GeneralizedSurface()", 0),
        ("SignedDistanceRegression()", 0),
    ],
)
def test_twice_the_spacing_is_twice_the_distance(text: str, power: int) -> None:
    loss, (logits, labels) = lo.parse(text), noisy(disc(14, 5))
    value = loss(logits, labels, spacing=(0.5, 1.25))
    torch.testing.assert_close(loss(logits, labels, spacing=(1.0, 2.5)), 2**power * value, rtol=1e-5, atol=0)
    rows = torch.tensor([[0.5, 1.25], [1.0, 2.5]])
    both = loss(torch.cat([logits, logits]), torch.cat([labels, labels]), spacing=rows)
    torch.testing.assert_close(both, (1 + 2**power) / 2 * value, rtol=1e-5, atol=0)


@pytest.mark.parametrize("text", LOSSES)
def test_spacing_that_differs_along_the_axes_matters(text: str) -> None:
    loss, (logits, labels) = lo.parse(text), noisy(disc(14, 5))
    assert float(loss(logits, labels, spacing=(1, 3))) != pytest.approx(float(loss(logits, labels)), rel=1e-4)


NOTHING = torch.zeros(1, 9, 8, dtype=torch.long)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("GeneralizedSurface()", 0),  # no class has distances
        ("HausdorffConvolution(radii=(1, 2))", 5),  # (r^2 / 2) twice: by the truth's background and by what is there
        ("WeightedHausdorff()", (9**2 + 8**2) ** 0.5),
        ("SignedDistanceRegression()", 10 / 3),
    ],
)
def test_an_absent_class_costs_nothing_unpredicted_and_as_stated_everywhere(text: str, full: float) -> None:
    loss = lo.parse(text)
    assert float(loss(sure(NOTHING), NOTHING)) == pytest.approx(0, abs=1e-6)
    leaf = sure(1 - NOTHING).requires_grad_()
    value = loss(leaf, NOTHING)
    assert float(value.detach()) == pytest.approx(full, abs=1e-6)
    assert torch.autograd.grad(value, leaf)[0].isfinite().all()


@pytest.mark.parametrize("text", ["HausdorffConvolution()", "WeightedHausdorff()", "SignedDistanceRegression()"])
def test_half_probability_everywhere_has_a_gradient(text: str) -> None:
    """Unlike erosions, which leave nothing of errors of one quarter."""
    leaf = torch.zeros(1, 2, 32, 32, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(lo.parse(text)(leaf, disc()), leaf)
    assert gradient.abs().max() > 1e-6
    (none,) = torch.autograd.grad(lo.HausdorffErosion()(leaf, disc()), leaf)
    assert not none.any()


def test_a_prediction_that_is_the_map_of_distances_costs_nothing() -> None:
    for labels in (disc(), ball()):
        y = SignedShare()(labels, 2).double()[:, 1:]
        z = -torch.atanh(y.clamp(-1 + 1e-9, 1 - 1e-9))
        loss = lo.SignedDistanceRegression()
        assert float(loss(z, labels)) == pytest.approx(0, abs=1e-6)
        for other in (z + 0.2, 0.5 * z, 2 * z, -z, z.roll(1, 2)):
            assert float(loss(other, labels)) > 1e-3
        # the segmentation is read off the logits: the object without its edge
        assert torch.equal(z[:, 0] > 0, (y[:, 0] < 0)) and not (z[:, 0] > 0)[labels == 0].any()


def test_signed_shares_go_from_minus_one_to_one() -> None:
    for labels in (disc(), ball()):
        for zero in ("inner", "jump"):
            y = SignedShare(zero=zero)(labels, 3, (2.0, 1.0, 0.5)[: labels.ndim - 1])  # type: ignore[arg-type]
            assert y[:, :2].amin() == -1 and y[:, :2].amax() == 1
            assert (y[:, 1][labels == 1] <= 0).all() and (y[:, 1][labels == 0] > 0).all()
            assert (y[:, 2] == 1).all(), "absent"
    assert (SignedShare()(NOTHING, 1) == -1).all()


def test_sums_over_batch_and_classes_before_the_ratio() -> None:
    logits, labels = noisy(disc(12, 4))
    two = torch.cat([logits, logits.roll(3, 2)]), torch.cat([labels, labels.roll(1, 2)])
    values = {
        text: float(lo.parse(f"SignedDistanceRegression({text})")(*two))
        for text in ("", "batch=True", "pooled=True", "batch=True, pooled=True")
    }
    assert len({round(value, 9) for value in values.values()}) == 4
    same = torch.cat([logits, logits]), torch.cat([labels, labels])
    alone = float(lo.SignedDistanceRegression()(logits, labels))
    assert float(lo.SignedDistanceRegression(batch=True)(*same)) == pytest.approx(alone, abs=1e-6)


def test_chosen_voxels_stand_for_the_others_when_there_are_many() -> None:
    labels = disc(24, 8)
    logits = sure(labels.roll(2, 1)) / 20
    every, some, few = (lo.WeightedHausdorff(most=most)(logits, labels) for most in (10**6, 96, 1))
    assert float(some) == pytest.approx(float(every), rel=0.02) and some != every
    assert few.isfinite() and float(few) != pytest.approx(float(every), rel=0.02)
    torch.testing.assert_close(lo.WeightedHausdorff(most=int(labels.sum()))(logits, labels), every, rtol=0, atol=0)


def test_distances_taken_part_by_part_are_those_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossodyssey.losses.boundary import weighted_hausdorff

    logits, labels = noisy(disc(14, 5))
    leaf, loss = logits.clone().requires_grad_(), lo.WeightedHausdorff()
    expected = torch.autograd.grad(loss(leaf, labels), leaf)[0]
    value = loss(logits, labels)
    monkeypatch.setattr(weighted_hausdorff, "AT_ONCE", 500)
    torch.testing.assert_close(loss(leaf, labels).detach(), value)
    torch.testing.assert_close(torch.autograd.grad(loss(leaf, labels), leaf)[0], expected)


def test_centroids_find_the_middle_of_an_object() -> None:
    labels, loss = disc(21, 5), lo.WeightedHausdorff(marks="centroid")
    middle = torch.zeros_like(labels)
    middle[0, 10, 10] = 1
    at = float(loss(sure(middle), labels))
    assert at == pytest.approx(0, abs=3e-6) and at < float(loss(sure(labels), labels))
    # One voxel of 441 is near: the generalised mean is 441^(1/9) times its distance.
    for step in (1, 2, 4):
        expected = step * (1 + 441 ** (1 / 9))
        assert float(loss(sure(middle.roll(step, 2)), labels)) == pytest.approx(expected, rel=1e-3)


def test_given_class_weights_take_the_place_of_those_by_size() -> None:
    logits, labels = noisy(disc(14, 5))
    sizes = torch.bincount(labels.flatten(), minlength=3).double()
    weights = tuple((1 / (sizes**2 + 1)).tolist())
    torch.testing.assert_close(
        lo.GeneralizedSurface(class_weights=weights)(logits, labels), lo.GeneralizedSurface()(logits, labels)
    )
    assert lo.GeneralizedSurface(class_weights=(1.0, 0.0, 0.0))(logits, labels) != lo.GeneralizedSurface()(
        logits, labels
    )


def test_smooth_lowers_the_value_of_small_distances_alone() -> None:
    logits, labels = noisy(disc(14, 5))
    plain, smooth = lo.GeneralizedSurface()(logits, labels), lo.GeneralizedSurface(smooth=1.0)(logits, labels)
    assert 0 < smooth < plain
    assert float(lo.GeneralizedSurface(smooth=1.0)(sure(labels, 3), labels)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HausdorffConvolution(radii=())", r"radii is \(\), expected at least one radius"),
        ("HausdorffConvolution(radii=(3, 0))", r"radii\[1\] is 0"),
        ("WeightedHausdorff(q=0.5)", r"q is 0.5, expected .*\[1, 100\]"),
        ("WeightedHausdorff(most=0)", "most is 0"),
        ("SignedDistanceRegression(zero='none')", "zero is 'none', expected one of 'inner', 'jump'"),
    ],
)
def test_values_without_a_meaning_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)

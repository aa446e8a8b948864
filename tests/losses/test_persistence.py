"""Losses of persistent features: what each defect costs, where descent leads, and how calls are spared."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.metrics.topology import betti_numbers

PRIOR = "BettiPrior(betti=((1, (1, 1)),){more})"
MATCHING = ("PersistenceMatching()", "PersistenceMatching(matching='wasserstein')")
BETTI = ("BettiMatching()", "BettiMatching(levels='both')")
RING_AND_DISC = "BettiPrior(betti=((0, (2, 1)),){more})"


def drawing(text: str) -> Tensor:
    """Labels (1, *S) of a drawing: # and + are objects."""
    return torch.tensor([[[int(sign != ".") for sign in row] for row in text.split()]])


def certain(labels: Tensor, strength: float = 60.0) -> Tensor:
    one_hot = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
    return strength * (2 * one_hot - 1) / 2


RING = drawing("........ .#####.. .#...#.. .#...#.. .#####.. ........ ........")
# What is predicted for the ring, and the costs: of the prior 1 piece and 1 hole, of both matchings, of Betti matching.
DEFECTS = {
    "right": (RING, 0, 0, 0, 0),
    "elsewhere": (RING.roll(2, 2), 0, 0, 0, 2),
    "gap": (drawing("........ .##.##.. .#...#.. .#...#.. .#####.. ........ ........"), 1, 0.5, 0.5, 1),
    "filled": (drawing("........ .#####.. .#####.. .#####.. .#####.. ........ ........"), 1, 0.5, 0.5, 1),
    "one object more": (drawing("........ .#####.. .#...#.. .#...#.. .#####.. ........ ......##"), 1, 0.5, 0.5, 1),
    "one hole more": (drawing("........ .#####.. .#.#.#.. .#.#.#.. .#####.. ........ ........"), 1, 0.5, 0.5, 1),
    "nothing": (torch.zeros_like(RING), 2, 1.5, 1, 3),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_missing_or_surplus_feature_costs(name: str) -> None:
    predicted, prior, longest, wasserstein, matching = DEFECTS[name]
    logits = certain(predicted)
    for power in (1, 2):
        loss = lo.parse(PRIOR.format(more=f", power={power}"))
        assert float(loss(logits, RING)) == pytest.approx(prior, abs=1e-9)
    for text, expected in zip((*MATCHING, BETTI[0]), (longest, wasserstein, matching), strict=True):
        assert float(lo.parse(text)(logits, RING)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("text", [MATCHING[0], "BettiPrior(betti=((1, (1, 0)),))"])
def test_an_object_that_is_hardly_seen_is_drawn_up(text: str) -> None:
    labels = drawing("...... .##... .##... ......")
    logits = certain(torch.zeros_like(labels), 4.0)
    logits[0, 1, 1, 2] += 1
    leaf = logits.requires_grad_()
    lo.parse(text)(leaf, labels).backward()
    assert leaf.grad is not None and leaf.grad[0, 1, 1, 2] < 0 and leaf.grad[0, 1].count_nonzero() == 1


def test_levels_of_birth_and_death_enter_the_sum() -> None:
    s = torch.tensor([[[0.9, 0.3, 0.6, 0.1, 0.2]]]).double()
    logits = torch.stack([(1 - s).log(), s.log()], 1)
    two = torch.tensor([[[1, 0, 1, 0, 0]]])
    kept, lost = (1 - 0.9) ** 2 + (1 - 0.6) ** 2 + 0.3**2, (0.2 - 0.1) ** 2 / 2
    for text in MATCHING:
        assert float(lo.parse(text)(logits, two)) == pytest.approx(kept + lost)
    lengths = (0.9, 0.3, 0.1)
    for power in (1, 2):
        first, second, third = (length**power for length in lengths)
        prior = lo.BettiPrior(betti=((1, (2,)),), power=power)
        assert float(prior(logits, two)) == pytest.approx(2 - first - second + third)


def test_wasserstein_takes_the_partners_that_cost_least() -> None:
    # The object from 0.5 to 0 lives longer than that from 0.9 to 0.42, and costs more to keep.
    s = torch.tensor([[[0.99, 0.0, 0.5, 0.0, 0.9, 0.42, 0.99]]]).double().clamp(1e-9)
    logits = torch.stack([(1 - s).log(), s.log()], 1)
    labels = torch.tensor([[[1, 0, 1, 0, 1, 0, 0]]])
    values = [float(lo.parse(text)(logits, labels)) for text in MATCHING]
    assert values[1] < values[0]


def test_unions_have_numbers_of_their_own() -> None:
    # A ring of class 2 around a disc of class 1: their union is a disc, of which the ring alone has no hole less.
    labels = drawing("....... .#####. .#...#. .#...#. .#####. .......") * 2
    labels[0, 2:4, 2:5] = 1
    one_hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    heart = lo.BettiPrior(betti=((1, (1, 0)), (2, (1, 1)), ((1, 2), (1, 0))))
    assert float(heart(60 * one_hot, labels)) == pytest.approx(0, abs=1e-9)
    gap = labels.clone()
    gap[0, 1, 3] = 0
    assert float(heart(60 * torch.nn.functional.one_hot(gap, 3).movedim(-1, 1).double(), labels)) == pytest.approx(1)
    assert float(lo.BettiPrior()(60 * one_hot, labels)) == pytest.approx(1)
    assert float(lo.BettiPrior(betti=((2, (1,)),))(60 * one_hot, labels)) == pytest.approx(0, abs=1e-9)


def test_regions_are_single_channels() -> None:
    regions = torch.stack([RING, drawing("........ .#####.. .#####.. .#####.. .#####.. ........ ........")], 1)
    logits = 60.0 * (2 * regions - 1).double()
    assert float(lo.BettiPrior()(logits, regions, link="sigmoid")) == pytest.approx(1)
    ring_and_disc = lo.BettiPrior(betti=((0, (1, 1)), (1, (1, 0))))
    assert float(ring_and_disc(logits, regions, link="sigmoid")) == pytest.approx(0, abs=1e-9)
    weight = torch.stack([torch.ones_like(RING), torch.zeros_like(RING)], 1)
    assert float(lo.BettiPrior(betti=((1, (3,)),))(logits, regions, link="sigmoid", weight=weight)) == 0
    with pytest.raises(ValueError, match="expected single channels of 0 to 1"):
        lo.BettiPrior(betti=(((0, 1), (1, 0)),))(logits, regions, link="sigmoid")


def cavity() -> Tensor:
    labels = torch.zeros(1, 5, 5, 5, dtype=torch.long)
    labels[0, 1:4, 1:4, 1:4] = 1
    labels[0, 2, 2, 2] = 0
    return labels


def test_volumes_have_cavities_and_with_gudhi_tunnels() -> None:
    hollow, tunnel = cavity(), cavity()
    tunnel[0, 2, 2, :] = 0
    ball = hollow.clone()
    ball[0, 2, 2, 2] = 1
    assert float(lo.PersistenceMatching()(certain(hollow), ball)) == pytest.approx(0.5)
    assert float(lo.BettiPrior()(certain(hollow), ball)) == pytest.approx(1)
    assert float(lo.BettiPrior()(certain(tunnel), ball)) == pytest.approx(0, abs=1e-9)
    pytest.importorskip("gudhi")
    assert float(lo.BettiPrior(betti=((1, (1, 0, 0)),))(certain(tunnel), ball)) == pytest.approx(1)
    assert float(lo.PersistenceMatching(dimensions=(1,))(certain(tunnel), ball)) == pytest.approx(0.5)
    assert float(lo.PersistenceMatching(dimensions=(0, 1, 2))(certain(tunnel), tunnel)) == pytest.approx(0, abs=1e-9)


def broken_ring_and_disc(seed: int) -> tuple[Tensor, Tensor]:
    """Logits of a ring cut twice, of a faint disc, and of two objects that are not there; and the labels."""
    labels = torch.zeros(1, 14, 16, dtype=torch.long)
    labels[0, 2:9, 2:9] = 1
    labels[0, 4:7, 4:7] = 0
    labels[0, 10:12, 12:15] = 1
    z = torch.where(labels == 1, 2.0, -2.0).double()
    z[0, 2:4, 5], z[0, 7:9, 5], z[0, 10, 13] = -0.6, -0.8, -0.5
    z[0, 11, 4:6], z[0, 4:9, 12] = 1.0, 0.5
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (z + 0.05 * noise)[:, None], labels


def led_to(loss: lo.Loss, direction: float, seed: int) -> tuple[int, ...]:
    """Betti numbers of the prediction after some steps down, or up, the loss."""
    logits, labels = broken_ring_and_disc(seed)
    assert betti_numbers((logits[0, 0] > 0).numpy()) == (5, 0)
    for _ in range(60):
        leaf = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, labels), leaf)
        logits = leaf - 3 * direction * gradient
    return betti_numbers((logits.detach()[0, 0] > 0).numpy())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("text", [*MATCHING, *BETTI, *(RING_AND_DISC.format(more=f", power={p}") for p in (1, 2))])
def test_descent_reaches_the_wanted_numbers_and_ascent_does_not(text: str, seed: int) -> None:
    assert led_to(lo.parse(text), 1, seed) == (2, 1)
    assert led_to(lo.parse(text), -1, seed) != (2, 1)


@pytest.mark.parametrize(
    "text", [*MATCHING, *BETTI, PRIOR.format(more=", power=2"), "PersistenceMatching(connectivity='faces')"]
)
def test_the_gradient_is_that_of_finite_differences(text: str) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(1, 2, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (1, 5, 5), generator=generator)
    assert torch.autograd.gradcheck(lambda z: lo.parse(text)(z, labels), logits)


@pytest.mark.parametrize("text", [*MATCHING, *BETTI, "BettiPrior()"])
def test_flips_and_turns_change_nothing(text: str) -> None:
    generator, loss = torch.Generator().manual_seed(1), lo.parse(text)
    logits = torch.randn(2, 3, 7, 9, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 7, 9), generator=generator)
    expected = loss(logits, labels)
    torch.testing.assert_close(loss(logits.flip(-1), labels.flip(-1)), expected)
    torch.testing.assert_close(loss(logits.mT, labels.mT), expected)


def calls(loss: lo.Loss, number: int, size: int = 12) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, size, size, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (1, size, size), generator=generator)
    return [float(loss(logits, labels).detach()) for _ in range(number)]


def test_one_call_of_every_run_is_looked_at() -> None:
    whole = calls(lo.PersistenceMatching(), 1)[0]
    looked = [value > 0 for value in calls(lo.PersistenceMatching(every=4), 400)]
    runs = [looked[k : k + 4] for k in range(0, 400, 4)]
    assert all(sum(run) == 1 for run in runs)
    # Any place of the run is drawn, so that no scale of deep supervision is left out for ever.
    assert all(sum(run[place] for run in runs) > 10 for place in range(4))
    assert max(calls(lo.PersistenceMatching(every=4), 4)) == whole


def test_a_call_that_is_left_out_has_no_gradient() -> None:
    logits = torch.randn(1, 2, 6, 6, requires_grad=True)
    loss, labels = lo.PersistenceMatching(every=1000), torch.ones(1, 6, 6, dtype=torch.long)
    value = loss(logits, labels)
    value.backward()
    assert value == 0 and logits.grad is not None and not logits.grad.any()
    with torch.no_grad():
        assert loss(logits, labels) > 0
    assert loss.eval()(logits, labels) > 0


@pytest.mark.parametrize(
    "text", ["BettiPrior(every=3)", "PersistenceMatching(crop=5)", "PersistenceMatching(crop=5, every=2)"]
)
def test_a_training_that_is_resumed_draws_what_it_would_have_drawn(text: str) -> None:
    loss = lo.parse(text)
    calls(loss, 5)
    resumed = lo.parse(text)
    lo.load_schedule_state(resumed, pickle.loads(pickle.dumps(lo.schedule_state(loss))))
    expected = calls(loss, 8)
    assert calls(resumed, 8) == expected and len(set(expected)) > 1
    assert loss.state_dict() == {}


def test_a_window_is_an_image_of_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 9, 11, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (1, 9, 11), generator=generator)
    loss = lo.PersistenceMatching(crop=5)
    middle = lo.PersistenceMatching()(logits[..., 2:7, 3:8], labels[..., 2:7, 3:8])
    with torch.no_grad():
        torch.testing.assert_close(loss(logits, labels), middle)
    seen: set[tuple[int, ...]] = set()
    for _ in range(40):
        leaf = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, labels), leaf)
        rows, columns = gradient[0, 1].nonzero().T
        assert rows.max() - rows.min() < 5 and columns.max() - columns.min() < 5
        seen |= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert {0, 8} <= {row for row, _ in seen} and {0, 10} <= {column for _, column in seen}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("PersistenceMatching", {"dimensions": ()}, "dimensions is .*, expected different numbers"),
    ("PersistenceMatching", {"dimensions": (0, 0)}, "dimensions is .*, expected different numbers"),
    ("PersistenceMatching", {"every": 0}, "every is 0, expected a number in"),
    ("PersistenceMatching", {"crop": 0}, "crop"),
    ("BettiPrior", {"betti": ()}, "expected one prior or more"),
    ("BettiPrior", {"betti": ((1, (1, 0)), ((1,), (1, 1)))}, "of different classes"),
    ("BettiPrior", {"betti": ((1, 2),)}, "expected a class, or several, and its Betti numbers"),
    ("BettiPrior", {"betti": (((1, 1), (1, 0)),)}, "expected a class, or several"),
    ("BettiPrior", {"betti": ((1, (1, -1)),)}, "expected a class, or several"),
    ("BettiPrior", {"betti": ((1, (1, 0)),), "background": True}, "has no effect beside betti"),
    ("BettiPrior", {"power": 3}, "power is 3, expected one of 1, 2"),
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED)
def test_fields_that_mean_nothing_are_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(lo, name)(**given)


def test_classes_and_dimensions_that_are_not_there_are_refused() -> None:
    logits = certain(RING)
    with pytest.raises(ValueError, match=r"has the classes \(2,\), expected some but not all classes of 0 to 1"):
        lo.BettiPrior(betti=((2, (1, 0)),))(logits, RING)
    with pytest.raises(ValueError, match="expected some but not all classes"):
        lo.BettiPrior(betti=(((0, 1), (1, 0)),))(logits, RING)
    with pytest.raises(ValueError, match=r"has the numbers \(1, 0, 0\), expected 2 at most on 2 axes"):
        lo.BettiPrior(betti=((1, (1, 0, 0)),))(logits, RING)
    with pytest.raises(ValueError, match="dimension is 2, expected 0 to 1 on 2 axes"):
        lo.PersistenceMatching(dimensions=(2,))(logits, RING)

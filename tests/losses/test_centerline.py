"""Centreline Dice: worked examples, symmetry, voxels that do not count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossodyssey as lo


def line() -> Tensor:
    """A line one voxel wide: its own skeleton."""
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[0, 7, 2:14] = 1
    return labels


def certain(labels: Tensor, classes: int = 2) -> Tensor:
    return 60 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()


def test_perfect_is_zero_and_a_broken_line_costs_its_recall() -> None:
    labels, loss = line(), lo.CenterlineDice()
    assert float(loss(certain(labels), labels)) < 1e-12
    broken = labels.clone()
    broken[0, 7, 10:14] = 0
    skeleton = int(labels.sum())
    recall = (skeleton - 4 + 1) / (skeleton + 1)
    torch.testing.assert_close(float(loss(certain(broken), labels)), 1 - 2 * recall / (1 + recall))


def test_wider_lines_cost_less_than_their_dice() -> None:
    labels = line()
    wide = torch.nn.functional.max_pool2d(labels.float(), 3, 1, 1).long()
    prediction = certain(wide)
    assert lo.CenterlineDice()(prediction, labels) < 0.5 * lo.Dice()(prediction, labels)


def test_binary_masks_may_change_places() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(4, 1, 24, 24, generator=generator), 5, 1, 2)[:, 0]
    first, second = (smooth[:2] > 0.5).long(), (smooth[2:] > 0.5).long()
    loss = lo.CenterlineDice(iterations=4)
    torch.testing.assert_close(loss(certain(first), second), loss(certain(second), first))


def test_auto_makes_as_many_iterations_as_the_widest_object_needs() -> None:
    labels = torch.zeros(1, 24, 24, dtype=torch.long)
    labels[0, 3:20, 4:19] = 1
    logits = torch.randn(1, 2, 24, 24, generator=torch.Generator().manual_seed(0))
    auto, enough, one_less = (lo.CenterlineDice(iterations=n) for n in ("auto", 7, 6))
    assert auto(logits, labels) == enough(logits, labels) != one_less(logits, labels)
    assert lo.parse("DiceCenterline(iterations='auto')")(logits, labels).isfinite()
    with pytest.raises(ValueError, match="iterations is 'many', expected"):
        lo.CenterlineDice(iterations="many")


def test_flips_and_turns_change_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 3, 12, 14, generator=generator, dtype=torch.float64)
    labels, loss = torch.randint(0, 3, (1, 12, 14), generator=generator), lo.CenterlineDice(iterations=3)
    expected = loss(logits, labels)
    torch.testing.assert_close(loss(logits.flip(-1), labels.flip(-1)), expected)
    torch.testing.assert_close(loss(logits.flip(-2), labels.flip(-2)), expected)
    torch.testing.assert_close(loss(logits.mT, labels.mT), expected)


def test_an_empty_truth_costs_by_what_is_predicted() -> None:
    empty, labels, loss = torch.zeros_like(line()), line(), lo.CenterlineDice()
    assert float(loss(certain(empty), empty)) < 1e-12
    precision = 1 / (int(labels.sum()) + 1)
    torch.testing.assert_close(float(loss(certain(labels), empty)), 1 - 2 * precision / (precision + 1))


def test_logits_of_ignored_voxels_have_no_influence() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 3, 12, 14, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (1, 12, 14), generator=generator)
    labels[0, 3:6, 4:9] = 255
    other = torch.where(labels[:, None] == 255, 5 * torch.randn(logits.shape, generator=generator), logits)
    loss = lo.DiceCenterline(iterations=3)
    assert torch.equal(loss(logits, labels, ignore=255), loss(other, labels, ignore=255))
    gradient = torch.autograd.grad(loss(logits.requires_grad_(), labels, ignore=255), logits)[0]
    assert not gradient.movedim(1, -1)[labels == 255].any()


def test_preset_is_half_dice_and_half_centreline_dice() -> None:
    assert lo.card("DiceCenterline").same_as == "0.5 * Dice() + 0.5 * CenterlineDice()"


def test_the_form_per_voxel_is_the_form_per_line_times_its_share() -> None:
    logits, labels = blurred(2), line()
    values = {}
    for form in ("skeleton", "voxels"):
        terms = TermsOfCE(normalize=form)
        terms(logits, labels)
        values[form] = terms.kept
    for per_line, per_voxel, sums in zip(values["skeleton"], values["voxels"], terms.sums, strict=True):
        torch.testing.assert_close(per_voxel, per_line * sums / labels.numel())


class TermsOfCE(lo.CenterlineCE, abstract=True):
    """Keeps its terms, and the sum of each line."""

    def formula(self, s: Tensor, true: Tensor, line: Tensor, log_p: Tensor, weight: Tensor) -> Tensor:
        self.kept: list[Tensor] = []
        self.sums: list[Tensor] = []
        return super().formula(s, true, line, log_p, weight)

    def along(self, line: Tensor, costs: Tensor, weight: Tensor) -> Tensor:
        found = super().along(line, costs, weight)
        self.kept.append(found)
        self.sums.append(line.flatten(2).sum(2).double())
        return found


def blurred(seed: int) -> Tensor:
    """Logits of a net half trained: right on average."""
    noise = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise + certain(line()) / 30


def test_a_spur_raises_the_second_term_alone() -> None:
    labels, terms = line(), TermsOfCE()
    logits = certain(labels) / 6
    spur = logits.clone()
    spur[0, :, 8:12, 5] = torch.tensor([0.0, 10.0], dtype=torch.float64)[:, None]
    terms(logits, labels)
    (missed, extra), before = terms.kept, terms(logits, labels)
    after = terms(spur, labels)
    torch.testing.assert_close(terms.kept[0], missed, rtol=0, atol=0)
    assert terms.kept[1] > 100 * extra and after > before


def test_no_iterations_are_the_voxel_minus_its_opening() -> None:
    logits, labels = blurred(3), line()
    s, costs = logits.softmax(1)[:, 1:], torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    terms = [top_hat(x.double()) for x in (labels[:, None], s)]
    expected = sum((x * costs[:, None]).sum() / x.sum() for x in terms)
    torch.testing.assert_close(lo.CenterlineCE(iterations=0)(logits, labels), expected)


def top_hat(x: Tensor) -> Tensor:
    """The part that an erosion by the cross and a dilation by the box take away."""
    low = -torch.nn.functional.max_pool2d(-x, (3, 1), 1, (1, 0)), -torch.nn.functional.max_pool2d(-x, (1, 3), 1, (0, 1))
    return torch.relu(x - torch.nn.functional.max_pool2d(torch.minimum(*low), 3, 1, 1))


@pytest.mark.parametrize("iterations", [3, "auto"])
def test_the_line_of_the_loader_is_the_one_made_inside(iterations: int | str) -> None:
    logits, labels = blurred(4), line()
    loss = lo.CenterlineCE(iterations=iterations)
    made = lo.maps_for(loss, labels, 2)
    assert torch.equal(loss(logits, labels, auxiliary=made), loss(logits, labels))
    assert loss(logits, labels, auxiliary={key: 0 * found for key, found in made.items()}) < loss(logits, labels)


def test_foreground_everywhere_is_free() -> None:
    labels = line()
    logits = certain(torch.ones_like(labels))
    for truth in (labels, torch.zeros_like(labels)):
        assert float(lo.CenterlineCE()(logits, truth)) < 1e-12
    assert lo.CenterlineCE()(certain(torch.zeros_like(labels)), labels) == pytest.approx(60)


def test_a_line_that_is_all_but_unpredicted_has_a_finite_gradient() -> None:
    noise = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(6))
    logits = (noise + torch.tensor([95.0, 0.0])[:, None, None]).requires_grad_()
    value = lo.CenterlineCE()(logits, line())
    assert value.isfinite() and torch.autograd.grad(value, logits)[0].isfinite().all()


@pytest.mark.parametrize("name", ["CenterlineDice", "CenterlineCE"])
def test_as_many_iterations_as_needed_depend_on_values(name: str) -> None:
    assert lo.parse(f"{name}()").one_graph and not lo.parse(f"{name}(iterations='auto')").one_graph

"""Maps given ahead of time, class weights, and weights that follow the other terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

import lossodyssey as lo
from lossodyssey.auxiliary import BorderWeights, Closeness, RectifiedMap
from lossodyssey.kernels.plain import likeliest


def blobs(*space: int, samples: int = 2, classes: int = 3) -> torch.Tensor:
    field = torch.randn(samples, classes, *[max(1, n // 3) for n in space], generator=torch.Generator().manual_seed(3))
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(space)]
    return torch.nn.functional.interpolate(field, space, mode=mode).argmax(1)


NEEDY = [card.name for card in lo.atlas() if card.needs and card.category not in ("custom", "as_released")]


@pytest.mark.parametrize("name", NEEDY)
@pytest.mark.parametrize("context", [{}, {"spacing": (2.0, 1.0, 0.5)}, {"ignore": 2}], ids=str)
def test_given_maps_are_those_computed_on_demand(name: str, context: dict[str, object]) -> None:
    labels, loss = blobs(9, 8, 7), lo.card(name)()
    lo.advance(loss, 0.5)
    logits = torch.randn(2, 3, 9, 8, 7)
    given = lo.maps_for(loss, labels, 3, **context)  # type: ignore[arg-type]
    assert given and {key.split("[")[0] for key in given} >= set(lo.card(name).needs)
    on_demand = loss(logits, labels, **context)  # type: ignore[arg-type]
    assert torch.equal(loss(logits, labels, maps=given, **context), on_demand)  # type: ignore[arg-type]
    moved = {key: value.roll(1, -1) for key, value in given.items()}
    assert not torch.equal(loss(logits, labels, maps=moved, **context), on_demand)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_likeliest_class_is_the_first_of_the_largest_logits(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in [(2, 3, 9, 8), (1, 1, 5), (1, 130, 4, 5, 6)]:
        logits = torch.randn(shape, generator=generator).mul(2).round().to(dtype)
        assert torch.equal(likeliest(logits).long(), logits.argmax(1))


def test_two_conventions_in_one_sum_are_two_maps() -> None:
    loss = lo.parse("Boundary() + Boundary(zero='none') + Dice()")
    assert set(lo.maps_for(loss, blobs(8, 8), 3)) == {"phi", "phi[zero=none]"}
    assert lo.maps_for("DiceCE()", blobs(8, 8), 3) == {}


def test_transform_feeds_the_default_collation() -> None:
    labels = blobs(8, 9, 7)
    transform = lo.AddMaps("DiceBoundary()", classes=3, spacing=(1, 1, 2))
    batch = default_collate([transform({"label": sample[None]}) for sample in labels])
    expected = lo.maps_for("DiceBoundary()", labels, 3, spacing=(1, 1, 2))
    assert torch.equal(batch["maps"]["phi"], expected["phi"])
    assert torch.equal(transform(label=labels[0].numpy()[None])["maps"]["phi"], expected["phi"][0])


def test_map_of_the_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"maps\['phi'\] has shape"):
        lo.Boundary()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4).long(), maps={"phi": torch.zeros(1, 2, 4, 5)})


def test_rectified_map_by_hand() -> None:
    labels = torch.tensor([[0, 1, 1, 1, 0, 0]])
    expected = [[-0.5, 1, 1, 1, -0.5, -1], [1, -0.5, -1, -0.5, 1, 1], [1, 1, 1, 1, 1, 1]]
    torch.testing.assert_close(RectifiedMap()(labels, 3)[0], torch.tensor(expected))
    full = RectifiedMap()(torch.zeros(1, 4).long(), 2)
    assert torch.equal(full[0], torch.tensor([[-1.0] * 4, [1.0] * 4]))


def test_penalty_map_by_hand() -> None:
    labels = torch.tensor([[0, 0, 0, 1, 2, 2, 2, 2, 2]])
    expected = [0, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    torch.testing.assert_close(Closeness()(labels, 3)[0, 0], torch.tensor(expected))
    assert not Closeness()(torch.ones(1, 4).long(), 3).any()


def test_border_map_by_hand() -> None:
    labels = torch.tensor([[[1, 0, 1, 0, 0, 0]]])
    distances = torch.tensor([0.0, 2, 0, 4, 6, 8])
    balance = torch.where(labels[0, 0] > 0, 0.5 / (1 / 3), 0.5 / (2 / 3))
    extra = torch.where(labels[0, 0] > 0, 0, 10 * torch.exp(-(distances**2) / 50))
    torch.testing.assert_close(BorderWeights()(labels, 2)[0, 0, 0], balance + extra)


def test_regions_have_maps_of_their_own() -> None:
    regions = torch.stack([blobs(8, 8) > 0, blobs(8, 8) > 1], 1)
    logits = torch.randn(2, 2, 8, 8)
    for name in NEEDY:
        assert lo.card(name)()(logits, regions, link="sigmoid").isfinite()


def test_inverse_frequency_weights_keep_the_size_of_the_loss() -> None:
    labels = np.array([0] * 90 + [1] * 9 + [3]).reshape(10, 10)
    counts = lo.count_classes([labels], 4)
    assert counts == [90, 9, 0, 1]
    weights = lo.inverse_frequency(counts)
    assert weights[2] == 0 and sum(w * n for w, n in zip(weights, counts, strict=True)) / 100 == pytest.approx(0.75)
    loss = lo.with_class_weights(lo.parse("Dice() + 2 * CrossEntropy(class_weights='inverse_frequency')"), counts)
    assert repr(loss) == f"Dice() + 2 * CrossEntropy(class_weights={weights})"
    with pytest.raises(ValueError, match="label 3 is outside the 3 classes"):
        lo.count_classes([labels], 3)
    with pytest.raises(ValueError, match="with_class_weights"):
        lo.CrossEntropy(class_weights="inverse_frequency")(torch.zeros(1, 2, 4), torch.zeros(1, 4).long())


def test_ratio_makes_a_term_as_large_as_the_others() -> None:
    logits, labels = torch.randn(2, 3, 6, 6), blobs(6, 6)
    dice, other = (float(loss(logits, labels)) for loss in (lo.Dice(), lo.CrossEntropy()))
    per_batch = lo.parse("Ratio('batch') * Dice() + CrossEntropy()")
    assert float(per_batch(logits, labels)) == pytest.approx(2 * other, rel=1e-4)
    per_epoch = lo.parse("Ratio() * Dice() + CrossEntropy()")
    assert repr(per_epoch) == "Ratio() * Dice() + CrossEntropy()"
    assert float(per_epoch(logits, labels)) == pytest.approx(dice + other)
    with torch.no_grad():
        per_epoch(100 * logits, labels)  # validation does not count
    lo.advance(per_epoch, 0.1)
    assert float(per_epoch(logits, labels)) == pytest.approx(2 * other, rel=1e-5)


def test_two_phases_are_a_sum() -> None:
    loss = lo.parse("TwoPhase(CrossEntropy(), Lovasz())")
    assert repr(loss) == "Step(1, 0, 0.5) * CrossEntropy() + Step(0, 1, 0.5) * Lovasz()"
    assert repr(lo.TwoPhase(lo.CrossEntropy(), lo.Lovasz())) == repr(loss)
    with pytest.raises(ValueError, match="TwoPhase takes two losses"):
        lo.parse("TwoPhase(1, 2)")

"""The context of a call: how it is given, what deep supervision makes of its entries, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lossodyssey as lo
from lossodyssey.core.context import ENTRIES

Z = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(0, 3, (2, 4, 3), generator=torch.Generator().manual_seed(1)).repeat_interleave(2, 1)
Y = Y.repeat_interleave(2, 2)
ROWS = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
ENTRY: dict[str, Any] = {
    "ignore": 2,
    "weight": torch.rand(2, 8, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64),
    "spacing": ROWS,
    "image": torch.rand(2, 2, 8, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64),
    "annotated": torch.tensor([[True, True, False], [True, True, True]]),
    "auxiliary": {"phi": torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)},
}
READERS = {
    "ignore": "DiceCE()",
    "weight": "Dice() + Focal()",
    "spacing": "Boundary() + MumfordShah()",
    "image": "MumfordShah(length=0.1)",
    "annotated": "Marginal(loss=DiceCE())",
    "auxiliary": "Boundary()",
}
"""For each entry a loss that reads it."""
IMAGE = {"image": ENTRY["image"]}


def beside(entry: str) -> dict[str, Any]:
    """What the loss of this entry needs beside it."""
    return IMAGE if "MumfordShah" in READERS[entry] and entry != "image" else {}


class Seen(lo.Loss, abstract=True):
    """Keeps the context of every call."""

    def of(self, pair: lo.Pair) -> Tensor:
        self.__dict__.setdefault("contexts", []).append(pair.context)
        return pair.z.sum() * 0


def scales(*factors: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(2, 3, 8 // k, 6 // k, generator=generator, dtype=torch.float64) for k in factors]


def at_coarser(**context: Any) -> lo.Context:
    """The context that a loss sees at half the size."""
    seen = Seen()
    lo.Criterion(seen)(scales(1, 2), Y, **context)
    found: lo.Context = seen.contexts[1]  # type: ignore[assignment, index]
    return found


def test_every_entry_is_tested() -> None:
    # Without heads a call is refused, so that they have tests of their own: tests/training/test_heads.py.
    assert set(ENTRY) == set(READERS) == set(ENTRIES) - {"heads"}


@pytest.mark.parametrize("entry", ENTRY)
def test_a_call_by_keyword_is_a_call_with_a_context_and_counts(entry: str) -> None:
    loss, given = lo.parse(READERS[entry]), {entry: ENTRY[entry]}
    named = loss(Z, Y, **given, **beside(entry))
    assert torch.equal(loss(Z, Y, lo.Context(**given, **beside(entry))), named)
    assert torch.equal(loss(Z, Y, context=lo.Context(**given), **beside(entry)), named)
    assert torch.equal(sum(loss.summands(Z, Y, lo.Context(**given), **beside(entry)).values()), named)
    if entry != "image":
        assert not torch.equal(loss(Z, Y, **beside(entry)), named)


@pytest.mark.parametrize("entry", [entry for entry in ENTRY if entry != "ignore"])
def test_a_criterion_hands_every_entry_on(entry: str) -> None:
    criterion, given = lo.Criterion(READERS[entry]), {entry: ENTRY[entry]} | beside(entry)
    expected = criterion.loss(Z, Y, **given)
    assert torch.equal(criterion(Z, Y, **given), expected)
    assert torch.equal(criterion(Z, Y, lo.Context(**given)), expected)


def test_a_keyword_counts_before_the_context() -> None:
    context = lo.Context(ignore=2, weight=ENTRY["weight"])
    assert torch.equal(
        lo.CrossEntropy()(Z, Y, context, ignore=1), lo.CrossEntropy()(Z, Y, ignore=1, weight=ENTRY["weight"])
    )
    criterion = lo.Criterion("CrossEntropy()", ignore=1)
    assert torch.equal(criterion(Z, Y, context), lo.CrossEntropy()(Z, Y, ignore=1, weight=ENTRY["weight"]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wieght": 1}, "takes no 'wieght' here; it takes context, link, ignore, weight, spacing, image, annotated"),
        ({"ignore_index": 255}, r"takes no 'ignore_index' here; .*ignore=255"),
        ({"maps": {}, "auxiliary": {"phi": torch.zeros(1)}}, "maps and auxiliary are two names of one argument"),
        ({"context": {"weight": 1}}, "context is of type dict, expected a Context"),
    ],
    ids=["misspelt", "foreign", "twice", "dictionary"],
)
@pytest.mark.parametrize("text", ["Dice()", "Dice() + CrossEntropy()"])
def test_what_a_call_does_not_take_is_refused(text: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)(Z, Y, **given)
    with pytest.raises(ValueError, match=message.replace("context, link, ignore", "context")):
        lo.Criterion(text)(Z, Y, **given)


def test_at_the_finest_scale_the_context_is_itself() -> None:
    context = lo.Context(**ENTRY)
    same = context.at_scale((8, 6), (8, 6))
    assert all(getattr(same, entry) is ENTRY[entry] for entry in ENTRY)


@pytest.mark.parametrize("form", ["(N, *S)", "(N, 1, *S)", "(N, C, *S)", "(N, C, 1, 1)"])
def test_weights_of_a_coarser_scale_are_those_of_the_nearest_voxels(form: str) -> None:
    weight = ENTRY["weight"] if form == "(N, *S)" else torch.rand(2, 1 if "1, *" in form else 3, 8, 6)
    weight = weight[..., :1, :1] if form == "(N, C, 1, 1)" else weight
    found = lo.Context(weight=weight).at_scale((8, 6), (4, 3)).weight
    if form == "(N, C, 1, 1)":
        assert torch.equal(found, weight)
    else:
        four = weight if weight.ndim == 4 else weight[:, None]
        assert torch.equal(found.reshape(-1), F.interpolate(four, (4, 3), mode="nearest-exact").reshape(-1))


@pytest.mark.parametrize("kind", [tuple, torch.tensor, lambda rows: torch.tensor(rows).numpy()])
@pytest.mark.parametrize("given", [(2.0, 1.5), ((2.0, 1.5), (1.0, 3.0))], ids=["one", "per sample"])
def test_voxels_of_a_coarser_scale_are_larger_along_each_axis(given: Any, kind: Any) -> None:
    found = lo.Context(spacing=kind(given)).at_scale((8, 6), (4, 2)).spacing
    assert torch.as_tensor(found).tolist() == (torch.tensor(given) * torch.tensor([2, 3])).tolist()


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_images_of_a_coarser_scale_are_means(channels: int) -> None:
    image = torch.rand(2, *[channels][: channels > 0], 8, 6, dtype=torch.float64)
    found = lo.Context(image=image).at_scale((8, 6), (4, 2)).image
    torch.testing.assert_close(found, F.avg_pool2d(image if channels else image[:, None], (2, 3)), rtol=0, atol=1e-14)


def test_auxiliary_values_of_a_coarser_scale_are_taken_from_a_list_or_made_again() -> None:
    own = {"phi": torch.rand(2, 3, 4, 3)}
    assert at_coarser(auxiliary=[ENTRY["auxiliary"], own]).auxiliary == own
    assert at_coarser(auxiliary=ENTRY["auxiliary"]).auxiliary == {}
    assert at_coarser(auxiliary=[ENTRY["auxiliary"]]).auxiliary == {}


def test_annotated_classes_and_ignored_labels_are_the_same_at_every_scale() -> None:
    coarser = at_coarser(annotated=ENTRY["annotated"])
    assert coarser.annotated is ENTRY["annotated"]
    seen = Seen()
    lo.Criterion(seen, ignore=2)(scales(1, 2, 1), Y)
    assert [context.ignore for context in seen.contexts] == [2, 2, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("entry", ENTRY)
def test_deep_supervision_is_the_loss_called_by_hand_at_every_scale(entry: str) -> None:
    loss, logits = lo.parse(READERS[entry]), scales(1, 2, 1)
    weight, image = ENTRY["weight"], ENTRY["image"]
    coarse: dict[str, Any] = {
        "ignore": 2,
        "weight": weight[:, 1::2, 1::2],
        "spacing": 2 * ROWS,
        "image": F.avg_pool2d(image, 2),
        "annotated": ENTRY["annotated"],
        "auxiliary": None,
    }
    fine, small = {entry: ENTRY[entry]} | beside(entry), {entry: coarse[entry]}
    small |= {"image": coarse["image"]} if beside(entry) else {}
    values = [loss(logits[0], Y, **fine), loss(logits[1], Y[:, 1::2, 1::2], **small), loss(logits[2], Y, **fine)]
    criterion = lo.Criterion(loss, scales=(1, 2, 1), ignore=2 if entry == "ignore" else None)
    called = {} if entry == "ignore" else fine
    expected = (values[0] + 2 * values[1] + values[2]) / 4
    torch.testing.assert_close(criterion(logits, Y, **called), expected, rtol=1e-12, atol=0)


def test_auxiliary_values_of_every_scale_are_those_of_the_call() -> None:
    logits, coarse = scales(1, 2), torch.rand(2, 3, 4, 3, dtype=torch.float64)
    found = lo.Criterion("Boundary()")(logits, Y, auxiliary=[ENTRY["auxiliary"], {"phi": coarse}])
    values = [
        (z.softmax(1) * phi)[:, 1:].mean() for z, phi in zip(logits, (ENTRY["auxiliary"]["phi"], coarse), strict=True)
    ]
    torch.testing.assert_close(found, 2 / 3 * values[0] + 1 / 3 * values[1])


@pytest.mark.parametrize(
    "text", ["Boundary()", "HausdorffDT()", "RegionWise()", "MumfordShah(length=1.0)", "DistancePenalisedCE()"]
)
def test_a_spacing_per_sample_is_every_sample_on_its_own(text: str) -> None:
    loss = lo.parse(text)
    given = IMAGE if loss.needs_image else {}
    together = loss(Z, Y, spacing=ROWS, **given)
    alone = [
        loss(Z[n : n + 1], Y[n : n + 1], spacing=ROWS[n].tolist(), **{k: v[n : n + 1] for k, v in given.items()})
        for n in range(2)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-12, atol=0)
    same = loss(Z, Y, spacing=ROWS[:1].expand(2, 2), **given)
    torch.testing.assert_close(same, loss(Z, Y, spacing=(2.0, 1.0), **given), rtol=1e-12, atol=0)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "MumfordShah()",
        {"image": torch.zeros(2, 1, 8, 5)},
        r"image has shape \(2, 1, 8, 5\), logits have \(2, 3, 8, 6\)",
    ),
    ("MumfordShah()", {"image": torch.zeros(1, 1, 8, 6)}, r"expected \(2, 'K', 8, 6\) with any number K of channels"),
    ("MumfordShah()", {"image": torch.zeros(8, 6)}, r"image has shape \(8, 6\)"),
    ("Marginal()", {"annotated": torch.ones(2, 2)}, r"annotated has shape \(2, 2\), expected \(2, 3\)"),
    ("Marginal()", {"annotated": torch.tensor([0, 2, 1])}, r"annotated holds \[0, 1, 2\], expected True and False"),
    ("Marginal()", {"annotated": torch.full((2, 3), 0.5)}, "annotated holds .0.5., expected True and False"),
    ("Boundary()", {"spacing": torch.ones(3, 2)}, "spacing has 3 rows, expected one for each of the 2 samples"),
    ("Boundary()", {"spacing": ((1, 1), (1, 0))}, r"spacing is \(1.0, 0.0\), expected 2 positive numbers"),
    ("Boundary()", {"spacing": torch.ones(2, 3)}, "expected 2 positive numbers, one per spatial axis, or one such row"),
    ("Boundary()", {"auxiliary": {"phi": torch.zeros(2, 3, 8, 5)}}, r"maps\['phi'\] has shape \(2, 3, 8, 5\)"),
]


@pytest.mark.parametrize(("text", "given", "message"), REFUSED)
def test_an_entry_that_does_not_fit_is_refused(text: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)(Z, Y, **given)


@pytest.mark.parametrize(("text", "given", "message"), [each for each in REFUSED if "Marginal" not in each[0]])
def test_it_is_refused_where_it_could_be_brought_to_a_coarser_scale(text: str, given: Any, message: str) -> None:
    if "auxiliary" not in given:
        with pytest.raises(ValueError, match=message):
            lo.Criterion(text, scales=(0, 1))(scales(1, 2), Y, **given)


def test_annotated_classes_may_be_said_once_and_as_numbers() -> None:
    loss = lo.Marginal()
    expected = loss(Z, Y, annotated=torch.tensor([[True, True, False]] * 2))
    for given in ([True, True, False], torch.tensor([1.0, 1, 0]), torch.tensor([[1, 1, 0]] * 2).numpy()):
        assert torch.equal(loss(Z, Y, annotated=given), expected)

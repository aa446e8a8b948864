"""Keywords of other libraries are answered with an expression that gives the same thing, and the expression runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lossodyssey as lo
from lossodyssey.core.fields import declared
from lossodyssey.core.words import WORDS

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(2, 3, 6, 5, generator=GENERATOR)
LABELS = torch.randint(0, 3, (2, 6, 5), generator=GENERATOR)
REGIONS = torch.rand(2, 3, 6, 5, generator=GENERATOR) > 0.5


def run(expression: str, loss: lo.Loss | None = None, **values: Any) -> Any:
    names = {"lo": lo, "torch": torch, "logits": LOGITS, "target": LABELS, "regions": REGIONS}
    names |= {"probabilities": LOGITS.softmax(1), "loss": loss or lo.Dice()}
    return eval(expression, values | names)


def advised(name: str, owner: str) -> str:
    """The expression in the message that refuses the keyword."""
    with pytest.raises(ValueError, match=rf"^{owner} takes no '{name}'") as refusal:
        lo.card(owner)(**{name: 1})
    return str(refusal.value).split(": ", 1)[1]


@pytest.mark.parametrize("owner", [card.name for card in lo.atlas() if card.category != "custom"])
def test_every_advised_expression_runs(owner: str) -> None:
    known = [field.name for field in lo.card(owner).fields]
    for name in WORDS:
        if name in known:
            continue
        found = run(advised(name, owner), **{name: 0.1})
        if isinstance(found, torch.Tensor):
            assert found.isfinite().all()
        else:
            assert isinstance(found, lo.Loss | lo.Criterion)
        if (word := WORDS[name]).field in known:
            assert any(word.field in {field.name for field in declared(type(leaf))} for _, leaf in found.terms)


@pytest.mark.parametrize("build", [lo.Dice, lo.CrossEntropy, lo.DiceCE, lo.Lovasz])
@pytest.mark.parametrize("name", ["pos_weight", "label_smoothing", "reduction", "per_image", "from_probabilities"])
def test_python_constructors_answer_too(build: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"takes no '{name}'; .*: .*"):
        build(**{name: 1})
    with pytest.raises(ValueError, match=f"takes no '{name}'"):
        lo.parse(f"{build.__name__}({name}=1)")


@pytest.mark.parametrize("loss", [lo.Dice(), lo.DiceCE(), lo.Lovasz() + lo.Focal(), lo.Criterion("Dice()")])
@pytest.mark.parametrize("name", ["reduction", "ignore_index", "pos_weight", "mask", "from_logits", "per_image"])
def test_calls_answer_too(loss: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"takes no '{name}' here; .*: .*"):
        loss(LOGITS, LABELS, **{name: 1})


def test_criteria_answer_too() -> None:
    for name in ("ignore_index", "reduction", "deep_supervision"):
        with pytest.raises(ValueError, match=f"Criterion takes no '{name}' here"):
            lo.Criterion("Dice()", **{name: 1})
    with pytest.raises(ValueError, match="it takes link, ignore, scales"):
        lo.Criterion("Dice()", frobnicate=1)


def test_what_a_criterion_keeps_is_not_given_in_its_call() -> None:
    for call in (lo.Criterion("DiceTopK()"), lo.Criterion("Dice()").summands):
        for name in ("ignore", "link", "scales"):
            with pytest.raises(ValueError, match=rf"not of the call: Criterion\({name}=...\)"):
                call(LOGITS, LABELS, **{name: 1})


def test_hyper_parameters_and_call_arguments_are_told_apart() -> None:
    with pytest.raises(ValueError, match=r"not of the call: Dice\(smooth=...\)"):
        lo.Dice()(LOGITS, LABELS, smooth=1)
    with pytest.raises(
        ValueError, match="it takes context, link, ignore, weight, spacing, image, annotated, auxiliary, heads, maps"
    ):
        lo.Dice()(LOGITS, LABELS, frobnicate=1)
    for name in ("link", "ignore", "spacing", "maps", "scales"):
        assert advised(name, "Dice")


def test_pos_weight_is_that_of_pytorch() -> None:
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(LOGITS, REGIONS.float())
    torch.testing.assert_close(run(WORDS["pos_weight"].expression, pos_weight=3.0), theirs)
    each = torch.tensor([1.0, 2.0, 5.0])[:, None, None]
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=each)(LOGITS, REGIONS.float())
    torch.testing.assert_close(run(WORDS["pos_weight"].expression, pos_weight=each), theirs)


@pytest.mark.parametrize("name", ["label_smoothing", "smooth_factor"])
def test_label_smoothing_is_that_of_pytorch(name: str) -> None:
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(LOGITS, LABELS)
    torch.testing.assert_close(run(WORDS[name].expression, lo.CrossEntropy(), **{name: 0.2}), theirs)


@pytest.mark.parametrize("loss", [lo.Lovasz(), lo.CrossEntropy(), lo.Dice(batch=True)])
def test_per_image_and_reduction_are_over_samples(loss: lo.Loss) -> None:
    alone = torch.stack([loss(LOGITS[k : k + 1], LABELS[k : k + 1]) for k in range(2)])
    assert torch.equal(run(WORDS["reduction"].expression, loss), alone)
    assert torch.equal(run(WORDS["per_image"].expression, loss), alone.mean())


def test_probabilities_give_the_value_of_their_logits() -> None:
    for loss in (lo.Dice(), lo.CrossEntropy(), lo.Lovasz()):
        torch.testing.assert_close(run(WORDS["from_probabilities"].expression, loss), loss(LOGITS, LABELS))
        found = loss(torch.logit(LOGITS.sigmoid(), eps=1e-7), REGIONS, link="sigmoid")
        torch.testing.assert_close(found, loss(LOGITS, REGIONS, link="sigmoid"))


def test_lovasz_per_sample_averages_over_pairs_and_the_authors_over_samples_first() -> None:
    labels = torch.stack([LABELS[0], torch.zeros(6, 5, dtype=torch.long)])  # three classes, and one
    alone = [float(lo.Lovasz()(LOGITS[k : k + 1], labels[k : k + 1])) for k in range(2)]
    pairs = float(lo.Lovasz(batch=False)(LOGITS, labels))
    assert pairs == pytest.approx((3 * alone[0] + alone[1]) / 4)
    authors = torch.stack([lo.Lovasz()(z[None], y[None]) for z, y in zip(LOGITS, labels, strict=True)]).mean()
    assert float(authors) == pytest.approx(sum(alone) / 2) != pytest.approx(pairs)

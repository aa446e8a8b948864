"""Which losses are proposed for which data, with what evidence, and what is said not to be known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossodyssey as lo
from lossodyssey.bench.measures import own_names
from lossodyssey.core.atlas import papers
from lossodyssey.data import read_dataset, write_vessel_phantom
from lossodyssey.data.grids import write_array
from lossodyssey.fingerprint import Fingerprint, fingerprint
from lossodyssey.guide.advice import Advice, advise
from lossodyssey.guide.advice_text import as_markdown, rules_table
from lossodyssey.guide.measured import effects
from lossodyssey.guide.rules import COMPANIONS, MOST, REFERENCE, RULES, SAID

DATA = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[3] / "shared" / "data")
ALL = (REFERENCE, *RULES, COMPANIONS)
Maps = list[np.ndarray]


def sheet(root: Path, maps: Maps, bright: bool = True, **settings: Any) -> Fingerprint:
    """Measure a data set of these label maps, whose objects are bright where asked for."""
    rng, training = np.random.default_rng(0), []
    affine = np.eye(3) if maps[0].ndim == 2 else np.diag([1.0, 1.0, 4.0, 1.0])
    for number, labels in enumerate(maps):
        item = {kind: f"{kind}sTr/c{number}{'.png' if labels.ndim == 2 else '.nii.gz'}" for kind in ("image", "label")}
        image = rng.integers(0, 40, labels.shape) + 150 * (labels > 0) * bright
        write_array(root / item["image"], image.astype(np.uint8), affine)
        write_array(root / item["label"], labels.astype(np.uint8), affine)
        training.append(item)
    known = {str(number): name for number, name in enumerate(("background", "liver", "tumour", "vessel"))}
    content = {"modality": {"0": "MR"}, "labels": known, "training": training} | settings
    (root / "dataset.json").write_text(json.dumps(content))
    return fingerprint(read_dataset(root))


def disc(side: int = 48, radius: float = 14, at: tuple[int, int] = (24, 24), label: int = 1) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return label * ((rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2).astype(np.uint8)


def vessels(root: Path) -> Fingerprint:
    write_vessel_phantom(root, cases=2)
    return fingerprint(read_dataset(root))


def dotted() -> np.ndarray:
    return sum(disc(radius=4, at=(6 + 12 * i, 6 + 12 * j)) for i in range(4) for j in range(4))  # type: ignore[return-value]


def layered() -> np.ndarray:
    """Labels 1 and 2 touch; 3 lies apart."""
    labels = np.zeros((32, 32), np.uint8)
    labels[2:12, 2:30], labels[12:20, 2:30], labels[24:31, 2:30] = 1, 2, 3
    return labels


def deep() -> np.ndarray:
    return np.repeat(disc()[..., None], 6, axis=2)


PLAIN: dict[str, Callable[[Path], Fingerprint]] = {
    "plain": lambda root: sheet(root, [disc()] * 2),
    "partly": lambda root: sheet(root, [disc(), layered()], annotated={"c0": ["liver"]}),
    "branching": vessels,
    "rare": lambda root: sheet(root, [disc(side=64, radius=2.6)]),
    "many": lambda root: sheet(root, [dotted()]),
    "apart": lambda root: sheet(root, [layered()]),
    "faint": lambda root: sheet(root, [disc()], bright=False),
    "empty": lambda root: sheet(root, [disc(), np.zeros((48, 48), np.uint8)]),
    "tiny": lambda root: sheet(root, [disc(side=24, radius=3)]),
    "anisotropic": lambda root: sheet(root, [deep()]),
}


def traits(advice: Advice) -> set[str]:
    return {each.rule.trait for each in advice.seen}


@pytest.mark.parametrize("trait", PLAIN)
def test_a_data_set_that_has_a_trait_is_given_its_losses_and_measures(tmp_path: Path, trait: str) -> None:
    advice = advise(PLAIN[trait](tmp_path))
    rule = next((rule for rule in ALL if rule.trait == trait), COMPANIONS)
    losses = [each.loss for each in advice.proposals]
    assert losses[0] == REFERENCE.losses[0] and 3 <= len(losses) <= MOST == 6
    assert set(rule.losses) <= {*losses, *advice.left_out}
    assert set(rule.losses[:1]) <= set(losses)
    assert set(rule.measures) | set(REFERENCE.measures) <= set(advice.measures)
    assert traits(advice) >= ({trait} if trait != "plain" else set())
    if trait == "plain":
        assert traits(advice) == set() and losses == [*REFERENCE.losses, *COMPANIONS.losses]


def test_every_rule_is_tried_above_or_said() -> None:
    assert {rule.trait for rule in RULES} == {*PLAIN, *SAID} - {"plain"}


@pytest.mark.parametrize("trait", SAID)
def test_what_no_label_map_shows_is_said(tmp_path: Path, trait: str) -> None:
    found = sheet(tmp_path, [disc()])
    rule = next(rule for rule in RULES if rule.trait == trait)
    silent, told = advise(found), advise(found, [trait])
    assert f"`--also {trait}`" in as_markdown(silent) and f"`--also {trait}`" not in as_markdown(told)
    assert set(rule.losses) <= {each.loss for each in told.proposals}
    assert not set(rule.losses) & {each.loss for each in silent.proposals}
    assert set(rule.measures) <= set(told.measures)


def test_a_trait_that_is_measured_cannot_be_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--also is 'rare'; expected one of noisy, misses, borders, probabilities"):
        advise(sheet(tmp_path, [disc()]), ["rare"])


def test_without_an_object_there_is_no_advice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no case has an object"):
        advise(sheet(tmp_path, [np.zeros((16, 16), np.uint8)]))


@pytest.mark.parametrize("loss", sorted({loss for rule in ALL for loss in rule.losses}))
def test_every_loss_of_the_table_is_one_and_has_a_gradient(loss: str) -> None:
    built = lo.parse(loss)
    assert repr(built) == loss
    logits = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    built(logits, torch.from_numpy(np.stack([layered()] * 2)).long()).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0


def test_every_paper_and_measure_of_the_table_is_known() -> None:
    assert {paper for rule in ALL for paper in rule.papers} <= set(papers())
    assert own_names(tuple({name for rule in ALL for name in rule.measures}))
    assert rules_table().count("\n") == 1 + len(ALL)


def test_what_was_not_measured_is_called_a_claim(tmp_path: Path) -> None:
    found = {each.loss: " ".join(each.evidence) for each in advise(PLAIN["many"](tmp_path)).proposals}
    assert found["DiceCE(batch=True) + Blobs()"] == "A published claim (Kofler 2023), not measured here."
    assert found["DiceCE(batch=True)"].startswith("Measured here: it is the one that the others are held against.")


def test_what_was_measured_is_quoted_with_its_limits_and_its_form(tmp_path: Path) -> None:
    advice = advise(PLAIN["branching"](tmp_path))
    loss = "DiceCE(batch=True) + CenterlineDice(iterations='auto')"
    (told,) = (" ".join(each.evidence) for each in advice.proposals if each.loss == loss)
    form = "DiceCE() + CenterlineDice(iterations='auto')"
    own = next(e for e in effects() if (e.expression, e.dataset, e.metric) == (form, "CHASE_DB1", "betti_error"))
    assert f"on CHASE_DB1 as `{form}`" in told and f"{own.told}, better" in told
    assert advice.near[0].dataset == "phantom_vessels" and advice.near[0].distance < 0.5


def test_published_ranks_stand_beside_a_loss_of_the_comparison(tmp_path: Path) -> None:
    (told,) = (each.evidence for each in advise(PLAIN["rare"](tmp_path)).proposals if each.loss.startswith("DiceTopK"))
    assert "mean rank 5.4 of 27; 7.0 on liver tumour, 9.5 on pancreas, where objects are rarest" in told[-1]


def test_regions_that_overlap_are_given_no_loss_of_classes_that_exclude_one_another(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "tumour": 2}
    found = sheet(
        tmp_path,
        [np.minimum(layered(), 2), layered() % 3],
        labels=labels,
        regions_class_order=[1, 2],
        annotated={"c0": ["whole"]},
    )
    advice = advise(found)
    named = " ".join([*(each.loss for each in advice.proposals), *advice.left_out])
    assert "Marginal" in named and "Exclusion" not in named


@pytest.mark.parametrize(
    ("name", "expected"),
    [("MS_lesions", {"rare", "many"}), ("ISBI2012_EM", {"branching"})],
)
def test_real_data_show_the_traits_that_they_are_known_for(name: str, expected: set[str]) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    assert traits(advise(fingerprint(read_dataset(DATA / name)))) == expected


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    text = as_markdown(advise(PLAIN["many"](tmp_path)))
    known = len({effect.dataset for effect in effects()})
    assert f"What was measured here is little: {known} data sets" in text
    assert "of these 4 losses were not measured" in text
    assert "The nearest of them is " in text and "differs from one to the next training" in text

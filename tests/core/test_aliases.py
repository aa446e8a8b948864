"""The names that papers, tables and other libraries use lead to the losses of the atlas."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

import lossodyssey as lo
from lossodyssey.core.atlas import ALIASES, CARDS, card
from lossodyssey.guide.pages import page


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("CE()", "CrossEntropy()"),
        ("WCE()", "CrossEntropy(class_weights='inverse_frequency')"),
        ("pCE()", "DistancePenalisedCE()"),
        ("TopK10()", "TopK()"),
        ("TopK70()", "TopK(percent=70.0)"),
        ("GDice()", "GeneralizedDice()"),
        ("pGDice(k=1)", "PenaltyGeneralizedDice(k=1.0)"),
        ("IoU()", "Jaccard()"),
        ("SS()", "SensitivitySpecificity()"),
        ("Asym()", "AsymmetricSimilarity()"),
        ("BD()", "Boundary()"),
        ("HD()", "HausdorffDT()"),
        ("DiceBD()", "DiceBoundary()"),
        ("DiceHD()", "DiceHausdorff()"),
        ("DiceTopK10()", "DiceTopK()"),
        ("ELL()", "ExponentialLogarithmic()"),
        ("clDice()", "CenterlineDice()"),
        ("DC(batch=True)", "Dice(batch=True)"),
        ("SoftDice() + 0.5 * CE()", "Dice() + 0.5 * CrossEntropy()"),
    ],
)
def test_an_alias_prints_under_the_name_of_the_atlas(text: str, meant: str) -> None:
    assert repr(lo.parse(text)) == meant


def test_every_name_of_the_published_tables_leads_to_a_loss() -> None:
    tables = [path for path in (files("lossodyssey.ranking") / "published").iterdir() if path.name.endswith(".csv")]
    lines = [line for path in tables for line in csv.DictReader(path.read_text(encoding="utf-8").splitlines())]
    names = {line["loss"] for line in lines}
    assert {"CE", "Asym", "DiceBD", "ELL"} <= names
    assert {card(name).category for name in names} == {"distribution", "region", "compound"}


def test_no_alias_shadows_a_name_of_the_atlas() -> None:
    assert not ALIASES.keys() & CARDS.keys()
    with pytest.raises(ValueError, match="the alias 'Dice' is the name of a loss"):

        class Shadow(lo.Dice, aliases=("Dice",)):  # type: ignore[call-arg]
            """A loss that claims a name that is taken."""

    CARDS.pop("Shadow", None)
    assert card("Dice").build is lo.Dice


def test_a_loss_of_the_user_takes_no_alias() -> None:
    with pytest.raises(ValueError, match="'DC' exists already, as another name of Dice"):

        class DC(lo.Dice):
            """A loss of a user with the name of an alias."""

    assert "DC" not in CARDS and repr(lo.parse("DC()")) == "Dice()"


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("Hausdorff()", r"HausdorffDT\(\) or HausdorffErosion\(\)"),
        ("UnifiedFocal()", r"SymmetricUnifiedFocal\(\) or AsymmetricUnifiedFocal\(\)"),
    ],
)
def test_a_name_of_several_losses_is_refused_with_all_of_them(text: str, candidates: str) -> None:
    with pytest.raises(ValueError, match=candidates):
        lo.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TopK10(percent=20)", r"TopK10: the name settles percent=10.0; write TopK\(percent=20\)"),
        ("WCE(class_weights=(1, 2))", r"write CrossEntropy\(class_weights=\(1, 2\)\)"),
        ("CE(gama=1)", "CE has no hyper-parameter 'gama'"),
        ("ce()", "did you mean 'CE'"),
    ],
)
def test_mistakes_with_aliases_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lo.parse(text)


def test_pages_name_the_aliases() -> None:
    assert "- also called `CE`, `WCE` (`CrossEntropy(class_weights='inverse_frequency')`)" in page(card("CrossEntropy"))
    assert "also called" not in page(card("Tversky"))
    assert page(card("CE")) == page(card("CrossEntropy"))

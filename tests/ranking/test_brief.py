"""What is compared goes by the caller's word, and the paragraphs for readers in a hurry say how large a lead is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lossodyssey.ranking.brief import in_short, methods_text
from lossodyssey.ranking.effects import effects
from lossodyssey.ranking.nouns import called, noun, nouns
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.ranking.verdict import verdict
from lossodyssey.table import Row


def rows(gap: float, metric: str = "DSC", seeds: int = 3, cases: int = 20, noise: float = 0.01) -> list[Row]:
    rng, sign = np.random.default_rng(0), -1 if metric == "HD95" else 1
    return [
        Row(name, "hearts", 0, seed, f"c{case}", "LV", metric, 0.8 + sign * level + rng.normal(0, noise))
        for name, level in (("Alpha", gap), ("Beta", 0.0), ("Gamma", -gap))
        for seed in range(seeds)
        for case in range(cases)
    ]


def said(table: list[Row]) -> tuple[Ranking, str]:
    ranking = rank(table)
    found = effects(ranking, draws=100)
    return ranking, in_short(ranking, verdict(ranking, table, differences=found), found)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("model", ("model", "models")),
        ("loss", ("loss", "losses")),
        ("mouse/mice", ("mouse", "mice")),
        ("study", ("study", "studies")),
        ("foundation model", ("foundation model", "foundation models")),
        ("approach", ("approach", "approaches")),
    ],
)
def test_words_have_their_plural(what: str, words: tuple[str, str]) -> None:
    with called(what):
        assert (noun(), nouns()) == words
    assert (noun(), nouns()) == ("loss", "losses")


@pytest.mark.parametrize("what", ["", "a1", "<b>", "x/", "/y"])
def test_what_is_no_word_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match="--what is"), called(what):
        pass


@pytest.mark.parametrize("gap", [0.0, 0.05])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("cases", [4, 20])
def test_no_sentence_says_loss_where_models_are_compared(gap: float, seeds: int, cases: int) -> None:
    table = rows(gap, seeds=seeds, cases=cases)
    with called("model"):
        ranking, short = said(table)
        answer = verdict(ranking, table, differences=effects(ranking, draws=100))
        texts = [answer.headline, *answer.reasons, *answer.refusals, *answer.caveats, *ranking.notes, short]
        texts.append(methods_text(ranking, 100, "1.0").replace("LossOdyssey", ""))
    assert not [text for text in texts if re.search(r"\bloss(es)?\b", text, re.IGNORECASE)]
    assert "3 models: Alpha, Beta and Gamma" in texts[-1]


def test_the_lead_is_said_with_its_limits_and_weighed() -> None:
    ranking, short = said(rows(0.05))
    assert (
        "in mean DSC, Alpha is 0.05" in short and "better than Beta, the next (95 % for this pair alone: +0.0" in short
    )
    assert "better than Gamma, the last" in short
    assert "The lead is more than 0.01, from which on it matters." in short and ranking.losses[0] == "Alpha"
    assert "less than 0.01 does not matter" in said(rows(0.0, cases=60, noise=0.001))[1]


def test_a_lead_that_rounds_to_nothing_is_neither_better_nor_worse() -> None:
    short = said(rows(0.0, cases=60, noise=0.001))[1]
    assert re.search(r"is within 0\.001 of (Alpha|Beta|Gamma), the next", short) and "is 0.000" not in short


def test_of_distances_the_smaller_one_is_better_and_has_a_unit() -> None:
    assert re.search(r"Alpha is 0\.05\d mm or px better than Beta", said(rows(0.05, "HD95"))[1])


def test_where_nothing_can_be_said_nothing_is_to_be_changed() -> None:
    assert "no reason to change anything" in said(rows(0.05, cases=4))[1]


def test_the_methods_name_trainings_cases_measures_and_tests() -> None:
    text = methods_text(rank(rows(0.05)), 1000, "1.0")
    for part in (
        "3 losses",
        "3 times from different seeds",
        "hearts (20 cases or patients)",
        "DSC",
        "Holm",
        "1,000 draws",
    ):
        assert part in text
    assert "trained once" in methods_text(rank(rows(0.05, seeds=1)), 1000, "1.0")

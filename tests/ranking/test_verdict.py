from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.effects import effects
from lossodyssey.ranking.verdict import Cost, Verdict, verdict
from lossodyssey.table import Row

Table = Callable[..., list[Row]]


def judge(rows: list[Row], costs: dict[str, Cost] | None = None) -> Verdict:
    return verdict(rank(rows), rows, costs)


def test_a_clear_winner_is_named(table: Table) -> None:
    found = judge(table([0.5, 0.8, 0.65], seeds=(0, 1, 2)))
    assert found.choice == "loss1"
    assert found.headline.startswith("Use loss1.")
    assert found.groups == (("loss1",), ("loss2",), ("loss0",))
    assert found.caveats == () == found.refusals


def test_equal_losses_form_one_group(table: Table) -> None:
    found = judge(table([0.7, 0.7, 0.7], seeds=(0, 1)))
    assert len(found.groups) == 1
    assert "No loss is clearly better" in found.headline


def test_the_cheaper_of_the_best_is_offered(table: Table) -> None:
    rows = table([0.8, 0.8, 0.5], seeds=(0, 1))
    choice = judge(rows).choice
    other = "loss1" if choice == "loss0" else "loss0"
    assert choice is not None
    found = judge(rows, {choice: Cost(100.0), other: Cost(60.0), "loss2": Cost(1.0)})
    assert any(reason.startswith(f"{other} trains 40% faster") for reason in found.reasons)
    assert judge(rows, {choice: Cost(100.0), other: Cost(99.0)}).reasons == judge(rows).reasons


def test_a_significant_difference_may_be_too_small_to_matter(table: Table) -> None:
    rows = table([0.7], cases=30, seeds=(0, 1))
    rows += [replace(r, loss="near", value=r.value - 0.001) for r in rows]
    rows += [replace(r, loss="far", value=r.value - 0.1) for r in rows if r.loss == "loss0"]
    ranking = rank(rows)
    found = verdict(ranking, rows, differences=effects(ranking, draws=50))
    assert found.groups == (("loss0",), ("near",), ("far",))
    assert any(reason.startswith("near: behind by a difference too small") for reason in found.reasons)


def test_the_steadier_of_the_best_is_offered(table: Table) -> None:
    rows = table([0.8, 0.8], cases=30, seeds=(0, 1))
    choice = judge(rows).choice
    shaken = [replace(r, value=r.value + 0.02 * (r.seed - 0.5)) if r.loss == choice else r for r in rows]
    assert judge(shaken).choice == choice
    assert any("varies less than half as much" in reason for reason in judge(shaken).reasons)


def test_the_loss_with_fewer_failures_is_preferred_among_the_best(table: Table) -> None:
    rows = table([0.8, 0.8, 0.5], cases=40, seeds=(0, 1))
    choice = judge(rows).choice
    failed = [
        replace(r, value=float("nan"), status="failed") if (r.loss, r.case, r.seed) == (choice, "case3", 0) else r
        for r in rows
    ]
    other = judge(failed).choice
    assert {choice, other} == {"loss0", "loss1"}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: [r for r in rows if r.case in {f"case{i}" for i in range(5)}], "Only 5 cases"),
        (lambda rows: [replace(r, value=0.5) for r in rows], "same value in every case"),
        (lambda rows: [replace(r, engine=r.loss) for r in rows], "different engines"),
        (
            lambda rows: [replace(r, value=float("nan"), status="failed") if r.loss != "loss0" else r for r in rows],
            "Most results are missing",
        ),
    ],
)
def test_data_that_support_nothing_are_refused(
    table: Table, change: Callable[[list[Row]], list[Row]], message: str
) -> None:
    found = judge(change(table([0.5, 0.8, 0.7])))
    assert found.choice is None
    assert any(message in reason for reason in found.refusals)
    assert "do not support" in found.headline


def test_too_few_cases_for_so_many_losses_is_a_caveat(table: Table) -> None:
    ten = [0.9 - 0.05 * i for i in range(10)]
    assert any("at least 11 cases" in caveat for caveat in judge(table(ten, cases=10)).caveats)
    assert len(judge(table(ten, cases=10)).groups) == 1
    assert len(judge(table(ten, cases=11)).groups) > 1


def test_one_seed_is_a_caveat(table: Table) -> None:
    assert any("one seed" in caveat for caveat in judge(table([0.5, 0.8])).caveats)

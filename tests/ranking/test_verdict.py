from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.caveats import Doubt
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
    rows = table([0.8, 0.8], cases=30, seeds=(0, 1, 2, 3, 4))
    choice = judge(rows).choice
    shaken = [replace(r, value=r.value + 0.02 * (r.seed - 2)) if r.loss == choice else r for r in rows]
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
    paired = [replace(row, group=str(int(row.case[4:]) // 2)) for row in table(ten, cases=20)]
    (said,) = (caveat for caveat in judge(paired).caveats if "at least 11 patients" in caveat)
    assert said.startswith("With 10 patients no difference between 10 trained networks, however large,")


def test_one_seed_is_a_caveat(table: Table) -> None:
    assert any("one seed" in caveat for caveat in judge(table([0.5, 0.8])).caveats)


def noisy(run: float, seeds: int, *, losses: int = 4, seed: int = 0) -> list[Row]:
    """Equal losses over 80 cases, each training shifted by its own luck."""
    rng = np.random.default_rng(seed)
    luck = run * rng.normal(size=(losses, seeds, 1))
    values = 0.7 + 0.05 * rng.normal(size=80) + luck + 0.02 * rng.normal(size=(losses, seeds, 80))
    return [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]


def test_lucky_trainings_are_no_better_losses() -> None:
    tables = [noisy(0.02, 3, seed=seed) for seed in range(30)]
    networks = [rank(rows).overall.better.any() for rows in tables]
    losses = [rank(rows).overall.better_retrained.any() for rows in tables]
    assert np.mean(networks) > 0.9 and np.mean(losses) < 0.15
    found = judge(tables[0])
    assert found.retrained and "No loss is clearly better" in found.headline
    assert any(
        r.startswith("Trained again, on new cases: loss") and "not significantly better than any of the 3" in r
        for r in found.reasons
    )
    assert any(r.startswith("These trained networks, on new cases: loss") for r in found.reasons)


def test_one_seed_speaks_of_one_training_and_gives_the_tipping_point(table: Table) -> None:
    found = judge(table([0.8, 0.6, 0.7], cases=40))
    assert found.headline.endswith("as far as one training each can say.")
    said = next(r for r in found.reasons if r.startswith("One training each cannot tell loss from luck"))
    pairs = rank(table([0.8, 0.6, 0.7], cases=40)).overall.pairs
    assert "the lead over loss2 would hold" in said.lower() and f"{pairs.tipping_point(0.05)[0, 2]:.2g} DSC" in said


def test_equivalence_needs_the_mean_and_counts_what_is_clearly_worse(table: Table) -> None:
    rows = table([0.8], cases=60, seeds=(0, 1, 2))
    missed = {f"case{k}" for k in range(0, 60, 10)}
    rows += [replace(r, loss="misses", value=0.0 if r.case in missed else r.value - 0.002) for r in rows]
    ranking = rank(rows)
    found = verdict(ranking, rows, differences=effects(ranking, draws=100))
    text = " ".join(found.reasons)
    assert "too small to matter" not in text
    assert "misses is worse than loss0 by more than 0.1 DSC in 6 of 60 cases" in text


def test_tests_and_means_that_disagree_are_said(table: Table) -> None:
    rows = table([0.8], cases=60, seeds=(0, 1, 2))
    missed = {f"case{k}" for k in range(0, 60, 10)}
    rows += [replace(r, loss="often", value=0.0 if r.case in missed else r.value + 0.01) for r in rows]
    ranking = rank(rows)
    found = verdict(ranking, rows, differences=effects(ranking, draws=100))
    said = next(r for r in found.reasons if "a few large differences decide the mean" in r)
    assert said.startswith("DSC on A: often is better in 90% of the cases")


def test_low_scores_forbid_a_recommendation(table: Table) -> None:
    found = judge(table([0.19, 0.02, 0.1], cases=30, seeds=(0, 1, 2)))
    assert found.headline.startswith("The training is too doubtful for a recommendation (the best mean DSC on A is 0.")
    assert not any("Use loss" in text for text in (found.headline, *found.reasons))


def test_doubts_stand_before_the_recommendation(table: Table) -> None:
    rows = table([0.8, 0.6], cases=30, seeds=(0, 1, 2))
    mild, serious = Doubt("one learning rate, 0.003, for all losses", False), Doubt("60 of the usual 1,000 steps", True)
    found = verdict(rank(rows), rows, doubts=[mild])
    assert found.headline.startswith("As trained here (one learning rate, 0.003, for all losses): use loss0.")
    found = verdict(rank(rows), rows, doubts=[mild, serious])
    assert found.headline.startswith("The training is too doubtful") and "60 of the usual" in found.headline


def test_a_group_never_starts_with_a_loss_that_is_behind() -> None:
    values = np.full((2, 3, 60), 0.7) + 0.001 * np.random.default_rng(0).normal(size=(2, 3, 60))
    values[0] += 0.01
    values[0, :, ::5] = 0.4
    rows = [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]
    ranking = rank(rows)
    assert ranking.overall.order == [0, 1] and ranking.overall.better_retrained[1, 0]
    assert judge(rows).groups == (("loss1",), ("loss0",))


def test_two_seeds_do_not_tell_who_trains_more_steadily() -> None:
    said = [judge(noisy(0.02, 2, losses=3, seed=seed)).reasons for seed in range(10)]
    assert not any("varies less than half" in reason for reasons in said for reason in reasons)


@pytest.mark.parametrize("seeds, which", [(3, "losses"), (1, "trained networks")])
def test_headline_and_best_set_never_contradict_each_other(seeds: int, which: str) -> None:
    """The set of possible winners takes fewer comparisons than all pairs: only the leader may remain in it."""
    found = []
    for seed, lead in enumerate(np.linspace(0.003, 0.015, 40)):
        rows = noisy(0.003, seeds, losses=2, seed=seed)
        rows = [replace(r, value=r.value + lead * (r.loss == "loss0")) for r in rows]
        standing, answer = rank(rows).overall, judge(rows)
        assert answer.choice is not None and standing.best_set[standing.cell.losses.index(answer.choice)]
        if standing.best_set.sum() == 1 and len(answer.groups[0]) == 2:
            assert answer.headline.startswith(f"Use loss0. It is with 95% confidence the best of these {which}")
            found.append(answer)
            doubted = verdict(rank(rows), rows, doubts=[Doubt("60 of the usual 1,000 steps", True)]).headline
            assert f"loss0 is ahead, with 95% confidence the best of these {which}, though the stricter" in doubted
        assert "No loss is clearly better" not in answer.headline or standing.best_set.all()
    assert found


def rotated(losses: int, cases: int = 100) -> list[Row]:
    """Each loss a little better than the next in most cases and much worse in a few: a circle."""
    noise = 0.0003 * np.random.default_rng(0).normal(size=(losses, cases))
    values = 0.5 + 0.02 * np.add.outer(np.arange(losses), np.arange(cases)) % 0.2 + noise
    return [Row(f"loss{i}", "A", 0, 0, f"c{c}", "x", "DSC", float(v)) for (i, c), v in np.ndenumerate(values)]


def test_tests_that_go_round_in_a_circle_leave_no_winner() -> None:
    rows = rotated(10)
    assert not rank(rows).overall.best_set.any()
    found = judge(rows)
    assert "the tests go round in a circle" in found.headline and len(found.groups) == 1
    worse = [replace(r, loss="last", value=r.value - 0.3) for r in rows if r.loss == "loss0"]
    assert judge([*rows, *worse]).groups[1:] == (("last",),)


def test_a_leader_that_is_behind_in_the_mean_is_named_with_its_failures() -> None:
    values = np.full((2, 60), 0.7) + 0.001 * np.random.default_rng(0).normal(size=(2, 60))
    values[0] += 0.01
    values[0, ::10] = 0.0
    rows = [Row(f"loss{i}", "A", 0, 0, f"c{c}", "x", "DSC", float(v)) for (i, c), v in np.ndenumerate(values)]
    ranking = rank(rows)
    found = verdict(ranking, rows, differences=effects(ranking, draws=50))
    assert found.headline.startswith("Use loss0.") and found.headline.endswith("it is behind loss1.")
    assert any("loss0 is worse than loss1 by more than 0.1 DSC in 6 of 60 cases" in text for text in found.reasons)
    assert any("The means do not show the lead over loss1" in text for text in found.reasons)


def test_the_group_is_headed_by_the_unbeaten_loss_that_beats_most() -> None:
    """A loss that wins most cases and misses some objects leads in the tests; trained again it beats no other."""
    rng = np.random.default_rng(0)
    values = np.full((3, 3, 40), 0.85) + 0.03 * rng.normal(size=40) + 0.001 * rng.normal(size=(3, 3, 40))
    values[0] += 0.01
    values[0, :, ::10] = 0.0
    values[2] -= 0.05
    rows = [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]
    found = judge(rows)
    assert rank(rows).overall.order[0] == 0 and found.groups == (("loss1", "loss0"), ("loss2",))
    assert found.headline == "Use loss1. loss0 cannot be told apart from the best."


def test_many_losses_share_one_sentence() -> None:
    rng = np.random.default_rng(1)
    values = 0.7 + 0.06 * rng.normal(size=(12, 1, 60))
    rows = [Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(v)) for (i, s, c), v in np.ndenumerate(values)]
    ranking = rank(rows)
    found = verdict(ranking, rows, differences=effects(ranking, draws=20))
    assert sum("by more than 0.1 DSC" in reason for reason in found.reasons) <= 2
    assert any("others in" in reason and "at most" in reason for reason in found.reasons)


def test_seeds_are_counted_per_loss() -> None:
    rows = [replace(r, seed=r.seed + 10 * int(r.loss[-1])) for r in noisy(0.003, 3, losses=3)]
    assert rank(rows).seeds == (3, 3)
    assert any("80 cases and 3 seeds" in reason for reason in judge(rows).reasons)
    fewer = [r for r in rows if r.loss != "loss0" or r.seed == 0]
    assert rank(fewer).seeds == (1, 3)
    assert any("80 cases and 1 to 3 seeds" in reason for reason in judge(fewer).reasons)


def test_a_task_trained_once_is_named() -> None:
    rows = noisy(0.003, 3, losses=3)
    rows += [replace(r, dataset="B") for r in rows if r.seed == 0]
    found = judge(rows)
    assert not found.retrained and "as far as one training each on B can say" in found.headline
    assert any("trained with one seed on B" in caveat for caveat in found.caveats)


def test_one_case_is_one_case(table: Table) -> None:
    found = judge(table([0.8, 0.7], cases=1, seeds=(0, 1)))
    assert any(text.startswith("Only 1 case was scored.") for text in found.refusals)
    assert rank(table([0.8, 0.7], cases=1, seeds=(0, 1))).overall.best_set.all()


def test_what_is_missing_is_said_once(table: Table) -> None:
    rows = table([0.8, 0.7, 0.6], seeds=(0, 1))
    lost = [replace(r, value=float("nan"), status="failed") if r.loss != "loss0" else r for r in rows]
    found = judge(lost)
    assert any("Most results are missing" in text for text in found.refusals)
    assert not any("are missing" in text for text in found.caveats)
    one = [replace(r, value=float("nan"), status="failed") if r.loss == "loss2" else r for r in rows]
    assert any(text.startswith("loss2: more than 20%") for text in judge(one).caveats)


def test_the_cases_of_all_tasks_count_for_the_correction(table: Table) -> None:
    rows = table([0.9 - 0.05 * i for i in range(10)], cases=8)
    assert any("at least 11 cases" in caveat for caveat in judge(rows).caveats)
    rows += [replace(r, dataset="B") for r in rows]
    found = judge(rows)
    assert len(found.groups) > 1 and not any("at least 11 cases" in caveat for caveat in found.caveats)
    few = [r for r in rows if r.case in {"case0", "case1"}]
    assert any(text.startswith("Only 2 cases were scored in a task.") for text in judge(few).refusals)


def test_a_loss_that_trains_unsteadily_is_no_advice() -> None:
    rng = np.random.default_rng(0)
    luck = np.array([0.002, 0.002, 0.002, 0.08])[:, None, None] * rng.normal(size=(4, 4, 1))
    truth = np.array([0.8, 0.79, 0.795, 0.75])[:, None, None]
    values = truth + luck + 0.05 * rng.normal(size=60) + 0.01 * rng.normal(size=(4, 4, 60))
    rows = [
        Row(f"loss{i}", "A", 0, s, f"c{c}", "x", "DSC", float(np.clip(v, 0, 1)))
        for (i, s, c), v in np.ndenumerate(values)
    ]
    ranking = rank(rows)
    costs = {f"loss{i}": Cost(100.0 - 50 * (i == 3)) for i in range(4)}
    found = verdict(ranking, rows, costs, effects(ranking, draws=100))
    assert "loss3" in found.groups[0]
    said = [reason for reason in found.reasons if "what its next training would give is open" in reason]
    assert len(said) == 1 and said[0].startswith("loss3 cannot be told apart from the best, but in the mean it is 0.1")
    assert not any("trains" in reason and "faster" in reason for reason in found.reasons)

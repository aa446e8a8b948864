"""Nothing is ranked that a table does not hold: data sets, classes, metrics, folds and cases a loss was not run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.cells import collect
from lossodyssey.ranking.verdict import verdict
from lossodyssey.table import Row

NAN = float("nan")
LOSSES = [0.9, 0.85, 0.8, 0.75, 0.7, 0.65]
Simulate = Callable[..., list[Row]]


def test_a_loss_never_run_on_a_data_set_gets_no_value_there(table: Simulate) -> None:
    rows = [r for r in table(LOSSES, tasks=("one", "two")) if (r.loss, r.dataset) != ("loss0", "two")]
    ranking = rank(rows)
    assert ranking.losses == ("loss1", "loss2", "loss3", "loss4", "loss5")
    assert ranking.tasks == ("one", "two")
    assert all(s.cell.filled.sum() == 0 for s in ranking.standings)
    assert "loss0 is left out: the table has no row of it in two" in ranking.notes
    answer = verdict(ranking, rows)
    assert "loss0 was not run on all of these data and is not compared" in answer.headline
    assert answer.choice == "loss1" and "tested" not in answer.headline


def test_a_data_set_that_most_losses_lack_is_left_out(table: Simulate) -> None:
    rows = [r for r in table(LOSSES, tasks=("one", "two")) if r.dataset == "one" or r.loss == "loss5"]
    ranking = rank(rows)
    assert len(ranking.losses) == 6
    assert ranking.tasks == ("one",)
    assert ranking.left_out == {}
    assert any(note.startswith("two: data set two left out for all losses: loss0, loss1") for note in ranking.notes)


@pytest.mark.parametrize("lacking", ["loss0", "loss1"])
def test_of_two_losses_none_is_left_out(table: Simulate, lacking: str) -> None:
    rows = [r for r in table([0.9, 0.8], tasks=("one", "two")) if (r.loss, r.dataset) != (lacking, "two")]
    assert rank(rows).tasks == ("one",)


def test_a_run_that_failed_on_a_data_set_still_counts_as_the_worst(table: Simulate) -> None:
    rows = [
        replace(r, value=NAN, status="diverged") if (r.loss, r.dataset) == ("loss0", "two") else r
        for r in table(LOSSES, tasks=("one", "two"))
    ]
    ranking = rank(rows)
    assert ranking.losses[0] == "loss0"
    assert ranking.standings[1].cell.values[0].max() == 0


@pytest.mark.parametrize("spelling", ["1", "Tumour"])
def test_classes_under_two_names_are_refused_and_not_half_the_score(table: Simulate, spelling: str) -> None:
    rows = [replace(r, class_name=spelling) if r.loss == "loss1" else r for r in table([0.9, 0.8], classes=("tumour",))]
    with pytest.raises(ValueError, match=rf"share no data set.*loss0 has.*class tumour.*loss1 has.*class {spelling}"):
        rank(rows)


@pytest.mark.parametrize("dataset", ["nnU-Net", "labelsTr"])
def test_data_sets_under_two_names_are_refused(table: Simulate, dataset: str) -> None:
    rows = [replace(r, dataset=dataset) if r.loss == "loss1" else r for r in table([0.9, 0.8])]
    with pytest.raises(ValueError, match=f"share no data set.*{dataset}.*one name"):
        rank(rows)


def test_a_class_that_one_loss_lacks_is_left_out_for_all(table: Simulate) -> None:
    rows = [r for r in table([0.9, 0.8], classes=("liver", "tumour")) if (r.loss, r.class_name) != ("loss1", "tumour")]
    cells = collect(rows)
    alone = collect([r for r in rows if r.class_name == "liver"])
    assert np.array_equal(cells.cells[0].values, alone.cells[0].values)
    assert cells.notes == ("A: class tumour left out for all losses: loss1 has no row of it",)


def test_a_metric_that_one_loss_lacks_is_left_out_for_all(table: Simulate) -> None:
    rows = table(LOSSES, metrics=("DSC", "NSD"), tasks=("one", "two"))
    rows = [r for r in rows if (r.loss, r.metric, r.dataset) != ("loss3", "NSD", "two")]
    ranking = rank(rows)
    assert [(s.cell.task, s.cell.metric) for s in ranking.standings] == [("one", "DSC"), ("one", "NSD"), ("two", "DSC")]
    assert "two: metric NSD left out for all losses: loss3 has no row of it" in ranking.notes
    assert len(ranking.losses) == 6


def test_a_metric_of_one_class_that_a_loss_lacks_is_left_out_of_it_alone(table: Simulate) -> None:
    rows = table([0.9, 0.8], metrics=("DSC", "NSD"), classes=("liver", "tumour"))
    cells = collect([r for r in rows if (r.loss, r.metric, r.class_name) != ("loss0", "NSD", "tumour")])
    assert [cell.metric for cell in cells.cells] == ["DSC", "NSD"]
    assert cells.cells[1].filled.sum() == 0
    assert cells.notes == ("A: NSD of class tumour left out for all losses: loss0 has no row of it",)


def test_a_metric_that_the_user_named_and_a_loss_lacks_is_refused(table: Simulate) -> None:
    rows = [r for r in table([0.9, 0.8], metrics=("DSC", "HD95")) if (r.loss, r.metric) != ("loss1", "HD95")]
    with pytest.raises(ValueError, match=r"'HD95': loss1 has no row of it"):
        rank(rows, metrics=["DSC", "HD95"])
    assert rank(rows).metrics == ("DSC",)


def folds(rows: list[Row], count: int = 5) -> list[Row]:
    """Return the same rows as a cross-validation."""
    return [replace(r, fold=int(r.case[4:]) % count) for r in rows]


def test_a_fold_that_a_loss_was_not_trained_on_is_left_out(table: Simulate) -> None:
    rows = [r for r in folds(table([0.9, 0.8])) if r.loss == "loss0" or r.fold < 3]
    cells = collect(rows)
    assert len(cells.cells[0].cases) == 12
    assert cells.cells[0].filled.sum() == 0
    assert cells.notes == ("A: 8 of 20 cases are left out for all losses: some were not run on them (loss1 on 8)",)


def test_a_case_without_a_row_in_a_fold_that_the_loss_has_counts_as_the_worst(table: Simulate) -> None:
    rows = [r for r in folds(table([0.9, 0.8])) if (r.loss, r.case) != ("loss1", "case7")]
    cell = collect(rows).cells[0]
    assert cell.values[1, cell.cases.index("case7")] == 0
    assert cell.absent.tolist() == [0, 1]


def test_folds_that_two_tables_number_in_two_ways_meet_in_their_cases(table: Simulate) -> None:
    rows = table([0.9, 0.8])
    mixed = [r for r in rows if r.loss == "loss0"] + [r for r in folds(rows) if r.loss == "loss1"]
    assert np.array_equal(collect(mixed).cells[0].values, collect(rows).cells[0].values)
    assert collect(mixed).notes == ()


def test_of_a_test_set_predicted_by_every_fold_all_cases_are_owed_in_every_fold(table: Simulate) -> None:
    rows = [replace(r, fold=fold) for fold in range(3) for r in table([0.9, 0.8])]
    cell = collect([r for r in rows if (r.loss, r.case, r.fold) != ("loss1", "case7", 2)]).cells[0]
    assert cell.absent.tolist() == [0, 1]
    assert cell.values[1, cell.cases.index("case7")] < 2 / 3


def test_a_data_set_in_which_a_loss_has_only_some_seeds_averages_over_fewer(table: Simulate) -> None:
    rows = table([0.9, 0.8], tasks=("one", "two"), seeds=(0, 1))
    cells = collect([r for r in rows if (r.loss, r.dataset, r.seed) != ("loss1", "two", 1)])
    assert all(cell.filled.sum() == 0 for cell in cells.cells)
    assert cells.notes == ("two: loss1 has 1 of 2 runs per case; its values are averages over fewer",)


def test_seeds_that_two_tables_number_in_two_ways_owe_the_same_cases(table: Simulate) -> None:
    rows = [replace(r, seed=7) if r.loss == "loss1" else r for r in table([0.9, 0.8])]
    cell = collect([r for r in rows if (r.loss, r.case) != ("loss1", "case7")]).cells[0]
    assert cell.values[1, 7] == 0
    assert cell.values[0, 7] > 0


def test_a_class_left_empty_rightly_is_best_where_only_another_seed_invents_it(table: Simulate) -> None:
    rows = [replace(r, seed=7) if r.loss == "loss1" else r for r in table([0.9, 0.8])]
    states = {"loss0": "truth_empty", "loss1": "both_empty"}
    rows = [replace(r, value=NAN, status=states[r.loss]) if r.case == "case7" else r for r in rows]
    assert collect(rows).cells[0].values[:, 7].tolist() == [0, 1]


@pytest.mark.parametrize("state", ["failed", "missing"])
def test_cases_of_which_no_loss_has_a_result_are_no_cases(table: Simulate, state: str) -> None:
    rows = table([0.9, 0.8], cases=24, metrics=("DSC", "HD95"))
    rows = [replace(r, value=NAN, status=state) if int(r.case[4:]) >= 20 else r for r in rows]
    cells = collect(rows)
    assert [len(cell.cases) for cell in cells.cells] == [20, 20]
    assert cells.cells[0].values.min() > 0.5
    assert cells.notes[0].startswith("A: 4 of 24 cases are left out: no loss has a result there")


def test_one_loss_with_extra_predictions_brings_no_zeros_to_the_other(table: Simulate) -> None:
    rows = [r for r in table([0.9, 0.8], cases=24) if r.loss == "loss0" or int(r.case[4:]) < 20]
    rows = [replace(r, value=NAN, status="failed") if int(r.case[4:]) >= 20 else r for r in rows]
    assert len(collect(rows).cells[0].cases) == 20


def test_a_case_that_every_loss_missed_stays_a_case(table: Simulate) -> None:
    rows = table([0.9, 0.8], metrics=("HD95",))
    rows = [replace(r, value=NAN, status="pred_empty", greatest=99.0) if r.case == "case3" else r for r in rows]
    assert collect(rows).cells[0].values[:, 3].tolist() == [99, 99]


@pytest.mark.parametrize("name", ["{}.nii.gz", "imagesTr/{}"])
def test_cases_that_two_tables_spell_in_two_ways_are_refused(table: Simulate, name: str) -> None:
    rows = [replace(r, case=name.format(r.case)) if r.loss == "loss1" else r for r in table([0.9, 0.8])]
    with pytest.raises(
        ValueError, match=r"'loss0' and 'loss1' have no case in common .*case0, case1.*name a case alike"
    ):
        rank(rows)


def test_many_values_without_a_row_are_a_caveat(table: Simulate) -> None:
    rows = [r for r in table([0.9, 0.8, 0.7]) if r.loss != "loss2" or int(r.case[4:]) < 10]
    ranking = rank(rows)
    assert "loss2: more than 20% of the values are missing." in verdict(ranking, rows).caveats
    assert any("loss2 10 of 20, 10 without a row" in note for note in ranking.notes)


@pytest.mark.parametrize("named", [0, 1])
def test_patients_that_one_table_names_hold_for_the_other(table: Simulate, named: int) -> None:
    rows = [replace(r, group=f"p{int(r.case[4:]) // 2}") if r.loss == f"loss{named}" else r for r in table([0.9, 0.8])]
    assert len(collect(rows).cells[0].cases) == 10

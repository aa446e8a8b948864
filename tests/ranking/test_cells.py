from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lossodyssey.ranking import rank
from lossodyssey.ranking.cells import collect
from lossodyssey.table import Row

NAN = float("nan")


def row(loss: str, case: str, value: float, status: str = "ok", **other: object) -> Row:
    fields = {"dataset": "A", "fold": 0, "seed": 0, "class_name": "organ", "metric": "DSC", **other}
    return Row(loss=loss, case=case, value=value, status=status, **fields)  # type: ignore[arg-type]


def pair(value: float, status: str, metric: str = "DSC") -> list[Row]:
    """Two losses, three cases; loss "b" has `value` and `status` in the second."""
    rows = [row(loss, case, v, metric=metric) for loss in "ab" for case, v in (("1", 0.5), ("2", 0.6), ("3", 0.9))]
    return [replace(r, value=value, status=status) if (r.loss, r.case) == ("b", "2") else r for r in rows]


@pytest.mark.parametrize("value, status", [(NAN, "pred_empty"), (NAN, "diverged"), (float("inf"), "ok")])
def test_a_missing_share_counts_as_zero(value: float, status: str) -> None:
    cells = collect(pair(value, status))
    assert cells.cells[0].values[1].tolist() == [0.5, 0.0, 0.9]
    assert cells.cells[0].filled.tolist() == [0, 1]
    assert "b 1 of 3" in cells.notes[0] and "worst" in cells.notes[0]


def test_a_missing_distance_counts_as_the_worst_seen() -> None:
    assert collect(pair(NAN, "pred_empty", "HD95")).cells[0].values[1].tolist() == [0.5, 0.9, 0.9]


@pytest.mark.parametrize("metric", ["HD95", "ASSD", "MASD_voxel", "HD95 (mm)"])
def test_a_missing_distance_counts_as_the_greatest_that_its_case_can_have(metric: str) -> None:
    rows = [replace(r, greatest=200.0 + int(r.case)) for r in pair(NAN, "pred_empty", metric)]
    cells = collect(rows)
    assert cells.cells[0].values[1].tolist() == [0.5, 202.0, 0.9]
    assert cells.notes[0].startswith(f"A, {metric}: values are missing (b 1 of 3)")
    assert "1 by the greatest distance of the case" in cells.notes[0]


def test_what_the_table_does_not_bound_counts_as_the_worst_seen_and_is_said() -> None:
    rows = [replace(r, greatest=200.0 if r.case == "1" else NAN) for r in pair(NAN, "pred_empty", "HD95")]
    cells = collect(rows)
    assert cells.cells[0].values[1].tolist() == [0.5, 0.9, 0.9]
    assert "1 by the worst value seen, which depends on the losses in the table" in cells.notes[0]


@pytest.mark.parametrize("metric, worst", [("DSC", 0.0), ("NSD", 0.0), ("betti_error", 0.9)])
def test_the_greatest_distance_stands_in_for_distances_only(metric: str, worst: float) -> None:
    rows = [replace(r, greatest=200.0) for r in pair(NAN, "pred_empty", metric)]
    assert collect(rows).cells[0].values[1].tolist() == [0.5, worst, 0.9]


def test_the_greatest_distance_is_found_where_the_loss_has_no_row_or_no_entry() -> None:
    bounded = [replace(r, greatest=200.0) for r in pair(NAN, "pred_empty", "HD95")]
    absent = [r for r in bounded if (r.loss, r.case) != ("b", "2")]
    blank = [replace(r, greatest=NAN) if (r.loss, r.case) == ("b", "2") else r for r in bounded]
    for rows in (absent, blank):
        assert collect(rows).cells[0].values[1].tolist() == [0.5, 200.0, 0.9]


def test_a_loss_that_misses_objects_does_not_lead_by_its_distance() -> None:
    missed = [row("misses", str(i), NAN if i < 6 else 4.7, "pred_empty" if i < 6 else "ok") for i in range(30)]
    rows = [*missed, *(row("finds", str(i), 5.0 + i / 100) for i in range(30))]
    rows = [replace(r, metric="HD95", greatest=300.0) for r in rows]
    ranking = rank(rows, metrics=["HD95"], method="mean")
    assert ranking.losses[ranking.overall.order[0]] == "finds"
    significance = rank(rows, metrics=["HD95"])
    assert significance.overall.cell.values[0].mean() > 60


def test_a_third_loss_does_not_change_the_numbers_of_two() -> None:
    two = [replace(r, greatest=200.0) for r in pair(NAN, "pred_empty", "HD95")]
    third = [row("c", case, 150.0, metric="HD95", greatest=200.0) for case in "123"]
    assert np.array_equal(collect([*two, *third]).cells[0].values[:2], collect(two).cells[0].values)


@pytest.mark.parametrize("metric, value, message", [
    ("HD95", 201.0, "201, above 200 in column greatest"), ("DSC", 85.0, "expected 0 to 1, or --percent"),
    ("HD95", -1.0, "expected 0 to inf"),
])  # fmt: skip
def test_a_value_that_its_metric_cannot_take_is_refused(metric: str, value: float, message: str) -> None:
    rows = [replace(r, greatest=200.0) for r in pair(value, "ok", metric)]
    with pytest.raises(ValueError, match=f"{metric} of loss 'b' in case '2' is .*{message}"):
        collect(rows)


@pytest.mark.parametrize("metric", ["volume_error", "RAVD"])
def test_of_a_signed_measure_the_size_is_compared_and_that_is_said(metric: str) -> None:
    cells = collect(pair(-0.7, "ok", metric))
    assert cells.cells[0].oriented[1].tolist() == [-0.5, -0.7, -0.9]
    assert cells.notes == (f"A, {metric}: signed values; their size is compared",)


def test_an_absent_row_is_missing_like_an_empty_one() -> None:
    rows = [r for r in pair(0.6, "ok") if (r.loss, r.case) != ("b", "2")]
    assert collect(rows).cells[0].values[1].tolist() == [0.5, 0.0, 0.9]


def test_drop_leaves_the_case_out_for_all_and_says_so() -> None:
    cells = collect(pair(NAN, "failed"), policy="drop")
    assert cells.cells[0].cases == ("1", "3")
    assert "1 of 3 cases are left out" in cells.notes[0]


def test_last_is_worse_than_every_value_seen() -> None:
    for metric, worse in (("DSC", np.less), ("HD95", np.greater)):
        values = collect(pair(NAN, "missing", metric), policy="last").cells[0].values
        assert worse(values[1, 1], np.delete(values.ravel(), 4)).all()


def test_leaving_an_absent_class_empty_is_best_where_another_loss_predicts_it() -> None:
    rows = [row("a", "1", 0.8), row("b", "1", 0.7), row("a", "2", NAN, "both_empty"), row("b", "2", NAN, "truth_empty")]
    assert collect(rows).cells[0].values.tolist() == [[0.8, 1.0], [0.7, 0.0]]


def test_a_class_absent_everywhere_says_nothing() -> None:
    rows = [row("a", "1", 0.8), row("b", "1", 0.7), row("a", "2", NAN, "both_empty"), row("b", "2", NAN, "both_empty")]
    cells = collect(rows)
    assert cells.cells[0].cases == ("1",)
    assert "1 of 2 cases" in cells.notes[0]
    organ = [replace(r, class_name="lesion", value=0.5, status="ok") for r in rows]
    assert collect([*rows, *organ]).cells[0].values.tolist() == [[0.65, 0.5], [0.6, 0.5]]


def test_classes_are_averaged_before_seeds() -> None:
    rows = [row(loss, "1", 0.1, class_name=c, seed=s) for loss in "ab" for c in ("x", "y") for s in (0, 1)]
    rows[0] = replace(rows[0], value=0.5)
    assert collect(rows).cells[0].values[0, 0] == pytest.approx((0.5 + 0.1) / 2 / 2 + 0.1 / 2)


def test_cases_of_a_group_are_one_unit() -> None:
    rows = [row(loss, case, value, group=group) for loss in "ab" for case, value, group in (
        ("1", 0.2, "p"), ("2", 0.4, "p"), ("3", 0.9, "q"))]  # fmt: skip
    cell = collect(rows).cells[0]
    assert cell.cases == ("p", "q")
    assert cell.values[0].tolist() == pytest.approx([0.3, 0.9])


def test_seed_deviation_is_that_of_the_means(table: Callable[..., list[Row]]) -> None:
    rows = table([0.5, 0.6], cases=7, seeds=(0, 1, 2))
    means = [np.mean([r.value for r in rows if r.loss == "loss0" and r.seed == s]) for s in range(3)]
    assert collect(rows).cells[0].seed_deviation[0] == pytest.approx(np.std(means, ddof=1))
    assert np.isnan(collect(table([0.5, 0.6])).cells[0].seed_deviation).all()


def test_folds_of_a_cross_validation_complete_each_other() -> None:
    rows = [row(loss, str(case), 0.1 * case, fold=case % 2) for loss in "ab" for case in range(4)]
    cells = collect(rows)
    assert cells.cells[0].filled.sum() == 0
    assert cells.notes == ()


def test_a_loss_with_fewer_seeds_is_noted(table: Callable[..., list[Row]]) -> None:
    rows = [r for r in table([0.5, 0.6], seeds=(0, 1)) if (r.loss, r.seed) != ("loss1", 1)]
    assert any("loss1 has 1 of 2 runs" in note for note in collect(rows).notes)


def test_separate_classes_are_tasks(table: Callable[..., list[Row]]) -> None:
    cells = collect(table([0.5, 0.6], classes=("x", "y")), separate_classes=True)
    assert [cell.task for cell in cells.cells] == ["A / x", "A / y"]


def test_a_metric_without_any_value_is_left_out_and_noted(table: Callable[..., list[Row]]) -> None:
    rows = table([0.5, 0.6])
    empty = [replace(r, metric="HD95", value=NAN, status="pred_empty") for r in rows]
    cells = collect([*rows, *empty])
    assert [cell.metric for cell in cells.cells] == ["DSC"]
    assert "HD95 has no finite value" in cells.notes[0]


@pytest.mark.parametrize(
    "rows, options, message",
    [
        ([], {}, "empty"),
        ([row("a", "1", 0.5)], {}, "one loss only"),
        ([row("a", "1", 0.5), row("a", "1", 0.6), row("b", "1", 0.5)], {}, "2 rows for loss 'a'"),
        ([row("a", "1", NAN, "failed"), row("b", "1", NAN, "failed")], {}, "no finite value"),
        ([row("a", "1", 0.5), row("b", "1", 0.5)], {"policy": "zero"}, "policy 'zero'"),
        ([row("a", "1", 0.5), row("b", "1", 0.5)], {"metrics": ["NSD"]}, "'NSD'"),
        ([row("a", "1", 0.5, metric="mine"), row("b", "1", 0.5, metric="mine")], {}, "which way it points"),
        ([row("a", "1", 0.5), row("b", "1", NAN, "failed")], {"policy": "drop"}, "no case has a usable value"),
    ],
)
def test_what_cannot_be_ranked_is_said(rows: list[Row], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collect(rows, **options)  # type: ignore[arg-type]


def test_an_unknown_metric_needs_a_direction_only() -> None:
    rows = [row("a", "1", 3.0, metric="mine"), row("b", "1", 2.0, metric="mine")]
    assert collect(rows, higher_is_better={"mine": False}).cells[0].oriented.tolist() == [[-3.0], [-2.0]]


@pytest.mark.parametrize("name, higher", [("DSC", True), ("nsd@2", True), ("HD95_voxel", False), ("ASSD", False)])
def test_directions_follow_the_base_name(name: str, higher: bool) -> None:
    rows = [row("a", "1", 0.3, metric=name), row("b", "1", 0.2, metric=name)]
    assert collect(rows).cells[0].measure.higher_is_better is higher


def test_a_task_too_small_to_judge_is_listed_and_left_out(table: Callable[..., list[Row]]) -> None:
    rows = table([0.8, 0.6], cases=20) + table([0.8, 0.6], cases=3, tasks=("tiny",))
    ranking = rank(rows)
    assert ranking.tasks == ("A",)
    assert any(note.startswith("tiny: too small to judge (3 cases") for note in ranking.notes)


def test_a_task_without_values_is_left_out_and_said(table: Callable[..., list[Row]]) -> None:
    lost = [replace(r, value=float("nan"), status="failed") for r in table([0.8, 0.6], tasks=("lost",))]
    found = collect(table([0.8, 0.6]) + lost)
    assert {cell.task for cell in found.cells} == {"A"}
    assert any("lost" in note and "left out" in note for note in found.notes)


def test_strata_make_tasks(table: Callable[..., list[Row]]) -> None:
    rows = [replace(r, stratum="T1" if int(r.case[4:]) < 12 else "T2") for r in table([0.8, 0.6], cases=20)]
    assert rank(rows).tasks == ("A / T1", "A / T2")


def test_values_of_each_run_are_kept(table: Callable[..., list[Row]]) -> None:
    rows = [replace(r, fold=int(r.case[4:]) % 2) for r in table([0.8, 0.6], cases=8, seeds=(0, 1))]
    cell = collect(rows).cells[0]
    assert cell.runs == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert np.isfinite(cell.by_run).sum(axis=(0, 2)).tolist() == [8, 8, 8, 8]
    assert np.nanmean(cell.by_run, axis=1) == pytest.approx(cell.values)

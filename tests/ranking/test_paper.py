from __future__ import annotations

import pytest

from lossodyssey.ranking.paper import (
    leave_one_task_out,
    mean_ranks,
    reported_averages,
    resample_tasks,
    tau_between_metrics,
    tau_between_tasks,
    tau_between_trainers,
)
from lossodyssey.ranking.published import TASKS, means, ranked, read
from lossodyssey.ranking.statements import findings, statements

TABLE = means("table2")


def test_the_tables_are_whole_and_sourced() -> None:
    assert TABLE.values.shape == (20, 8)
    sizes = {table: len(read(table)) for table in ("table2", "table3", "table4", "nnunet_v2")}
    assert sizes == {"table2": 160, "table3": 100, "table4": 40, "nnunet_v2": 36}
    assert all(value.source for table in sizes for value in read(table))


def test_mean_ranks() -> None:
    found = mean_ranks(TABLE)
    expected = {"DiceTopK": 4.0625, "DiceBD": 4.5, "DiceHD": 4.75, "DiceFocal": 5.375, "Dice": 6.375, "IoU": 7.0,
                "DiceCE": 7.75, "pCE": 8.875, "TopK": 9.0, "CE": 9.25, "pGDice": 18.125, "WCE": 19.0}  # fmt: skip
    assert {loss: found[loss] for loss in expected} == expected
    assert list(found)[:4] == list(expected)[:4] and list(found)[-1] == "WCE"
    dsc = mean_ranks(TABLE, metrics=["DSC"])
    assert list(dsc.items())[:3] == [("DiceHD", 3.75), ("DiceTopK", 4.125), ("DiceBD", 4.25)]


def test_tau_between_tasks_and_metrics() -> None:
    dsc, nsd = tau_between_tasks(TABLE, "DSC"), tau_between_tasks(TABLE, "NSD")
    assert dsc[0, 1:].round(2).tolist() == [0.06, 0.16, 0.36]
    assert dsc[2, 3].round(2) == 0.55
    assert nsd[0, 1:].round(2).tolist() == [0.13, 0.20, 0.41]
    assert [round(tau, 2) for tau in tau_between_metrics(TABLE).values()] == [0.85, 0.81, 0.85, 0.87, 0.84]


def test_leaving_tasks_out_and_drawing_them_again() -> None:
    without = leave_one_task_out(TABLE)
    assert [without[task][0] for task in TASKS] == pytest.approx([0.865, 0.789, 0.87, 0.90], abs=0.006)
    assert next(iter(without["liver"][1].items())) == ("DiceHD", pytest.approx(2.667, abs=1e-3))
    drawn = resample_tasks(TABLE)
    assert drawn.first["DiceTopK"] == pytest.approx(0.45, abs=0.01)
    assert sum(drawn.first.values()) == pytest.approx(1)
    assert drawn.tau == pytest.approx((0.51, 0.79, 1.0), abs=0.01)


def test_trainers() -> None:
    found = tau_between_trainers()
    assert found["mean ranks"] == pytest.approx(0.6)
    assert found["liver tumour DSC"] == pytest.approx(-0.2)
    second = mean_ranks(means("nnunet_v2"), TASKS[1:])
    assert [round(place, 2) for place in second.values()] == [2.25, 2.33, 2.92, 4.17, 4.33, 5.0]


def test_one_printed_average_does_not_follow() -> None:
    ((table, loss, metric, printed, own),) = reported_averages()
    assert (table, loss, metric, printed) == ("table3", "TopK (threshold=0.1)", "DSC", 0.0153)
    assert own == pytest.approx(0.0117, abs=1e-4)


def test_statements_are_checked_by_computation() -> None:
    found = {statement.says: statement for statement in statements()}
    agrees = [statement.agrees for statement in found.values()]
    assert agrees == [True, False, True, False, False, True, False, False, True, False, False, True, False, False]
    assert "0.06 to 0.55" in findings()[0]

    multi_organ = next(statement for says, statement in found.items() if "multi-organ" in says)
    assert "TopK 0.7323" in multi_organ.found and "DiceCE 0.7293, DiceHD 0.7257" in multi_organ.found
    average = next(statement for says, statement in found.items() if "average NSD" in says)
    assert "0.642850" in average.found and "0.642825" in average.found
    liver = next(statement for says, statement in found.items() if "in the liver tasks" in says)
    assert "0.6101 against 0.6187" in liver.found


def test_all_27_losses_are_ranked() -> None:
    table = ranked()
    assert table.values.shape == (27, 8) and len(set(table.losses)) == 27
    found = mean_ranks(table)
    assert list(found)[:4] == ["DiceTopK", "DiceBD", "DiceHD", "DiceFocal"] and list(found)[-1] == "WCE"
    assert found["Dice batch squared"] == pytest.approx(8.8125) and found["TopK 50 %"] == pytest.approx(12.0625)

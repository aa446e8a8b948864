from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.ranking import Ranking, rank
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.report import write
from lossodyssey.report.columns import Cell, Column, Grid
from lossodyssey.report.leaderboard import leaderboard, task_by_task
from lossodyssey.table import Row


def rows_of(tasks: int, metrics: int) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        Row(f"loss {i}", f"task {task}", 0, 0, str(case), "x", metric, 0.9 - 0.1 * i + float(rng.normal(scale=0.01)))
        for task in range(tasks)
        for i in range(3)
        for metric in ("DSC", "HD95", "NSD", "clDice", "F1")[:metrics]
        for case in range(15)
    ]


def board_of(tasks: int, metrics: int) -> tuple[Ranking, Grid]:
    ranking = rank(rows_of(tasks, metrics))
    names = {task: task for task in ranking.tasks}
    return ranking, leaderboard(ranking, bootstrap(ranking, 20), ["loss 0"], names)


def test_loss_ranks_and_metrics_come_before_what_may_be_folded() -> None:
    _, board = board_of(1, 2)
    assert [column.title for column in board.columns[:5]] == ["#", "Loss", "Ranks", "DSC ↑", "HD95 (mm or px) ↓"]
    assert [column.minor for column in board.columns] == [False] * 5 + [True] * 6
    assert board.strong == [True, False, False] and board.essential < board.full
    assert [cell.mark for cell in board.columns[3].cells] == ["best", "", "worst"]
    assert [cell.mark for cell in board.columns[4].cells] == ["worst", "", "best"]


@pytest.mark.parametrize("said, title", [("mm", "HD95 (mm) ↓"), ("px", "HD95 (px) ↓")])
def test_lengths_are_in_what_every_row_of_the_table_says(said: str, title: str) -> None:
    rows = [replace(row, lengths=said) if row.metric == "HD95" else row for row in rows_of(1, 2)]
    assert rank(rows).standings[1].cell.measure.titled("HD95") == title
    some = [replace(row, lengths="") if row.case == "3" else row for row in rows]
    assert rank(some).standings[1].cell.measure.titled("HD95") == "HD95 (mm or px) ↓"
    with pytest.raises(ValueError, match="column lengths holds 'voxels'; expected one of mm, px"):
        rank([replace(row, lengths="voxels") for row in rows])


@pytest.mark.parametrize("tasks, metrics, shown", [(2, 2, 4), (4, 2, 8), (2, 5, 5), (3, 3, 3), (1, 5, 5)])
def test_many_columns_become_means_over_data_sets_and_a_table_each(tasks: int, metrics: int, shown: int) -> None:
    ranking, board = board_of(tasks, metrics)
    values = [column for column in board.columns if column.title[-1] in "↑↓"]
    assert len(values) == shown
    alone = task_by_task(ranking, [])
    assert [table.title for table in alone] == ([] if shown == tasks * metrics else list(ranking.tasks))
    if alone:
        means = [float(table.columns[2].cells[0].text) for table in alone]
        assert float(values[0].cells[0].text) == pytest.approx(np.mean(means), abs=1e-3)
        assert {cell.mark for cell in values[0].cells} == {""}
        assert alone[0].columns[2].cells[0].mark == "best"
    else:
        assert (board.groups != []) == (tasks > 1)


def test_a_table_knows_the_room_it_needs() -> None:
    def grid(text: str, kind: str) -> Grid:
        return Grid("key", "title", [Column("a", [Cell(text)], kind=kind), Column("b", [Cell("1")], minor=True)])

    assert grid("0.123456", "number").full > grid("0.1", "number").full > grid("0.1", "number").essential
    assert grid("x" * 500, "name").full == grid("x" * 90, "name").full < 400


def test_marks_reach_the_page_with_their_meaning(tmp_path: Path) -> None:
    write(rows_of(1, 1), tmp_path / "page.html", draws=20)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = re.findall(r'<td class="number (best|worst|tied)"[^>]*><span class="value">([^<]*)', page)
    assert [mark for mark, _ in found] == ["best", "worst"] and found[0][1].startswith("0.898")
    assert (
        "significantly better than every other (signed-rank test of these trained networks over the cases, p &lt; 0.05"
        in page
    )

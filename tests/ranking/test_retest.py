"""The paper's ranking made again from cases."""

from __future__ import annotations

import numpy as np
import pytest

from lossodyssey.ranking.published import TASKS, means, ranked
from lossodyssey.ranking.retest import known_name, known_task, means_beside, retest
from lossodyssey.table import Row

TABLE = means("table2")


def cases(noise: float, count: int = 30) -> list[Row]:
    """Return cases around the published means: every loss sees the same hard and easy cases."""
    rng = np.random.default_rng(0)
    rows = []
    for task, metric in TABLE.columns:
        hard = rng.normal(0, 0.1, count)
        for loss, mean in zip(TABLE.losses, TABLE.column(task, metric), strict=True):
            values = np.clip(mean + hard - hard.mean() + rng.normal(0, noise, count), 0, 1)
            rows += [Row(loss, task, 0, 0, f"case{i:02d}", task, metric, float(v), "ok") for i, v in enumerate(values)]
    return rows


def test_cases_that_lie_at_the_means_give_the_order_of_the_means() -> None:
    found = retest(cases(noise=1e-4), two_sided=False)
    assert found.tau_to_means > 0.9
    assert set(list(found.scores)[:4]) == {"DiceTopK", "DiceBD", "DiceHD", "DiceFocal"}
    agrees = {statement.says: statement.agrees for statement in found.statements}
    assert list(agrees.values()) == [True, False, False]
    # Without noise a loss is significantly better than every loss with a lower mean.
    assert max(found.scores.values()) == pytest.approx(20 - 4.0625, abs=0.8)


def test_two_sided_tests_find_less() -> None:
    rows = cases(noise=0.05)
    one, two = (retest(rows, two_sided) for two_sided in (False, True))
    assert sum(two.scores.values()) < sum(one.scores.values())
    assert (one.two_sided, two.two_sided) == (False, True)


def test_means_stand_beside_the_published_ones_largest_gap_first() -> None:
    rows = cases(noise=1e-4)
    moved = [
        Row(**{**vars_of(row), "value": row.value - 0.2}) if (row.loss, row.dataset) == ("CE", "pancreas") else row
        for row in rows
    ]
    gaps = means_beside(moved)
    assert len(gaps) == 160
    assert {gap[:2] for gap in gaps[:2]} == {("CE", "pancreas")}
    assert gaps[0][3] - gaps[0][4] == pytest.approx(-0.2, abs=0.02)


def vars_of(row: Row) -> dict[str, object]:
    names = ("loss", "dataset", "fold", "seed", "case", "class_name", "metric", "value", "status")
    return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Dice_TopK10", "DiceTopK"), ("dicebd", "DiceBD"), ("ExpLog", "ELL"), ("Iou", "IoU"), ("mine", "mine")],
)
def test_folders_name_losses(folder: str, name: str) -> None:
    assert known_name(folder) == name


@pytest.mark.parametrize(
    ("folder", "task"),
    [
        ("odyssey-liver", "liver"),
        ("LiverTumor", "liver_tumor"),
        ("odyssey-liver-tumour", "liver_tumor"),
        ("Multi-organ", "multi_organ"),
        ("spleen", "spleen"),
    ],
)
def test_folders_name_tasks(folder: str, task: str) -> None:
    assert known_task(folder) == task
    assert set(TASKS) <= {known_task(each) for each in TASKS}


def test_names_of_all_ranked_losses_stay() -> None:
    assert [known_name(loss) for loss in ranked().losses] == list(ranked().losses)

"""Statements of the paper beside its published means, each checked by computation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.paper import (
    COMPOUND,
    leave_one_task_out,
    mean_ranks,
    reported_averages,
    resample_tasks,
    tau_between_metrics,
    tau_between_tasks,
    tau_between_trainers,
)
from lossodyssey.ranking.published import Means, means


@dataclass(frozen=True)
class Statement:
    """A statement of the paper, the published numbers on it, and whether the two agree."""

    says: str
    found: str
    agrees: bool


def statements() -> list[Statement]:
    """Check every statement that means can speak to."""
    table = means("table2")
    return [
        _best_four(table),
        _first_under_dsc(table),
        _third_without_compounds(table),
        _metrics_alike(table),
        _lowest_in_liver(table),
        _best_in_pancreas(means("table4")),
        _averages(),
    ]


def findings() -> list[str]:
    """Compute findings that the numbers hold and the paper does not state."""
    table = means("table2")
    tasks, trainers, drawn = tau_between_tasks(table, "DSC"), tau_between_trainers(), resample_tasks(table)
    # Each pair of tasks once, without the diagonal of ones.
    pairs = tasks[np.triu_indices(len(tasks), 1)]
    leaders = {task: next(iter(found)) for task, (_, found) in leave_one_task_out(table).items()}
    first = ", ".join(f"{loss} {share:.0%}" for loss, share in drawn.first.items())

    return [
        "The task matters much: Kendall's tau between the DSC rankings of two tasks is "
        f"{pairs.min():.2f} to {pairs.max():.2f}.",
        f"One task decides the winner: without liver it is {leaders['liver']}, without liver tumour "
        f"{leaders['liver_tumor']}, without pancreas {leaders['pancreas']}, "
        f"without multi-organ {leaders['multi_organ']}.",
        f"With the four tasks drawn again, first place goes to {first}; tau to the full ranking is {drawn.tau[1]:.2f} "
        f"in the median (95 % from {drawn.tau[0]:.2f} to {drawn.tau[2]:.2f}).",
        f"The trainer matters much: over the six losses trained with nnU-Net V1 and V2, tau is "
        f"{min(trainers.values()):.2f} to {trainers['mean ranks']:.2f} (mean ranks {trainers['mean ranks']:.2f}).",
        "So a table of winners does not carry over: rank the losses on your data, with your trainer.",
    ]


def _best_four(table: Means) -> Statement:
    found = list(mean_ranks(table).items())[:4]
    agrees = {loss for loss, _ in found} == {"DiceTopK", "DiceBD", "DiceHD", "DiceFocal"}
    says = "DiceTopK, DiceFocal, DiceHD and DiceBD are the best four losses."
    return Statement(says, f"Mean ranks: {_listed(found)}.", agrees)


def _first_under_dsc(table: Means) -> Statement:
    found = list(mean_ranks(table, metrics=["DSC"]).items())[:3]
    return Statement(
        "DiceTopK is first when only DSC counts.", f"Mean ranks under DSC: {_listed(found)}.", found[0][0] == "DiceTopK"
    )


def _third_without_compounds(table: Means) -> Statement:
    found = [item for item in mean_ranks(table).items() if item[0] not in COMPOUND]
    agrees = found[2][0] == "CE"
    return Statement("Without the compound losses, CE is third.", f"Mean ranks: {_listed(found[:5])}.", agrees)


def _metrics_alike(table: Means) -> Statement:
    found = tau_between_metrics(table)
    text = f"Kendall's tau between DSC and NSD is {min(found.values()):.2f} to {max(found.values()):.2f} within a task."
    return Statement("The ranking is stable between metrics.", text, min(found.values()) > 0.7)


def _lowest_in_liver(table: Means) -> Statement:
    lowest = [table.losses[int(np.argmin(table.column("liver", metric)))] for metric in ("DSC", "NSD")]
    text = f"Lowest liver DSC: {lowest[0]}; lowest liver NSD: {lowest[1]}."
    return Statement("TopK is the lowest in both liver metrics.", text, lowest == ["TopK", "TopK"])


def _best_in_pancreas(table: Means) -> Statement:
    column = table.column("pancreas", "DSC")
    best = table.losses[int(np.argmax(column))]
    text = f"Best pancreas DSC of the four variants: {best}, {column.max():.4f}."
    return Statement(
        "Among the Dice variants, sample and square is best in pancreas DSC.", text, "sample,square" in best
    )


def _averages() -> Statement:
    wrong = reported_averages()
    text = "; ".join(
        f"{loss} {metric}: printed {printed:.4f}, from the rows {own:.4f}" for _, loss, metric, printed, own in wrong
    )
    return Statement(
        "The averages of Tables 3 and 4 (failed runs count as 0).", f"{text or 'All follow from the rows'}.", not wrong
    )


def _listed(found: list[tuple[str, float]]) -> str:
    return ", ".join(f"{loss} {place:.2f}" for loss, place in found)

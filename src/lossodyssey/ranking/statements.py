"""Statements of the paper beside its published means, each checked by computation.

They are those of its abstract and of sections 4 and 5 that means can speak to and whose wording the project knows; the
paper itself is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking.methods import ranks
from lossodyssey.ranking.paper import (
    COMPOUND,
    NAMES,
    leave_one_task_out,
    mean_ranks,
    reported_averages,
    resample_tasks,
    tau_between_metrics,
    tau_between_tasks,
    tau_between_trainers,
)
from lossodyssey.ranking.published import TASKS, Means, means


@dataclass(frozen=True)
class Statement:
    """A statement of the paper, the published numbers on it, and whether the two agree."""

    says: str
    found: str
    agrees: bool


def statements() -> list[Statement]:
    """Check every statement that means can speak to."""
    table, variants = means("table2"), means("table4")
    return [
        _no_single_best(table),
        _compounds_are_robust(table),
        _best_four(table),
        _first_under_dsc(table),
        _third_without_compounds(table),
        _metrics_alike(table),
        _lowest_in_liver(table),
        _best_in_multi_organ(table),
        _thresholds_fail(),
        _best_average(variants),
        _squares_in_liver(variants),
        _best_variant(variants, "liver_tumor", "NSD"),
        _best_variant(variants, "pancreas", "DSC"),
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


def _no_single_best(table: Means) -> Statement:
    best = {table.losses[int(np.argmax(column))] for column in table.values.T}
    text = f"The {len(table.columns)} columns of task and metric have {len(best)} winners: {', '.join(sorted(best))}."
    return Statement("No loss is the best on all four tasks.", text, len(best) > 1)


def _compounds_are_robust(table: Means) -> Statement:
    # Robust is taken for never far behind: the place in the worst of the eight columns.
    worst = ranks(table.values.T).max(axis=0)
    found = [(table.losses[i], float(worst[i])) for i in np.argsort(worst, kind="stable")[:5]]
    says = "Compound losses are the most robust: Dice with TopK, focal, Hausdorff or boundary loss."
    agrees = {loss for loss, _ in found[:4]} <= set(COMPOUND)
    return Statement(says, f"Place in the worst column: {_listed(found, 0)}.", agrees)


def _best_in_multi_organ(table: Means) -> Statement:
    column = table.column("multi_organ", "NSD")
    found = [(table.losses[i], float(column[i])) for i in np.argsort(-column)[:5]]
    agrees = {loss for loss, _ in found[:3]} == {"DiceFocal", "DiceHD", "DiceTopK"}
    says = "DiceFocal, DiceHD and DiceTopK have the best NSD in multi-organ segmentation."
    return Statement(says, f"Multi-organ NSD: {_listed(found, 4)}.", agrees)


def _thresholds_fail() -> Statement:
    table = means("table3")
    kept = [i for i, loss in enumerate(table.losses) if "threshold" in loss]
    failed = int(np.isnan(table.values[kept]).any(axis=1).sum())
    threshold, share = (_best_average_of(table, kind) for kind in ("threshold", "percent"))
    text = (
        f"{failed} of the {len(kept)} thresholds failed in at least one task; the best average DSC of a threshold "
        f"is {threshold:.4f}, that of a share {share:.4f}."
    )
    return Statement("TopK by a share of the voxels is better than TopK by a threshold.", text, threshold < share)


def _best_average_of(table: Means, kind: str) -> float:
    """Return the best average DSC among the losses of a kind; a failed run counts as 0, as in the table."""
    columns = [i for i, (_, metric) in enumerate(table.columns) if metric == "DSC"]
    rows = [i for i, loss in enumerate(table.losses) if kind in loss]
    return float(np.nan_to_num(table.values[np.ix_(rows, columns)]).mean(axis=1).max())


def _best_average(variants: Means) -> Statement:
    averages = np.stack([variants.column(task, "NSD") for task in TASKS]).mean(axis=0)
    found = [(variants.losses[i], float(averages[i])) for i in np.argsort(-averages)]
    says = "Of the Dice variants, the default (batch, no square) has the best average NSD."
    return Statement(says, f"Average NSD: {_listed(found, 6)}.", found[0][0] == "Dice (batch,no_square)")


def _squares_in_liver(variants: Means) -> Statement:
    square, plain = (variants.losses.index(f"Dice (batch,{kind})") for kind in ("square", "no_square"))
    pairs = {task: variants.column(task, "DSC")[[square, plain]] for task in ("liver", "liver_tumor")}
    text = "; ".join(f"{NAMES[task]} DSC {own:.4f} against {other:.4f}" for task, (own, other) in pairs.items())
    says = "Dice over the batch with squares is better than without in the liver tasks."
    return Statement(says, f"With squares against without: {text}.", all(own > other for own, other in pairs.values()))


def _best_variant(variants: Means, task: str, metric: str) -> Statement:
    column = variants.column(task, metric)
    best = variants.losses[int(np.argmax(column))]
    says = f"Of the Dice variants, that per sample with squares has the best {metric} in {NAMES[task]} segmentation."
    text = f"Best {metric} of the four, {NAMES[task]}: {best}, {column.max():.4f}."
    return Statement(says, text, best == "Dice (sample,square)")


def _averages() -> Statement:
    wrong = reported_averages()
    text = "; ".join(
        f"{loss} {metric}: printed {printed:.4f}, from the rows {own:.4f}" for _, loss, metric, printed, own in wrong
    )
    return Statement(
        "The averages of Tables 3 and 4 (failed runs count as 0).", f"{text or 'All follow from the rows'}.", not wrong
    )


def _listed(found: list[tuple[str, float]], digits: int = 2) -> str:
    return ", ".join(f"{loss} {value:.{digits}f}" for loss, value in found)

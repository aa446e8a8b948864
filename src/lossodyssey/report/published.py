"""The page on the published means."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lossodyssey.atomic import write_text
from lossodyssey.ranking import paper
from lossodyssey.ranking.published import METRICS, TASKS, Means, Value, means, ranked, read
from lossodyssey.ranking.statements import findings, statements
from lossodyssey.report import render
from lossodyssey.report.columns import Cell, Column, Grid
from lossodyssey.report.figures import matrices, ranks
from lossodyssey.report.plates import Plate
from lossodyssey.report.render import number


def write_page(path: str | Path) -> None:
    """Write the page that sets the paper's statements beside its published means."""
    table = means("table2")
    html = render.template("paper.html").render(
        title="The published means, ranked again",
        statements=_statements(),
        findings=findings(),
        plates=[_ranks(table), *(_tasks(table, metric) for metric in METRICS), _without(table), _trainers()],
        places=_places_and_means(ranked()),
        values=render.csv_uri(
            [
                ("loss", "variant", "task", "metric", "value", "trainer", "source"),
                *((v.loss, v.variant, v.task, v.metric, v.value, v.trainer, v.source) for v in _everything()),
            ],
            "published",
        ),
    )
    write_text(path, html)


def _statements() -> Grid:
    found = statements()
    columns = [
        Column("The paper", [Cell(one.says) for one in found], kind="text"),
        Column("The published means", [Cell(one.found) for one in found], kind="text"),
        Column("Agree", [Cell("yes" if one.agrees else "no") for one in found], kind="text"),
    ]
    return Grid("statements", "Statements", columns)


def _places_and_means(table: Means) -> Grid:
    """Arrange the mean ranks, best loss first, and the published means they come from."""
    places = {"All": paper.mean_ranks(table)} | {m: paper.mean_ranks(table, metrics=[m]) for m in METRICS}
    losses = list(places["All"])
    order = [
        Column(name, [Cell(number(own[loss], 2)) for loss in losses], group="mean rank") for name, own in places.items()
    ]
    values = [
        Column(metric, [Cell(number(value, 4)) for value in own], group=paper.NAMES[task])
        for (task, metric), own in zip(table.columns, table.only(tuple(losses), TASKS).values.T, strict=True)
    ]
    names = Column("Loss", [Cell(loss) for loss in losses], kind="name")
    return Grid("places", "Mean ranks", [names, *order, *values], [place < 4 for place in range(len(losses))])


def _everything() -> list[Value]:
    return [value for table in ("table2", "table3", "table4", "nnunet_v2") for value in read(table)]


def _ranks(table: Means) -> Plate:
    places = paper.mean_ranks(table)
    order = [table.losses.index(loss) for loss in places]
    per_task = np.stack([[paper.mean_ranks(table, [task])[loss] for loss in table.losses] for task in TASKS])
    caption = (
        "Mean rank of each loss within each task (mean of its ranks under DSC and NSD), best overall on top. Lines "
        "that run straight across would mean that one ranking fits all tasks. In colour: the best four overall."
    )
    losses = list(places)
    lines = [("loss", *TASKS), *((table.losses[i], *per_task[:, i]) for i in order)]
    names = [paper.NAMES[task] for task in TASKS]
    return Plate("Ranks task by task", caption, ranks.by_metric(per_task[:, order], names, losses, losses[:4]), lines)


def _tasks(table: Means, metric: str) -> Plate:
    tau = paper.tau_between_tasks(table, metric)
    names = [paper.NAMES[task] for task in TASKS]
    caption = (
        f"Kendall's tau-b between the {metric} rankings of two tasks: 1 is the same order, 0 no relation. "
        "Liver and liver tumour hardly agree."
    )
    lines = [("tau-b", *names), *((name, *row) for name, row in zip(names, tau.tolist(), strict=True))]
    return Plate(f"Agreement between tasks, {metric}", caption, matrices.tau(tau, names), lines)


def _without(table: Means) -> Plate:
    found = paper.leave_one_task_out(table)
    whole = paper.mean_ranks(table)
    # Eight lines can be followed by eye, sixteen cannot.
    losses = list(whole)[:8]
    names = ["all tasks", *(f"no {paper.NAMES[task]}" for task in TASKS)]
    scores = [whole, *(left for _, left in found.values())]
    places = np.stack([[list(score).index(loss) + 1 for loss in losses] for score in scores])

    caption = (
        "Place of the best eight losses when one task is left out. Kendall's tau-b to the ranking over all tasks: "
        + ", ".join(f"{tau:.2f} without {paper.NAMES[task]}" for task, (tau, _) in found.items())
        + "."
    )
    lines = [("loss", *names), *((loss, *own) for loss, own in zip(losses, places.T.tolist(), strict=True))]
    figure = ranks.by_metric(np.stack([_places(row) for row in places]), names, losses, losses[:4])
    return Plate("One task left out", caption, figure, lines)


def _places(row: np.ndarray) -> np.ndarray:
    """Compute places among the losses shown."""
    # The argsort of an argsort is the rank; places among all losses would leave gaps in the figure.
    return np.argsort(np.argsort(row)) + 1.0


def _trainers() -> Plate:
    found = paper.tau_between_trainers()
    names = list(found)
    caption = (
        "Kendall's tau-b between nnU-Net V1 and V2 over the six losses that both trained: "
        + ", ".join(f"{name} {tau:.2f}" for name, tau in found.items())
        + ". Places of the six losses by mean rank over liver tumour, pancreas and multi-organ."
    )

    second = means("nnunet_v2")
    first = means("table2").only(second.losses, TASKS[1:])
    both = [paper.mean_ranks(table, TASKS[1:]) for table in (first, second)]
    losses = list(both[0])
    places = np.stack([[list(one).index(loss) + 1.0 for loss in losses] for one in both])
    lines = [("comparison", "tau-b"), *((name, found[name]) for name in names)]
    return Plate(
        "Another trainer", caption, ranks.by_metric(places, ["nnU-Net V1", "nnU-Net V2"], losses, losses[:1]), lines
    )

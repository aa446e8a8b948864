"""The figures on the page, each with a caption that says how to read it, and its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossodyssey.ranking.agreement import Agreement
from lossodyssey.ranking.bootstrap import Bootstrap, top_frequency
from lossodyssey.ranking.effects import Effects
from lossodyssey.ranking.methods import ranks as rank_scores
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Ranking, Standing
from lossodyssey.report.figures import curves, differences, distributions, matrices, ranks
from lossodyssey.report.hover import Points
from lossodyssey.report.names import short_names, shortened
from lossodyssey.report.runs import RunSummary

Floats = NDArray[np.float64]
Line = Sequence[object]
Names = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Plate:
    """A figure with its caption and its numbers (`lines`, the first one naming the columns).

    `points` are the cases behind its dots, where it has such dots. In a figure a loss has its short name (`Names`),
    in the numbers its own text.
    """

    title: str
    caption: str
    figure: Figure
    lines: Sequence[Line]
    points: Points | None = None


def distribution(standing: Standing, order: list[int], strong: Sequence[str], names: Names, of: str = "") -> Plate:
    """Plot all case values of one cell; `of` names the class where it is one class only."""
    cell = standing.cell
    losses = [cell.losses[i] for i in order]
    # The axis is not turned round for distances: readers expect numbers to grow to the right.
    better = "right" if cell.measure.higher_is_better else "left"
    caption = (
        f"{cell.metric} of {of or 'every case'} on {cell.task}. Each dot is a case, the hill shows where cases crowd, "
        "the thick bar holds the middle half of the cases and the thin one 90 % of them, the dark dot is the median. "
        f"Further {better} is better. In colour: the {nouns()} that cannot be told apart from the best. Point at a "
        "dot, tap it, or use the arrow keys to see its case."
    )
    lines = [("loss", *cell.cases), *((loss, *_short(cell.values[i])) for loss, i in zip(losses, order, strict=True))]
    title = f"{cell.metric}, {cell.task}" + (f", {of}" if of else "")
    heading = cell.measure.titled(cell.metric)
    figure = distributions.raincloud(cell.values[order], _named(losses, names), heading, _named(strong, names))
    return Plate(title, caption, figure, lines, Points(cell.metric, losses, cell.cases, cell.values[order]))


def resampled_ranks(ranking: Ranking, resampled: Bootstrap, strong: Sequence[str], names: Names) -> Plate:
    """Plot the distribution of the overall ranks over the bootstrap."""
    losses, order = _ordered(ranking)
    # In the order of the leaderboard, which all figures of the page share.
    draws = resampled.overall[:, order]

    caption = f"The cases were drawn again {len(draws)} times, with repetition and the same for all {nouns()}"
    if resampled.retrained:
        title, others = "Ranks when cases and trainings are drawn again", "other cases or another training"
        caption += (
            f", each {noun()} moved by what another training could have added, and the {nouns()} ranked each time. "
        )
    else:
        title, others = "Ranks when the cases are drawn again", "a few other cases"
        caption += ", and ranked each time; the trainings stay as they are. "
    caption += (
        "Large blobs are ranks that come often, the line holds 95 % of them, the tick is the median. Blobs on "
        f"one spot: a rank to rely on. Spread-out blobs: {others} would have changed it."
    )
    if np.isfinite(resampled.median_tau):
        caption += (
            f" Kendall's tau of the drawn rankings to the observed one: {resampled.median_tau:.2f} in the median."
        )

    first, three = top_frequency(draws, 1), top_frequency(draws, 3)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    lines: list[Line] = [("loss", "first", "top 3", "rank 2.5 %", "rank 97.5 %")]
    lines += [(loss, *_short([a, b, c, d])) for loss, a, b, c, d in zip(losses, first, three, low, high, strict=True)]
    figure = ranks.blobs(draws, _named(losses, names), _named(strong, names))
    return Plate(title, caption, figure, lines)


def significance_maps(ranking: Ranking, names: Names) -> list[Plate]:
    """Plot which loss is significantly better than which, overall: trained again, and as these trained networks."""
    standing = ranking.overall
    networks = _significance_map(
        ranking,
        names,
        "Which of these trained networks beats which",
        "the trained networks of the row are significantly better than those of the column (one-sided signed-rank test "
        f"over the cases at {ranking.alpha:g})",
        (standing.p, standing.p_holm),
    )
    if not standing.retrained:
        return [networks]

    again = _significance_map(
        ranking,
        names,
        f"Which {noun()} beats which when trained again",
        f"the {noun()} of the row would win against that of the column after another training too (difference of means "
        f"against the noise of cases and trainings, one-sided at {ranking.alpha:g})",
        (standing.p_retrained, standing.p_holm_retrained),
    )
    return [again, networks]


def _significance_map(ranking: Ranking, names: Names, title: str, where: str, p: tuple[Floats, Floats]) -> Plate:
    losses, order = _ordered(ranking)
    plain, corrected = (values[np.ix_(order, order)] for values in p)
    caption = (
        f"A cell is filled where {where}. Columns carry the numbers of the rows. Full colour: also after Holm's "
        f"correction for all comparisons, statements to rely on. Pale: only without correction; among many {nouns()} "
        "some pale cells are expected by chance."
    )
    figure = matrices.significance(corrected < ranking.alpha, plain < ranking.alpha, _named(losses, names))
    lines = [("p, row better than column (Holm)", *losses)]
    lines += [(loss, *_short(row)) for loss, row in zip(losses, corrected, strict=True)]
    return Plate(title, caption, figure, lines)


def critical_difference(ranking: Ranking, names: Names) -> Plate:
    """Plot the mean ranks, with bars beside losses that cannot be told apart."""
    cell = ranking.overall.cell
    places = ranking.overall.mean_rank
    order = np.argsort(places, kind="stable")
    losses = [cell.losses[i] for i in order]
    better = ranking.overall.judged[np.ix_(order, order)]
    which = f"{nouns()} trained again" if ranking.overall.retrained else "these trained networks"
    caption = (
        f"Average place of each {noun()} within a case, best on top. A bar on the right joins neighbours of which no "
        f"pair differs significantly after Holm's correction, as {which}. The grey scale on top is the critical "
        f"difference of Nemenyi's test for {len(cell.cases)} cases, a coarser rule of thumb."
    )
    figure = ranks.critical_difference(places[order], better, _named(losses, names), len(cell.cases), ranking.alpha)
    lines = [("loss", "mean rank"), *zip(losses, _short(places[order]), strict=True)]
    return Plate("Mean ranks and what they can separate", caption, figure, lines)


def ranks_by_metric(ranking: Ranking, views: Agreement, strong: Sequence[str], names: Names) -> Plate:
    """Plot the ranks under each metric side by side."""
    losses, order = _ordered(ranking)
    positions = rank_scores(views.scores)[:, order]
    caption = (
        f"Rank of each {noun()} under each metric, over all data sets. Flat lines: the metrics agree. Crossing lines: "
        f"the choice of {noun()} depends on what you measure, so decide first which metric matters for your use."
    )
    lines = [("loss", *views.views), *((loss, *_short(own)) for loss, own in zip(losses, positions.T, strict=True))]
    metrics = list(short_names(views.views, "M").values())
    figure = ranks.by_metric(positions, metrics, _named(losses, names), _named(strong, names))
    return Plate("Ranks under each metric", caption, figure, lines)


def agreement(views: Agreement) -> Plate:
    """Plot Kendall's tau between the rankings of one topic."""
    caption = (
        f"Agreement of the rankings by {views.topic}: Kendall's tau-b is 1 where two rankings are the same, 0 where "
        "they are unrelated, -1 where one is the reverse of the other. Columns carry the numbers of the rows."
    )
    shown = short_names(views.views, "V")
    # More cells leave no room for numbers; colours and the file of numbers must do.
    if len(views.views) > matrices.NUMBERED_UP_TO:
        caption += " Blue: alike. Orange: opposite. The values are in the file of numbers."
    caption += "".join(f" {name}: {text}." for name, text in shortened(shown.items()))
    tau = views.tau
    lines = [("tau-b", *views.views), *((name, *_short(row)) for name, row in zip(views.views, tau, strict=True))]
    return Plate(f"Agreement between {views.topic}", caption, matrices.tau(tau, list(shown.values())), lines)


def effect(found: Effects, order: list[int], names: Names) -> Plate:
    """Plot the differences to the leader in one cell."""
    cell = found.standing.cell
    others = [i for i in order if cell.losses[i] != found.reference]
    losses = [cell.losses[i] for i in others]
    conclusion = [found.conclusion[i] for i in others]

    caption = (
        f"{found.reference} against each other {noun()}, case by case: median difference with its 95 % interval"
        f"{', training noise included' if found.standing.retrained else ''}. The grey band, {found.margin:g} to either "
        "side, is what we do not call worth distinguishing. Blue: the intervals of median and mean lie inside the "
        "band, equivalent for practice. Orange: both lie on one side of zero. Grey: the data leave it open."
    )

    numbers = [found.difference, found.low, found.high, found.mean, found.mean_low, found.mean_high, found.won]
    # Without the leader: its difference to itself is 0 and would only take a row.
    numbers = [own[others] for own in numbers]
    head = ("median difference", "low", "high", "mean difference", "low", "high", "share of cases won by the leader")
    lines: list[Line] = [("loss", *head, "conclusion")]
    lines += [
        (loss, *_short(own), word)
        for loss, own, word in zip(losses, np.stack(numbers, axis=1), conclusion, strict=True)
    ]

    shown = _named(losses, names)
    figure = differences.forest(numbers[0], numbers[1], numbers[2], conclusion, shown, found.margin, cell.metric)
    return Plate(f"How far behind the leader: {cell.metric}, {cell.task}", caption, figure, lines)


def training(runs: Sequence[RunSummary], names: Names) -> Plate | None:
    """Plot the training curves, None where no run has one."""
    drawn = [run for run in runs if run.curve.steps]
    if not drawn:
        return None
    caption = (
        "The value each loss reported while training, averaged over neighbouring steps, one line per run. Losses have "
        "different units, so every curve is divided by its first value: compare shapes, not heights."
    )
    lines: list[Line] = [("loss", "data", "seed", "step", "value", "learning rate")]
    lines += [(run.loss, run.dataset, run.seed, *_short(point)) for run in drawn for point in run.curve.points()]
    # Runs may hold losses that the table lacks: they get names of their own, marked R.
    known = short_names([*dict.fromkeys(run.loss for run in drawn)], "R") | dict(names)
    figure = curves.training([(known[run.loss], run.curve) for run in drawn])
    return Plate("Training curves", caption, figure, lines)


def _ordered(ranking: Ranking) -> tuple[list[str], list[int]]:
    order = ranking.overall.order
    return [ranking.losses[i] for i in order], order


def _named(losses: Iterable[str], names: Names) -> list[str]:
    return [names[loss] for loss in losses]


def _short(values: Iterable[float]) -> list[str]:
    # Six digits: more than any figure shows, fewer than make the page heavy.
    return [f"{value:.6g}" for value in values]

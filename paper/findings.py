"""Say in sentences what the table of one data set of the odyssey shows, and what it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from lossodyssey.ranking import paper
from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.bootstrap import bootstrap
from lossodyssey.ranking.caveats import caveats, listed, low_scores
from lossodyssey.ranking.published import ranked
from lossodyssey.ranking.rank import rank, rank_interval
from lossodyssey.ranking.trainings import training_noise
from lossodyssey.report.along import order, rising, scores
from lossodyssey.report.evidence import Search

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import among
from studies import DRAWS, Odyssey

OWN_NAMES = {"SS r 0.1": "SS"}
MOST = 5
"""Losses that a sentence names; of more it says how many."""


def findings(study: Odyssey) -> Iterator[str]:
    """Say what the table of one data set shows, and what it does not."""
    ranking = study.ranking
    if doubts := [doubt.text for doubt in low_scores(ranking)]:
        yield f"These networks are far from good, and no loss should be chosen by them: {listed(doubts)}."
    yield f"With 95 % confidence the best loss is {among(ranking)}."
    yield from about_noise(study)
    yield from about_empty(study)
    yield from caveats(ranking, study.rows)
    failed = sorted({f"{run.loss} (seed {run.seed})" for run in study.trainings if run.status != "finished"})
    yield f"Runs that failed or diverged: {listed(failed)}." if failed else "No training failed or diverged."
    yield from about_edges(study)
    yield from about_rates(study)
    yield from about_budget(study)
    yield about_published([study])


def about_noise(study: Odyssey) -> Iterator[str]:
    """Name the losses of which less can be shown, because their trainings differ more than those of the others."""
    ranking = study.ranking
    pooled = training_noise([s.cell for s in ranking.standings if s.cell.metric in ranking.headline]).pooled
    alone = [loss for loss, shared in zip(ranking.losses, pooled, strict=True) if not shared]
    if alone:
        yield (
            f"The trainings of {listed(alone)} differ more than those of the other losses do (F tests at 0.01), and "
            "each of them is judged by its own trainings alone: less is shown of it, however far its mean is from the "
            "best."
        )
    low, high = rank_interval(ranking.overall.judged)
    any_rank = [loss for loss, i, j in zip(ranking.losses, low, high, strict=True) if (i, j) == (1, len(low))]
    if any_rank and len(any_rank) < len(low):
        yield f"Trained again, any rank is possible for {listed(any_rank)}: more trainings would tell."


def about_empty(study: Odyssey) -> Iterator[str]:
    """Say how the scored cases without an object count."""
    own = [row for row in study.rows if row.metric == study.rows[0].metric and row.size == 0]
    if own:
        cases, scored = len({row.case for row in own}), len({row.case for row in study.rows})
        right = np.mean([row.status == "both_empty" for row in own])
        yield (
            f"{cases} of the {scored} scored cases show no object. A prediction that leaves such a case empty counts "
            f"1, any other 0; {right:.0%} of the predictions did."
        )


def about_edges(study: Odyssey) -> Iterator[str]:
    """Name the losses whose chosen rate lies at the edge of those tried."""
    at_edge = [search for search in study.searches if search.edge]
    best, level = ([search for search in at_edge if (search.lead > 0) == which] for which in (True, False))
    if best:
        told = listed([f"{s.loss} ({s.chosen:g}, by {s.lead:.4f} over the next)" for s in best])
        yield f"The chosen rate lies at the edge of those tried, so that a better one may lie beyond: {told}."
    if level:
        told = listed([f"{search.loss} ({search.chosen:g})" for search in level])
        yield f"At the edge lies also the smallest of several rates that did equally well, within 0.002: {told}."
    still = [search.loss for search in at_edge if search.loss in study.staged and search.edge == "lowest"]
    if still:
        yield (
            f"{listed(still)} did best where the second stage changed the network of the first one least: read "
            f"{'it' if len(still) == 1 else 'them'} as the loss of that stage, trained a little longer."
        )


def about_rates(study: Odyssey) -> Iterator[str]:
    """Say what the learning rate decides."""
    blind = [search.loss for search in study.searches if np.isnan([*search.scores.values()]).all()]
    if blind:
        yield f"No rate gave a validation score, and the lowest one was taken, for {listed(blind)}."
    if study.searches and not blind and not any(search.edge for search in study.searches):
        yield "The chosen rate of every loss lies inside the grid."
    known = of_common_grid(study.searches)
    if len(known) < 3 or len(known[0].scores) < 2:
        return
    table = np.nan_to_num(np.array([[*search.scores.values()] for search in known]), nan=0.0)
    best = {rate: known[int(np.argmax(column))].loss for rate, column in zip(known[0].scores, table.T, strict=True)}
    taus = [tau_b(table.T[list(pair)])[0, 1] for pair in combinations(range(len(best)), 2)]
    leads = listed([f"{loss} at {rate:g}" for rate, loss in best.items()])
    yield (
        f"If all losses had to share one rate, the best on the validation cases would be {leads} (one training each of "
        f"the {len(known)} losses with these rates); Kendall's tau between the orders at two rates is {min(taus):.2f} "
        f"to {max(taus):.2f}."
    )


def of_common_grid(searches: Sequence[Search]) -> list[Search]:
    """Return the searches over the rates that most losses were tried at."""
    grids = [tuple(search.scores) for search in searches]
    common = max(dict.fromkeys(grids), key=grids.count, default=())
    return [search for search in searches if tuple(search.scores) == common]


def about_budget(study: Odyssey) -> Iterator[str]:
    """Say whether the trainings were long enough, and whether a shorter one tells the same order."""
    still, known = sorted(rising(study.trainings)), scores(study.trainings)
    gains = [own[max(own)] - own[sorted(own)[-2]] for own in known.values() if len(own) > 1]
    if gains:
        which = listed(still) if 0 < len(still) <= MOST else f"{len(still)} of {len(known)} losses"
        rises = f"it still rises for {which}" if still else "it rises for no loss by more than noise"
        grew = f"the validation score of the median loss grew by {np.median(gains):.4f}"
        fast = ": the table tells which loss learns fast rather than which is best at the end" * (
            2 * len(still) > len(known)
        )
        yield f"In the last quarter of the training {grew}; {rises}{fast}."
    for steps, rows in study.shorter.items():
        own = rank([row for row in rows if row.loss in study.ranking.losses])
        if set(own.losses) == set(study.ranking.losses):
            before = [float(own.overall.score[own.losses.index(loss)]) for loss in study.ranking.losses]
            if told := order(study.ranking.losses, before, [*study.ranking.overall.score]):
                yield f"A training of {steps:,} steps {told.told()}."


def published_name(loss: str) -> str:
    """Return the paper's name of a loss of the plan."""
    if loss.startswith("TopK "):
        return f"{loss} %"
    return OWN_NAMES.get(loss, loss.removesuffix(" batch"))


def about_published(studies: Sequence[Odyssey]) -> str:
    """Say how far our order agrees with the published one, over the losses that both have."""
    ranking = studies[0].ranking if len(studies) == 1 else rank([row for study in studies for row in study.rows])
    resampled = bootstrap(ranking, DRAWS)
    theirs = paper.mean_ranks(ranked())
    shared = [i for i, loss in enumerate(ranking.losses) if published_name(loss) in theirs]
    if len(shared) < 3:
        return "Too few of the published losses to compare the order with the published one."
    place = -np.array([theirs[published_name(ranking.losses[i])] for i in shared])
    own = tau_b(np.stack([place, ranking.overall.score[shared]]))[0, 1]
    drawn = tau_b(np.vstack([place, -resampled.overall[:, shared]]))[0, 1:]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return (
        f"Kendall's tau to the order of the paper's means over its four tasks is {own:.2f}, over the {len(shared)} "
        f"losses that both have (95 % from {low:.2f} to {high:.2f} with our cases drawn and our losses trained again)."
    )

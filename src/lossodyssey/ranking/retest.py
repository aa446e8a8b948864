"""The paper's ranking made again from the cases of its released segmentations.

The paper scores a loss by the number of others that are significantly worse (signed-rank tests over cases at 0.05) and
averages over metrics and tasks; a case without a prediction counts 0. Its footnote names a library's test, which is
two-sided by default; the text reads as one-sided. Both are computed. How organs enter the value of a case is not
stated: their mean is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.ranking import paper
from lossodyssey.ranking.agreement import tau_b
from lossodyssey.ranking.paper import COMPOUND
from lossodyssey.ranking.published import METRICS, TASKS, ranked
from lossodyssey.ranking.rank import Ranking, rank
from lossodyssey.ranking.statements import Statement
from lossodyssey.table import Row

FEWEST = 3
"""Losses below which an order says nothing."""
SYNONYMS = {"dicetopk10": "DiceTopK", "topk10": "TopK", "explog": "ELL", "iou": "IoU"}


@dataclass(frozen=True)
class Retest:
    """The order of the losses from their cases, under tests of one kind; scores are the paper's, larger is better."""

    two_sided: bool
    scores: dict[str, float]
    under_dsc: dict[str, float]
    tau_to_means: float
    statements: tuple[Statement, ...]


def known_name(loss: str) -> str:
    """Return the paper's name of a loss by the name of its folder; another name stays as it is."""
    plain = {re.sub(r"\W", "", name).lower(): name for name in ranked().losses} | SYNONYMS
    return plain.get(re.sub(r"[\W_]", "", loss).lower(), loss)


def known_task(dataset: str) -> str:
    """Return the paper's task of a data set by its name; another name stays as it is."""
    plain = re.sub(r"[\W_]", "", dataset.lower().removeprefix("odyssey")).replace("tumour", "tumor")
    return {re.sub("_", "", task): task for task in TASKS}.get(plain, dataset)


def retest(rows: Sequence[Row], two_sided: bool) -> Retest:
    """Rank the losses by their cases as the paper did, and compare the order with its statements.

    Raises:
        ValueError: the table cannot be ranked.
    """
    ranking = rank(rows, metrics=METRICS, method="significance", two_sided=two_sided)
    scores, under_dsc = _scores(ranking, METRICS), _scores(ranking, ("DSC",))
    means = paper.mean_ranks(ranked())
    both = [loss for loss in scores if loss in means]
    tau = np.nan
    if len(both) >= FEWEST:
        tau = tau_b(np.array([[scores[loss] for loss in both], [-means[loss] for loss in both]]))[0, 1]
    return Retest(two_sided, scores, under_dsc, float(tau), tuple(_statements(scores, under_dsc)))


def _scores(ranking: Ranking, metrics: Sequence[str]) -> dict[str, float]:
    """Average the significance scores over tasks and some metrics, best first."""
    own = [standing.significance_score for standing in ranking.standings if standing.cell.metric in metrics]
    mean = np.mean(own, axis=0)
    return {ranking.losses[i]: float(mean[i]) for i in np.argsort(-mean, kind="stable")}


def _statements(scores: dict[str, float], under_dsc: dict[str, float]) -> list[Statement]:
    """Check what the paper says of its Fig. 10 and 11, as far as the losses are there."""
    found = []
    best = {"DiceTopK", "DiceBD", "DiceHD", "DiceFocal"}
    if best <= set(scores):
        first = list(scores)[:4]
        says = "DiceTopK, DiceFocal, DiceHD and DiceBD are the best four losses."
        found.append(Statement(says, f"Best four: {', '.join(first)}.", set(first) == best))
        first = list(under_dsc)[:3]
        says = "DiceTopK is first when only DSC counts."
        found.append(Statement(says, f"Under DSC: {', '.join(first)}.", first[0] == "DiceTopK"))
    plain = [loss for loss in scores if loss not in COMPOUND]
    if "CE" in plain and len(plain) >= FEWEST:
        says = "Without the compound losses, CE is third."
        found.append(Statement(says, f"Without them: {', '.join(plain[:4])}.", plain[2] == "CE"))
    return found


def means_beside(rows: Sequence[Row]) -> list[tuple[str, str, str, float, float]]:
    """Return (loss, task, metric, mean of the cases, published mean) where both are known, the largest gap first."""
    table = ranked()
    cells: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in rows:
        own = cells.setdefault((row.loss, row.dataset, row.metric), {})
        own.setdefault(row.case, []).append(0.0 if np.isnan(row.value) else row.value)
    found = [
        (*key, float(np.mean([np.mean(values) for values in cases.values()])), published)
        for key, cases in cells.items()
        if key[0] in table.losses and key[1:] in table.columns
        for published in [float(table.column(*key[1:])[table.losses.index(key[0])])]
    ]
    return sorted(found, key=lambda entry: -abs(entry[3] - entry[4]))

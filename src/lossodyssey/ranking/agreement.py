"""Do other metrics, methods, classes, lesion sizes or tasks rank the losses alike?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossodyssey.ranking.cells import POLICIES
from lossodyssey.ranking.methods import METHODS, TITLES
from lossodyssey.ranking.nouns import nouns
from lossodyssey.ranking.rank import Ranking, Standing, overall_score, rank
from lossodyssey.table import Row

Floats = NDArray[np.float64]

SIZES = ("small", "medium", "large")


@dataclass(frozen=True, eq=False)
class Agreement:
    """Rankings of the same losses from several points of view.

    `scores` (views, losses), larger is better; `tau` (views, views) is Kendall's tau-b between them.
    """

    topic: str
    views: tuple[str, ...]
    scores: Floats

    @property
    def tau(self) -> Floats:
        """Kendall's tau-b of each pair of views; NaN where a view ties all losses."""
        return tau_b(self.scores)


def tau_b(scores: Floats) -> Floats:
    """Compute Kendall's tau-b between all rows of (views, losses) scores; NaN for a row without differences."""
    # tau-b is the cosine of the two sign vectors over all pairs of losses (Kendall 1945): one matrix product gives all.
    first, second = np.triu_indices(scores.shape[1], 1)
    # Rounded, so that scores which differ by the order of a summation tie.
    sign = np.sign(np.round(scores[:, first] - scores[:, second], 12))
    length = np.sqrt((sign**2).sum(axis=1))
    unit = np.divide(sign, length[:, None], out=np.full_like(sign, np.nan), where=length[:, None] > 0)
    return np.asarray(np.clip(unit @ unit.T, -1, 1))


def agreements(rows: Iterable[Row], ranking: Ranking) -> list[Agreement]:
    """Return every agreement the table allows: a topic is left out where it has one view only."""
    # Parts are ranked over all losses or not at all: a loss that the ranking leaves out would leave nothing.
    table = [row for row in rows if row.loss in ranking.losses]
    # The first four read the ranking; the others rank parts of the table again.
    topics = [metrics(ranking), methods(ranking), tasks(ranking), leave_one_task_out(ranking)]
    topics += [classes(table, ranking), sizes(table, ranking), policies(table, ranking)]
    return [topic for topic in topics if len(topic.views) > 1]


def metrics(ranking: Ranking) -> Agreement:
    """Compare the metrics (and tolerances, `NSD@2`), each over all tasks."""
    groups = {m: [s for s in ranking.standings if s.cell.metric == m] for m in ranking.metrics}
    return _agreement("metrics", groups, ranking)


def methods(ranking: Ranking) -> Agreement:
    """Compare the ranking methods on the headline metrics, the paper's score with either sidedness of its tests."""
    # The sidedness of its tests is a choice of the paper's footnote, so it counts as a method of its own.
    scores = [_score(_headline(ranking), method, ranking.level) for method in METHODS]
    other = f"{TITLES['significance']}, {'one' if ranking.two_sided else 'two'}-sided"
    views = (*(TITLES[method] for method in METHODS), other)
    return Agreement("ranking methods", views, np.stack([*scores, _other_side(ranking)]))


def sidedness(ranking: Ranking) -> str:
    """Say whether the paper's score with tests of the other sidedness would order the losses differently."""
    own = _score(_headline(ranking), "significance", ranking.level)
    used, other = ("two", "one") if ranking.two_sided else ("one", "two")
    said = f"the significance score takes {used}-sided tests at {ranking.alpha:g}; {other}-sided ones"
    # Each pair stands twice in the matrices.
    sign = [np.sign(np.subtract.outer(scores, scores)) for scores in (own, _other_side(ranking))]
    swapped = int((sign[0] != sign[1]).sum()) // 2
    pairs = "one pair" if swapped == 1 else f"{swapped} pairs"
    return f"{said} give the same order" if not swapped else f"{said} order {pairs} of {nouns()} differently"


def _other_side(ranking: Ranking) -> Floats:
    return _score(_headline(ranking), "significance", ranking.alpha if ranking.two_sided else ranking.alpha / 2)


def tasks(ranking: Ranking) -> Agreement:
    """Compare the tasks on the headline metrics."""
    groups = {task: [s for s in _headline(ranking) if s.cell.task == task] for task in ranking.tasks}
    return _agreement("tasks", groups, ranking)


def leave_one_task_out(ranking: Ranking) -> Agreement:
    """Compare the ranking over all tasks with those that leave one of them out."""
    headline = _headline(ranking)
    groups = {f"without {task}": [s for s in headline if s.cell.task != task] for task in ranking.tasks}
    return _agreement("one task left out", {"all tasks": headline, **groups}, ranking)


def classes(rows: Sequence[Row], ranking: Ranking) -> Agreement:
    """Compare the classes."""
    names = list(dict.fromkeys(row.class_name for row in rows))
    return _strata("classes", {name: [r for r in rows if r.class_name == name] for name in names}, ranking)


def sizes(rows: Sequence[Row], ranking: Ranking) -> Agreement:
    """Compare thirds of the cases by true size of the class, each class and data set split by itself."""
    stratum = size_strata(rows)
    named = {size: [r for r in rows if stratum.get((r.dataset, r.case, r.class_name)) == size] for size in SIZES}
    return _strata("lesion sizes", named if stratum else {}, ranking)


def policies(rows: Sequence[Row], ranking: Ranking) -> Agreement:
    """Compare the policies for missing values, where the table has any."""
    filled = any(s.cell.filled.any() for s in _headline(ranking))
    if not filled and ranking.policy != "drop":
        return Agreement("policies for missing values", (), _stack([], ranking))
    scores = {policy: _score_part(rows, replace(ranking, policy=policy)) for policy in POLICIES}
    known = {policy: score for policy, score in scores.items() if score is not None}
    return Agreement("policies for missing values", tuple(known), _stack(list(known.values()), ranking))


def size_strata(rows: Iterable[Row]) -> dict[tuple[str, str, str], str]:
    """Name the size third of each (data set, case, class) that has a size."""
    known: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if np.isfinite(row.size):
            known.setdefault((row.dataset, row.class_name), {})[row.case] = row.size
    strata = {}
    for (dataset, class_name), by_case in known.items():
        # Per class and data set: thirds over all classes would part livers from tumours.
        edges = np.quantile(list(by_case.values()), [1 / 3, 2 / 3])
        for case, size in by_case.items():
            strata[dataset, case, class_name] = SIZES[int(np.searchsorted(edges, size))]
    return strata


def _strata(topic: str, tables: Mapping[str, Sequence[Row]], ranking: Ranking) -> Agreement:
    """Rank each part of the table by itself; a part that cannot be ranked is left out."""
    scores = {name: score for name, part in tables.items() if (score := _score_part(part, ranking)) is not None}
    return Agreement(topic, tuple(scores), _stack(list(scores.values()), ranking))


def _score_part(rows: Sequence[Row], ranking: Ranking) -> Floats | None:
    """Score a part of the table on the headline metrics, losses in the order of the whole ranking."""
    directions = {s.cell.metric: s.cell.measure.higher_is_better for s in ranking.standings}
    try:
        part = rank(
            rows,
            metrics=ranking.headline,
            method=ranking.method,
            policy=ranking.policy,
            alpha=ranking.alpha,
            two_sided=ranking.two_sided,
            higher_is_better=directions,
        )
    except ValueError:
        return None

    # A part in which a loss has no value at all cannot be set beside the others.
    if set(part.losses) != set(ranking.losses):
        return None
    return part.overall.score[[part.losses.index(loss) for loss in ranking.losses]]


def _headline(ranking: Ranking) -> list[Standing]:
    return [s for s in ranking.standings if s.cell.metric in ranking.headline]


def _agreement(topic: str, groups: Mapping[str, Sequence[Standing]], ranking: Ranking) -> Agreement:
    """Score every view that has a standing at all."""
    scores = {name: _score(group, ranking.method, ranking.level) for name, group in groups.items() if group}
    return Agreement(topic, tuple(scores), _stack(list(scores.values()), ranking))


def _score(standings: Sequence[Standing], method: str, level: float) -> Floats:
    oriented = [s.cell.oriented for s in standings]
    once = [np.ones((1, values.shape[1]), dtype=np.int64) for values in oriented]
    scores = [METHODS[method](values, w, level)[0] for values, w in zip(oriented, once, strict=True)]
    return overall_score(np.stack(scores), method)


def _stack(scores: Sequence[Floats], ranking: Ranking) -> Floats:
    return np.array(scores).reshape(len(scores), len(ranking.losses))

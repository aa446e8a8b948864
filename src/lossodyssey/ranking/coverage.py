"""The part of a table that all losses were scored on: never run on a data set is not the same as failed there.

A row without a value is a result, and the policy speaks of it. Where a loss has no row at all in a data set, class or
metric, nothing is known of it there, and a value put in its place would be invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lossodyssey.ranking.nouns import nouns
from lossodyssey.table import Row

Place = tuple[str, str]


class Part(NamedTuple):
    """One class of a data set under one metric."""

    dataset: str
    class_name: str
    metric: str

    @property
    def place(self) -> Place:
        """The data set and the class."""
        return self.dataset, self.class_name


@dataclass(frozen=True)
class Common:
    """The rows of what all the losses were scored on; `left_out` says, by loss, why it is not compared."""

    rows: list[Row]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def in_common(rows: Sequence[Row], metrics: Sequence[str] | None = None) -> Common:
    """Leave out, losses or parts of the data, until every loss has rows in every data set, class and metric.

    Of losses, data sets and classes, the one goes first that lacks the largest share of the others, so that much is
    left to compare. A metric is left out rather than a loss. `metrics` are those that the user named.

    Raises:
        ValueError: no two losses have a part in common, or not all have a metric that the user named.
    """
    scored: dict[str, set[Part]] = {}
    parts: dict[Part, None] = {}
    for loss, *names in dict.fromkeys((row.loss, row.dataset, row.class_name, row.metric) for row in rows):
        part = Part(*names)
        scored.setdefault(loss, set()).add(part)
        parts[part] = None
    if all(len(own) == len(parts) for own in scored.values()):
        return Common(list(rows), {}, ())

    losses = list(scored)
    kept, places = _largest({loss: _places(scored[loss]) for loss in losses}, list(_places(parts)))
    common = [part for part in parts if part.place in places and all(part in scored[loss] for loss in kept)]
    if not common:
        raise ValueError(_nothing_shared(scored, losses))
    lost = [part for part in parts if part not in set(common) and any(part in scored[loss] for loss in kept)]
    _check_named(metrics, common, scored, kept)
    left_out = {loss: _lacks(common, scored[loss]) for loss in losses if loss not in kept}
    notes = [f"{loss} is left out: the table has no row of it in {lacks}" for loss, lacks in left_out.items()]
    notes += _left_out(lost, common, {loss: scored[loss] for loss in kept})
    chosen = set(common)
    table = [r for r in rows if r.loss in kept and Part(r.dataset, r.class_name, r.metric) in chosen]
    return Common(table, left_out, tuple(notes))


def _places(parts: Iterable[Part]) -> dict[Place, None]:
    """Return (data set, class) of the parts, in their order."""
    return dict.fromkeys(part.place for part in parts)


def _largest(scored: Mapping[str, Mapping[Place, None]], places: list[Place]) -> tuple[list[str], list[Place]]:
    """Take away the loss or the place that lacks the largest share of the others, until none lacks any."""
    losses = list(scored)
    while True:
        by_loss = {loss: sum(place not in scored[loss] for place in places) / len(places) for loss in losses}
        by_place = {place: sum(place not in scored[loss] for loss in losses) / len(losses) for place in places}
        loss, place = max(by_loss, key=lambda key: by_loss[key]), max(by_place, key=lambda key: by_place[key])
        if not by_place[place]:
            return losses, places
        # Two losses are the least that can be compared; among equals a loss weighs more than a class.
        if len(losses) > 2 and by_loss[loss] > by_place[place]:
            losses.remove(loss)
        else:
            places = [each for each in places if each != place]
        if not places:
            return losses, places


def _check_named(
    metrics: Sequence[str] | None, common: Sequence[Part], scored: Mapping[str, set[Part]], kept: Sequence[str]
) -> None:
    for metric in metrics or ():
        if any(part.metric == metric for part in common):
            continue
        without = [loss for loss in kept if all(part.metric != metric for part in scored[loss])] or list(kept)
        raise ValueError(
            f"metric {metric!r}: {', '.join(without)} {'has' if len(without) == 1 else 'have'} no row of it where the "
            f"other {nouns()} have; score them with it, or leave the metric or these {nouns()} out"
        )


def _left_out(lost: Sequence[Part], common: Sequence[Part], scored: Mapping[str, set[Part]]) -> list[str]:
    """Say which parts are left out for all losses, and which losses have no row of them."""
    named: dict[tuple[str, str, str], dict[str, None]] = {}
    for part in lost:
        without = [loss for loss, own in scored.items() if part not in own]
        why = f"left out for all {nouns()}: {', '.join(without)} {'has' if len(without) == 1 else 'have'} no row of it"
        kind, name = _kind(part, common)
        named.setdefault((part.dataset, kind, why), {})[name] = None
    return [f"{dataset}: {kind}{', '.join(names)} {why}" for (dataset, kind, why), names in named.items()]


def _kind(part: Part, common: Sequence[Part]) -> tuple[str, str]:
    """Return how a part that is left out is named: as its data set, its class, its metric, or one class of a metric."""
    beside = [each for each in common if each.dataset == part.dataset]
    if not beside:
        return "data set ", part.dataset
    if all(each.class_name != part.class_name for each in beside):
        return "class ", part.class_name
    if all(each.metric != part.metric for each in beside):
        return "metric ", part.metric
    return f"{part.metric} of class ", part.class_name


def _lacks(common: Iterable[Part], own: set[Part]) -> str:
    """Name the data sets that a loss lacks, and the classes of those that it has in part."""
    datasets, places = {part.dataset for part in own}, _places(own)
    lacking = [part for part in common if part.place not in places]
    names = [p.dataset if p.dataset not in datasets else f"class {p.class_name} of {p.dataset}" for p in lacking]
    return ", ".join(dict.fromkeys(names))


def _nothing_shared(scored: Mapping[str, set[Part]], losses: Sequence[str]) -> str:
    """Say what each of the losses has, so that names that differ in their spelling show."""
    said = []
    for loss in losses[:4]:
        own = sorted(scored[loss])
        names = [dict.fromkeys(part[i] for part in own) for i in range(3)]
        said.append(
            f"{loss} has data set {', '.join(names[0])}, class {', '.join(names[1])}, metric {', '.join(names[2])}"
        )
    return (
        f"the {nouns()} share no data set, class and metric, so nothing can be compared: {'; '.join(said)}. If these "
        "are the same under other names, give them one name (evaluate: --dataset; columns dataset and class)"
    )

"""The evidence for a loss and against it: effects that were measured here, and the published comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from lossodyssey.core.atlas import CARDS, OWN
from lossodyssey.core.text import parse
from lossodyssey.guide.measured import Effect
from lossodyssey.guide.nearest import Neighbour
from lossodyssey.guide.pages import citation
from lossodyssey.ranking.paper import NAMES, mean_ranks
from lossodyssey.ranking.published import ranked

RAREST = ("liver_tumor", "pancreas")
"""The published tasks with more than 500 voxels of background for one of an object."""


def proof(
    loss: str, papers: Sequence[str], found: Sequence[Effect], near: Sequence[Neighbour], rare: bool
) -> list[str]:
    """Return what is known of a loss, fact by fact as sentences; a claim that was not measured is called a claim.

    `near` orders the data sets of `found`; `rare` adds the published tasks whose objects are rare.
    """
    own = [effect for effect in found if same(effect.expression, loss)]
    lines = list(_measured(own, near, loss)) + list(_published(loss, rare))
    if any(same(effect.reference, loss) for effect in found):
        lines.insert(0, "Measured here: it is the one that the others are held against.")
    elif not own:
        claims = ", ".join(citation(paper, short=True) for paper in papers)
        lines.append(f"A published claim ({claims}), not measured here." if claims else "Not measured here.")
    return lines


def _measured(own: Sequence[Effect], near: Sequence[Neighbour], loss: str) -> Iterator[str]:
    for dataset in (each.dataset for each in near):
        effects = [effect for effect in own if effect.dataset == dataset]
        if effects:
            first = effects[0]
            form = "" if first.expression == loss else f" as `{first.expression}`"
            numbers = "; ".join(f"{effect.told}, {judged(effect)}" for effect in effects)
            yield (
                f"Measured here on {dataset}{form}, against `{first.reference}`, {first.seeds} trainings of "
                f"{first.steps:,} steps each, {first.cases} cases or patients, positive is better: {numbers}."
            )


def judged(effect: Effect) -> str:
    """Say what an interval shows."""
    return "better" if effect.low > 0 else "worse" if effect.high < 0 else "not told apart"


def _published(loss: str, rare: bool) -> Iterator[str]:
    name = published_name(loss)
    if not name:
        return
    table = ranked()
    place = mean_ranks(table)[name]
    said = f"Published means (Ma 2021, four CT tasks, one training each): mean rank {place:.1f} of {len(table.losses)}"
    if rare:
        places = (f"{mean_ranks(table, [task])[name]:.1f} on {NAMES[task]}" for task in RAREST)
        said += f"; {', '.join(places)}, where objects are rarest"
    yield f"{said}."


@cache
def published_name(loss: str) -> str:
    """Return the name of a loss in the published comparison, "" where it was not part of it."""
    name = loss.partition("(")[0]
    card = CARDS.get(name) if " + " not in loss else None
    if card is None or card.category == OWN or not same(loss, f"{name}()"):
        return ""
    return next((known for known in (name, *card.aliases) if known in ranked().losses), "")


def same(one: str, two: str) -> bool:
    """Return whether two texts are one loss, except for the voxels over which its overlap is summed up."""
    return one == two or _over_batches(one) == _over_batches(two)


@cache
def _over_batches(text: str) -> str:
    """Return the text of a loss with its overlap summed up over the batch, where it has one."""
    loss = parse(text)
    try:
        return repr(loss.but(batch=True))
    except ValueError:
        return repr(loss)


def against(found: Iterable[Effect], dataset: str) -> list[Effect]:
    """Return the effects of a data set that show a loss to be worse, the worst first."""
    return sorted((e for e in found if e.dataset == dataset and e.high < 0), key=lambda effect: effect.difference)

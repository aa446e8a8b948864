"""Advice on a data set as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from lossodyssey.guide.advice import Advice, Proposal
from lossodyssey.guide.nearest import COMPARED, Neighbour
from lossodyssey.guide.pages import citation
from lossodyssey.guide.rules import COMPANIONS, REFERENCE, RULES, Rule

MOST_AGAINST = 4


def as_markdown(advice: Advice) -> str:
    """Return the page: what was seen, losses, measures, and what is not known."""
    parts = [f"# Which loss to try on {advice.sheet.dataset}", advice.sheet.in_words, "\n".join(_seen(advice))]
    parts += ["## Losses to try"]
    parts += ["\n".join(_proposal(place, each)) for place, each in enumerate(advice.proposals, 1)]
    parts += [line for line in (_left_out(advice), _against(advice)) if line]
    parts += ["## Measures", "\n".join(f"- `{name}`: {why}" for name, why in advice.measures.items())]
    parts += ["## What is not known", "\n".join(f"- {line}" for line in unknown(advice))]
    return "\n\n".join(parts) + "\n"


def _seen(advice: Advice) -> Iterator[str]:
    for each in advice.seen:
        yield f"- {each.rule.trait}: {each.what} (the rule: {each.rule.when})"
    if not advice.seen:
        yield "No rule for a special trait applies: the list is that for every data set."


def _proposal(place: int, proposal: Proposal) -> Iterator[str]:
    yield f"**{place}. `{proposal.loss}`**\n"
    yield from (f"- Why{reason}." for reason in proposal.reasons)
    yield from (f"- {line}" for line in proposal.evidence)


def _left_out(advice: Advice) -> str:
    names = ", ".join(f"`{loss}`" for loss in advice.left_out)
    return f"Left out to keep the list short: {names}." if names else ""


def _against(advice: Advice) -> str:
    """Say which losses were shown to be worse on the nearest data set."""
    own = {effect.expression: effect for effect in reversed(advice.worse)}
    told = [f"`{text}` ({effect.told})" for text, effect in reversed(own.items())]
    more = f", and {len(told) - MOST_AGAINST} more" if len(told) > MOST_AGAINST else ""
    where = f"On {advice.near[0].dataset}, the nearest data set that was measured here, these did worse than "
    first = advice.worse[0].reference if advice.worse else ""
    return f"{where}`{first}`: {', '.join(told[:MOST_AGAINST])}{more}." if told else ""


def unknown(advice: Advice) -> Iterator[str]:
    """Yield what the advice does not rest on."""
    yield _few(advice)
    if advice.near:
        yield _nearest(advice.near[0])
    several, bare = len(advice.proposals), sum(not each.is_measured for each in advice.proposals)
    if bare:
        yield f"{bare} of these {several} losses {'were' if bare > 1 else 'was'} not measured here."
    unsaid = [rule for rule in RULES if not rule.see and rule.trait not in {each.rule.trait for each in advice.seen}]
    if unsaid:
        told = "; ".join(f"{rule.when} (`--also {rule.trait}`)" for rule in unsaid)
        yield f"What no label map shows, and you may know: {told}."
    yield "A network trained with one loss differs from one to the next training; that alone may turn an order round."


def _few(advice: Advice) -> str:
    names = sorted(each.dataset for each in advice.near)
    return (
        f"What was measured here is little: {len(names)} data sets ({', '.join(names)}), a small network, short "
        "trainings. The published comparison has one network, one training of each loss, and no interval."
    )


def _nearest(nearest: Neighbour) -> str:
    factor = f"a typical factor of {2**nearest.distance:.1f} over {len(COMPARED)} facts (pictures beside volumes as 4)"
    differs = f"; {'; '.join(nearest.differs)}" if nearest.differs else ""
    far = ". That is far: its numbers tell little here" if nearest.far else ""
    return f"The nearest of them is {nearest.dataset}, {factor} away{differs}{far}."


def rules_table() -> str:
    """Return all rules as a table: what they look at, what they propose, why, and whose claim it is."""
    head = ["| trait | when | try | because | claimed by | measure by |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(_row, (REFERENCE, *RULES, COMPANIONS))])


def _row(rule: Rule) -> str:
    when = rule.when if rule.see else f"`--also {rule.trait}`: {rule.when}"
    losses = ", ".join(f"`{loss}`" for loss in rule.losses) or "-"
    papers = ", ".join(citation(paper, short=True) for paper in rule.papers) or "-"
    measures = "; ".join(f"`{name}`: {why}" for name, why in rule.measures.items()) or "-"
    return f"| {rule.trait} | {when} | {losses} | {rule.reason} | {papers} | {measures} |"

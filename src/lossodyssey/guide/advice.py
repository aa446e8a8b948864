"""Which losses to try on a data set: a short list with reasons, evidence, measures, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from lossodyssey.core.atlas import CARDS
from lossodyssey.fingerprint.record import Fingerprint
from lossodyssey.guide.measured import Effect, effects
from lossodyssey.guide.nearest import Facts, Neighbour, neighbours
from lossodyssey.guide.proof import against, proof
from lossodyssey.guide.rules import COMPANIONS, FEWEST, MOST, REFERENCE, RULES, SAID, Rule


@dataclass(frozen=True)
class Seen:
    """A rule that applies, and what shows it."""

    rule: Rule
    what: str


@dataclass(frozen=True)
class Proposal:
    """A loss to try: its text, why, and what is known of it."""

    loss: str
    reasons: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def is_measured(self) -> bool:
        """Whether anything was measured of it here."""
        return any(line.startswith("Measured here") for line in self.evidence)


@dataclass(frozen=True)
class Advice:
    """The losses to try on a data set, with all that is said of them.

    `proposals` begin with the loss that the others are compared with; `left_out` are losses of rules that apply, for
    which the list had no room. `measures` say what each is for. `near` are the data sets that were measured, the
    nearest first, and `worse` the effects on the first that speak against a loss, unless it is far.
    """

    sheet: Fingerprint
    seen: tuple[Seen, ...]
    proposals: tuple[Proposal, ...]
    left_out: tuple[str, ...]
    measures: Mapping[str, str]
    near: tuple[Neighbour, ...]
    worse: tuple[Effect, ...]


def advise(sheet: Fingerprint, said: Sequence[str] = (), found: Sequence[Effect] | None = None) -> Advice:
    """Choose losses for the data set of a fingerprint; `said` are traits that no label map shows, of `SAID`.

    `found` are the effects that were measured, all that the package keeps where left out.

    Raises:
        ValueError: a trait is unknown, or there is no object to learn.
    """
    if sheet.imbalance is None:
        raise ValueError(f"{sheet.dataset}: no case has an object, so there is nothing to advise on; see its labels")
    found = effects() if found is None else found
    near = neighbours(Facts.of(sheet), {effect.dataset: effect.facts for effect in found})
    seen = tuple(_seen(sheet, said))
    chosen, left_out = choose(sheet, [each.rule for each in seen])
    rare = any(each.rule.trait == "rare" for each in seen)
    proposals = tuple(_proposal(loss, seen, found, near, rare) for loss in chosen)
    worse = against(found, near[0].dataset) if near and not near[0].far else []
    return Advice(sheet, seen, proposals, left_out, _measures(seen), tuple(near), tuple(worse))


def _seen(sheet: Fingerprint, said: Sequence[str]) -> Iterator[Seen]:
    unknown = [trait for trait in said if trait not in SAID]
    if unknown:
        raise ValueError(f"--also is {unknown[0]!r}; expected one of {', '.join(SAID)}; all others are measured")
    for rule in RULES:
        what = rule.see(sheet) if rule.see else "you say so" if rule.trait in said else ""
        if what:
            yield Seen(rule, what)


def choose(sheet: Fingerprint, rules: Sequence[Rule]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the losses to try, and those for which there is no room.

    After the reference, the first losses of all rules come before any second one.
    """
    in_turn = (loss for turn in zip_longest(*(rule.losses for rule in rules)) for loss in turn if loss)
    wanted = dict.fromkeys([*REFERENCE.losses, *(loss for loss in in_turn if serves(loss, sheet))])
    filled = list(wanted)[:MOST]
    filled += [loss for loss in COMPANIONS.losses if loss not in filled][: max(FEWEST - len(filled), 0)]
    return tuple(filled), tuple(loss for loss in wanted if loss not in filled)


def serves(loss: str, sheet: Fingerprint) -> bool:
    """Return whether a loss can be used with the classes of a data set."""
    regions = any(len(own.labels) > 1 for own in sheet.classes)
    names = {part.partition("(")[0] for part in loss.split(" + ")}
    # Regions overlap, so losses about classes that exclude or touch one another do not apply.
    if regions and names & {"Exclusion", "TopologicalInteraction"}:
        return False
    return all(CARDS[name].build().fewest_classes <= len(sheet.classes) + 1 for name in names)


def _proposal(
    loss: str, seen: Sequence[Seen], found: Sequence[Effect], near: Sequence[Neighbour], rare: bool
) -> Proposal:
    own = [each for each in seen if loss in each.rule.losses]
    own = own or [Seen(rule, "") for rule in (REFERENCE, COMPANIONS) if loss in rule.losses]
    reasons = tuple(
        f" ({each.rule.trait}): {each.rule.reason}" if each.what else f": {each.rule.reason}" for each in own
    )
    papers = [paper for each in own for paper in each.rule.papers]
    names = {part.partition("(")[0] for part in loss.split(" + ")}
    theirs = [paper for paper in papers if paper in {CARDS[name].paper for name in names}]
    return Proposal(loss, reasons, tuple(proof(loss, theirs or papers, found, near, rare)))


def _measures(seen: Sequence[Seen]) -> dict[str, str]:
    wanted: dict[str, list[str]] = {}
    for rule in (REFERENCE, *(each.rule for each in seen)):
        for measure, reason in rule.measures.items():
            wanted.setdefault(measure, []).append(reason)
    return {measure: "; ".join(dict.fromkeys(reasons)) for measure, reasons in wanted.items()}

"""Masks of one value per pixel: 0/255, labels, blurred edges, numbered objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import Naming, as_number, numbered, shown
from lossodyssey.data.adopt.decision import Decision, first_with, tabled
from lossodyssey.data.adopt.facts import SHADES, MaskFacts, joined_counts
from lossodyssey.data.adopt.rules import Rule

SURFACE = 0.02  # share of its pixels with equal neighbours up to which a value is an edge's, not a class's
NEAR = 0.125  # distance from black or white, as a share of white, that lossy compression stays within
MOSTLY = 0.9  # share of pixels near black or white in a blurred mask of two values
FEW, MANY = 8, 40
VOID = 255


def decide_values(masks: Sequence[MaskFacts], guess: str, naming: Naming, choices: Choices) -> Decision:
    """Decide how masks of single values are read.

    Raises:
        ValueError: a choice does not fit the masks.
    """
    values = joined_counts(list(masks))
    crowded = next((mask for mask in masks if not mask.counts), None)
    if choices.threshold is not None:
        return _parted(masks, values, choices.threshold, guess, naming)
    broken = next((value for value in values if not isfinite(value) or value != int(value) or value < 0), None)
    if crowded or broken is not None:
        path = crowded.path if crowded else first_with(masks, broken or 0.0).path
        what = "more values than labels can have" if crowded else f"{broken:g}, which is not a label"
        return Decision.none(
            f"{path} holds {what}; are images and masks swapped? Where masks are probabilities, say from which value "
            "on they mean the foreground: --threshold 0.5"
        )
    if choices.instances:
        return _objects(values, guess, naming)
    if not naming.keys and (blurred := _blurred(masks, values, guess, naming, choices)):
        return blurred
    return _discrete(masks, values, guess, naming, choices)


def _parted(
    masks: Sequence[MaskFacts], values: Counter[float], threshold: float, guess: str, naming: Naming
) -> Decision:
    if len(naming.names) > 1 or naming.keys:
        raise ValueError("--threshold leaves one class; give it one name: --classes lesion")
    known = all(mask.counts for mask in masks)
    if known and not min(values) < threshold <= max(values):
        raise ValueError(
            f"--threshold is {threshold:g}, but the masks hold {min(values):g} to {max(values):g}; expected a value "
            "between these"
        )
    name = naming.names[0] if naming.names else guess or "foreground"
    notes = () if naming.names else (f"the name of the class is a guess ({name}); name it with --classes",)
    rule = Rule("threshold", {}, threshold)
    return Decision(rule=rule, classes=numbered([name]), notes=(f"values from {threshold:g} on are {name}", *notes))


def _objects(values: Counter[float], guess: str, naming: Naming) -> Decision:
    if max(values) < 2:
        raise ValueError("--instances: no mask holds a value above 1, so that nothing is numbered; leave it out")
    return _parted([], values, 1, guess, naming)


def _blurred(
    masks: Sequence[MaskFacts], values: Counter[float], guess: str, naming: Naming, choices: Choices
) -> Decision | None:
    """Return a threshold for masks of two values with blurred edges; None where the values are labels."""
    top = max(values)
    middle = [value for value in values if 0 < value < top]
    if (
        not middle
        or top < SHADES
        or _has_void(sorted(values))
        or (choices.ignore and not any(mask.lossy for mask in masks))
    ):
        return None
    between = sum(count for value, count in values.items() if NEAR * top < value < (1 - NEAR) * top)
    share = between / sum(values.values())
    flat = joined_counts(list(masks), flat=True)
    lossy = any(mask.lossy for mask in masks)
    edges = sum(flat[value] for value in middle) <= SURFACE * sum(values[value] for value in middle)
    if lossy and share > 1 - MOSTLY:
        path = next(mask.path for mask in masks if mask.lossy)
        return Decision.none(
            f"{path}: lossy compression has mixed its values, {share:.0%} of all pixels are neither black nor white; "
            "save masks as PNG from their source, or part them in two with --threshold"
        )
    if not lossy and not edges:
        return None
    middle_of = (top + 1) / 2
    if not lossy and len(values) <= FEW:
        seen = ", ".join(shown(value, colour=False) for value in sorted(values))
        return Decision.none(
            f"masks hold {seen}, of which some occur along edges alone: blurred edges or thin classes? For blurred "
            f"edges add --threshold {middle_of:g}, for classes --classes '{_example(values)}'"
        )
    if choices.ignore or len(naming.names) > 1:
        option = "--ignore" if choices.ignore else "--classes"
        raise ValueError(
            f"{option} does not fit masks of two values with blurred edges; leave it out, or see --threshold"
        )
    found = _parted(masks, values, middle_of, guess, naming)
    why = "lossy compression" if lossy else "smoothing"
    note = f"edges of masks are blurred by {why}: {share:.2%} of all pixels lie between black and white"
    return Decision(rule=found.rule, classes=found.classes, notes=(note, *found.notes))


def _example(values: Counter[float]) -> str:
    named = [value for value in sorted(values) if value > 0]
    return ",".join(f"{value:g}={chr(97 + place % 26)}" for place, value in enumerate(named))


def _discrete(
    masks: Sequence[MaskFacts], values: Counter[float], guess: str, naming: Naming, choices: Choices
) -> Decision:
    ordered = sorted(values)
    positive = [value for value in ordered if value > 0]
    named = bool(naming.keys) or len(naming.names) == len(positive)
    if not named and (why := _objection(masks, ordered, choices)):
        return Decision.none(why)
    # A two-valued mask without 0 does not say which of the two is the background.
    background = [0.0] if 0 in values or len(positive) == 1 else []
    if not background and not naming.keys:
        return Decision.none(
            f"no mask holds 0, and nothing says which of {', '.join(f'{v:g}' for v in ordered)} is the background; add "
            f"--classes '{ordered[0]:g}=background,{ordered[1]:g}=...'"
        )
    found = tabled(positive, background, naming, choices, colour=False, guess=guess)
    return found if found.refused else _with_share(found, values)


def _objection(masks: Sequence[MaskFacts], ordered: Sequence[float], choices: Choices) -> str:
    """Say why values without names may not be labels; the empty text where they are."""
    left = [
        value for value in ordered if not choices.ignore or value != as_number(choices.ignore, "--ignore", colour=False)
    ]
    positive = [value for value in left if value > 0]
    if _has_void(left):
        seen = ", ".join(f"{value:g}" for value in left[:8])
        fix = _example(Counter(dict.fromkeys(left, 1))) if len(left) <= FEW else "1=...,255=..."
        return (
            f"masks hold {seen}: does 255 not count, or is it a class? For pixels that do not count add --ignore 255; "
            f"for a class --classes '{fix}'; where both 1 and 255 mean the foreground, --threshold 1"
        )
    if _are_objects(masks, len(positive)):
        return (
            f"masks hold 1 to n with another n in every image (up to {positive[-1]:g}), as if they numbered objects; "
            "add --instances for objects of one class, or name the classes with --classes"
        )
    if len(positive) > MANY:
        return (
            f"masks hold {len(positive)} values up to {positive[-1]:g}; are images and masks swapped? For objects of "
            "one class add --instances, else name all classes with --classes"
        )
    return ""


def _has_void(ordered: Sequence[float]) -> bool:
    """Return whether 255 follows labels without gaps, as the value of pixels that do not count often does."""
    return len(ordered) > 2 and ordered[-1] == VOID and list(ordered[:-1]) == list(range(len(ordered) - 1))


def _are_objects(masks: Sequence[MaskFacts], distinct: int) -> bool:
    """Return whether every mask holds 1 to n without gaps, with several n, as maps of numbered objects do."""
    tops = []
    for mask in masks:
        own = sorted(value for value in mask.counts if value > 0)
        if own != [float(number) for number in range(1, len(own) + 1)]:
            return False
        tops.append(len(own))
    return distinct > 6 and len(set(tops)) > 2


def _with_share(found: Decision, values: Counter[float]) -> Decision:
    """Add a note where more than half is foreground, as in masks that are inverted."""
    total = sum(values.values())
    share = sum(count for value, count in values.items() if found.rule.table[value] > 0) / total
    if share <= 0.5 or len(found.classes) != 2:
        return found
    value = next(value for value, label in found.rule.table.items() if label == 1)
    note = (
        f"{share:.0%} of all pixels are foreground; if the masks are inverted, say so: "
        f"--classes '0={found.classes[1]},{value:g}=background'"
    )
    return Decision(rule=found.rule, classes=found.classes, ignore=found.ignore, notes=(*found.notes, note))

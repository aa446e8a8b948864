"""One decision for all masks of a data set, whether an image has one of them or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import Naming, numbered
from lossodyssey.data.adopt.colours import decide_colours, is_coloured
from lossodyssey.data.adopt.decision import Decision
from lossodyssey.data.adopt.labels import overlapping
from lossodyssey.data.adopt.layers import Sorted
from lossodyssey.data.adopt.names import words
from lossodyssey.data.adopt.reading import Read
from lossodyssey.data.adopt.values import decide_values


def decide(reads: Sequence[Read], masks: Sorted, naming: Naming, choices: Choices) -> Decision:
    """Decide how all masks are read.

    Raises:
        ValueError: a choice does not fit the masks.
    """
    if masks.classes and choices.ignore:
        raise ValueError("--ignore is a value of masks of several values, but every class has a file of its own here")
    facts = [mask for read in reads for mask in read.masks]
    binary = bool(masks.classes) or any(len(layer) > 1 for read in reads for _, layer in read.layers)
    how: Callable[..., Decision] = decide_colours if any(map(is_coloured, facts)) else decide_values
    own = Naming((), ()) if masks.classes else naming
    decision = how(facts, masks.common, own, choices)
    if decision.refused or not binary:
        return decision
    return _of_files(decision, masks, naming)


def _of_files(decision: Decision, masks: Sorted, naming: Naming) -> Decision:
    """Return the decision for masks that are several files of an image, each of which must have two values."""
    if len(decision.classes) != 2 or decision.ignore is not None:
        found = ", ".join(decision.classes.values())
        return replace(
            decision,
            refused=(
                f"images have several masks, but these hold more than two values ({found}); choose one mask per image "
                "with --pattern, or part the values in two with --threshold",
            ),
        )
    if not masks.classes:
        return decision
    classes = _names(masks.classes, naming)
    guessed = () if naming.names else (f"classes are named after the masks' files ({', '.join(classes)})",)
    told = tuple(note for note in decision.notes if "name" not in note)
    return replace(decision, classes=numbered(classes), notes=(*told, *guessed))


def layer_order(classes: tuple[str, ...], naming: Naming) -> tuple[str, ...]:
    """Return the classes of the files in the order that the user gave.

    Raises:
        ValueError: the names are not those of the files.
    """
    if not classes or not naming.names:
        return classes
    keys = ["_".join(words(key)) for key in (naming.keys or naming.names)]
    if sorted(keys) != sorted(classes):
        raise ValueError(
            f"--classes names {', '.join(keys)}, but the masks' files name {', '.join(classes)}; list all of them, "
            "later ones are written over earlier ones, and rename them as liver=Liver"
        )
    return tuple(keys)


def claimed_twice(decision: Decision, reads: Sequence[Read], layers: tuple[str, ...], naming: Naming) -> Decision:
    """Add what is to be said where masks of several classes overlap: a doubt unless the user gave their order."""
    pixels = sum(overlapping(read, decision.rule, layers) for read in reads)
    if not pixels:
        return decision
    text = (
        f"masks of several classes overlap in {pixels} pixels; later ones are written over earlier: {', '.join(layers)}"
    )
    if naming.names:
        return replace(decision, notes=(*decision.notes, text))
    return replace(decision, doubts=(*decision.doubts, f"{text} (to say another order: --classes)"))


def _names(classes: tuple[str, ...], naming: Naming) -> list[str]:
    return list(naming.names) if naming.names and layer_order(classes, naming) else list(classes)

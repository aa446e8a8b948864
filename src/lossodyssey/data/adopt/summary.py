"""The rows of the table that shows what was understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy

from lossodyssey.data.adopt.colours import is_coloured
from lossodyssey.data.adopt.facts import MaskFacts
from lossodyssey.data.adopt.rules import Rule, nearest_colours
from lossodyssey.data.adopt.understanding import Understanding
from lossodyssey.data.adopt.writing import linked
from lossodyssey.data.grids import ending

FEW = 4


def rows(found: Understanding) -> Iterator[tuple[str, str]]:
    """Yield a subject and what was understood of it."""
    reads = list(found.cases.values())
    names = list(found.cases)
    yield "cases", f"{len(names)}: {_listed(names)}"
    first = reads[0]
    masks = _listed([mask.path.name for mask in first.masks])
    yield "such as", f"{', '.join(image.path.name for image in first.images)} with {masks}"
    shapes = Counter(" x ".join(map(str, read.images[0].shape)) for read in reads)
    endings = Counter(ending(image.path).lower() for read in reads for image in read.images)
    yield "images", f"{found.dims}D, {_counted(endings)}; shapes {_counted(shapes)}"
    yield "channels", f"{len(found.channels)}: {', '.join(found.channels)}" if found.harmony.channels else "differ"
    yield "spacing", _spacing(found)
    if not found.refused:
        yield "masks", _masks(found)
        yield from _classes(found)
    if found.groups:
        yield "patients", f"{len(set(found.groups.values()))}: {_listed(sorted(set(found.groups.values())))}"
    kept, unchanged = linked(found)
    files = sum(len(read.images) for read in reads)
    yield "written", f"{kept} of {files} images and {unchanged} of {len(reads)} masks stay as they are, others are new"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= FEW else f"{', '.join(names[:2])}, ..., {names[-1]}"


def _counted(counts: Counter[str]) -> str:
    told = [f"{name} ({number})" for name, number in counts.most_common(FEW)]
    return ", ".join([*told, f"{len(counts) - FEW} more"] if len(counts) > FEW else told)


def _spacing(found: Understanding) -> str:
    if found.choices.spacing:
        return f"{_times(found.choices.spacing)} mm, as --spacing says"
    images = [image for read in found.cases.values() for image in read.images[:1]]
    unknown = sum(not image.sized for image in images)
    if unknown == len(images):
        return "not known: distances are in pixels; --spacing says it"
    sizes = [numpy.linalg.norm(image.affine[:-1, :-1], axis=0) for image in images if image.sized]
    more = f"; {unknown} images do not say it" if unknown else ""
    return _counted(Counter(f"{_times(size)} mm" for size in sizes)) + more


def _times(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def _masks(found: Understanding) -> str:
    rule = found.decision.rule
    if rule.threshold is not None:
        how = f"foreground from {rule.threshold:g} on"
    elif rule.kind == "colours":
        how = "colour-coded"
    else:
        how = "values " + ", ".join(f"{value:g}" for value in sorted(rule.table)[:20])
    return f"{how}; one file per class" if found.layers else how


def _classes(found: Understanding) -> Iterator[tuple[str, str]]:
    """Yield every class with the cases that have it, and its share of the pixels."""
    total, cases = Counter[int](), Counter[int]()
    pixels = 0
    for read in found.cases.values():
        own = Counter[int]()
        pixels += int(numpy.prod(read.images[0].shape))
        for name, masks in read.layers:
            for mask in masks:
                counts = label_counts(mask, found.decision.rule)
                place = found.layers.index(name) + 1 if found.layers else 0
                own.update({place or label: count for label, count in counts.items() if label > 0})
        total += own
        cases.update(label for label, count in own.items() if count)
    # Objects that overlap are counted twice here; the masks are joined when they are written.
    several = any(len(masks) > 1 for read in found.cases.values() for _, masks in read.layers)
    most = "at most " * several
    shown = {**found.decision.classes, **({found.decision.ignore: "does not count"} if found.decision.ignore else {})}
    for label, name in shown.items():
        if label > 0:
            yield (
                f"class {label}",
                f"{name}: in {cases[label]} of {len(found.cases)} cases, {most}{total[label] / pixels:.2%} of pixels",
            )


def label_counts(mask: MaskFacts, rule: Rule) -> dict[int, int]:
    """Return the number of pixels of every label of a mask, by the counts of its values."""
    found: Counter[int] = Counter()
    known = numpy.array(sorted(rule.table))
    for value, count in mask.counts.items():
        if rule.threshold is not None:
            label = int(value >= rule.threshold)
        elif rule.kind == "colours":
            colour = value if is_coloured(mask) else int(value) * 0x010101
            label = rule.table[known[nearest_colours(numpy.array([colour]), known)[0]].item()]
        else:
            label = rule.table[value]
        found[label] += count
    return dict(found)

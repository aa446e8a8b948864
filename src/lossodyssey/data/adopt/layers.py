"""Several masks of one image: one per class, one per object, or one per annotator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossodyssey.data.adopt.channels import Image
from lossodyssey.data.adopt.names import core, is_rater, meaning
from lossodyssey.data.adopt.pairing import Match, Pairing

OBJECTS = ""
"""The class of masks whose names tell no class."""


@dataclass(frozen=True)
class Sorted:
    """Masks of every image by class; `refused` says with its fix why they cannot be told apart.

    `classes` are those that the names tell; empty where every image has masks of one class or one label map.
    """

    cases: tuple[tuple[Image, tuple[tuple[str, tuple[Path, ...]], ...]], ...]
    classes: tuple[str, ...] = ()
    common: str = ""
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def sort_masks(pairing: Pairing) -> Sorted:
    """Sort the masks of every image by what their names say."""
    named = [(image, [(_label(match), match) for match in matches]) for image, matches in pairing.pairs]
    told = _without_names_of_objects(named)
    labels = sorted({label for _, matches in told for label, _ in matches})
    refused = tuple(_refusals(told))
    if len(labels) < 2:
        return _of_one_class(told, labels[0], refused)
    if OBJECTS in labels:
        rest = ", ".join(labels[1:4])
        example = next(m.mask.path for _, matches in told for label, m in matches if label == OBJECTS)
        refused += (
            f"some masks name a class in their file name ({rest}) and others, such as {example}, do not; choose some "
            "with --pattern '{case}_{class}' or '{case}_mask'",
        )
    return _of_classes(told, tuple(label for label in labels if label), refused)


Told = Sequence[tuple[Image, Sequence[tuple[str, Match]]]]


def _label(match: Match) -> str:
    return meaning(match.rest)[0] if not is_rater(match.rest) else OBJECTS


def _without_names_of_objects(told: Told) -> Told:
    """Drop labels that are names of single objects: numbers and codes that hardly any second image has."""
    seen = Counter(label for _, matches in told for label in {label for label, _ in matches})
    files = sum(len(matches) for _, matches in told)
    codes = sum(any(letter.isdecimal() for letter in label) for label in seen)
    if len(told) > 1 and len(seen) > files / 2 and 2 * codes >= len(seen):
        return [(image, [(OBJECTS, match) for _, match in matches]) for image, matches in told]
    return told


def _refusals(told: Told) -> Iterator[str]:
    """Say where several masks of an image may be several opinions of the same thing, which must not be joined."""
    for image, matches in told:
        if len(matches) < 2:
            continue
        names = ", ".join(match.mask.path.name for _, match in matches[:3])
        raters = [match for _, match in matches if is_rater(match.rest)]
        if raters:
            # The name of one of them, with a place for the case, is the pattern that chooses it.
            stem = raters[0].mask.stem
            shared = next((part for part in (image.stem, core(image.stem, "image")) if part and part in stem), stem)
            yield (
                f"{image.files[0]} has masks of several annotators ({names}); choose one with "
                f"--pattern '{stem.replace(shared, '{case}')}', or --masks DIR with their folder"
            )
            return
        folders = {str(match.mask.path.parent) for _, match in matches}
        kinds = Counter(label for label, _ in matches)
        if len(folders) > 1 and max(kinds.values()) > 1:
            yield f"{image.files[0]} has masks in several folders ({', '.join(sorted(folders))}); choose: --masks DIR"
            return
        plain = [match for label, match in matches if not label and meaning(match.rest) == ("", "")]
        if len(plain) > 1:
            yield f"{image.files[0]} has {len(plain)} masks ({names}) whose names tell no difference; choose: --pattern"
            return


def _of_one_class(told: Told, label: str, refused: tuple[str, ...]) -> Sorted:
    cases = tuple((image, ((label, tuple(match.mask.path for _, match in matches)),)) for image, matches in told)
    several = sum(len(matches) > 1 for _, matches in told)
    numbers = [{meaning(match.rest)[1] for _, match in matches} for _, matches in told]
    doubts: tuple[str, ...] = ()
    if len(told) > 1 and len(numbers[0]) > 1 and all(own == numbers[0] for own in numbers) and "" not in numbers[0]:
        seen = ", ".join(sorted(numbers[0])[:5])
        doubts = (
            f"every image has masks {seen}: objects, which are joined, or classes? Then --pattern '{{case}}_{{class}}'",
        )
    notes = (f"{several} of {len(told)} images have several masks, one per object: joined to one mask",) * bool(several)
    return Sorted(cases, (), label, refused, doubts, notes)


def _of_classes(told: Told, labels: tuple[str, ...], refused: tuple[str, ...]) -> Sorted:
    cases, missing = [], Counter[str]()
    for image, matches in told:
        by_class = {label: tuple(m.mask.path for own, m in matches if own == label) for label in labels}
        missing.update(label for label, paths in by_class.items() if not paths)
        cases.append((image, tuple((label, paths) for label, paths in by_class.items() if paths)))
    doubts = tuple(
        f"{count} of {len(told)} images have no mask of {label}: taken as images without it"
        for label, count in missing.items()
    )
    return Sorted(tuple(cases), labels, "", refused, doubts)

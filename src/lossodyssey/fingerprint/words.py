"""A fingerprint in a few sentences of plain English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lossodyssey.fingerprint.record import ClassFacts, Fingerprint, Range

THIN = 0.9  # share of voxels within two voxels of the border, above which an object is called thin
STRETCHED = 0.3  # compactness, below which an object is called stretched
FAINT = 0.5  # standard deviations between both sides of the border, below which it is called faint
MANY = 10  # pieces in a case
MOST_TOLD = 6  # classes that get a sentence


def in_words(found: Fingerprint) -> str:
    """Say what a data set is like: grids, imbalance, and what is special about its objects."""
    return " ".join([_grids(found), *_balance(found), *_objects(found), *_gaps(found)])


def _grids(found: Fingerprint) -> str:
    kind = ("picture" if found.dims == 2 else "volume") + "s" * (found.cases > 1)
    patients = f" of {found.groups} groups" if found.groups < found.cases else ""
    said = f"{found.cases} {kind}{patients}, typically {_product(found.shape)} {voxels(found)}"
    if found.unit == "mm":
        said += f" of {_product(found.spacing)} mm"
    if found.anisotropy.median >= 2:
        said += f" ({number(found.anisotropy.median)} times coarser along one axis)"
    return f"{said}."


def _product(ranges: Sequence[Range]) -> str:
    return " x ".join(number(own.median) for own in ranges)


def _balance(found: Fingerprint) -> Iterator[str]:
    if found.imbalance is None:
        yield "There is not a single object in them."
        return
    said = f"There are {number(found.imbalance)} background {voxels(found)} for every object {voxels(found)[:-1]}"
    yield f"{said}{_spread(found)}."
    rare = max((own for own in found.classes if own.imbalance), key=lambda own: own.imbalance or 0.0, default=None)
    if rare and rare.imbalance and len(found.classes) > 1:
        yield f"The rarest class, {rare.name}, has one {voxels(found)[:-1]} in {number(rare.imbalance + 1)}."


def _spread(found: Fingerprint) -> str:
    case = found.case_imbalance
    return f" ({number(case.low)} to {number(case.high)} from case to case)" if case and case.low < case.high else ""


def _objects(found: Fingerprint) -> Iterator[str]:
    known = sorted((own for own in found.classes if own.cases), key=lambda own: own.share)
    told = known if len(known) <= MOST_TOLD else known[:MOST_TOLD]
    for own in sorted(told, key=found.classes.index):
        yield f"{own.name}: {', '.join(_traits(own, found))}."
    if len(known) > len(told):
        yield f"{len(known) - len(told)} classes that are less rare are not described here."


def _traits(own: ClassFacts, found: Fingerprint) -> Iterator[str]:
    if own.components and own.components.median >= MANY:
        yield f"many pieces ({number(own.components.median)} in a typical case)"
    if own.rim2 and own.rim2.median >= THIN:
        yield f"thin ({own.rim2.median:.0%} of it within two {voxels(found)} of its border)"
    if own.compactness and own.compactness.median < STRETCHED:
        yield f"long, flat or branching (compactness {own.compactness.median:.2f})"
    if own.contrast and own.contrast.median < FAINT:
        yield f"with a faint border (contrast {own.contrast.median:.2f})"
    if own.radius:
        unit = found.unit + "s" * (found.unit == "pixel")
        yield f"a {'disc' if found.dims == 2 else 'ball'} of radius {number(own.radius.median)} {unit} fits inside"


def _gaps(found: Fingerprint) -> Iterator[str]:
    if found.empty:
        yield f"{found.empty} of {found.cases} cases have no object."
    if found.missing:
        yield f"No case holds {', '.join(found.missing)}."
    if found.partly:
        yield f"In {found.partly} cases some classes are not annotated."


def voxels(found: Fingerprint) -> str:
    """Return the word for the elements of a grid."""
    return "pixels" if found.dims == 2 else "voxels"


def number(value: float) -> str:
    """Write a number with three digits, and without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"

"""Masks whose classes are colours: surfaces of equal colour make the palette, and edges go to the nearest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import Naming, shown
from lossodyssey.data.adopt.decision import Decision, tabled
from lossodyssey.data.adopt.facts import MaskFacts, joined_counts
from lossodyssey.data.adopt.rules import channels_of
from lossodyssey.data.adopt.values import VOID

BLACK = 0.0
ALIKE = 40  # distance of colours, of 442 between black and white, up to which lossy compression makes one of the other
RARE = 2e-5  # share of all surfaces below which a colour is not a class of its own in a lossy mask
NEAR = 4  # distance from the line between two colours that rounding makes
EXACT = 64  # colours of masks without blurred edges
MANY = 40


def decide_colours(masks: Sequence[MaskFacts], guess: str, naming: Naming, choices: Choices) -> Decision:
    """Decide how colour-coded masks are read.

    Raises:
        ValueError: a choice does not fit the masks.
    """
    if choices.threshold is not None or choices.instances:
        option = "--instances" if choices.instances else "--threshold"
        raise ValueError(f"{option} is for masks of one value per pixel, but {masks[0].path} has colours; leave it out")
    counts, flat = _as_colours(masks), _as_colours(masks, flat=True)
    if not counts or any(not mask.counts for mask in masks):
        path = next((mask.path for mask in masks if not mask.counts), masks[0].path)
        return Decision.none(f"{path} holds too many colours for a mask; are images and masks swapped?")
    places = _places(masks)
    # A palette that all masks share was made on purpose, with all of its colours.
    shared = counts if places else flat
    palette, blurred = _palette(counts, shared, lossy=any(mask.lossy for mask in masks))
    if len(palette) > MANY:
        return Decision.none(
            f"masks hold {len(palette)} colours; are images and masks swapped? Else name every colour with --classes"
        )
    palette.sort(key=lambda colour: places.get(colour, colour))
    if not naming.keys and not choices.ignore and places and _has_void(places):
        code = shown(next(colour for colour, place in places.items() if place == VOID), colour=True)
        return Decision.none(
            f"place 255 of the masks' palette ({code}) follows a gap: add --ignore '{code}' where its pixels do not "
            "count, else name every colour with --classes"
        )
    return _decided(palette, blurred, counts, guess, naming, choices)


def _decided(
    palette: list[float], blurred: str, counts: Counter[float], guess: str, naming: Naming, choices: Choices
) -> Decision:
    doubts = []
    if BLACK in palette:
        background = BLACK
    else:
        background = max(palette, key=lambda colour: counts[colour])
        if not naming.keys:
            code = shown(background, colour=True)
            doubts.append(
                f"no mask holds black, so the most frequent colour {code} is taken for the background; to say so: "
                f"--classes '{code}=background,...'"
            )
    rest = [colour for colour in palette if colour != background]
    notes = [f"masks are coloured: {len(palette)} colours with the background", *([blurred] if blurred else [])]
    return tabled(
        rest, [background], naming, choices, colour=True, nearest=bool(blurred), notes=notes, doubts=doubts, guess=guess
    )


def _as_colours(masks: Sequence[MaskFacts], *, flat: bool = False) -> Counter[float]:
    """Add the counts of all masks; grey ones among coloured ones are colours, too."""
    total: Counter[float] = Counter()
    for mask in masks:
        for value, count in joined_counts([mask], flat=flat).items():
            total[value if is_coloured(mask) else int(value) * 0x010101] += count
    return total


def is_coloured(mask: MaskFacts) -> bool:
    """Return whether the values of a mask are colours."""
    return mask.kind == "colour" or (mask.kind == "palette" and max(mask.counts, default=0) > 255)


def _palette(counts: Counter[float], flat: Counter[float], *, lossy: bool) -> tuple[list[float], str]:
    """Return the colours of the classes, the most frequent first, and what is to be said of blurred edges."""
    palette = _surfaces(flat) if lossy or len(counts) > EXACT else _exact(counts, flat)
    if not lossy and len(palette) == len(counts):
        return palette, ""
    distinct = numpy.array(list(counts))
    between = _distance(distinct, palette) > ALIKE
    outside = sum(count for count, far in zip(counts.values(), between.tolist(), strict=True) if far)
    share = outside / sum(counts.values())
    note = f"edges of colours are blurred: {share:.2%} of all pixels lie between them and go to the nearest colour"
    return [_pure(colour) for colour in palette] if lossy else palette, note


def _exact(counts: Counter[float], flat: Counter[float]) -> list[float]:
    """Return the colours without mixtures of two others that occur along edges alone."""
    surfaces = numpy.array([colour for colour in counts if flat[colour] > 0])
    mixed = {colour for colour in counts if flat[colour] == 0 and _is_mixed(colour, surfaces)}
    return [colour for colour, _ in counts.most_common() if colour not in mixed]


def _is_mixed(colour: float, surfaces: NDArray[Any]) -> bool:
    """Return whether a colour lies between two others, as those of smooth edges do."""
    ends = channels_of(surfaces).astype(float)
    if len(ends) < 2:
        return False
    starts, lines = ends[:, None], ends[None] - ends[:, None]
    point = channels_of(numpy.array(colour)).astype(float)
    lengths = (lines**2).sum(-1)
    along = ((point - starts) * lines).sum(-1) / numpy.maximum(lengths, 1)
    away = numpy.sqrt(((point - starts - along[..., None] * lines) ** 2).sum(-1))
    return bool(((lengths > 0) & (along > 0) & (along < 1) & (away <= NEAR)).any())


def _surfaces(flat: Counter[float]) -> list[float]:
    """Return the colours of surfaces, the most frequent first, and only one of several similar colours."""
    ordered = [colour for colour, _ in flat.most_common()]
    number = numpy.array([count for _, count in flat.most_common()])
    left = number >= RARE * number.sum()
    palette: list[float] = []
    while left.any() and len(palette) <= MANY:
        palette.append(ordered[int(left.argmax())])
        left &= _distance(numpy.array(ordered), palette[-1:]) > ALIKE
    return palette


def _pure(colour: float) -> float:
    """Return black, white, or the pure colour that lossy compression made this one of, else the colour itself."""
    parts = channels_of(numpy.array(colour))
    pure = numpy.where(parts > 127, 255, 0)
    if ((parts - pure) ** 2).sum() > ALIKE**2:
        return colour
    return float((pure[0] << 16) | (pure[1] << 8) | pure[2])


def _distance(colours: NDArray[Any], palette: Sequence[float]) -> NDArray[numpy.float64]:
    """Return the distance of every colour from the nearest of a palette."""
    away = channels_of(colours)[:, None] - channels_of(numpy.array(palette))
    return numpy.asarray(numpy.sqrt((away**2).sum(-1)).min(1))


def _places(masks: Sequence[MaskFacts]) -> dict[float, int]:
    """Return the indices of colours in a palette that all masks share and that begins with black, else nothing."""
    places: dict[float, int] = {}
    for mask in masks:
        if mask.kind != "palette":
            return {}
        for place, colour in mask.places.items():
            if places.setdefault(colour, place) != place:
                return {}
    shared: Mapping[int, float] = {place: colour for colour, place in places.items()}
    return places if len(shared) == len(places) and places.get(BLACK) == 0 else {}


def _has_void(places: Mapping[float, int]) -> bool:
    own = sorted(places.values())
    return own[-1] == VOID and own[-2:-1] != [VOID - 1]

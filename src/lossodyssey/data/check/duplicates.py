"""Images that occur twice: equal to the last value, or so alike that one is a copy of the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lossodyssey.data.check.finding import Finding, listed
from lossodyssey.data.check.sight import Sight

ALIKE = 0.985
"""The correlation of thumbnails above which two images are near duplicates."""

BLOCK = 512  # thumbnails that are compared with all others at once


@dataclass(frozen=True)
class Twins:
    """Two cases of one image; `correlation` is that of their thumbnails, `exact` whether all values are equal."""

    first: str
    second: str
    correlation: float
    exact: bool

    def __str__(self) -> str:
        return "equal in every value" if self.exact else f"correlation of thumbnails {self.correlation:.4f}"


def find_twins(sights: Sequence[Sight]) -> list[Twins]:
    """Find all pairs of equal or nearly equal images; images of one value are not compared."""
    shown = [sight for sight in sights if sight.thumbnail is not None and sight.thumbnail.any()]
    lengths = sorted({_length(sight) for sight in shown})
    return [pair for length in lengths for pair in _alike([s for s in shown if _length(s) == length])]


def _length(sight: Sight) -> int:
    return 0 if sight.thumbnail is None else sight.thumbnail.size


def _alike(sights: Sequence[Sight]) -> Iterator[Twins]:
    thumbnails = np.stack([sight.thumbnail for sight in sights if sight.thumbnail is not None])
    for start in range(0, len(sights), BLOCK):
        # Each pair once: a block meets itself and what comes after it.
        products = thumbnails[start : start + BLOCK] @ thumbnails[start:].T
        for row, column in np.argwhere(np.triu(products > ALIKE, 1)).tolist():
            one, two = sights[start + row], sights[start + column]
            exact = one.image_digest == two.image_digest
            yield Twins(one.name, two.name, float(products[row, column]), exact)


def clusters(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Join pairs of names that share one; each cluster and their list are sorted."""
    home: dict[str, list[str]] = {}
    for first, second in pairs:
        one, two = home.setdefault(first, [first]), home.setdefault(second, [second])
        if one is not two:
            one += two
            home |= dict.fromkeys(two, one)
    return sorted({tuple(sorted(members)) for members in home.values()})


def twin_clusters(pairs: Sequence[Twins]) -> list[tuple[str, ...]]:
    """Return the groups of cases that show one image."""
    return clusters((pair.first, pair.second) for pair in pairs)


def duplicates(sights: Sequence[Sight], pairs: Sequence[Twins]) -> list[Finding]:
    """List clusters that are not in one group, and count in a note the clusters that are."""
    by_name = {sight.name: sight for sight in sights}
    by_first: dict[str, list[Twins]] = {}
    for pair in pairs:
        by_first.setdefault(pair.first, []).append(pair)
    found, together = [], []
    for names in twin_clusters(pairs):
        groups = {by_name[name].case.group for name in names}
        if len(groups) == 1 and "" not in groups:
            together.append(names)
        else:
            own = [pair for name in names for pair in by_first.get(name, ())]
            found.append(_told(names, own, by_name))
    if together:
        images = sum(map(len, together))
        seen = f"{len(together)} groups of near duplicates ({images} images) stay together by their group"
        found.append(Finding("note", "duplicates", (), seen, "nothing"))
    return [*found, *_copied_labels(sights, pairs)]


def _told(names: tuple[str, ...], pairs: Sequence[Twins], by_name: dict[str, Sight]) -> Finding:
    kind = "the same image" if all(pair.exact for pair in pairs) else "near duplicates"
    alike = "equal in every value" if kind == "the same image" else str(max(pairs, key=lambda p: p.correlation))
    differ = len({by_name[name].label_digest for name in names}) > 1
    labels = ", with different label maps" if differ else ""
    seen = f"{listed(names)} are {kind} ({alike}{labels})"
    return Finding("warning", "duplicates", names, seen, "keep one, or give them one group (--write-groups)")


def _copied_labels(sights: Sequence[Sight], pairs: Sequence[Twins]) -> Iterator[Finding]:
    """Find label maps that are equal although their images are not alike."""
    known = {frozenset((pair.first, pair.second)) for pair in pairs}
    by_digest: dict[str, list[str]] = {}
    for sight in sights:
        if sight.labelled:
            by_digest.setdefault(sight.label_digest, []).append(sight.name)
    for names in by_digest.values():
        if len(names) > 1 and frozenset(names[:2]) not in known:
            seen = f"{listed(names)} have the same label map, though their images differ"
            yield Finding("warning", "pairing", tuple(names), seen, "was a label file copied to a wrong name?")

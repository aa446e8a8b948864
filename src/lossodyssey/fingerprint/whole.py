"""The fingerprint of all cases together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from lossodyssey.data import Dataset
from lossodyssey.data.regions import Region
from lossodyssey.fingerprint.case import CaseFacts, look
from lossodyssey.fingerprint.objects import Objects
from lossodyssey.fingerprint.record import VERSION, ClassFacts, Fingerprint, Range, range_of
from lossodyssey.fingerprint.words import in_words

Progress = Callable[[int, int], None]


def fingerprint(dataset: Dataset, contents: str = "", progress: Progress | None = None) -> Fingerprint:
    """Read every case, and sum up its objects and grid; `progress(done, total)` is called after each case.

    `contents` is kept in the fingerprint, to tell later whether the data have changed.

    Raises:
        ValueError: a case cannot be read, or cases differ in their number of axes; `lossodyssey data check` says more.
    """
    facts: list[CaseFacts] = []
    for case in dataset.cases:
        facts.append(look(dataset, case))
        if progress:
            progress(len(facts), len(dataset.cases))
    dims = {len(own.shape) for own in facts}
    if len(dims) > 1:
        raise ValueError(f"{dataset.name}: cases have {min(dims)} or {max(dims)} axes; keep 2D and 3D images apart")
    found = _summed_up(dataset, contents, facts)
    return replace(found, in_words=in_words(found))


def _summed_up(dataset: Dataset, contents: str, facts: Sequence[CaseFacts]) -> Fingerprint:
    dims = len(facts[0].shape)
    groups = {case.group or f"case {case.name}" for case in dataset.cases}
    background, counted = (sum(getattr(own, name) for own in facts) for name in ("background", "counted"))
    classes = tuple(_class(target, facts) for target in dataset.targets)
    return Fingerprint(
        version=VERSION,
        dataset=dataset.name,
        contents=contents,
        cases=len(facts),
        groups=len(groups),
        dims=dims,
        channels=dataset.channels,
        unit="pixel" if dims == 2 and all(set(own.spacing) == {1.0} for own in facts) else "mm",
        shape=tuple(_range(own.shape[axis] for own in facts) for axis in range(dims)),
        spacing=tuple(_range(own.spacing[axis] for own in facts) for axis in range(dims)),
        anisotropy=_range(max(own.spacing) / min(own.spacing) for own in facts),
        imbalance=background / (counted - background) if counted > background else None,
        case_imbalance=range_of(o.background / (o.counted - o.background) for o in facts if o.counted > o.background),
        empty=sum(not own.present for own in facts),
        missing=tuple(own.name for own in classes if not own.cases),
        partly=sum(len(own.objects) < len(dataset.targets) for own in facts),
        touching=tuple(_touching(dataset, facts)),
        classes=classes,
        in_words="",
    )


def _range(values: Iterable[float]) -> Range:
    found = range_of(float(value) for value in values)
    assert found is not None
    return found


def _class(target: Region, facts: Sequence[CaseFacts]) -> ClassFacts:
    annotated = [own for own in facts if target.name in own.objects]
    objects = [found for own in annotated if (found := own.objects[target.name])]
    voxels, counted = sum(own.voxels for own in objects), sum(own.counted for own in annotated)
    return ClassFacts(
        name=target.name,
        labels=target.labels,
        cases=len(objects),
        annotated=len(annotated),
        share=voxels / counted if counted else 0.0,
        imbalance=(counted - voxels) / voxels if voxels else None,
        **{name: range_of(getattr(own, name) for own in objects) for name in MEASURED},
    )


MEASURED = tuple(name for name in Objects.__dataclass_fields__ if name != "voxels")


def _touching(dataset: Dataset, facts: Sequence[CaseFacts]) -> Iterable[tuple[str, str, float]]:
    for one, two in combinations(sorted(set(dataset.classes) - {0}), 2):
        both = [own for own in facts if {one, two} <= own.present]
        share = sum((one, two) in own.beside for own in both) / len(both) if both else 0.0
        if share:
            yield dataset.classes[one], dataset.classes[two], share

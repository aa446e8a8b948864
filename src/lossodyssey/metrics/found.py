"""The labels that occur in predictions and truths, and signs that the two do not mean the same by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lossodyssey.metrics.folders import FilePair

MOST_LISTED = 8


@dataclass(frozen=True)
class Found:
    """Labels that occur in a case, except 0 and those in ignored voxels; `ignored` counts those of its `voxels`."""

    predicted: frozenset[int] = frozenset()
    true: frozenset[int] = frozenset()
    ignored: int = 0
    voxels: int = 0

    @property
    def apart(self) -> bool:
        """Whether both maps hold labels, and none in common."""
        return bool(self.predicted and self.true) and not self.predicted & self.true

    def check(self, known: Collection[int], files: FilePair) -> None:
        """Check that all labels are known.

        Raises:
            ValueError: one is not; the text names the file.
        """
        for path, labels in ((files.prediction, self.predicted), (files.truth, self.true)):
            if strange := labels.difference(known):
                raise ValueError(
                    f"{path}: {listed(strange)} is none of [{listed(known, '')}] of dataset.json; "
                    "change the numbers in the file, or add the class there"
                )

    def notes(self, ignore: int | None, files: FilePair) -> Iterable[str]:
        """Say where an ignored label has an effect that may not be intended."""
        if ignore in self.predicted:
            where = "where the truth does not, which counts as background"
            yield f"{files.prediction}: holds the ignored label {ignore} {where}"
        if self.voxels and self.ignored == self.voxels:
            yield f"{files.truth}: every voxel has the ignored label {ignore}; nothing in it is scored"


def listed(labels: Collection[int], word: str = "label ") -> str:
    """Write numbers in order, the first few of many."""
    first = ", ".join(map(str, sorted(labels)[:MOST_LISTED]))
    return word + first + f" and {len(labels) - MOST_LISTED} more" * (len(labels) > MOST_LISTED)


def check_asked(cases: Mapping[str, Found], asked: Collection[int]) -> None:
    """Check that something can be scored.

    Raises:
        ValueError: none of the labels asked for occurs in any case, and others do.
    """
    predicted, true = _all(cases.values())
    if (predicted | true) and asked and 0 not in asked and not (predicted | true).intersection(asked):
        raise ValueError(
            f"{listed(asked)} occurs in no file; predictions hold {listed(predicted)} and truths {listed(true)}: "
            "ask for labels that are there (--labels), or write those that dataset.json names"
        )


def suspicions(cases: Mapping[str, Found], asked: Collection[int], *, named: bool, ignore: int | None) -> list[str]:
    """Say what makes it likely that predictions and truths do not mean the same by their labels.

    `asked` are the labels to score, empty for all. With `named`, dataset.json vouches for the labels, and only what
    no data set explains is told. `ignore` is an ignored label that truths are expected to hold.
    """
    predicted, true = _all(cases.values())
    if not predicted and not true:
        return []
    found = [_empty(predicted, true) or _apart(predicted, true)]
    if not any(found) and not named:
        found += [*_one_sided(predicted, true, asked), _apart_in(cases)]
    if missing := set(asked) - predicted - true - {0}:
        found.append(f"{listed(missing)} was asked for and occurs in no file" if not named else "")
    if ignore is not None and not any(case.ignored for case in cases.values()):
        found.append(f"no truth holds the ignored label {ignore}, so no voxel was left out")
    return [each for each in found if each]


def _all(cases: Iterable[Found]) -> tuple[frozenset[int], frozenset[int]]:
    several = list(cases)
    return (
        frozenset().union(*(case.predicted for case in several)),
        frozenset().union(*(case.true for case in several)),
    )


def _empty(predicted: Collection[int], true: Collection[int]) -> str:
    if predicted and true:
        return ""
    empty, other, held = ("truth", "predictions", predicted) if predicted else ("prediction", "truths", true)
    return f"no {empty} holds any label but 0, and {other} hold {listed(held)}: are these the right folders?"


def _apart(predicted: frozenset[int], true: frozenset[int]) -> str:
    if predicted & true:
        return ""
    return (
        f"predictions hold {listed(predicted, 'class ')} and truths {listed(true, 'class ')}, none in common: every "
        "overlap is 0. If they mean the same, give both the same numbers, such as (mask > 0) for masks of 0 and 255"
    )


def _one_sided(predicted: frozenset[int], true: frozenset[int], asked: Collection[int]) -> list[str]:
    """Name the labels of one side alone, for without dataset.json nothing says that they are classes at all."""
    kept = frozenset(asked) or predicted | true
    only_predicted, only_true = (predicted - true) & kept, (true - predicted) & kept
    said = []
    if only_predicted:
        said.append(f"predictions hold {listed(only_predicted)}, and no truth does: scored as a class of its own")
    if only_true:
        said.append(
            f"truths hold {listed(only_true)}, and no prediction does: scored as a class that was never found; "
            f"if its voxels do not count, --ignore {min(only_true)}"
        )
    return said


def _apart_in(cases: Mapping[str, Found]) -> str:
    """Name the cases whose two maps share no label though the folders do, as where part of them holds 0 and 255."""
    names: Sequence[str] = [name for name, case in cases.items() if case.apart]
    if not names:
        return ""
    first = ", ".join(names[:MOST_LISTED]) + f" and {len(names) - MOST_LISTED} more" * (len(names) > MOST_LISTED)
    one = cases[names[0]]
    return (
        f"prediction and truth share no label in {len(names)} of {len(cases)} cases ({first}; the first holds "
        f"{listed(one.predicted)} against {listed(one.true)}): every overlap there is 0"
    )

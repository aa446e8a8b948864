"""Which cases a run trains on, which it is watched on and which it is scored on: one division per fold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lossodyssey.data.layouts import Case, Dataset
from lossodyssey.data.splits import held_out_count, ranked_groups, split

GIVEN = "splits_final.json"
"""nnU-Net's name for a file of folds: a list of `{"train": [...], "val": [...]}` with names of cases."""

VALIDATION = 1  # seed of the choice among training cases, another than that of the scored ones


@dataclass(frozen=True, slots=True)
class Division:
    """The cases of one fold, by their names, in order.

    `training` cases are trained on, `scored` ones make the table, and `validation` cases do neither: learning rates
    and budgets are judged on them.
    """

    training: tuple[str, ...]
    scored: tuple[str, ...]
    validation: tuple[str, ...] = ()
    fold: int = 0

    def searching(self) -> Division:
        """Return the division of a run that looks for a setting: scored on the validation cases alone."""
        return replace(self, scored=self.validation, validation=())


def hold_out(dataset: Dataset, held_out: int | float, validation: int | float = 0) -> Division:
    """Hold out one part of the cases, patients together.

    `held_out` and `validation` are numbers of cases, or fractions: of all cases, and of those left for training.

    Raises:
        ValueError: a part would be empty.
    """
    training, scored = split(dataset, held_out_count(dataset, held_out))
    return _validated(dataset, Division(_names(training), _names(scored)), validation)


def given_division(dataset: Dataset, validation: int | float = 0) -> Division | None:
    """Return the one division in the `splits_final.json` of a data set; None where there is none, or several folds.

    Raises:
        ValueError: the file is not valid.
    """
    given = dataset.root / GIVEN
    if not given.is_file() or len(read_divisions(given)) != 1:
        return None
    return read_folds(dataset, given, validation)[0]


def folds(dataset: Dataset, count: int, validation: int | float = 0) -> list[Division]:
    """Return the cases parted into `count` folds that score every case once, patients together.

    A file `splits_final.json` in the folder of the data set decides where it has as many folds.

    Raises:
        ValueError: fewer than two folds, or fewer patients than folds; a given file that is not valid.
    """
    given = dataset.root / GIVEN
    if given.is_file() and len(read_folds(dataset, given)) == count:
        return read_folds(dataset, given, validation)

    parts = fold_parts(dataset, count)
    everything = set(_names(dataset.cases))
    return [
        _validated(dataset, Division(_sorted(everything - set(_names(part))), _names(part), fold=fold), validation)
        for fold, part in enumerate(parts)
    ]


def fold_parts(dataset: Dataset, count: int) -> list[list[Case]]:
    """Divide the cases into `count` parts of about one size, patients together, whatever a file of folds says.

    Raises:
        ValueError: fewer than two parts, or fewer patients than parts.
    """
    groups = ranked_groups(dataset, seed=0)
    if not 2 <= count <= len(groups):
        raise ValueError(
            f"data set {dataset.name}: {count} folds of {len(groups)} patients or cases; "
            f"expected a number from 2 to {len(groups)}"
        )
    parts: list[list[Case]] = [[] for _ in range(count)]
    # The largest first, each into the smallest part, so that the parts differ little.
    for group in sorted(groups, key=len, reverse=True):
        min(parts, key=len).extend(group)
    return parts


def read_folds(dataset: Dataset, file: Path, validation: int | float = 0) -> list[Division]:
    """Read folds from a file of nnU-Net's form; its `val` cases are those that are scored.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another form, an unknown case, a case or a patient on both sides.
    """
    found = read_divisions(file)
    for division in found:
        _check(dataset, division, file)
    return [_validated(dataset, division, validation) for division in found]


def read_divisions(file: Path) -> list[Division]:
    """Read a file of nnU-Net's form as it is, whatever the data set.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another form.
    """
    if not file.is_file():
        raise FileNotFoundError(f'{file}: no such file; expected a list of {{"train": [...], "val": [...]}}')
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [_given(entry, fold) for fold, entry in enumerate(content)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f'{file}: not a file of folds ({error}); expected a list of {{"train": [...], "val": [...]}}'
        ) from None


def read_test(file: Path) -> tuple[str, ...]:
    """Return the cases that a file of folds keeps out of all of them, by its key `test`; none without it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another form.
    """
    read_divisions(file)
    lists = [entry.get("test", []) for entry in json.loads(file.read_text(encoding="utf-8"))]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise ValueError(f"{file}: 'test' must be a list of names of cases")
    return _sorted({name for names in lists for name in names})


def _given(entry: Mapping[str, Any], fold: int) -> Division:
    parts = {key: entry[key] for key in ("train", "val")}
    for key, names in parts.items():
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{key!r} of fold {fold} is {names!r:.60}")
    return Division(_sorted(parts["train"]), _sorted(parts["val"]), fold=fold)


def _check(dataset: Dataset, division: Division, file: Path) -> None:
    known = {case.name: case.group or f"case {case.name}" for case in dataset.cases}
    for name in (*division.training, *division.scored):
        if name not in known:
            raise ValueError(f"{file}: fold {division.fold} names case {name!r}, which {dataset.name} does not have")
    both = {known[name] for name in division.training} & {known[name] for name in division.scored}
    if both:
        raise ValueError(
            f"{file}: fold {division.fold} trains on and scores {min(both)}; a patient belongs to one side alone"
        )


def _validated(dataset: Dataset, division: Division, validation: int | float) -> Division:
    """Take validation cases out of the training ones."""
    if not validation:
        return division
    kept = set(division.training)
    own = replace(dataset, cases=tuple(case for case in dataset.cases if case.name in kept))
    try:
        training, watched = split(own, held_out_count(own, validation), seed=VALIDATION)
    except ValueError:
        raise ValueError(
            f"validation={validation} of the {len(kept)} training cases of {dataset.name} leaves one side without a "
            f"case; expected a number from 1 to {len(kept) - 1}, or a fraction such as 0.2"
        ) from None
    return replace(division, training=_names(training), validation=_names(watched))


def _names(cases: Sequence[Case]) -> tuple[str, ...]:
    return _sorted(case.name for case in cases)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))

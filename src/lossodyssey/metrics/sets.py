"""Predictions of many losses on many data sets, as a study releases them: a folder for each, in any order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lossodyssey.data.grids import is_image, stem
from lossodyssey.metrics.folders import FilePair

ARCHIVE = re.compile(r"\.(zip|tar|tgz|gz|bz2|xz|tar\.\w+)$", re.IGNORECASE)
FOLD = re.compile(r"fold[_ -]?(\d+)", re.IGNORECASE)
PLAIN_FOLDERS = re.compile(r"validation\w*|predictions?|results?|cv_niftis_\w+|labelsT[rs]|imagesT[rs]", re.IGNORECASE)
TRAINER = re.compile(r"nnunettrainer(v2)?_?(loss_)?", re.IGNORECASE)
FIELDS = {"dataset": r"[^/]", "loss": r"[^/]+", "fold": r"\d+", "case": r"[^/]+"}
DEFAULT = "{dataset}/{loss}/{case} or {loss}/{dataset}/{case}, folds between them"


@dataclass(frozen=True)
class PredictionSet:
    """The predictions of one loss on one data set and fold, with their truths."""

    loss: str
    dataset: str
    fold: int
    truths: Path
    pairs: tuple[FilePair, ...]


@dataclass(frozen=True)
class Sets:
    """All sets that were found, and what was left out, in sentences."""

    sets: tuple[PredictionSet, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """The facts that the path of a prediction tells."""

    loss: str
    dataset: str
    fold: int
    case: str


def find_sets(files: Mapping[str, Path], truths: Path, layout: str = "") -> Sets:
    """Sort predictions into sets by their paths, and pair them with the truths of their data set.

    Args:
        files: the predictions by their paths below the common folder; files that are not images are passed over.
        truths: a folder with a folder for each data set: label maps, or a data set with `labelsTr`.
        layout: where a path names what, such as "{dataset}_{loss}/{case}"; `*` stands for any part. Without it one
            folder of the path must have the name of a data set, and one of the others is the loss.

    Returns:
        The sets by data set, loss and fold. Every set has all cases that any loss predicts in its data set: one that
        a loss lacks is a missing prediction of that loss. Truths that no loss predicts are left out and told of.

    Raises:
        ValueError: a path does not fit, two files are the same case, or no prediction has a truth.
    """
    true = _truths(truths)
    places = {where: path for where, path in files.items() if is_image(path)}
    if not places:
        raise ValueError(f"no predicted label map in {_few(files) or 'the folder'}; expected {DEFAULT}")
    read = _by_template(places, layout, true) if layout else _by_folders(places, true)
    by_set: dict[tuple[str, str, int], dict[str, Path]] = {}
    for where, place in read.items():
        dataset = _known(place.dataset, true, where)
        cases = by_set.setdefault((dataset, place.loss, place.fold), {})
        other = cases.setdefault(place.case, places[where])
        if other is not places[where]:
            raise ValueError(f"{where}: case {place.case!r} of {place.loss} on {dataset} occurs twice, as {other}, too")
    return _paired(by_set, true)


def _truths(truths: Path) -> dict[str, dict[str, Path]]:
    """Return the label maps of every data set by case."""
    if not truths.is_dir():
        raise FileNotFoundError(
            f"{truths}: no such folder; expected a folder with a folder of truths for each data set"
        )
    found = {folder.name: _label_maps(folder) for folder in sorted(truths.iterdir()) if folder.is_dir()}
    kept = {name: maps for name, maps in found.items() if maps}
    if not kept:
        raise ValueError(
            f"{truths}: no folder in it has label maps; for predictions in folders of losses and data sets expected a "
            f"folder of truths for each data set, such as {truths / 'odyssey-liver'}, with label maps or labelsTr in it"
        )
    return kept


def _label_maps(folder: Path) -> dict[str, Path]:
    places = [folder / "labelsTr", folder / "labelsTs"] if (folder / "labelsTr").is_dir() else [folder]
    found: dict[str, Path] = {}
    for path in (path for place in places if place.is_dir() for path in sorted(place.iterdir()) if is_image(path)):
        other = found.setdefault(stem(path), path)
        if other is not path:
            raise ValueError(f"{path}: case {stem(path)!r} occurs twice, as {other}, too; remove one")
    return found


def _by_template(places: Iterable[str], layout: str, true: Mapping[str, object]) -> dict[str, Place]:
    """Read paths by a template; the end of the path must fit it whole."""
    keys = {key_of(name) for name in true}
    # Underscores separate names and occur in names: of a longer and a shorter name the first known one is taken.
    patterns = _pattern(layout, "+"), _pattern(layout, "+?")
    read = {}
    for where in places:
        bare = str(PurePosixPath(where).with_name(stem(Path(where))))
        fits = [match.groupdict() for pattern in patterns if (match := pattern.search(bare))]
        if not fits:
            raise ValueError(f"{where}: does not fit the layout {layout!r}; correct the layout or move the file")
        parts = next((fit for fit in fits if key_of(fit["dataset"]) in keys), fits[0])
        read[where] = Place(_loss(parts["loss"]), parts["dataset"], int(parts.get("fold") or 0), parts["case"])
    return read


def _pattern(layout: str, most: str) -> re.Pattern[str]:
    """Return the expression of a layout; `most` makes the name of a data set as long or as short as possible.

    Raises:
        ValueError: it lacks a part that is needed, names an unknown one, or one twice.
    """
    parts = re.split(r"(\{\w*\}|\*)", layout.removesuffix(".nii.gz"))
    names = [part[1:-1] for part in parts if part.startswith("{")]
    if sorted(set(names)) != sorted(names) or not {"dataset", "loss", "case"} <= set(names) <= set(FIELDS):
        raise ValueError(
            f"layout {layout!r}: expected each of {{dataset}}, {{loss}} and {{case}} once, and {{fold}} at most once"
        )
    return re.compile(f"(?:^|/){''.join(_expression(part, most) for part in parts)}$")


def _expression(part: str, most: str) -> str:
    if part == "*":
        return "[^/]*"
    if not part.startswith("{"):
        return re.escape(part)
    name = part[1:-1]
    return f"(?P<{name}>{FIELDS[name]}{most if name == 'dataset' else ''})"


def _by_folders(places: Iterable[str], true: Mapping[str, object]) -> dict[str, Place]:
    """Read paths by the names of their folders: one is a data set, a fold says so, one of the others is the loss."""
    keys = {key_of(name) for name in true}
    left = {where: _folders(where, keys) for where in places}
    # Folders that all paths share say nothing, such as the name of the archive.
    counts = Counter(folder for _, others, _ in left.values() for folder in set(others))
    shared = {folder for folder, count in counts.items() if count == len(left)}
    read = {}
    for where, (dataset, others, fold) in left.items():
        losses = [folder for folder in others if folder not in shared] or _inner(where, others)
        if not dataset or len(losses) != 1:
            seen = "no folder" if not dataset else f"{len(losses)} folders ({', '.join(losses) or 'none'})"
            what = f"has the name of a data set ({', '.join(true)})" if not dataset else "can be the loss, expected one"
            raise ValueError(
                f"{where}: {seen} of its path {what}; expected {DEFAULT}, or say it with --layout "
                "'{dataset}_{loss}/{case}'"
            )
        read[where] = Place(_loss(losses[0]), dataset, fold, stem(Path(where)))
    return read


def _folders(where: str, keys: set[str]) -> tuple[str, list[str], int]:
    """Return the folder that is a data set, those that may be the loss, and the fold."""
    folders = list(dict.fromkeys(ARCHIVE.sub("", part) for part in PurePosixPath(where).parent.parts))
    fold = next((int(match[1]) for folder in folders if (match := FOLD.fullmatch(folder))), 0)
    rest = [folder for folder in folders if not FOLD.fullmatch(folder) and not PLAIN_FOLDERS.fullmatch(folder)]
    # The innermost one counts: an outer folder may be the name of the whole study.
    dataset = next((folder for folder in reversed(rest) if key_of(folder) in keys), "")
    return dataset, [folder for folder in rest if key_of(folder) != key_of(dataset)], fold


def _inner(where: str, folders: list[str]) -> list[str]:
    """Return the folders without the first one of the path, which is the study's; that one where there is no other."""
    first = ARCHIVE.sub("", PurePosixPath(where).parts[0])
    return [folder for folder in folders if folder != first] or folders


def key_of(name: str) -> str:
    """Return a data set's name as names are compared: without numbers of tasks, capitals and signs, one spelling."""
    text = re.sub(r"^(task|dataset)\d+_?", "", name.lower())
    return re.sub(r"[^a-z0-9]", "", text).replace("tumour", "tumor").removeprefix("odyssey")


def _loss(folder: str) -> str:
    """Return the loss that a folder is named after, also one that nnU-Net named by its trainer."""
    return TRAINER.sub("", folder.partition("__")[0]) or "nnUNetTrainer"


def _known(name: str, true: Mapping[str, object], where: str) -> str:
    found = [known for known in true if key_of(known) == key_of(name)]
    if len(found) != 1:
        expected = " and ".join(found) if found else ", ".join(true)
        raise ValueError(
            f"{where}: data set {name!r} is {'two' if found else 'none'} of the folders of truths: {expected}"
        )
    return found[0]


def _paired(by_set: Mapping[tuple[str, str, int], dict[str, Path]], true: Mapping[str, dict[str, Path]]) -> Sets:
    sets, notes = [], []
    for dataset in dict.fromkeys(key[0] for key in sorted(by_set)):
        own = {key: cases for key, cases in sorted(by_set.items()) if key[0] == dataset}
        predicted = sorted({case for cases in own.values() for case in cases})
        known = [case for case in predicted if case in true[dataset]]
        if not known:
            raise ValueError(
                f"{dataset}: no prediction has a truth of its name: predictions are {_few(predicted)}, truths are "
                f"{_few(true[dataset])}; rename the truths as the predictions"
            )
        notes += _left_out(dataset, predicted, true[dataset])
        sets += [_set(key, cases, known, own, true[dataset]) for key, cases in own.items()]
    return Sets(tuple(sets), tuple(notes))


def _set(
    key: tuple[str, str, int],
    cases: Mapping[str, Path],
    known: Sequence[str],
    own: Mapping[tuple[str, str, int], Mapping[str, Path]],
    true: Mapping[str, Path],
) -> PredictionSet:
    """Pair the cases of a set; with folds only those that any loss predicts in this fold."""
    dataset, loss, fold = key
    expected = [case for case in known if any(case in found for other, found in own.items() if other[2] == fold)]
    pairs = tuple(FilePair(case, cases.get(case), true[case]) for case in expected)
    return PredictionSet(loss, dataset, fold, next(iter(true.values())).parent, pairs)


def _left_out(dataset: str, predicted: Sequence[str], true: Mapping[str, Path]) -> list[str]:
    without = [case for case in predicted if case not in true]
    unasked = [case for case in true if case not in set(predicted)]
    notes = []
    if without:
        notes.append(f"{dataset}: predicted cases without a truth, which have no rows, {len(without)}: {_few(without)}")
    if unasked:
        notes.append(f"{dataset}: truths that no loss predicts, which have no rows, {len(unasked)}: {_few(unasked)}")
    return notes


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")

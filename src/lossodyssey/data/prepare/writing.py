"""From sources to a data set on disk: unpacked, found, written, divided, read back and listed, all or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossodyssey.data.divisions import GIVEN
from lossodyssey.data.layouts import read_dataset
from lossodyssey.data.places import drafts, making
from lossodyssey.data.prepare.checking import check_cases, check_ratios
from lossodyssey.data.prepare.division import divided, given_folds, published_folds, redivided
from lossodyssey.data.prepare.facts import Written, write_facts, write_json, write_manifest
from lossodyssey.data.prepare.placing import place_images, place_labels
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe
from lossodyssey.data.prepare.sources import Progress, Tree, open_sources

FORMS = ("msd", "nnunet")
PUBLISHED = "published_folds.json"


@dataclass(frozen=True)
class Prepared:
    """A data set that was written, how many cases it has, and what the user should know of it."""

    folder: Path
    training: int
    test: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Where a data set is written, in which layout, and the names of the cases that are held out from training."""

    root: Path
    form: str
    held: frozenset[str]


def prepare(
    recipe: Recipe,
    sources: Sequence[Path],
    parent: Path,
    form: str = "msd",
    split: str = "",
    progress: Progress | None = None,
) -> Prepared:
    """Make a data set of archives or folders as they were distributed.

    Args:
        recipe: what is known of the archive.
        sources: archives, folders, or both.
        parent: the folder of data sets; the set gets a folder in it.
        form: "msd" or "nnunet", the layout to write.
        split: the name of a published division; empty for the one of the archive itself.
        progress: told of the phase, what is done of it and what there is to do.

    Raises:
        FileExistsError: there is such a folder already.
        ValueError: the sources are not those of this data set, an archive is refused, or a file is damaged.
        OSError: the disk is full.
    """
    if form not in FORMS:
        raise ValueError(f"form {form!r}; expected one of {', '.join(FORMS)}")
    folder = parent / recipe.folder(form)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it, or choose another folder with -o")
    left = tuple(
        f"{path} was left by a process that was killed, unless one works there now; remove it"
        for path in drafts(parent)
    )
    with making(folder) as draft:
        scratch = draft.parent / "unpacked"
        tree = open_sources(sources, scratch, recipe.needs, progress or _silent)
        finding = checked(recipe, recipe.find(tree), tree)
        finding = redivided(recipe, finding, split) if split else finding
        written = _write(recipe, tree, finding, draft, form, progress or _silent)
    return replace(written, folder=folder, notes=(*left, *written.notes))


def _silent(phase: str, done: int, total: int) -> None:
    pass


def checked(recipe: Recipe, finding: Finding, tree: Tree) -> Finding:
    """Return the finding with a note where it has another number of cases than the archive.

    Raises:
        ValueError: there is no case, or two share their name.
    """
    if not finding.cases:
        left = f" ({'; '.join(finding.notes)})" if finding.notes else ""
        raise ValueError(
            f"no case of {recipe.name} in the sources{left}; looked for {recipe.layout}; found {tree.top()}; "
            f"the archive comes from {recipe.origin}"
        )
    names = Counter(found.name for found in finding.cases)
    if len(names) < len(finding.cases):
        raise ValueError(f"case {names.most_common(1)[0][0]!r} is in the sources twice; give each archive once")
    _check_once(finding, tree)
    if recipe.cases and len(names) != recipe.cases:
        note = f"{len(names)} cases, the whole of {recipe.name} has {recipe.cases}: is an archive missing?"
        return replace(finding, notes=(*finding.notes, note))
    return finding


def _check_once(finding: Finding, tree: Tree) -> None:
    """Check that no label file has a copy elsewhere in the sources: it is unknown which of the two was meant.

    Raises:
        ValueError: a label file has a copy.
    """
    origins = {path: where for where, path in tree.files.items()}
    known = Counter(_tail(where) for where in tree.files)
    for found in finding.cases:
        where = origins.get(found.labels[0])
        if where is not None and known[_tail(where)] > 1:
            twins = [other for other in tree.files if _tail(other) == _tail(where)]
            raise ValueError(f"{twins[0]} is in the sources twice, also as {twins[1]}; give each archive once")


def _tail(where: str) -> str:
    return "/".join(where.lower().split("/")[-3:])


def _write(recipe: Recipe, tree: Tree, finding: Finding, root: Path, form: str, progress: Progress) -> Prepared:
    """Write a data set to `root`."""
    training, test, how = divided(finding.cases)
    held = {found.name for found in test} if form == "nnunet" else set()
    written, mended = _place_all(recipe, tree, finding.cases, Target(root, form, frozenset(held)), progress)
    write_facts(recipe, written, root, form)
    dataset = read_dataset(root)
    if parts := given_folds(dataset, training, test, form):
        write_json(root / GIVEN, parts)
    if finding.folds and form == "msd":
        write_json(root / PUBLISHED, published_folds(finding))

    origins = {case.found.name: case.source for case in written}
    cases = [case.case(root) for case in written]
    voxels, odd = check_cases(dataset, cases, origins, lambda done, total: progress("checking cases", done, total))
    notes = (*recipe.traps, *finding.notes, *mended, *odd, *check_ratios(recipe, dataset, voxels), how)
    write_manifest(recipe, tree, written, root, {"notes": notes, "voxels": voxels}, progress)
    return Prepared(root, len(training), len(test), notes)


def _place_all(
    recipe: Recipe, tree: Tree, cases: Sequence[Found], target: Target, progress: Progress
) -> tuple[list[Written], list[str]]:
    """Write the files of all cases; return them with what was corrected."""
    origins = {path: where for where, path in tree.files.items()}
    written, notes = [], []
    for done, found in enumerate(cases, 1):
        source = origins.get(found.labels[0], found.labels[0].name)
        case, note = _place(recipe, tree, found, target, source)
        written.append(case)
        notes += [f"case {found.name}: {note}"] if note else []
        progress("writing cases", done, len(cases))
    return written, notes


def _place(recipe: Recipe, tree: Tree, found: Found, target: Target, source: str) -> tuple[Written, str]:
    part, root = ("Ts" if found.name in target.held else "Tr"), target.root
    images, label = root / f"images{part}", found.name + recipe.ending
    try:
        names = place_images(recipe, tree, found, images, split=target.form == "nnunet")
        note = place_labels(recipe, tree, found, root / f"labels{part}" / label, images / names[0])
    except ValueError as error:
        # Both folders have temporary names, and vanish.
        raise ValueError(str(error).replace(f"{tree.unpacked}/", "").replace(f"{root}/", "")) from None
    return Written(found, tuple(names), label, part, source), note

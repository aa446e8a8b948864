"""The four tasks of the published comparison of losses (Ma et al. 2021), made of public sets, with its folds.

The published folds are nnU-Net's own rule over the names of all cases. Those names are `train_0` and so on, so which
scan each of them is was inferred: LiTS and the Decathlon by their numbers, what follows them in the order of its names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy

from lossodyssey.data.grids import Grid
from lossodyssey.data.prepare import lits, multiorgan, tcia
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe
from lossodyssey.data.prepare.sources import Match, Tree

FOLDS = 5
SEED = 12345  # nnU-Net's
GUESSED = "which scan is which published case was inferred from the numbers, as the source does not say it"
FIRST = "the first of the five published folds is held out, as the published protocol trains on one division"
NIH = 421  # number of the last scan of Task07; those of NIH come after it
LITS, VESSELS = 131, 303
TASK07 = 281


def folds_of(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the cases scored in each fold: nnU-Net's shuffled fifths of the sorted names."""
    ordered = sorted(names)
    places = numpy.arange(len(ordered))
    numpy.random.RandomState(SEED).shuffle(places)
    return tuple(tuple(ordered[place] for place in sorted(part)) for part in numpy.array_split(places, FOLDS))


def divided(cases: Sequence[Found], every: Sequence[str], notes: tuple[str, ...]) -> Finding:
    """Return the cases with the published folds, the first of which is the test part."""
    folds = folds_of(every)
    parted = [replace(found, part="test" if found.name in folds[0] else "training") for found in cases]
    return Finding(parted, (*notes, GUESSED, FIRST), folds)


def named(cases: Sequence[Found], prefix: str, numbers: Mapping[str, int], width: int = 0) -> list[Found]:
    """Return the cases with their published names: a word and a number."""
    return [replace(found, name=f"{prefix}_{numbers[found.name]:0{width}d}") for found in cases]


def _livers(tree: Tree, relabel: Mapping[int, int]) -> tuple[list[Found], tuple[str, ...]]:
    """Find the scans of LiTS, else the same of the Decathlon's Task03; the names are their numbers."""
    finding = lits.find(tree, relabel)
    if finding.cases:
        return [replace(found, name=str(int(found.name[5:]))) for found in finding.cases], finding.notes
    images, labels = _task(tree, "liver")
    both = [number for number in images if number in labels]
    return [
        Found(str(int(number)), (images[number].path,), (labels[number].path,), source="Task03", relabel=relabel)
        for number in both
    ], ()


def _task(tree: Tree, prefix: str) -> tuple[dict[str, Match], dict[str, Match]]:
    """Return images and labels of a task of the Decathlon by the numbers in their names."""
    images = tree.index(rf"imagesTr/{prefix}_(\d+)\.nii(?:\.gz)?")
    return images, tree.index(rf"labelsTr/{prefix}_(\d+)\.nii(?:\.gz)?")


def _of_task(tree: Tree, prefix: str, source: str, relabel: Mapping[int, int]) -> list[Found]:
    images, labels = _task(tree, prefix)
    return [
        Found(number, (images[number].path,), (labels[number].path,), source=source, relabel=relabel)
        for number in images
        if number in labels
    ]


def find_liver(tree: Tree) -> Finding:
    """Find the 131 scans of LiTS: `train_0` to `train_130`."""
    cases, notes = _livers(tree, lits.LIVER)
    numbers = {found.name: int(found.name) for found in cases}
    return divided(named(cases, "train", numbers), [f"train_{n}" for n in range(LITS)], notes)


def find_liver_tumour(tree: Tree) -> Finding:
    """Find the scans of LiTS and, after them, those of the Decathlon's Task08: `train_0` to `train_433`."""
    livers, notes = _livers(tree, lits.TUMOUR)
    vessels = _of_task(tree, "hepaticvessel", "Task08", lits.TUMOUR)
    _check("Task08_HepaticVessel", len(vessels), VESSELS)
    first = named(livers, "train", {found.name: int(found.name) for found in livers})
    second = named(vessels, "train", {found.name: LITS + place for place, found in enumerate(vessels)})
    return divided([*first, *second], [f"train_{n}" for n in range(LITS + VESSELS)], notes)


def find_pancreas(tree: Tree) -> Finding:
    """Find the scans of the Decathlon's Task07 under their numbers and, from 422 on, those of NIH."""
    masses = _of_task(tree, "pancreas", "Task07", lits.LIVER)
    _check("Task07_Pancreas", len(masses), TASK07)
    own = tcia.find(tree)
    first = named(masses, "pancreas", {found.name: int(found.name) for found in masses}, 3)
    second = named(own.cases, "pancreas", {found.name: NIH + int(found.name[-4:]) for found in own.cases}, 3)
    every = [found.name for found in first] + [f"pancreas_{NIH + number}" for number in range(1, 83)]
    merged = "masses of Task07 are labelled as pancreas"
    return divided([*first, *second], every, (*own.notes, merged))


def find_multi_organ(tree: Tree) -> Finding:
    """Find the 90 scans: `multiorgan_1` to `multiorgan_90`, those of NIH before those of BTCV."""
    finding = multiorgan.find(tree)
    order = [f"{source}_{number}" for source in ("tcia", "btcv") for number in multiorgan.labels_of(tree, source)]
    _check("the labels of Gibson et al.", len(order), multiorgan.GIBSON.cases)
    places = {name: place for place, name in enumerate(order, 1)}
    every = [f"multiorgan_{place}" for place in places.values()]
    return divided(named(finding.cases, "multiorgan", places), every, finding.notes)


def _check(what: str, count: int, expected: int) -> None:
    """Check that a source is whole, since the published names number its cases.

    Raises:
        ValueError: it is not.
    """
    if count != expected:
        raise ValueError(
            f"{what}: {count} cases, expected all {expected}; the published folds number them: give it whole"
        )


def _is_ct_series(found: Found) -> bool:
    return found.source.startswith("NIH")


def pancreas_images(found: Found) -> Sequence[Grid]:
    """Return the image of a scan of NIH; those of the Decathlon are copied."""
    return tcia.images(found) if _is_ct_series(found) else []


def pancreas_labels(found: Found) -> Grid | None:
    """Return the labels of a scan of NIH on the grid of its image; those of the Decathlon need no turning."""
    return tcia.labels(found) if _is_ct_series(found) else None


LIVER = Recipe(
    name="odyssey-liver",
    number=501,
    description="Liver with its tumours in CT: LiTS, in the published comparison of losses",
    origin="LiTS: https://competitions.codalab.org/competitions/17094, or Task03_Liver: http://medicaldecathlon.com",
    layout="volume-0.nii and segmentation-0.nii of LiTS, or imagesTr/liver_0.nii.gz and labelsTr/liver_0.nii.gz",
    needs=(*lits.NEEDS, r"(?:images|labels)Tr/liver_\d+\.nii(?:\.gz)?"),
    find=find_liver,
    classes=("liver",),
    channels=("CT",),
    cases=131,
    same_grid=True,
    ratios=(42, 42),
    flip_axes=(0, 1, 2),
    licence="of its sources",
    reference="Ma et al. 2021, Medical Image Analysis 71:102035",
    traps=lits.LITS.traps,
)

RECIPES = (
    LIVER,
    replace(
        LIVER,
        name="odyssey-liver-tumour",
        number=502,
        description="Tumours of the liver in CT: LiTS and Task08, in the published comparison of losses",
        origin=f"{LIVER.origin}; Task08_HepaticVessel: http://medicaldecathlon.com",
        layout=f"{LIVER.layout}; imagesTr/hepaticvessel_001.nii.gz and labelsTr/hepaticvessel_001.nii.gz",
        needs=(*LIVER.needs, r"(?:images|labels)Tr/hepaticvessel_\d+\.nii(?:\.gz)?"),
        find=find_liver_tumour,
        classes=("tumour",),
        cases=434,
        ratios=(576, 576),
    ),
    replace(
        LIVER,
        name="odyssey-pancreas",
        number=503,
        description="Pancreas in CT: NIH Pancreas-CT and Task07, in the published comparison of losses",
        origin="https://www.cancerimagingarchive.net/collection/pancreas-ct/ and http://medicaldecathlon.com (Task07)",
        layout="Pancreas-CT/PANCREAS_0001/.../*.dcm, TCIA_pancreas_labels-02-05-2017/label0001.nii.gz, "
        "imagesTr/pancreas_001.nii.gz and labelsTr/pancreas_001.nii.gz",
        needs=(*tcia.IMAGES, tcia.LABELS, r"(?:images|labels)Tr/pancreas_\d+\.nii(?:\.gz)?"),
        find=find_pancreas,
        classes=("pancreas",),
        cases=363,
        read_images=pancreas_images,
        read_labels=pancreas_labels,
        same_grid=False,
        ratios=(503, 503),
        traps=tcia.RECIPES[0].traps,
    ),
    replace(
        multiorgan.GIBSON,
        name="odyssey-multi-organ",
        number=504,
        description="Eight abdominal organs in CT, in the published comparison of losses",
        find=find_multi_organ,
        reference="Ma et al. 2021, Medical Image Analysis 71:102035",
        aliases=(),
    ),
)

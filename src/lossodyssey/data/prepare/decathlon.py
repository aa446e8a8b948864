"""The ten tasks of the Medical Segmentation Decathlon: `Task04_Hippocampus.tar` and so on."""

from __future__ import annotations

from functools import partial

from lossodyssey.data.catalogue import BY_NAME, DECATHLON
from lossodyssey.data.dataset_json import read_names, read_object
from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree


def find(tree: Tree, task: str, prefix: str, classes: tuple[str, ...]) -> Finding:
    """Find the training cases of a task by the first part of its file names, which no other task has."""
    images = tree.index(rf"imagesTr/({prefix}_\d+)\.nii(?:\.gz)?")
    labels = tree.paths(rf"labelsTr/({prefix}_\d+)\.nii(?:\.gz)?")
    names, notes = paired({name: match.path for name, match in images.items()}, labels)
    if names:
        notes += _check_classes(tree, images[names[0]].where.split("imagesTr/")[0], classes)
    test = tree.count(rf"imagesTs/{prefix}_\d+\.nii(?:\.gz)?")
    if test:
        notes += (f"{test} test images were left out: their labels were never published",)
    return Finding([Found(n, (images[n].path,), (labels[n],), source=task) for n in names], notes)


def _check_classes(tree: Tree, folder: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note where the archive's own dataset.json has other names of classes.

    Raises:
        ValueError: it has another number of them.
    """
    file = tree.files.get(f"{folder}dataset.json")
    if file is None:
        return ()
    names = tuple(read_names(read_object(file), file).values())[1:]
    if len(names) != len(classes):
        raise ValueError(f"{folder}dataset.json: classes {', '.join(names)}; expected {', '.join(classes)}")
    if names != classes:
        return (f"the archive names its classes {', '.join(names)}; taken for {', '.join(classes)}",)
    return ()


def task(name: str, prefix: str, channels: str, cases: int) -> Recipe:
    """Make the recipe of a task; what the catalogue knows of it is taken from there."""
    entry = BY_NAME[name]
    files = rf"{prefix}_\d+\.nii(?:\.gz)?"
    return Recipe(
        name=name,
        number=int(name[4:6]),
        description=entry.description,
        origin=entry.source,
        layout=f"imagesTr/{prefix}_001.nii.gz and labelsTr/{prefix}_001.nii.gz",
        needs=(rf"imagesTr/{files}", rf"labelsTr/{files}", r"[^/]*/?dataset\.json"),
        find=partial(find, task=name, prefix=prefix, classes=entry.classes),
        classes=entry.classes,
        channels=tuple(channels.split(", ")),
        cases=cases,
        flip_axes=entry.flip_axes,
        licence=entry.licence,
        reference=DECATHLON,
        aliases=(name.split("_")[0], f"MSD {name.split('_')[1]}"),
    )


RECIPES = (
    task("Task01_BrainTumour", "BRATS", "FLAIR, T1w, t1gd, T2w", 484),
    task("Task02_Heart", "la", "MRI", 20),
    task("Task03_Liver", "liver", "CT", 131),
    task("Task04_Hippocampus", "hippocampus", "MRI", 260),
    task("Task05_Prostate", "prostate", "T2, ADC", 32),
    task("Task06_Lung", "lung", "CT", 63),
    task("Task07_Pancreas", "pancreas", "CT", 281),
    task("Task08_HepaticVessel", "hepaticvessel", "CT", 303),
    task("Task09_Spleen", "spleen", "CT", 41),
    task("Task10_Colon", "colon", "CT", 126),
)

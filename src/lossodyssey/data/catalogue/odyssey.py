"""The four tasks of the Loss Odyssey paper, and the segmentations that were released with it."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.abdomen import MULTI_ORGAN, NIH, ONE_KIDNEY, ONE_PATIENT, ORGANS, SAME_SIDES
from lossodyssey.data.catalogue.entry import ALL_AXES, Entry

PAPER = "Ma et al. 2021, Medical Image Analysis 71:102035"
CODE = "https://github.com/JunMa11/SegLossOdyssey"
FOLDS = "The published five folds hold out every case once, 80 % to 20 %, under names such as train_0."
LITS = "https://competitions.codalab.org/competitions/17094"
MSD = "http://medicaldecathlon.com"


def paper_task(name: str, description: str, classes: tuple[str, ...], cases: str, imbalance: str) -> Entry:
    """Make the entry of a task of the paper; its composition is added by the caller."""
    return Entry(
        name=name,
        description=description,
        dims=3,
        classes=classes,
        licence="that of its sources",
        reference=PAPER,
        flip_axes=ALL_AXES,
        modality="CT",
        cases=cases,
        imbalance=f"{imbalance} (Loss Odyssey, Table 1)",
        terms="those of its sources",
        flips=SAME_SIDES,
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice; the paper's value was not looked up",
        grouping=ONE_PATIENT,
        aliases=(name.replace("tumour", "tumor"),) if "tumour" in name else (),
        recipes=(name,),
        unchecked=("tolerance", "grouping"),
    )


ODYSSEY: tuple[Entry, ...] = (
    replace(
        paper_task("odyssey-liver", "Liver with its tumours in CT", ("liver",), "131", "42:1"),
        source=LITS,
        layout="LiTS, both training batches",
        traps=("The same scans as Task03_Liver and LiTS.", FOLDS),
    ),
    replace(
        paper_task("odyssey-liver-tumour", "Tumours of the liver in CT", ("tumour",), "434: 131 and 303", "576:1"),
        source=f"{LITS} and {MSD}",
        layout="LiTS, both training batches, and Task08_HepaticVessel.tar",
        traps=("Patients without a tumour have an empty label: DSC is undefined there.", FOLDS),
    ),
    replace(
        paper_task("odyssey-pancreas", "Pancreas with its masses in CT", ("pancreas",), "363: 281 and 82", "503:1"),
        source=f"{MSD} and {NIH}",
        layout="Task07_Pancreas.tar and Pancreas-CT with its labels",
        traps=(
            "The published cases are pancreas_001 to pancreas_421 as in the Decathlon, and pancreas_422 to "
            "pancreas_503, 82 of them, most likely Pancreas-CT; the order of the latter was not published.",
            FOLDS,
        ),
    ),
    replace(
        paper_task("odyssey-multi-organ", "Eight abdominal organs in CT", ORGANS, "90", "30:1 to 1243:1 by organ"),
        source=MULTI_ORGAN,
        layout="as MultiOrgan_Gibson",
        flip_axes=(),
        flips=ONE_KIDNEY,
        traps=("The published cases are multiorgan_1 to multiorgan_90; their order was not published.", FOLDS),
        aliases=("odyssey-multiorgan",),
        unchecked=("tolerance", "grouping", "classes"),
    ),
)


def release(name: str, description: str, record: str, cases: str, aliases: tuple[str, ...]) -> Entry:
    """Make the entry of an archive of released segmentations."""
    return Entry(
        name=name,
        description=description,
        dims=3,
        classes=("liver", "tumour", "pancreas", *(organ for organ in ORGANS if organ not in ("liver", "pancreas"))),
        licence="not stated in the code's repository; see the record",
        reference=PAPER,
        source=f"https://zenodo.org/record/{record}",
        kind="predictions",
        modality="predicted label maps, no images",
        cases=cases,
        terms="see the record",
        layout="<task>/<loss>/<case>.nii.gz   (assumed; see traps)",
        flips="does not apply: nothing is trained on it",
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice; the paper's value was not looked up",
        grouping="the cases of a task, with each loss",
        traps=(
            "The layout inside the archive is not documented: a folder for a task and one for a loss, in either order, "
            "is what is read; folds below them are joined.",
            "Labels are taken for those of the four tasks: 1, and 1 to 8 in the order of classes for the organs.",
            "It holds no truths: they are the labels of the four tasks, under the names of the published folds.",
        ),
        aliases=aliases,
        unchecked=("licence", "layout", "cases", "tolerance"),
    )


RELEASED: tuple[Entry, ...] = (
    release(
        "odyssey-segmentations",
        "Released segmentations of the published benchmark: 20 losses, four tasks",
        "4624843",
        "20 losses; 131, 434, 363 and 90 cases at most",
        ("SegLoss segmentations", "odyssey-segmentations-v1"),
    ),
    release(
        "odyssey-segmentations-v2",
        "Released segmentations of the same benchmark with nnU-Net's trainer V2: 6 losses, three tasks",
        "4738480",
        "6 losses; 434, 363 and 90 cases at most",
        ("SegLoss segmentations V2",),
    ),
)

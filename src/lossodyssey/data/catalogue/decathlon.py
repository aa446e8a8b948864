"""The ten tasks of the Medical Segmentation Decathlon (MSD), with a direct download."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.entry import ALL_AXES, Entry

MIRROR = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
DECATHLON = "Antonelli et al. 2022, Nature Communications 13:4128"
GENERAL = "The archive holds hidden files `._*` of macOS, which are not images."


def task(
    name: str, description: str, classes: str, md5: str, flip_axes: tuple[int, ...], cases: str, tolerance: float
) -> Entry:
    """Make the entry of a task of the Medical Segmentation Decathlon, served by its mirror on AWS."""
    return Entry(
        name=name,
        description=description,
        dims=3,
        classes=tuple(classes.split(", ")),
        # Of all ten tasks (Antonelli et al. 2022).
        licence="CC BY-SA 4.0",
        reference=DECATHLON,
        source="http://medicaldecathlon.com",
        archive=f"{MIRROR}/{name}.tar",
        md5=md5,
        flip_axes=flip_axes,
        modality="MR" if " MR" in description else "CT",
        cases=cases,
        terms="credit, share alike",
        layout=f"{name}.tar\n  {name}/\n    imagesTr/  labelsTr/  imagesTs/ (no labels)  dataset.json",
        flips="all axes: no class is told from another by its side" if flip_axes == ALL_AXES else "see traps",
        tolerance=tolerance,
        tolerance_reason="the challenge's own for this task",
        grouping="every case is a patient of its own",
        traps=(GENERAL,),
        aliases=(name.partition("_")[0], f"MSD {name}", f"MSD {name.partition('_')[2]}"),
        recipes=(name,),
        unchecked=("cases", "tolerance", "grouping"),
    )


def noting(entry: Entry, *traps: str, **facts: str) -> Entry:
    """Return the entry with what is special about its task."""
    return replace(entry, traps=(*traps, *entry.traps), **facts)  # type: ignore[arg-type]


TASKS: tuple[Entry, ...] = (
    noting(
        task(
            "Task01_BrainTumour",
            "Gliomas in FLAIR, T1, contrast-enhanced T1 and T2 MR",
            "edema, non-enhancing tumour, enhancing tumour",
            "240a19d752f0d9e9101544901065d872",
            ALL_AXES,
            "484 training, 266 test",
            5.0,
        ),
        "A subset of BraTS 2016 and 2017 with other numbers of the classes; never mix it with BraTS.",
        "One file holds four channels in a fourth axis.",
    ),
    task(
        "Task02_Heart",
        "Left atrium in MR",
        "left atrium",
        "06ee59366e1e5124267b774dbd654057",
        ALL_AXES,
        "20 training, 10 test",
        4.0,
    ),
    noting(
        task(
            "Task03_Liver",
            "Liver and its tumours in CT",
            "liver, cancer",
            "a90ec6c4aa7f6a3d087205e23d4e6397",
            ALL_AXES,
            "131 training, 70 test",
            7.0,
        ),
        "The same scans as LiTS: never train on one and test on the other.",
    ),
    # Anterior and posterior are told apart along axis 1; left and right hippocampi both occur.
    noting(
        task(
            "Task04_Hippocampus",
            "Hippocampus head and body in cropped T1 MR",
            "Anterior, Posterior",
            "9d24dba78a72977dbd1d2e110310f31b",
            (0,),
            "260 training, 130 test",
            1.0,
        ),
        "Intensities differ by four orders of magnitude between cases (maximum 112 to 1.7 million): scale each case.",
        "Anterior and posterior are told apart along axis 1, so only axis 0 may be mirrored.",
        imbalance="18.1:1 (measured on 260 cases)",
    ),
    # The peripheral zone lies behind the transition zone, so only left and right may be exchanged.
    noting(
        task(
            "Task05_Prostate",
            "Prostate zones in T2 and ADC MR",
            "PZ, TZ",
            "35138f08b1efaef89d7424d2bcc928db",
            (0,),
            "32 training, 16 test",
            4.0,
        ),
        "The peripheral zone lies behind the transition zone, so only axis 0 may be mirrored.",
        "One file holds two channels in a fourth axis; slices are thick.",
    ),
    task(
        "Task06_Lung",
        "Lung tumours in CT",
        "cancer",
        "8afd997733c7fc0432f71255ba4e52dc",
        ALL_AXES,
        "63 training, 32 test",
        2.0,
    ),
    noting(
        task(
            "Task07_Pancreas",
            "Pancreas and its masses in CT",
            "pancreas, cancer",
            "4f7080cfca169fa8066d17ce6eb061e4",
            ALL_AXES,
            "281 training, 139 test",
            5.0,
        ),
        "Part of odyssey-pancreas, where the mass counts as pancreas.",
    ),
    noting(
        task(
            "Task08_HepaticVessel",
            "Liver vessels and tumours in CT",
            "Vessel, Tumour",
            "641d79e80ec66453921d997fbf12a29c",
            ALL_AXES,
            "303 training, 140 test",
            3.0,
        ),
        "Part of odyssey-liver-tumour, where the vessels count as background.",
    ),
    task(
        "Task09_Spleen",
        "Spleen in CT",
        "spleen",
        "410d4a301da4e5b2f6f86ec3ddba524e",
        ALL_AXES,
        "41 training, 20 test",
        3.0,
    ),
    task(
        "Task10_Colon",
        "Colon cancer in CT",
        "colon cancer primaries",
        "bad7a188931dc2f6acf72b08eb6202d0",
        ALL_AXES,
        "126 training, 64 test",
        4.0,
    ),
)

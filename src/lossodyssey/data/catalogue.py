"""Known data sets: their contents, licences and sources."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

MIRROR = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
DECATHLON = "Antonelli et al. 2022, Nature Communications 13:4128"
ALL_AXES = (0, 1, 2)


@dataclass(frozen=True)
class Entry:
    """Facts about one data set that its `dataset.json` need not tell.

    `flip_axes` are the array axes along which mirroring keeps the meaning of the labels; `None` leaves it to
    the reader's default. `group` is a pattern whose first bracket in a case's name is the patient.
    `archive` is a tar file in the MSD layout with `md5` as its checksum; sets without one are fetched by hand
    from `source` (empty for sets that are made here).
    """

    name: str
    description: str
    dims: int
    classes: tuple[str, ...]
    licence: str
    reference: str
    source: str = ""
    archive: str = ""
    md5: str = ""
    flip_axes: tuple[int, ...] | None = None
    group: str = ""


def decathlon(name: str, description: str, classes: str, md5: str, flip_axes: tuple[int, ...]) -> Entry:
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
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="phantom",
        description="Synthetic abdominal CT, generated on first use",
        dims=3,
        classes=("liver", "spleen", "kidney", "tumour"),
        licence="CC0 1.0",
        reference="LossOdyssey, lossodyssey.data.phantom",
        flip_axes=(),
    ),
    decathlon(
        "Task01_BrainTumour",
        "Gliomas in FLAIR, T1, contrast-enhanced T1 and T2 MR",
        "edema, non-enhancing tumour, enhancing tumour",
        "240a19d752f0d9e9101544901065d872",
        ALL_AXES,
    ),
    decathlon("Task02_Heart", "Left atrium in MR", "left atrium", "06ee59366e1e5124267b774dbd654057", ALL_AXES),
    decathlon(
        "Task03_Liver", "Liver and its tumours in CT", "liver, cancer", "a90ec6c4aa7f6a3d087205e23d4e6397", ALL_AXES
    ),
    # Anterior and posterior are told apart along axis 1; left and right hippocampi both occur.
    decathlon(
        "Task04_Hippocampus",
        "Hippocampus head and body in cropped T1 MR",
        "Anterior, Posterior",
        "9d24dba78a72977dbd1d2e110310f31b",
        (0,),
    ),
    # The peripheral zone lies behind the transition zone, so only left and right may be exchanged.
    decathlon("Task05_Prostate", "Prostate zones in T2 and ADC MR", "PZ, TZ", "35138f08b1efaef89d7424d2bcc928db", (0,)),
    decathlon("Task06_Lung", "Lung tumours in CT", "cancer", "8afd997733c7fc0432f71255ba4e52dc", ALL_AXES),
    decathlon(
        "Task07_Pancreas",
        "Pancreas and its masses in CT",
        "pancreas, cancer",
        "4f7080cfca169fa8066d17ce6eb061e4",
        ALL_AXES,
    ),
    decathlon(
        "Task08_HepaticVessel",
        "Liver vessels and tumours in CT",
        "Vessel, Tumour",
        "641d79e80ec66453921d997fbf12a29c",
        ALL_AXES,
    ),
    decathlon("Task09_Spleen", "Spleen in CT", "spleen", "410d4a301da4e5b2f6f86ec3ddba524e", ALL_AXES),
    decathlon(
        "Task10_Colon", "Colon cancer in CT", "colon cancer primaries", "bad7a188931dc2f6acf72b08eb6202d0", ALL_AXES
    ),
    Entry(
        name="ACDC_ED_small",
        description="Short-axis cine cardiac MR, end-diastolic frame",
        dims=3,
        classes=("RV", "MYO", "LV"),
        licence="CC BY-NC-SA 4.0",
        reference="Bernard et al. 2018, IEEE TMI 37(11):2514-2525",
        source="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
        flip_axes=(0, 1),
    ),
    Entry(
        name="BUSI_small",
        description="Breast lesions in B-mode ultrasound, longest side 256 pixels",
        dims=2,
        classes=("lesion",),
        licence="CC BY 4.0 (article), CC0 1.0 (re-publication)",
        reference="Al-Dhabyani et al. 2020, Data in Brief 28:104863",
        source="https://doi.org/10.1016/j.dib.2019.104863",
        flip_axes=(1,),
    ),
    Entry(
        name="CHASE_DB1",
        description="Retinal vessels in colour fundus photographs, both eyes of 14 children",
        dims=2,
        classes=("vessel",),
        licence="CC BY 4.0",
        reference="Fraz et al. 2012, IEEE TBME 59(9):2538-2548",
        source="https://blogs.kingston.ac.uk/retinal/chasedb1/",
        group=r"chase_(\d+)",
    ),
    Entry(
        name="CVC_ClinicDB_small",
        description="Polyps in colonoscopy frames, half resolution",
        dims=2,
        classes=("polyp",),
        licence="research and education only, no commercial use",
        reference="Bernal et al. 2015, Computerized Medical Imaging and Graphics 43:99-111",
        source="https://polyp.grand-challenge.org/CVCClinicDB/",
    ),
    Entry(
        name="DSB2018_nuclei",
        description="Cell nuclei in fluorescence microscopy",
        dims=2,
        classes=("nucleus",),
        licence="CC0 1.0",
        reference="Caicedo et al. 2019, Nature Methods 16:1247-1253",
        source="https://bbbc.broadinstitute.org/BBBC038",
    ),
    Entry(
        name="ISBI2012_EM",
        description="Neuronal membranes in serial-section electron microscopy",
        dims=2,
        classes=("membrane",),
        licence="non-commercial, cite",
        reference="Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142",
        source="https://imagej.net/events/isbi-2012-segmentation-challenge",
    ),
    Entry(
        name="MS_lesions",
        description="White-matter lesions of multiple sclerosis patients, FLAIR in MNI space",
        dims=3,
        classes=("lesion",),
        licence="CC BY",
        reference="Lesjak et al. 2017, Neuroinformatics, doi 10.1007/s12021-017-9348-7",
        source="https://github.com/muschellij2/open_ms_data",
    ),
)

BY_NAME = {entry.name: entry for entry in ENTRIES}


def nearest(name: str, names: Iterable[str]) -> str:
    """List the names most like `name` as the end of an error message, all of them when none is like it."""
    known = sorted(names)
    # difflib counts capitals as other letters, and people write task04_hippocampus.
    folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    return f"did you mean {', '.join(folded[each] for each in close)}?" if close else f"known: {', '.join(known)}"

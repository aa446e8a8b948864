"""BraTS 2018 and 2020, gliomas in four MR sequences: `NAME/NAME_flair.nii.gz`, `_t1`, `_t1ce`, `_t2`, `_seg`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lossodyssey.data.prepare.recipe import Finding, Found, Recipe
from lossodyssey.data.prepare.sources import Match, Tree
from lossodyssey.data.regions import Region

SEQUENCES = ("flair", "t1", "t1ce", "t2")
CLASSES = {0: 0, 2: 1, 1: 2, 4: 3}
"""Edema, core without enhancement, enhancing: in this order regions can be written one over the other."""
MISNAMED = {"W39_1998.09.19_Segm": "BraTS20_Training_355_seg"}
MISNAMED_FILES = rf"({'|'.join(map(re.escape, MISNAMED))})\.nii(?:\.gz)?"
REGIONS = (Region("whole tumour", (1, 2, 3), 1), Region("tumour core", (2, 3), 2), Region("enhancing tumour", (3,), 3))


def find(tree: Tree, case: str, patient: str) -> Finding:
    """Find the cases whose names fit a pattern, with all four sequences and labels."""
    files = tree.index(rf"({case}_(?:{'|'.join(SEQUENCES)}|seg))\.nii(?:\.gz)?")
    misnamed = {
        MISNAMED[name]: match for name, match in tree.index(MISNAMED_FILES).items() if re.match(case, MISNAMED[name])
    }
    parts: dict[str, dict[str, Match]] = {}
    for stem, match in (misnamed | files).items():
        name, _, kind = stem.rpartition("_")
        parts.setdefault(name, {})[kind.lower()] = match
    notes = [f"{match.where} is misnamed in the archive; taken for {name}" for name, match in misnamed.items()]
    whole = {name: found for name, found in parts.items() if {*SEQUENCES, "seg"} <= set(found)}
    lacking = ", ".join(sorted(set(parts) - set(whole))[:8])
    if lacking:
        notes.append(f"{len(parts) - len(whole)} cases lack a sequence or labels and were left out: {lacking}")
    return Finding([_case(name, whole[name], patient) for name in sorted(whole)], tuple(notes))


def _case(name: str, found: dict[str, Match], patient: str) -> Found:
    grade = next((grade for grade in ("HGG", "LGG") if grade in found["seg"].where.split("/")), "")
    match = re.fullmatch(patient, name)
    return Found(
        name=name,
        images=tuple(found[sequence].path for sequence in SEQUENCES),
        labels=(found["seg"].path,),
        group=match[1] if match else name,
        source="BraTS",
        relabel=CLASSES,
        facts={"grade": grade},
    )


def alternate_high_grade(cases: Sequence[Found]) -> dict[str, str]:
    """Return the parts in the experiments of the region-wise loss: of the high-grade cases by name, every second."""
    names = sorted(found.name for found in cases if found.facts.get("grade") == "HGG")
    return {name: "test" if index % 2 else "training" for index, name in enumerate(names)}


BRATS2020 = Recipe(
    name="BraTS2020",
    number=82,
    description="Gliomas in FLAIR, T1, contrast-enhanced T1 and T2 MR",
    origin="https://www.med.upenn.edu/cbica/brats2020/data.html",
    layout="BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz, _t1, _t1ce, _t2 and _seg",
    needs=(r"BraTS20_Training_\d{3}/[^/]+\.nii(?:\.gz)?",),
    find=partial(find, case=r"BraTS20_Training_\d{3}", patient=r"(.*)"),
    classes=("edema", "core without enhancement", "enhancing core"),
    channels=("FLAIR", "T1", "T1ce", "T2"),
    cases=369,
    regions=REGIONS,
    flip_axes=(0, 1, 2),
    licence="research only, after registration; not checked at the source",
    reference="Menze et al. 2015, IEEE TMI 34(10):1993-2024",
)

RECIPES = (
    BRATS2020,
    replace(
        BRATS2020,
        name="BraTS2018",
        number=32,
        origin="https://www.med.upenn.edu/sbia/brats2018/data.html",
        layout="HGG/Brats18_2013_2_1/Brats18_2013_2_1_flair.nii.gz, _t1, _t1ce, _t2 and _seg, and the same in LGG",
        needs=(r"(?:HGG|LGG)/Brats18_\w+/[^/]+\.nii(?:\.gz)?",),
        find=partial(find, case=r"Brats18_\w+", patient=r"(.*)_\d+"),
        cases=285,
        divisions={"region-wise": alternate_high_grade},
    ),
)

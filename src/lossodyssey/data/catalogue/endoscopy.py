"""Colonoscopy: polyps."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.entry import Entry
from lossodyssey.data.catalogue.eyes import BOTH_AXES
from lossodyssey.data.catalogue.ultrasound import SPACING

CVC = Entry(
    name="CVC_ClinicDB",
    description="Polyps in colonoscopy frames",
    dims=2,
    classes=("polyp",),
    licence="research and education only, no commercial use",
    reference="Bernal et al. 2015, Computerized Medical Imaging and Graphics 43:99-111",
    source="https://polyp.grand-challenge.org/CVCClinicDB/",
    modality="colour endoscopy",
    cases="612 frames",
    imbalance="9.8:1 (measured); 1.0:1 to 281:1 by frame",
    terms="registration; images belong to Hospital Clinic Barcelona, masks to the Computer Vision Center Barcelona",
    layout="CVC-ClinicDB/\n  Original/1.tif\n  Ground Truth/1.tif",
    flips=BOTH_AXES,
    tolerance=1.0,
    tolerance_reason=SPACING,
    grouping="sequences by the commonly quoted frame ranges, which were not verified",
    traps=(
        "Neighbouring frames of a video look alike: a random split leaks.",
        "Sources count 23, 29 or 31 sequences, of 13 patients in one of them.",
        "The Unified Focal loss paper holds out 20 % of the images; its split is not published.",
        "Masks have a few grey pixels between 0 and 255.",
    ),
    aliases=("CVC-612", "ClinicDB"),
    recipes=("CVC_ClinicDB",),
    unchecked=("grouping",),
)

ENDOSCOPY: tuple[Entry, ...] = (
    CVC,
    replace(
        CVC,
        name="CVC_ClinicDB_small",
        description="Polyps in colonoscopy frames, half resolution",
        layout="CVC_ClinicDB_small/\n  imagesTr/  labelsTr/  dataset.json  sequences_unverified.json",
        grouping="none is set: `sequences_unverified.json` lists sequences by the commonly quoted frame ranges",
        traps=CVC.traps[:2],
        aliases=(),
        recipes=(),
    ),
)

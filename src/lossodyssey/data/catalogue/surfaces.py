"""Photographs of surfaces: skin and walls."""

from __future__ import annotations

from lossodyssey.data.catalogue.entry import Entry
from lossodyssey.data.catalogue.eyes import BOTH_AXES
from lossodyssey.data.catalogue.ultrasound import SPACING

SURFACES: tuple[Entry, ...] = (
    Entry(
        name="ISIC2018",
        description="Skin lesions in dermoscopy, task 1 of the 2018 challenge",
        dims=2,
        classes=("lesion",),
        licence="CC0 1.0",
        reference="Codella et al. 2019, arXiv 1902.03368; Tschandl et al. 2018, Scientific Data 5:180161",
        source="https://challenge.isic-archive.com/data/#2018",
        modality="dermoscopy",
        cases="2594 training, 100 validation, 1000 test",
        terms="credit",
        layout=(
            "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg\n"
            "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png"
        ),
        flips=BOTH_AXES,
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="lesions of one patient are not marked",
        traps=("Image sizes range from 540 x 722 to 4499 x 6748: read in patches or scaled down first.",),
        aliases=("ISIC2018_Task1",),
        recipes=("ISIC2018",),
        unchecked=("licence", "cases", "terms", "traps"),
    ),
    Entry(
        name="TopoMortar",
        description="Mortar in photographs of red brick walls, made to test topology losses",
        dims=2,
        classes=("mortar",),
        licence="MIT (repository)",
        reference="Valverde et al. 2025, BMVC; arXiv 2503.03365",
        source="https://github.com/jmlipman/TopoMortar",
        modality="colour photography",
        cases="420: 50 training, 20 validation, 350 test (50 of the same kind, 6 times 50 of another)",
        imbalance="2.4:1 (measured on 120 images)",
        terms="credit",
        layout=(
            "dataset/\n  train/  val/  test/\n    images/001.png  accurate/001.png\n    noisy/001.png  pseudo/001.png "
            "(train and val)\n  dataset_types.txt  splits.yaml"
        ),
        flips=BOTH_AXES,
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="not known; every image is its own group",
        traps=(
            "Never mix test images of the same and of another kind in one mean: report both apart.",
            "Labels `noisy` and `pseudo` exist to be trained with, never to be scored against.",
        ),
        recipes=("TopoMortar", "TopoMortar_noisy", "TopoMortar_pseudo", "TopoMortar_OOD"),
        unchecked=("grouping",),
    ),
)

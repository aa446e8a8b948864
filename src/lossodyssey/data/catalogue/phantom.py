"""The data sets that are made here."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.entry import Entry

PHANTOM = Entry(
    name="phantom",
    description="Synthetic abdominal CT, generated on first use",
    dims=3,
    classes=("liver", "spleen", "kidney", "tumour"),
    licence="CC0 1.0",
    reference="LossOdyssey, lossodyssey.data.phantom",
    flip_axes=(),
    modality="CT, simulated",
    cases="generated",
    terms="none",
    layout="phantom/\n  imagesTr/  labelsTr/  dataset.json",
    flips="none: left and right differ by design",
    tolerance=1.0,
    tolerance_reason="a convention: nobody annotated it",
    grouping="every case is a patient of its own",
    traps=("Contrast and noise are simple: a ranking of losses on it says little about real images.",),
)

VESSELS = Entry(
    name="phantom_vessels",
    description="Synthetic pictures of branching vessels with stretches of low contrast, generated on first use",
    dims=2,
    classes=("vessel",),
    licence="CC0 1.0",
    reference="LossOdyssey, lossodyssey.data.vessel_phantom",
    flip_axes=(0, 1),
    modality="grey picture, simulated",
    cases="generated",
    imbalance="7:1 (measured)",
    terms="none",
    layout="phantom_vessels/\n  imagesTr/  labelsTr/  dataset.json",
    flips="both axes: nothing tells one side from another",
    tolerance=1.0,
    tolerance_reason="one pixel: a convention, nobody annotated it",
    grouping="every case is a patient of its own",
    traps=("Vessels are simple: a ranking of losses on them says little about real images.",),
)

LESIONS = replace(
    VESSELS,
    name="phantom_lesions",
    description="Synthetic pictures of many lesions, most of them small, generated on first use",
    classes=("lesion",),
    reference="LossOdyssey, lossodyssey.data.lesion_phantom",
    imbalance="18:1 (measured)",
    layout="phantom_lesions/\n  imagesTr/  labelsTr/  dataset.json",
    traps=("Lesions are simple: a ranking of losses on them says little about real images.",),
)

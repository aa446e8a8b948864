"""The data set that is made here."""

from __future__ import annotations

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

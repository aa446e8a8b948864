"""Light and electron microscopy."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.entry import Entry
from lossodyssey.data.catalogue.eyes import BOTH_AXES
from lossodyssey.data.catalogue.ultrasound import SPACING

DSB = Entry(
    name="DSB2018",
    description="Cell nuclei in light microscopy of many kinds",
    dims=2,
    classes=("nucleus",),
    licence="CC0 1.0",
    reference="Caicedo et al. 2019, Nature Methods 16:1247-1253",
    source="https://bbbc.broadinstitute.org/BBBC038",
    modality="fluorescence and bright-field microscopy",
    cases="670 in stage 1",
    terms="none",
    layout="stage1_train/\n  <id>/images/<id>.png\n  <id>/masks/*.png (one nucleus each)",
    flips=BOTH_AXES,
    tolerance=1.0,
    tolerance_reason=SPACING,
    grouping="not known; images cut from one slide exist",
    traps=(
        "Images are RGBA, most of them grey; a few are dark on bright ground.",
        "Masks of two nuclei may overlap by a few pixels; touching nuclei become one object.",
        "Many images use few grey levels: scale each by its own range.",
    ),
    aliases=("Data Science Bowl 2018", "BBBC038"),
    recipes=("DSB2018",),
    unchecked=("cases",),
)

MICROSCOPY: tuple[Entry, ...] = (
    DSB,
    replace(
        DSB,
        name="DSB2018_nuclei",
        description="Cell nuclei in fluorescence microscopy",
        modality="fluorescence microscopy",
        cases="240",
        imbalance="11.8:1 (measured); 1.5:1 to 373:1 by image",
        layout="DSB2018_nuclei/\n  imagesTr/  labelsTr/  instancesTr/  dataset.json",
        traps=DSB.traps[1:],
        aliases=(),
        recipes=(),
        unchecked=(),
    ),
    Entry(
        name="ISBI2012_EM",
        description="Neuronal membranes in serial-section electron microscopy",
        dims=2,
        classes=("membrane",),
        licence="non-commercial, cite",
        reference="Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142",
        source="https://imagej.net/events/isbi-2012-segmentation-challenge",
        modality="electron microscopy",
        cases="30 slices of one stack",
        imbalance="3.55:1 (measured)",
        terms="no commercial use, credit",
        layout="ISBI2012_EM/\n  imagesTr/  labelsTr/  dataset.json",
        flips=BOTH_AXES,
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="neighbouring slices look alike: divide in contiguous blocks",
        traps=("In the source the membrane is 0 and the cell 255.", "All slices are of one animal."),
        aliases=("ISBI 2012",),
        unchecked=("licence", "terms"),
    ),
)

"""Breast ultrasound."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.entry import Entry

SPACING = "a pixel: no spacing is given"
BUSI = Entry(
    name="BUSI",
    description="Breast lesions in B-mode ultrasound",
    dims=2,
    classes=("lesion",),
    licence="CC BY 4.0 (article), CC0 1.0 (re-publication)",
    reference="Al-Dhabyani et al. 2020, Data in Brief 28:104863",
    source="https://doi.org/10.1016/j.dib.2019.104863",
    flip_axes=(1,),
    modality="ultrasound",
    cases="780: 437 benign, 210 malignant, 133 normal",
    imbalance="11.7:1 (measured); 0.8:1 to 365:1 by image",
    terms="credit",
    layout=(
        "Dataset_BUSI_with_GT/\n  benign/  malignant/  normal/\n    benign (1).png  benign (1)_mask.png  "
        "benign (4)_mask_1.png"
    ),
    flips="axis 1, left and right; depth runs along axis 0",
    tolerance=1.0,
    tolerance_reason=SPACING,
    grouping="near duplicates, found by the correlation of thumbnails",
    traps=(
        "92 groups of near duplicates with 209 images, whose masks agree with a median DSC of 0.92.",
        "17 images have several masks, one for a lesion.",
        "133 normal images have empty masks: DSC is undefined there.",
        "Calipers and words are burned into many images.",
    ),
    aliases=("Dataset_BUSI_with_GT",),
    recipes=("BUSI",),
)

ULTRASOUND: tuple[Entry, ...] = (
    BUSI,
    replace(
        BUSI,
        name="BUSI_small",
        description="Breast lesions in B-mode ultrasound, longest side 256 pixels",
        cases="779",
        layout="BUSI_small/\n  imagesTr/  labelsTr/  dataset.json  cases.json",
        traps=(BUSI.traps[0], *BUSI.traps[2:]),
        aliases=(),
        recipes=(),
    ),
    Entry(
        name="BUS2017_B",
        description="Breast lesions in B-mode ultrasound of the UDIAT centre, Sabadell",
        dims=2,
        classes=("lesion",),
        licence="on request, with an agreement",
        reference="Yap et al. 2018, IEEE Journal of Biomedical and Health Informatics 22(4):1218-1226",
        source="http://www2.docm.mmu.ac.uk/STAFF/m.yap/dataset.php",
        flip_axes=(1,),
        modality="ultrasound",
        cases="163: 110 benign, 53 malignant",
        terms="asked for by mail; not to be passed on",
        layout="BUS/\n  original/000001.png\n  GT/000001.png",
        flips="axis 1, left and right; depth runs along axis 0",
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="not checked; every image is its own group",
        traps=("The Unified Focal loss paper names it BUS2017 and holds out 20 %; its split is not published.",),
        aliases=("BUS2017", "UDIAT", "BUS"),
        recipes=("BUS2017_B",),
        unchecked=("licence", "terms", "layout", "cases"),
    ),
)

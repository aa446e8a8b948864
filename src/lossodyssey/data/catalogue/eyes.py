"""Fundus photographs: retinal vessels."""

from __future__ import annotations

from lossodyssey.data.catalogue.entry import Entry
from lossodyssey.data.catalogue.ultrasound import SPACING

BOTH_AXES = "both axes: there is one foreground class"

EYES: tuple[Entry, ...] = (
    Entry(
        name="CHASE_DB1",
        description="Retinal vessels in colour fundus photographs, both eyes of 14 children",
        dims=2,
        classes=("vessel",),
        licence="CC BY 4.0",
        reference="Fraz et al. 2012, IEEE TBME 59(9):2538-2548",
        source="https://blogs.kingston.ac.uk/retinal/chasedb1/",
        group=r"chase_(\d+)",
        modality="colour fundus photography",
        cases="28: both eyes of 14 children",
        imbalance="13.4:1 (measured)",
        terms="credit",
        layout="CHASEDB1/\n  Image_01L.jpg  Image_01L_1stHO.png  Image_01L_2ndHO.png",
        flips=BOTH_AXES,
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="both eyes of a child",
        traps=(
            "The second observer agrees with the first at DSC 0.74 to 0.83: above that, losses imitate one observer.",
            "There is no mask of the field of view.",
        ),
        aliases=("CHASE",),
        recipes=("CHASE_DB1",),
    ),
    Entry(
        name="DRIVE",
        description="Retinal vessels in colour fundus photographs of a screening programme",
        dims=2,
        classes=("vessel",),
        licence="research and education only; not to be passed on",
        reference="Staal et al. 2004, IEEE TMI 23(4):501-509",
        source="https://drive.grand-challenge.org/",
        modality="colour fundus photography",
        cases="40: 20 training, 20 test",
        terms="registration; every user downloads it himself, copies are not allowed",
        layout=(
            "training/  test/\n  images/21_training.tif  1st_manual/21_manual1.gif  mask/21_training_mask.gif\n"
            "  test/2nd_manual/01_manual2.gif"
        ),
        flips=BOTH_AXES,
        tolerance=1.0,
        tolerance_reason=SPACING,
        grouping="every image is a patient of its own",
        traps=(
            "Today's official archive has no labels of the test images; older copies have.",
            "Scores are usually taken inside the field of view: pixels outside are ignored here.",
        ),
        aliases=("DRIVE 2004",),
        recipes=("DRIVE",),
        unchecked=("grouping",),
    ),
)

"""CVC-ClinicDB: `Original/1.tif` and `Ground Truth/1.tif`, frames of colonoscopy videos."""

from __future__ import annotations

from bisect import bisect

from lossodyssey.data.prepare.pictures import by_number, picture_recipe
from lossodyssey.data.prepare.recipe import Finding, Found, paired
from lossodyssey.data.prepare.sources import Tree

FIRST_FRAMES = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)
"""The first frame of every sequence, as commonly quoted; the archive does not say it."""

UNVERIFIED = (
    f"frames are grouped into {len(FIRST_FRAMES)} sequences by the commonly quoted ranges, which the archive does not "
    "state and nobody verified; patients are not known"
)
FRAMES = r"(\d+)\.(?:tiff?|png)"


def find(tree: Tree) -> Finding:
    """Find the frames; where the archive has them as TIFF and as PNG, TIFF is taken."""
    images = by_number([(m[1], m.path) for m in tree.find(rf"Original/{FRAMES}")])
    labels = by_number([(m[1], m.path) for m in tree.find(rf"Ground Truth/{FRAMES}")])
    names, notes = paired(images, labels, "frame")
    cases = [Found(f"cvc_{int(n):03d}", (images[n],), (labels[n],), group=sequence(int(n))) for n in names]
    return Finding(cases, (*notes, UNVERIFIED))


def sequence(frame: int) -> str:
    """Return the sequence that a frame belongs to."""
    return f"sequence_{bisect(FIRST_FRAMES, frame):02d}"


RECIPES = (
    picture_recipe(
        "CVC_ClinicDB",
        number=201,
        layout="Original/1.tif and Ground Truth/1.tif",
        needs=(rf"Original/{FRAMES}", rf"Ground Truth/{FRAMES}"),
        find=find,
        cases=612,
    ),
)

"""Why a reference's number may differ from this library's: by loss, reference and kind of input, never by value.

A rule is asked only about records that do not match. Each names a defect of the reference that is not worth carrying;
the deviations that published tables rest on are losses of their own, in `lossodyssey.losses.as_released`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from calls import Case

Record = dict[str, Any]
When = Callable[[Record, Case], bool]


@dataclass(frozen=True)
class Rule:
    """Excuse records of references whose name contains `reference`, for losses starting so, where `when` holds."""

    losses: tuple[str, ...]
    reference: str
    when: When
    why: str

    def covers(self, record: Record, case: Case) -> bool:
        return (
            record["loss"].startswith(self.losses) and self.reference in record["reference"] and self.when(record, case)
        )


def always(record: Record, case: Case) -> bool:
    return True


def undefined(record: Record, case: Case) -> bool:
    return record["value"] is None


def volume(record: Record, case: Case) -> bool:
    return case.labels.ndim == 4


def clipped(record: Record, case: Case) -> bool:
    """Is some probability beyond the 1e-7 at which Keras code clips?"""
    s = case.logits.softmax(1)
    return bool((s < 1e-7).any() or (s > 1 - 1e-7).any())


def millimetres(record: Record, case: Case) -> bool:
    return str(record["params"].get("units", "")).startswith("mm")


def absent_class(record: Record, case: Case) -> bool:
    return bool((case.one_hot.flatten(2).sum(2) == 0).any())


def filled_by_truth(record: Record, case: Case) -> bool:
    return bool((case.one_hot.flatten(2).mean(2) == 1).any())


def filled(record: Record, case: Case) -> bool:
    """Does a class fill a sample of the truth or of the hard prediction?"""
    prediction = case.logits.argmax(1).flatten(1)
    return filled_by_truth(record, case) or bool((prediction == prediction[:, :1]).all(1).any())


def tiny_class(record: Record, case: Case) -> bool:
    sizes = case.logits.softmax(1).flatten(2).sum(2) + case.one_hot.flatten(2).sum(2)
    return bool((sizes < 1).any())


def light_prices(record: Record, case: Case) -> bool:
    return record["params"].get("alpha", 0.5) + record["params"].get("beta", 0.5) < 1


def without_skeleton(record: Record, case: Case) -> bool:
    """Does a class other than the background have no voxel, in a sample or in the batch?"""
    sizes = case.one_hot[:, 1:].flatten(2).sum(2)
    return bool(((sizes.sum(0) if record["params"].get("batch_dice") else sizes) == 0).any())


def means_of_means(record: Record, case: Case) -> bool:
    """Is the mean of two: over images of the classes in each, and over classes of the images that have each?"""
    return record["params"].get("mIoUD") == 0 and absent_class(record, case)


def logits_masked(record: Record, case: Case) -> bool:
    return "logit" in record["params"].get("masking", "")


def one_label(record: Record, case: Case) -> bool:
    """Is there a sample whose true labels are all the same?"""
    flat = case.labels.flatten(1)
    return bool((flat == flat[:, :1]).all(1).any())


def several_classes(record: Record, case: Case) -> bool:
    return case.classes > 2


def place_of_absent_class(record: Record, case: Case) -> bool:
    """Is the place or the extent of a class bounded that has no voxel in a sample?"""
    placed = "centroid" in str(record["params"].get("descriptor", ""))
    return placed and bool((case.one_hot[:, 1:].flatten(2).sum(2) == 0).any())


def whole_distances(record: Record, case: Case) -> bool:
    return "int32" in record["params"].get("dtype", "")


def eroded_twice(record: Record, case: Case) -> bool:
    """Is anything stretched before it is eroded again?"""
    return record["params"].get("k", 10) > 1


def spaced(record: Record, case: Case) -> bool:
    return record["params"].get("resolution") is not None


def scaled(record: Record, case: Case) -> bool:
    """Is the inverse scale another than the identity?"""
    return record["params"]["log_precision"] != 0


SKELETON, FIDON = "MIC-DKFZ/Skeleton-Recall", "LucasFidon/label-set-loss-functions"
SEGLOSS, LIVIAETS, REGION_WISE = "JunMa11/SegLoss", "LIVIAETS/boundary-loss", "jmlipman/RegionWiseLoss"
MLYG, OIKOSOHN, NIFTYNET = "mlyg/unified-focal-loss", "oikosohn/compound-loss-pytorch", "NifTK/NiftyNet"
FOCAL_PARTS = ("SymFocal", "AsymFocal", "SymUnifiedFocal", "AsymUnifiedFocal")
CLIPPING = (*FOCAL_PARTS, "Focal", "Combo")

RULES = (
    Rule(("",), "", undefined, "the reference gives NaN or raises an error"),
    Rule(FOCAL_PARTS, MLYG, volume, "in 3-D the focal part takes two slices of the last axis for the two classes"),
    Rule(CLIPPING, MLYG, clipped, "clips probabilities at 1e-7; here their logarithms are exact"),
    Rule(CLIPPING, OIKOSOHN, clipped, "clips probabilities at 1e-7; here their logarithms are exact"),
    Rule(("BD",), LIVIAETS, millimetres, "subtracts 1 mm inside where one voxel is meant"),
    Rule(("HD",), LIVIAETS, always, "truncates the prediction's distances to whole voxels"),
    Rule(("BD",), REGION_WISE, absent_class, "an absent class takes over the map of the class before it"),
    Rule(("RRW", "BD"), REGION_WISE, filled_by_truth, "measures a class that fills a sample to a point outside it"),
    Rule(
        ("BD", "HD", "DiceBD", "DiceHD", "DPCE"), SEGLOSS, filled, "measures a full mask to a point outside the image"
    ),
    Rule(("GDice",), NIFTYNET, tiny_class, "counts at least one voxel per class"),
    Rule(("Tversky",), NIFTYNET, light_prices, "pools all classes into one ratio"),
    Rule(("skeleton_recall",), SKELETON, without_skeleton, "a class without skeleton counts as found"),
    Rule(
        ("jaccard_metric",),
        "zifuwanggg/JDTLosses",
        means_of_means,
        "half the mean over images of their classes' means, half that over classes of their images' means",
    ),
    Rule(("blob_dice",), "blob_loss", logits_masked, "masks logits, so that voxels taken out keep p = 1/2"),
    Rule(("marginal_dice", "marginal_focal"), FIDON, always, "spreads a set's probability evenly over its members"),
    Rule(
        ("generalized_dice_iw",),
        "neuro-ml/inverse_weighting",
        always,
        "squares the probabilities below, and adds 1 to the squared sizes by which it divides",
    ),
    Rule(("topograph",), "topolosses", several_classes, "lowers whichever class took a missed voxel, for any other"),
    Rule(("topograph",), "paper formula", several_classes, "lowers whichever class took a missed voxel, for any other"),
    Rule(
        ("shape_descriptor_constraint",),
        "HKervadec/shape_descriptors",
        place_of_absent_class,
        "draws the centroid of an absent class to the image's corner",
    ),
    Rule(("boundary_loss",), LIVIAETS, whole_distances, "truncates distances to whole voxels"),
    Rule(("boundary_loss",), LIVIAETS, spaced, "subtracts 1 mm inside where one voxel is meant"),
    Rule(
        ("hausdorff_dt_loss",),
        LIVIAETS,
        always,
        "measures inside the masks only, and truncates the prediction's distances to whole voxels",
    ),
    Rule(("hausdorff_dt_loss",), SEGLOSS, filled, "measures an empty mask to a point outside the image"),
    Rule(
        ("hausdorff_er_loss",),
        "HausdorffLoss@",
        volume,
        "in 3-D the kernel has a misplaced axis and erodes everything away",
    ),
    Rule(
        ("hausdorff_er_loss",),
        "kornia",
        eroded_twice,
        "differentiates the least and the greatest value that stretch each erosion, here constants",
    ),
    Rule(
        ("weighted_hausdorff",),
        "HaipengXiong",
        always,
        "is the formula of the paper's first version: a clamped minimum of (d + eps) / (p^4 + eps / dmax)",
    ),
    Rule(("penalty_gdice",), SEGLOSS, always, "puts the penalty on minus the score: -GD / (1 + k (1 + GD))"),
    Rule(("distance_map_dice",), SEGLOSS, always, "weights the true positives alone by distance, and falls below -1"),
    Rule(("sdm_regression",), "SegWithDistMap", absent_class, "asks for a boundary everywhere where a class is absent"),
    Rule(
        ("active_boundary_loss",),
        "active-boundary-loss",
        one_label,
        "measures a sample without borders to a point outside the image",
    ),
    Rule(("betti_matching",), "topolosses", volume, "matches the tunnels of a volume, too; here pieces and cavities"),
    Rule(("hu_topo",), "HuXiaoling/TopoLoss", always, "compares values of 1 - s with s, and so pushes the other way"),
    Rule(
        ("cldice_hardskeleton",),
        "cbDice",
        always,
        "thins the thresholded prediction and multiplies that skeleton by s; here s itself is thinned",
    ),
    Rule(
        ("homotopy_warping",), "topolosses", always, "warps the truth of two classes; a loss of no list, and not here"
    ),
    Rule(
        ("focal_dice",),
        "",
        always,
        "raises Dice to a power, which is not what the paper's abstract tells; see docs/literature_left_out.md",
    ),
    Rule(
        ("t_loss",),
        "Digital-Dermatology",
        scaled,
        "takes e times the identity for the inverse scale, where the paper has the identity",
    ),
    Rule(("HDErosion",), SEGLOSS, volume, "in 3-D the kernel has a misplaced axis and erodes everything away"),
)


def reason(record: Record, case: Case) -> str:
    """Find the reason, if any, why this record may differ; empty if none."""
    return next((rule.why for rule in RULES if rule.covers(record, case)), "")

"""A plain PyTorch form of every loss of the atlas, written here and equal to ours."""

from __future__ import annotations

from functools import cache

import torch
from benchmarks.peers import plain_contours as c
from benchmarks.peers import plain_distances as d
from benchmarks.peers import plain_edges as e
from benchmarks.peers import plain_lines as lines
from benchmarks.peers import plain_maps as m
from benchmarks.peers import plain_regions as r
from benchmarks.peers import plain_relations as n
from benchmarks.peers import plain_shelf as p
from benchmarks.peers import plain_voxels as v
from benchmarks.peers.entry import Call, Entry, cross_entropy
from torch import Tensor

import lossodyssey as lo

SCIPY_LIMIT = 16 << 20
"""Logits above which a scipy transform per sample and class takes minutes."""
SKELETON_LIMIT = 6 << 20
"""Logits above which pooled skeletons take minutes and many gigabytes."""
KERNEL_LIMIT = 1 << 19
"""Logits above which convolutions with large kernels take minutes."""


def weighted(*terms: tuple[float, Call]) -> Call:
    """Add plain forms with weights; only the last may take a map."""

    def total(logits: Tensor, labels: Tensor, *maps: Tensor) -> Tensor:
        *first, (weight, last) = terms
        return sum((w * loss(logits, labels) for w, loss in first), weight * last(logits, labels, *maps))

    return total


def sum_of(*losses: Call) -> Call:
    return weighted(*((1.0, loss) for loss in losses))


def symmetric_unified(logits: Tensor, labels: Tensor) -> Tensor:
    region = r.symmetric_focal_tversky(logits, labels, 0.6, 0.5)
    return 0.5 * region + 0.5 * v.symmetric_focal(logits, labels, 0.6, 0.5)


def asymmetric_unified(logits: Tensor, labels: Tensor) -> Tensor:
    region = r.asymmetric_focal_tversky(logits, labels, 0.6, 0.5)
    return 0.5 * region + 0.5 * v.asymmetric_focal(logits, labels, 0.6, 0.5)


SIMPLE: dict[str, Call] = {
    "Focal": v.focal,
    "TopK": v.topk,
    "TopKThreshold": v.topk_threshold,
    "ExponentialCE": v.exponential_ce,
    "SymmetricFocal": v.symmetric_focal,
    "AsymmetricFocal": v.asymmetric_focal,
    "Dice": r.dice,
    "Jaccard": r.jaccard,
    "Tversky": r.tversky,
    "FocalTversky": r.focal_tversky,
    "AsymmetricSimilarity": r.asymmetric_similarity,
    "SymmetricFocalTversky": r.symmetric_focal_tversky,
    "AsymmetricFocalTversky": r.asymmetric_focal_tversky,
    "LogarithmicDice": r.logarithmic_dice,
    "GeneralizedDice": r.generalized_dice,
    "PenaltyGeneralizedDice": r.penalty_generalized_dice,
    "SensitivitySpecificity": r.sensitivity_specificity,
    "Lovasz": r.lovasz,
    "DiceCE": sum_of(r.dice, cross_entropy),
    "DiceFocal": sum_of(r.dice, v.focal),
    "DiceTopK": sum_of(r.dice, v.topk),
    "Dice + CE + Focal": sum_of(r.dice, cross_entropy, v.focal),
    "GeneralizedDice + Focal": sum_of(r.generalized_dice, v.focal),
    "ExponentialLogarithmic": weighted((0.8, r.logarithmic_dice), (0.2, v.exponential_ce)),
    "Combo": weighted((0.25, cross_entropy), (0.5, r.batch_dice)),
    "SymmetricUnifiedFocal": symmetric_unified,
    "AsymmetricUnifiedFocal": asymmetric_unified,
    "HausdorffErosion": m.hausdorff_erosion,
    "MatthewsCorrelation": r.matthews,
    "Marginal": sum_of(r.dice, cross_entropy),
    "Perimeter": m.perimeter,
    "ActiveContour": c.active_contour,
    "ElasticInteraction": c.elastic_interaction,
    "ShapeDescriptors": c.shape_descriptors,
    "ContourDice": e.contour_dice,
    "SurfaceDiceDilation": e.surface_dice,
    "VolumetricSDDL": e.volumetric_sddl,
    "NonAdjacency": n.non_adjacency,
    "TopologicalInteraction": n.topological_interaction,
    "GeneralizedWassersteinDice": n.wasserstein_dice,
    "RegionMutualInformation": n.region_mutual_information,
    "CERegionMutualInformation": n.ce_region_mutual_information,
    "StructuralSimilarity": n.structural_similarity,
    **p.SIMPLE,
}

MAPPED = {
    "Boundary": (m.boundary, m.signed, "Boundary(zero='voxel-shift')"),
    "DiceBoundary": (
        weighted((0.5, r.dice), (0.5, m.boundary)),
        m.signed,
        "0.5 * Dice() + 0.5 * Boundary(zero='voxel-shift')",
    ),
    "RegionWise": (m.region_wise, m.rectified, "RegionWise()"),
    "HausdorffDT": (m.hausdorff, m.two_sided, "HausdorffDT()"),
    "DiceHausdorff": (sum_of(r.dice, m.hausdorff), m.two_sided, "Dice() + HausdorffDT()"),
    "DistancePenalisedCE": (m.distance_penalised_ce, m.penalty, "DistancePenalisedCE()"),
    "UNetWeightMapCE": (m.weighted_ce, m.border, "UNetWeightMapCE()"),
    "ShapeAware": (c.shape_aware, c.to_edge, "ShapeAware()"),
    "GeneralizedSurface": (d.generalized_surface, m.two_sided, "GeneralizedSurface()"),
    "SignedDistanceRegression": (d.signed_distance_regression, d.signed_shares, "SignedDistanceRegression()"),
    "BoundaryDoU": (e.boundary_dou, e.edge, "BoundaryDoU()"),
    "ActiveBoundary": (e.active_boundary, e.edge_distance, "ActiveBoundary()"),
    "SkeletonRecall": (m.skeleton_recall, m.tubes, "SkeletonRecall()"),
    "DiceCESkeletonRecall": (
        sum_of(r.dice, cross_entropy, m.skeleton_recall),
        m.tubes,
        "DiceCE() + SkeletonRecall()",
    ),
    "CenterlineCE": (lines.centerline_ce, lines.soft_lines, "CenterlineCE()"),
    "CenterlineBoundaryDice": (lines.centerline_boundary, lines.lines_and_depths, "CenterlineBoundaryDice()"),
    "DiceCECenterlineBoundary": (
        weighted((1.0, r.dice), (2.0, cross_entropy), (1.0, lines.centerline_boundary)),
        lines.lines_and_depths,
        "DiceCECenterlineBoundary()",
    ),
    **p.MAPPED,
}

THIN: dict[str, Call] = {
    "CenterlineDice": m.centerline,
    "VesselSDDL": e.vessel_sddl,
    "DiceCenterline": weighted((0.5, r.dice), (0.5, m.centerline)),
}

POOLED = {"CenterlineCE"}
"""Those with a map whose skeletons are pooled all the same."""
CONVOLVED = {"HausdorffConvolution": d.hausdorff_convolution}


def plain_entries(extra: dict[str, str]) -> dict[str, Entry]:
    """List every plain form; `extra` are the sums of the table that the atlas does not name."""
    rows = {"F.cross_entropy": Entry("CrossEntropy", cross_entropy, "CrossEntropy()")}
    for name, call in SIMPLE.items():
        rows[f"plain {name}"] = Entry(name, call, extra.get(name, f"{name}()"))
    for name, (call, maps, equals) in MAPPED.items():
        limit = SKELETON_LIMIT if name in POOLED else SCIPY_LIMIT
        rows[f"plain {name}"] = Entry(name, call, equals, maps=maps, limit=limit)
        # Training scripts make the map in every step; the row without shows the loss alone.
        rows[f"plain {name}, map made"] = Entry(f"{name}, map made", making(call, maps), equals, limit=limit)
    for calls, limit in ((THIN, SKELETON_LIMIT), (CONVOLVED, KERNEL_LIMIT)):
        for name, call in calls.items():
            rows[f"plain {name}"] = Entry(name, call, f"{name}()", limit=limit)
    return rows


def making(call: Call, maps: Call) -> Call:
    """Make the map inside the call."""
    return lambda logits, labels: call(logits, labels, maps(labels, logits.shape[1]))


def compiled_entries() -> dict[str, Entry]:
    """Compile plain Dice + cross entropy, and ours, which takes its plain back end under a compiler."""
    return {
        "compiled plain DiceCE": Entry("DiceCE", compiled(SIMPLE["DiceCE"]), "DiceCE()", compiled=True),
        "compiled DiceCE": Entry("DiceCE", compiled(lo.parse("DiceCE()")), "DiceCE()", compiled=True),
    }


def compiled(call: Call) -> Call:
    """Compile the call for each shape when it is first made: loading the compiler takes seconds."""

    @cache
    def made() -> Call:
        return torch.compile(call, dynamic=False)

    return lambda logits, labels: made()(logits, labels)

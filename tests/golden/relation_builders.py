"""Records of losses of relations between classes and neighbourhoods, in terms of this library."""

from __future__ import annotations

import math
from typing import Any

from calls import Builder, Call, Case
from torch import Tensor

import lossodyssey as lo

Matrix = list[list[float]]
Sides = list[list[Any]]


def non_adjacency(
    source: str, case: Case, *, forbidden_pairs: list[list[int]], kernel: str, normalisation: str = ""
) -> Call:
    assert kernel == "3x3 mean, zero padding"
    return Call(lo.NonAdjacency(forbidden=forbidden_pairs))


def adjacency_entry(source: str, case: Case, *, entry: list[int]) -> Call:
    """One of the two entries of a pair, which are the same number."""
    return Call(0.5 * lo.NonAdjacency(forbidden=[entry]))


def mutual_information(
    source: str,
    case: Case,
    *,
    rmi_radius: int,
    rmi_pool_way: int,
    rmi_pool_size: int,
    rmi_pool_stride: int,
    loss_weight_lambda: float,
    lambda_way: int,
    pos_alpha: float,
    clip_min: float,
    activation: str,
) -> Call:
    """The reference sums over classes, divides by one voxel more, and does not take the lower bound off."""
    assert rmi_pool_way == 0 and rmi_pool_size == rmi_pool_stride and lambda_way == 1 and "sigmoid" in activation
    ce, region = case.classes * loss_weight_lambda, case.classes * (1 - loss_weight_lambda)
    voxels = case.labels.numel()
    loss = lo.RegionMutualInformation(side=rmi_radius, pool=rmi_pool_size, alpha=pos_alpha)
    return Call(
        ce * voxels / (voxels + 1) * lo.CrossEntropy() + region * loss,
        region * math.log(pos_alpha) / 2,
        link="sigmoid",
        head=one_hot,
    )


def one_hot(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return logits, Case(logits, labels, ()).one_hot


def wasserstein_dice(
    source: str,
    case: Case,
    *,
    dist_matrix: Matrix,
    weighting_mode: str,
    activation: str = "softmax",
    smooth: str = "",
    smooth_nr: float = 2.2e-16,
    smooth_dr: float = 2.2e-16,
) -> Call:
    """The references take the weight 1 for every foreground class, which is the paper's where M[l][0] is 1."""
    assert smooth_nr == smooth_dr and activation == "softmax"
    as_paper = weighting_mode == "default" and all(row[0] == 1 for row in dist_matrix[1:])
    if as_paper:
        return Call(lo.GeneralizedWassersteinDice(distances=dist_matrix, smooth=smooth_nr))
    weights = "size" if weighting_mode == "GDL" else "foreground"
    return Call(lo.ReleasedGeneralizedWassersteinDice(distances=dist_matrix, weights=weights, smooth=smooth_nr))


def topological_interaction(
    source: str, case: Case, *, inclusion: Sides, exclusion: Sides, connectivity: int, min_thick: int
) -> Call:
    kind = "faces" if connectivity in (4, 6) else "full"
    loss = lo.TopologicalInteraction(forbidden=exclusion, inclusion=inclusion, connectivity=kind, thickness=min_thick)
    return Call(loss)


BUILDERS: dict[str, Builder] = {
    "generalized_wasserstein_dice": wasserstein_dice,
    "non_adjacency": non_adjacency,
    "rmi": mutual_information,
    "soft_adjacency_entry": adjacency_entry,
    "topological_interaction": topological_interaction,
}

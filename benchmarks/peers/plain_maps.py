"""Losses with maps and skeletons as training scripts write them: scipy's transform per sample and class, pooling.

A map function takes labels (N, *S) and the number of classes; the loss takes the map as its last argument.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.peers.plain_regions import pair
from benchmarks.peers.plain_voxels import voxels
from scipy.ndimage import binary_dilation, distance_transform_edt, generate_binary_structure, label
from skimage.morphology import skeletonize
from torch import Tensor


def per_class(labels: Tensor, classes: int, of_mask: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """Apply a function to every sample's and class's mask, float32 (N, C, V) on the device of the labels."""
    masks = [[sample == c for c in range(classes)] for sample in labels.cpu().numpy()]
    maps = np.stack([np.stack([of_mask(mask) for mask in sample]) for sample in masks])
    return torch.from_numpy(maps).float().flatten(2).to(labels.device)


def _signed(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    # Kervadec et al. 2019, as their code has it: - (d - 1) inside, so that the object's edge voxels are 0.
    return np.asarray(distance_transform_edt(~mask) * ~mask - (distance_transform_edt(mask) - 1) * mask)


def signed(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _signed)


def boundary(logits: Tensor, labels: Tensor, phi: Tensor) -> Tensor:
    return (torch.softmax(logits, 1).flatten(2)[:, 1:] * phi[:, 1:]).mean()


def _tube(foreground: np.ndarray) -> np.ndarray:
    # Kirchhoff et al. 2024: the skeleton of all foreground, dilated twice along the axes.
    skeleton = skeletonize(foreground).astype(bool)
    return np.asarray(binary_dilation(skeleton, iterations=2))


def tubes(labels: Tensor, classes: int) -> Tensor:
    tubes = np.stack([_tube(sample > 0) for sample in labels.cpu().numpy()])
    one_hot = F.one_hot(labels, classes).movedim(-1, 1).flatten(2)
    return one_hot * torch.from_numpy(tubes).to(labels.device).flatten(1)[:, None]


def skeleton_recall(logits: Tensor, labels: Tensor, tube: Tensor) -> Tensor:
    s, t = torch.softmax(logits, 1).flatten(2)[:, 1:], tube[:, 1:]
    recall, there = ((s * t).sum(2) + 1e-5) / (t.sum(2) + 1e-5), t.sum(2) > 0
    return 1 - (recall * there).sum() / there.sum()


def _contour(x: Tensor) -> Tensor:
    pool = F.max_pool2d if x.ndim == 4 else F.max_pool3d
    eroded = -pool(-x, 3, 1, 1)
    return F.relu(pool(eroded, 3, 1, 1) - eroded).flatten(2).sum(2)


def perimeter(logits: Tensor, labels: Tensor) -> Tensor:
    # El Jurdi et al. 2021: squared difference of the lengths, divided by the size of the image.
    s, g = torch.softmax(logits, 1)[:, 1:], F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()[:, 1:]
    return ((_contour(s) - _contour(g)) ** 2 / labels[0].numel()).mean()


def _two_sided(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    return np.asarray(distance_transform_edt(mask) + distance_transform_edt(~mask))


def two_sided(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _two_sided)


def hausdorff(logits: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
    s, g = pair(logits, labels)
    # Karimi and Salcudean 2019: squared distances of both masks; the predicted one carries no gradient.
    predicted = two_sided(logits.detach().argmax(1), logits.shape[1])
    return ((s - g) ** 2 * (truth**2 + predicted**2))[:, 1:].mean()


def _rectified(mask: np.ndarray) -> np.ndarray:
    # Valverde and Tohka 2021, rectified: 1 outside, down to -1 at the deepest voxel inside.
    depth = distance_transform_edt(mask) if not mask.all() else np.ones(mask.shape)
    return np.where(mask, -depth / max(depth.max(), 1), 1.0)


def rectified(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _rectified)


def region_wise(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (torch.softmax(logits, 1).flatten(2) * weights).mean()


def _penalty(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    depth = distance_transform_edt(mask)
    deepest, nearest = depth[mask].max(), depth[mask].min()
    if deepest == nearest:
        return mask.astype(float)
    return np.where(mask, (deepest - depth) / (deepest - nearest), 0)


def penalty(labels: Tensor, classes: int) -> Tensor:
    return per_class(labels, classes, _penalty).sum(1)


def weighted_ce(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (weights * voxels(logits, labels)[0].flatten(1)).mean()


def distance_penalised_ce(logits: Tensor, labels: Tensor, penalties: Tensor) -> Tensor:
    return weighted_ce(logits, labels, 1 + penalties)


def _border(labels: np.ndarray) -> np.ndarray:
    foreground = labels > 0
    # Ronneberger et al. 2015, eq. 2: class balance + 10 exp(-(d1 + d2)^2 / (2 5^2)), d to the two nearest objects.
    share = foreground.mean()
    weight = np.where(foreground, 0.5 / share, 0.5 / (1 - share)) if 0 < share < 1 else np.ones(labels.shape)
    objects, count = label(foreground, generate_binary_structure(labels.ndim, labels.ndim))
    if count < 2:
        return weight
    nearest = np.full((2, *labels.shape), np.inf)
    for k in range(1, count + 1):
        # The two smallest so far are kept, object by object, instead of a map per object.
        nearest = np.sort(np.concatenate([nearest, distance_transform_edt(objects != k)[None]]), 0)[:2]
    return np.asarray(weight + ~foreground * 10 * np.exp(-(nearest.sum(0) ** 2) / (2 * 5**2)))


def border(labels: Tensor, classes: int) -> Tensor:
    maps = np.stack([_border(sample) for sample in labels.cpu().numpy()])
    return torch.from_numpy(maps).float().flatten(1).to(labels.device)


def hausdorff_erosion(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = pair(logits, labels)
    # Karimi and Salcudean 2019: squared errors, eroded ten times, the k-th layer weighted by k^2.
    layer = ((s - g)[:, 1:] ** 2).reshape(-1, 1, *labels.shape[1:])
    axes = labels.ndim - 1
    kernel = torch.from_numpy(generate_binary_structure(axes, 1) / (2 * axes + 1)).to(layer)[None, None]
    convolve, total = (F.conv2d, F.conv3d)[axes - 2], torch.zeros_like(layer)
    for k in range(1, 11):
        layer = torch.relu(convolve(layer, kernel, padding=1) - 0.5)
        total = total + k**2 * layer
    return total.mean()


def soft_erode(x: Tensor) -> Tensor:
    axes = x.ndim - 2
    pool, least = (F.max_pool2d, F.max_pool3d)[axes - 2], x
    for axis in range(axes):
        window = [3 if k == axis else 1 for k in range(axes)]
        # Erosion is a maximum pool of the negative; windows along each axis make a cross, not a box.
        least = torch.min(least, -pool(-x, window, 1, [size // 2 for size in window]))
    return least


def soft_skeleton(x: Tensor, iterations: int = 10) -> Tensor:
    dilate = (F.max_pool2d, F.max_pool3d)[x.ndim - 4]
    skeleton = torch.relu(x - dilate(soft_erode(x), 3, 1, 1))
    for _ in range(iterations):
        x = soft_erode(x)
        # Shit et al. 2021, algorithm 1: voxels that an opening removes join the skeleton unless they are in it already.
        delta = torch.relu(x - dilate(soft_erode(x), 3, 1, 1))
        skeleton = skeleton + torch.relu(delta - skeleton * delta)
    return skeleton


def inside(skeleton: Tensor, objects: Tensor) -> Tensor:
    return ((skeleton * objects).flatten(2).sum(2) + 1) / (skeleton.flatten(2).sum(2) + 1)


def centerline(logits: Tensor, labels: Tensor) -> Tensor:
    s, g = (x[:, 1:].reshape(len(x), -1, *labels.shape[1:]) for x in pair(logits, labels))
    thin_s, thin_g = soft_skeleton(s), soft_skeleton(g)
    precision, recall = inside(thin_s, g), inside(thin_g, s)
    return (1 - 2 * precision * recall / (precision + recall)).mean()

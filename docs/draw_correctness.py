"""Draw the figures of `correctness.md` and compute its table of disagreements.

    python docs/draw_correctness.py

Writes `docs/correctness/*.svg` and the rows between the two marks in `docs/correctness.md`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import ndimage

from lossodyssey.metrics import MEASURES
from lossodyssey.metrics.masks import mask_pair

HERE = Path(__file__).parent
vars(np)["Inf"] = np.inf  # surface-distance 0.1 knows the names of NumPy 1 only
PREDICTION, TRUTH, QUIET = "#c2410c", "#1d4ed8", "#d4d4d8"
START, END = "<!-- numbers: start -->", "<!-- numbers: end -->"


def main() -> None:
    """Draw and compute everything."""
    mpl.rcParams.update({"svg.hashsalt": "lossodyssey", "svg.fonttype": "none", "font.size": 9})
    draw_points()
    draw_percentiles()
    page = HERE / "correctness.md"
    before, rest = page.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}\n{numbers()}\n{END}{after}", encoding="utf-8")


def save(figure: Any, name: str) -> None:
    figure.savefig(HERE / "correctness" / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def draw_points() -> None:
    """One small mask twice: with its surface elements, and with its border voxels."""
    mask = np.zeros((6, 7), bool)
    mask[1:5, 1:6], mask[1, 1], mask[4, 4:6] = True, False, False
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.9))
    for axes in (left, right):
        axes.imshow(np.where(mask, 0.82, 1.0), cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=np.arange(-0.5, 7), yticks=np.arange(-0.5, 6), xticklabels=[], yticklabels=[])
        axes.grid(color=QUIET, linewidth=0.8)
        axes.tick_params(length=0)
    pair = mask_pair(mask, mask)
    elements, borders = pair.elements.truth_to_prediction, pair.borders.truth_to_prediction
    points = elements.source.points + 0.5  # the box starts at (1, 1) and codes lie half a pixel before it
    sizes = 60 * elements.weights
    left.contour(mask, [0.5], colors=TRUTH, linewidths=1.2)
    left.scatter(points[:, 1], points[:, 0], s=sizes, color=TRUTH, zorder=3)
    left.set_title(f"{len(points)} surface elements,\ndot area: length")
    places = borders.source.points + 1
    right.scatter(places[:, 1], places[:, 0], s=45, marker="s", color=PREDICTION, zorder=3)
    right.set_title(f"{len(places)} border voxels,\nall alike")
    save(figure, "points")


def draw_percentiles() -> None:
    """The two directed distance distributions of one pair, and what three tools call HD95."""
    prediction, truth, spacing = blobs()
    pair = mask_pair(prediction, truth, spacing)
    figure, axes = plt.subplots(figsize=(6.4, 2.9))
    _curve(axes, pair.borders.prediction_to_truth.values, PREDICTION, "prediction to truth")
    _curve(axes, pair.borders.truth_to_prediction.values, TRUTH, "truth to prediction")
    axes.axhline(95, color=QUIET, zorder=0)
    for name, style in (("HD95", "-"), ("HD95_surfel", "--"), ("HD95_pooled", ":")):
        value = MEASURES[name].value(pair)
        axes.axvline(value, color="black", linestyle=style, linewidth=1, label=f"{name} = {value:.2f} mm")
    axes.set(xlabel="distance between border voxels, mm", ylabel="share of points, %", ylim=(60, 101), xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    save(figure, "percentiles")


def _curve(axes: Axes, distances: np.ndarray, colour: str, label: str) -> None:
    axes.plot(np.sort(distances), 100 * np.arange(1, distances.size + 1) / distances.size, color=colour, label=label)


def blobs() -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """A rough ball, and a prediction of it with a bump of its own."""
    shape = (40, 64, 64)
    rng = np.random.default_rng(3)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    noise, own = (ndimage.gaussian_filter(rng.standard_normal(shape), 4) for _ in range(2))
    ball = np.sqrt(sum(axis**2 for axis in axes))
    bump = sum((axis - place) ** 2 for axis, place in zip(axes, (0.0, 0.6, 0.0), strict=True)) < 0.06
    truth = ball + 0.08 * noise / noise.std() < 0.6
    prediction = (ball + 0.08 * (noise + 0.6 * own) / noise.std() < 0.6) | bump
    return prediction, truth, (3.0, 0.8, 0.8)


def numbers() -> str:
    """The rows of the table: what each tool calls by a name, on the pair of the figure."""
    prediction, truth, spacing = blobs()
    pair = mask_pair(prediction, truth, spacing)
    theirs = monai(prediction, truth, spacing) | surface_distance(prediction, truth, spacing)
    rows = [
        ("NSD at 1 mm", "NSD", "surface-distance", theirs["NSD"]),
        ("NSD at 1 mm", "NSD_voxel", "MONAI default", theirs["NSD_voxel"]),
        ("HD", "HD", "surface-distance", theirs["HD"]),
        ("HD", "HD_voxel", "MONAI", theirs["HD_voxel"]),
        ("HD95", "HD95", "MONAI", theirs["HD95"]),
        ("HD95", "HD95_surfel", "surface-distance", theirs["HD95_surfel"]),
        ("HD95", "HD95_pooled", "MedPy (by its definition)", float("nan")),
        ("ASSD", "ASSD", "surface-distance", theirs["ASSD"]),
        ("ASSD", "ASSD_voxel", "MONAI", theirs["ASSD_voxel"]),
        ("ASSD", "MASD_voxel", "panoptica (by its definition)", float("nan")),
    ]
    lines = ["| what people call it | name here | value here | tool | value there |", "|---|---|---|---|---|"]
    for called, name, tool, value in rows:
        there = "" if np.isnan(value) else f"{value:.4f}"
        lines.append(f"| {called} | `{name}` | {MEASURES[name].value(pair):.4f} | {tool} | {there} |")
    return "\n".join(lines)


def monai(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    options: dict[str, Any] = {"include_background": True, "spacing": spacing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "NSD_voxel": float(compute_surface_dice(*masks, [1.0], **options)),
            "HD_voxel": float(compute_hausdorff_distance(*masks, **options)),
            "HD95": float(compute_hausdorff_distance(*masks, percentile=95, **options)),
            "ASSD_voxel": float(compute_average_surface_distance(*masks, symmetric=True, **options)),
        }


def surface_distance(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import surface_distance as package

        found = package.compute_surface_distances(truth, prediction, spacing)
    directions = [
        (found["distances_gt_to_pred"], found["surfel_areas_gt"]),
        (found["distances_pred_to_gt"], found["surfel_areas_pred"]),
    ]
    total = sum(areas.sum() for _, areas in directions)
    return {
        "NSD": package.compute_surface_dice_at_tolerance(found, 1.0),
        "HD": package.compute_robust_hausdorff(found, 100),
        "HD95_surfel": package.compute_robust_hausdorff(found, 95),
        "ASSD": sum((distances * areas).sum() for distances, areas in directions) / total,
    }


if __name__ == "__main__":
    main()

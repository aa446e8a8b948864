"""The data set `phantom_lesions`: small pictures with many lesions made from a seed, for losses that count lesions.

Each picture has up to thirty bright lesions, most of them small. The few large ones have most of the pixels, so that
overlap hardly sees the others. Small ones are faint. Lesions stay apart, and each is a connected piece of the truth.
Bright threads, which are background, are as thin as the smallest lesions; the ground has texture, and there is noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.data.rendered import write_rendered

Array = NDArray[numpy.float32]

SIDE = 128
CLASSES = ("background", "lesion")
LESIONS = (12, 30)
SMALLEST, LARGEST, TAIL = 1.3, 12.0, 1.3
"""Radii in pixels, and the exponent of their distribution: the larger, the fewer lesions are large."""
APART = 2.5
"""Pixels between two lesions, at least."""
GROUND, NOISE = 90.0, 12.0


def write_lesion_phantom(folder: str | Path, cases: int = 60, seed: int = 2024) -> None:
    """Write `cases` pictures in the MSD layout to `folder`; equal arguments give equal files."""
    write_rendered(folder, "lesions_{:03d}.png", render, _facts(seed), numpy.eye(3), cases=cases, seed=seed)


def render(random: Generator) -> tuple[NDArray[numpy.uint8], NDArray[numpy.uint8]]:
    """Render one picture of grey values and its class numbers, both `SIDE` pixels wide and high."""
    light, mask = numpy.zeros((2, 2 * SIDE, 2 * SIDE), dtype=numpy.float32)
    for inside, radius in _lesions(random):
        mask[inside] = 1
        # Small lesions are seen in part of their depth, and are fainter than large ones.
        light[inside] = random.uniform(25, 40) + 4 * min(radius, 6)
    texture = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 5)
    image = GROUND + 8 * texture / texture.std() + _averaged(light) + _threads(random)
    # The lens blurs before the sensor adds its noise.
    image = ndimage.gaussian_filter(image, 0.6) + NOISE * random.normal(size=image.shape)
    labels = (_averaged(mask) >= 0.5).astype(numpy.uint8)
    return numpy.rint(image).clip(0, 255).astype(numpy.uint8), labels


def _facts(seed: int) -> dict[str, Any]:
    return {
        "name": "phantom_lesions",
        "description": "Synthetic pictures of many lesions, most of them small",
        "reference": f"lossodyssey.data.lesion_phantom, seed {seed}",
        "licence": "CC0 1.0",
        "tensorImageSize": "2D",
        "modality": {"0": "grey"},
        "labels": {str(index): name for index, name in enumerate(CLASSES)},
        "flip_axes": [0, 1],
    }


def _lesions(random: Generator) -> Iterator[tuple[NDArray[numpy.bool_], float]]:
    """Yield where each lesion lies on the fine grid, and its radius in pixels; the largest are placed first."""
    radii = SMALLEST * random.uniform(size=random.integers(*LESIONS, endpoint=True)) ** (-1 / TAIL)
    rows, columns = numpy.indices((2 * SIDE, 2 * SIDE), dtype=numpy.float32) / 2 + 0.25
    placed: list[tuple[float, float, float]] = []
    for radius in sorted(radii.clip(max=LARGEST).tolist(), reverse=True):
        stretch, angle = random.uniform(1, 1.3), random.uniform(0, numpy.pi)
        reach = radius * stretch
        row, column = random.uniform(reach + 1, SIDE - reach - 1, size=2)
        # A lesion too near to another one is left out, which is rare and keeps the number of draws the same.
        if any(numpy.hypot(row - y, column - x) < reach + other + APART for y, x, other in placed):
            continue
        placed.append((row, column, reach))
        along = (rows - row) * numpy.cos(angle) + (columns - column) * numpy.sin(angle)
        across = (columns - column) * numpy.cos(angle) - (rows - row) * numpy.sin(angle)
        yield (along / stretch) ** 2 + (across * stretch) ** 2 < radius**2, radius


def _threads(random: Generator) -> Array:
    """Draw a few bright curved threads, whose cuts look like small lesions."""
    drawn = numpy.zeros((SIDE, SIDE), dtype=numpy.float32)
    for _ in range(random.integers(3, 6)):
        heading = random.uniform(0, 2 * numpy.pi) + numpy.cumsum(random.normal(0, 0.06, size=90))
        start = random.uniform(0, SIDE, size=2)
        path = start[:, None] + numpy.cumsum([numpy.cos(heading), numpy.sin(heading)], axis=1)
        y, x = numpy.rint(path).astype(int)
        there = (y >= 0) & (y < SIDE) & (x >= 0) & (x < SIDE)
        drawn[y[there], x[there]] = random.uniform(25, 45)
    return drawn


def _averaged(fine: Array) -> Array:
    """Average every 2 x 2 block."""
    result: Array = fine.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    return result

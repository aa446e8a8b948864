"""The data set `phantom_vessels`: small pictures of branching vessels made from a seed, for losses of centre lines.

Each picture has a few trees that grow in from its border, bend, fork and get thinner, from seven pixels wide to less
than two. They are darker than the ground they lie on, the less so the thinner they are, and every one fades nearly
away over some stretches, where the truth goes on. The light is uneven, and there are round dark spots and noise.
Pictures are drawn at twice their resolution and averaged down, so that thin vessels are seen in part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.data.rendered import write_rendered

Array = NDArray[numpy.float32]

SIDE = 128
CLASSES = ("background", "vessel")
VESSEL = 1
TREES, WIDEST, THINNEST = (2, 4), (2.0, 3.4), 0.8
"""How many trees there are, the radii they begin with, and the radius below which a branch does not fork, in pixels."""
GROUND, DARKEST, NOISE = 150.0, 75.0, 14.0
STEP = 0.5
"""How far a vessel grows between two of its points, in pixels."""


def write_vessel_phantom(folder: str | Path, cases: int = 48, seed: int = 2024) -> None:
    """Write `cases` pictures in the MSD layout to `folder`; equal arguments give equal files."""
    write_rendered(folder, "vessels_{:03d}.png", render, _facts(seed), numpy.eye(3), cases=cases, seed=seed)


def render(random: Generator) -> tuple[NDArray[numpy.uint8], NDArray[numpy.uint8]]:
    """Render one picture of grey values and its class numbers, both `SIDE` pixels wide and high."""
    canvas = _Canvas.empty()
    for _ in range(random.integers(*TREES, endpoint=True)):
        for branch in _tree(random):
            canvas.paint(branch, _fading(len(branch), random))
    dark = DARKEST * _averaged(canvas.depth) + _spots(random)
    light = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 24)
    image = GROUND + 25 * light / light.std() - dark
    # The lens blurs before the sensor adds its noise.
    image = ndimage.gaussian_filter(image, 0.6) + NOISE * random.normal(size=image.shape)
    return numpy.rint(image).clip(0, 255).astype(numpy.uint8), canvas.labels()


def _facts(seed: int) -> dict[str, Any]:
    return {
        "name": "phantom_vessels",
        "description": "Synthetic pictures of branching vessels of many widths, with stretches of low contrast",
        "reference": f"lossodyssey.data.vessel_phantom, seed {seed}",
        "licence": "CC0 1.0",
        "tensorImageSize": "2D",
        "modality": {"0": "grey"},
        "labels": {str(index): name for index, name in enumerate(CLASSES)},
        "flip_axes": [0, 1],
    }


def _tree(random: Generator) -> Iterator[Array]:
    """Yield the branches of a tree that grows inwards: points (P, 3) of row, column and radius in pixels."""
    side, along = random.integers(4), random.uniform(0.1, 0.9) * SIDE
    start = ((0.0, along), (SIDE - 1.0, along), (along, 0.0), (along, SIDE - 1.0))[side]
    inwards = (0.0, math.pi, math.pi / 2, -math.pi / 2)[side] + random.uniform(-0.5, 0.5)
    growing = [(start, inwards, random.uniform(*WIDEST))]
    while growing:
        points, heading = _branch(*growing.pop(), random)
        yield points
        row, column, radius = (float(number) for number in points[-1])
        if radius >= THINNEST and 0 < row < SIDE - 1 and 0 < column < SIDE - 1:
            wide, spread = random.uniform(0.75, 0.9), random.uniform(0.5, 1.1)
            # Murray's law: the cubes of the radii of the two branches add up to that of the vessel.
            for share, turn in ((wide, -0.4), ((1 - wide**3) ** (1 / 3), 0.6)):
                growing.append(((row, column), heading + turn * spread, radius * share))


def _branch(start: tuple[float, float], heading: float, radius: float, random: Generator) -> tuple[Array, float]:
    """Return the points of one vessel until it forks or leaves the picture, and where it then heads."""
    steps = int(random.uniform(8, 16) * (1 + radius) / STEP)
    turns = ndimage.gaussian_filter1d(random.normal(size=steps), 8, mode="nearest")
    headings = heading + numpy.cumsum(0.09 * turns)
    rows = start[0] + STEP * numpy.cumsum(numpy.cos(headings))
    columns = start[1] + STEP * numpy.cumsum(numpy.sin(headings))
    radii = radius * numpy.linspace(1, 0.85, steps)
    points = numpy.stack([rows, columns, radii], 1)
    outside = ((points[:, :2] < 0) | (points[:, :2] > SIDE - 1)).any(1)
    last = int(outside.argmax()) + 1 if outside.any() else steps
    return points[:last].astype(numpy.float32), float(headings[-1])


def _fading(length: int, random: Generator) -> Array:
    """Draw how well each point of a vessel is seen, in 0..1: well, except for a stretch here and there."""
    field = ndimage.gaussian_filter1d(random.normal(size=length + 80), 10)[40 : 40 + length]
    lost = field / 0.17 > 1.0  # 0.17 is the deviation of the smoothed noise: a sixth of the length
    seen: Array = ndimage.gaussian_filter1d(numpy.where(lost, 0.1, 1.0), 4, mode="nearest").astype(numpy.float32)
    return seen


@dataclass(frozen=True)
class _Canvas:
    """How dark vessels are on the fine grid, where they are, and the pixels that their middles pass through."""

    depth: Array
    mask: NDArray[numpy.bool_]
    middle: NDArray[numpy.bool_]

    @classmethod
    def empty(cls) -> _Canvas:
        fine = (2 * SIDE, 2 * SIDE)
        return cls(numpy.zeros(fine, dtype=numpy.float32), numpy.zeros(fine, bool), numpy.zeros((SIDE, SIDE), bool))

    def paint(self, branch: Array, seen: Array) -> None:
        """Draw discs along a branch: the darker the thicker it is and the better it is seen."""
        for (row, column, radius), share in zip(branch, seen, strict=True):
            contrast = share * min(1.0, 0.35 + 0.25 * float(radius))
            self._disc(2 * float(row) + 0.5, 2 * float(column) + 0.5, 2 * float(radius), contrast)
            y, x = round(float(row)), round(float(column))
            if 0 <= y < SIDE and 0 <= x < SIDE:
                self.middle[y, x] = True

    def _disc(self, row: float, column: float, radius: float, contrast: float) -> None:
        top, left = (max(int(centre - radius), 0) for centre in (row, column))
        bottom, right = (int(centre + radius) + 2 for centre in (row, column))
        depth, mask = self.depth[top:bottom, left:right], self.mask[top:bottom, left:right]
        rows, columns = (numpy.arange(first, first + n) for first, n in zip((top, left), mask.shape, strict=True))
        inside = (rows[:, None] - row) ** 2 + (columns - column) ** 2 <= radius**2
        mask |= inside
        numpy.maximum(depth, contrast * inside, out=depth)

    def labels(self) -> NDArray[numpy.uint8]:
        """Return 1 in pixels that are half a vessel or more, and on a middle, so that sampling tears none."""
        return ((_averaged(self.mask.astype(numpy.float32)) >= 0.5) | self.middle).astype(numpy.uint8)


def _spots(random: Generator) -> Array:
    """Draw a few round dark spots, to be told from vessels."""
    dark = numpy.zeros((SIDE, SIDE), dtype=numpy.float32)
    rows, columns = numpy.ogrid[:SIDE, :SIDE]
    for _ in range(random.integers(2, 6)):
        (row, column), radius = random.uniform(0, SIDE, size=2), random.uniform(1.5, 4)
        distance = numpy.hypot(rows - row, columns - column)
        dark += random.uniform(20, 45) * (distance <= radius)
    return dark


def _averaged(fine: Array) -> Array:
    """Average every 2 x 2 block."""
    result: Array = fine.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    return result

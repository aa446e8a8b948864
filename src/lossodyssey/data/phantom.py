"""The data set `phantom`: small CT-like volumes made from a seed, for work without any data at hand.

Each case has a body with fat, muscle, spine and bowel (all background), liver, spleen, two kidneys, and one small
tumour in the liver. Organs vary in place, size, shape and contrast, their grey values overlap, and every volume is
drawn at twice its resolution and averaged down, so that borders have partial volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.data.rendered import write_rendered

Array = NDArray[numpy.float32]

SHAPE = (48, 48, 32)
SPACING = (1.5, 1.5, 3.0)
CLASSES = ("background", "liver", "spleen", "kidney", "tumour")
LIVER, SPLEEN, KIDNEY, TUMOUR = 1, 2, 3, 4
AIR, FAT, MUSCLE, BONE = -1000.0, -95.0, 55.0, 300.0


def write_phantom(folder: str | Path, cases: int = 60, seed: int = 2024) -> None:
    """Write `cases` volumes in the MSD layout to `folder`; equal arguments give equal files."""
    affine = numpy.diag([*SPACING, 1.0])
    write_rendered(folder, "phantom_{:03d}.nii.gz", render, _facts(seed), affine, cases=cases, seed=seed)


def render(random: Generator) -> tuple[NDArray[numpy.int16], NDArray[numpy.uint8]]:
    """Render one volume of Hounsfield units and its class numbers, both of `SHAPE` at `SPACING` mm."""
    density, labels = _draw(_points(), random)
    image = _averaged(density + 6 * _texture(density.shape, random, knots=12))
    # The scanner's blur comes before its noise, which has a grain of its own.
    image = ndimage.gaussian_filter(image, (0.6, 0.6, 0.3))
    noise = ndimage.gaussian_filter(random.normal(size=SHAPE), (0.7, 0.7, 0.3))
    image += 22 * noise / noise.std()
    return numpy.rint(image).clip(-1024, 3071).astype(numpy.int16), _majority(labels)


def _facts(seed: int) -> dict[str, Any]:
    return {
        "name": "phantom",
        "description": "Synthetic abdominal CT: liver, spleen, kidneys and a small liver tumour",
        "reference": f"lossodyssey.data.phantom, seed {seed}",
        "licence": "CC0 1.0",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(index): name for index, name in enumerate(CLASSES)},
        "flip_axes": [],
    }


def _points() -> Array:
    """Compute the fine voxels' centres in mm to right, front and top of the middle, (3, *S) with S twice `SHAPE`."""
    axes = [(numpy.arange(2 * n) + 0.5 - n) * size / 2 for n, size in zip(SHAPE, SPACING, strict=True)]
    return numpy.stack(numpy.meshgrid(*axes, indexing="ij")).astype(numpy.float32)


def _texture(shape: tuple[int, ...], random: Generator, knots: int) -> Array:
    """Draw a smooth random field of unit deviation: Gaussian bumps of random height, `knots` along each axis."""
    field = random.normal(size=(knots,) * len(shape)).astype(numpy.float32)
    for n in shape:
        # Gaussians are separable, so each axis is one small matrix product instead of a sum over knots^3 bumps.
        places = (numpy.arange(n, dtype=numpy.float32)[None] + 0.5) * knots / n - 0.5
        bumps = numpy.exp(-((places - numpy.arange(knots)[:, None]) ** 2)).astype(numpy.float32)
        field = numpy.tensordot(field, bumps, axes=(0, 0))
    result: Array = field / field.std()
    return result


def _bend(points: Array, random: Generator) -> Array:
    """Draw a smooth random displacement of all points, (3, *S) of unit deviation."""
    return numpy.stack([_texture(points.shape[1:], random, knots=5) for _ in points])


@dataclass(frozen=True)
class _Canvas:
    """Hounsfield units and classes on the fine grid; what is painted later covers what was there."""

    density: Array
    labels: NDArray[numpy.uint8]

    def paint(self, region: NDArray[numpy.bool_], grey: float, label: int = 0) -> None:
        self.density[region] = grey
        self.labels[region] = label


def _ellipsoid(points: Array, centre: Any, radii: Any) -> NDArray[numpy.bool_]:
    """Mark the points within an ellipsoid; `centre` and `radii` are three numbers each, in mm."""
    scale = 1 / numpy.asarray(radii, dtype=numpy.float32)
    shift = numpy.asarray(centre, dtype=numpy.float32) * scale
    x, y, z = (points[axis] * scale[axis] - shift[axis] for axis in range(3))
    inside: NDArray[numpy.bool_] = x * x + y * y + z * z < 1
    return inside


def _draw(points: Array, random: Generator) -> tuple[Array, NDArray[numpy.uint8]]:
    shape = points.shape[1:]
    canvas = _Canvas(numpy.full(shape, AIR, dtype=numpy.float32), numpy.zeros(shape, dtype=numpy.uint8))
    # One bend for all, weaker for the trunk: neighbouring organs deform together.
    bend = _bend(points, random)
    _paint_trunk(canvas, points + 1.2 * bend, random)
    _paint_bowel(canvas, points + 3.0 * bend, random)
    # The contrast agent reaches all organs of one case alike.
    phase = random.normal(0, 12)
    _paint_kidneys_and_spleen(canvas, points + 2.5 * bend, random, phase)
    _paint_liver(canvas, points + 2.5 * bend, random, phase)
    return canvas.density, canvas.labels


def _paint_trunk(canvas: _Canvas, points: Array, random: Generator) -> None:
    skin = random.uniform((32, 27, 110), (34, 30, 150))
    for thickness, grey in ((0, FAT), (3, MUSCLE), (6, random.normal(-25, 15))):
        canvas.paint(_ellipsoid(points, (0, 0, 0), skin - thickness), grey)
    canvas.paint(_ellipsoid(points, (0, -17, 0), (5.5, 5, 999)), BONE)


def _paint_bowel(canvas: _Canvas, points: Array, random: Generator) -> None:
    for _ in range(4):
        loop = _ellipsoid(points, random.uniform((-14, 2, -35), (8, 16, 35)), random.uniform(4, 9, size=3))
        canvas.paint(loop, random.uniform(10, 120))


def _paint_kidneys_and_spleen(canvas: _Canvas, points: Array, random: Generator, phase: float) -> None:
    for side in (-1, 1):
        centre = random.normal((14 * side, -10, -16), 2.0)
        kidney = _ellipsoid(points, centre, random.uniform((4, 5, 11), (6, 7, 16)))
        canvas.paint(kidney, random.normal(140, 14) + phase, KIDNEY)
    centre = random.normal((-18, -1, 14), 2.0)
    spleen = _ellipsoid(points, centre, random.uniform((5, 8, 11), (7, 11, 18)))
    canvas.paint(spleen, random.normal(118, 9) + phase, SPLEEN)


def _paint_liver(canvas: _Canvas, points: Array, random: Generator, phase: float) -> None:
    centre, radii = random.normal((12, 4, 12), 2.0), random.uniform((11, 12, 20), (14, 16, 27))
    liver, grey = _ellipsoid(points, centre, radii), random.normal(104, 9) + phase
    canvas.paint(liver, grey, LIVER)

    middle = centre + random.uniform(-0.4, 0.4, size=3) * radii
    tumour = _ellipsoid(points, middle, random.uniform(4.5, 8.0) * random.uniform(0.8, 1.25, size=3))
    # Cut to the liver: a tumour that grew out of it would take over its neighbours' voxels.
    canvas.paint(tumour & liver, grey - random.uniform(30, 65), TUMOUR)


def _averaged(fine: Array) -> Array:
    """Average every 2 x 2 x 2 block."""
    blocks = fine.reshape(SHAPE[0], 2, SHAPE[1], 2, SHAPE[2], 2)
    result: Array = blocks.mean(axis=(1, 3, 5))
    return result


def _majority(fine: NDArray[numpy.uint8]) -> NDArray[numpy.uint8]:
    # argmax takes the first of equal shares, so ties go to the background, then to the class listed first.
    shares = [_averaged((fine == index).astype(numpy.float32)) for index in range(len(CLASSES))]
    result: NDArray[numpy.uint8] = numpy.argmax(shares, axis=0).astype(numpy.uint8)
    return result

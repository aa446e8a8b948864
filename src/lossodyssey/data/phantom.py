"""The data set `phantom`: small CT-like volumes made from a seed, for work without any data at hand.

Each case has a body with fat, muscle, spine and bowel (all background), liver, spleen, two kidneys, and one small
tumour in the liver. Organs vary in place, size, shape and contrast, their grey values overlap, and every volume is
drawn at twice its resolution and averaged down, so that borders have partial volume.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lossodyssey.data.volumes import write_array

Array = NDArray[numpy.float32]

SHAPE = (48, 48, 32)
SPACING = (1.5, 1.5, 3.0)
CLASSES = ("background", "liver", "spleen", "kidney", "tumour")
LIVER, SPLEEN, KIDNEY, TUMOUR = 1, 2, 3, 4
AIR, FAT, MUSCLE, BONE = -1000.0, -95.0, 55.0, 300.0


def write_phantom(folder: str | Path, cases: int = 60, seed: int = 2024) -> None:
    """Write `cases` volumes in the MSD layout to `folder`; equal arguments give equal files."""
    folder = Path(folder)
    affine = numpy.diag([*SPACING, 1.0])
    training = []
    for index in range(cases):
        image, labels = render(numpy.random.default_rng([seed, index]))
        item = {role: f"{role}sTr/phantom_{index:03d}.nii.gz" for role in ("image", "label")}
        write_array(folder / item["image"], image, affine)
        write_array(folder / item["label"], labels, affine)
        training.append(item)
    (folder / "dataset.json").write_text(json.dumps(_settings(training, seed), indent=1) + "\n", encoding="utf-8")


def render(random: Generator) -> tuple[NDArray[numpy.int16], NDArray[numpy.uint8]]:
    """One volume of Hounsfield units and its class numbers, both of `SHAPE` at `SPACING` mm."""
    points = _warped(_points(), random, amplitude=3.0)
    density, labels = _draw(points, random)
    image = _averaged(density + 6 * _texture(density.shape, random, knots=12))
    image = ndimage.gaussian_filter(image, (0.6, 0.6, 0.3))
    noise = ndimage.gaussian_filter(random.normal(size=SHAPE), (0.7, 0.7, 0.3))
    image += 22 * noise / noise.std()
    return numpy.rint(image).clip(-1024, 3071).astype(numpy.int16), _majority(labels)


def _settings(training: list[dict[str, str]], seed: int) -> dict[str, Any]:
    return {
        "name": "phantom",
        "description": "Synthetic abdominal CT: liver, spleen, kidneys and a small liver tumour",
        "reference": f"lossodyssey.data.phantom, seed {seed}",
        "licence": "CC0 1.0",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(index): name for index, name in enumerate(CLASSES)},
        "flip_axes": [],
        "numTraining": len(training),
        "training": training,
    }


def _points() -> Array:
    """Centres of the fine voxels in mm from the middle, (3, *S) with S twice `SHAPE`."""
    axes = [(numpy.arange(2 * n) + 0.5 - n) * size / 2 for n, size in zip(SHAPE, SPACING, strict=True)]
    return numpy.stack(numpy.meshgrid(*axes, indexing="ij")).astype(numpy.float32)


def _texture(shape: tuple[int, ...], random: Generator, knots: int) -> Array:
    """A smooth random field of unit deviation with `knots` independent values along each axis."""
    coarse = random.normal(size=(knots,) * len(shape)).astype(numpy.float32)
    field = ndimage.zoom(coarse, [n / knots for n in shape], order=2, mode="nearest", grid_mode=True)
    result: Array = field / field.std()
    return result


def _warped(points: Array, random: Generator, amplitude: float) -> Array:
    """`points` moved smoothly at random by about `amplitude` mm, which bends every shape drawn on them."""
    return points + amplitude * numpy.stack([_texture(points.shape[1:], random, knots=5) for _ in points])


def _ellipsoid(points: Array, centre: Any, radii: Any) -> NDArray[numpy.bool_]:
    offset = (points - numpy.reshape(centre, (3, 1, 1, 1))) / numpy.reshape(radii, (3, 1, 1, 1))
    inside: NDArray[numpy.bool_] = (offset**2).sum(axis=0) < 1
    return inside


def _draw(points: Array, random: Generator) -> tuple[Array, NDArray[numpy.uint8]]:
    """Hounsfield units and classes on the fine grid; what is painted later covers what was there."""
    density = numpy.full(points.shape[1:], AIR, dtype=numpy.float32)
    labels = numpy.zeros(points.shape[1:], dtype=numpy.uint8)

    def paint(region: NDArray[numpy.bool_], value: float, label: int = 0) -> None:
        density[region] = value
        labels[region] = label

    body = random.uniform((31, 26, 70), (34, 30, 80))
    paint(_ellipsoid(points, (0, 0, 0), body), FAT)
    paint(_ellipsoid(points, (0, 0, 0), body - 2), MUSCLE)
    paint(_ellipsoid(points, (0, 1, 0), body - 5), random.normal(-10, 25))
    paint(_ellipsoid(points, (0, -20, 0), (5, 5, 90)), BONE)
    _paint_bowel(points, random, paint)
    _paint_organs(points, random, paint)
    return density, labels


def _paint_bowel(points: Array, random: Generator, paint: Any) -> None:
    for _ in range(4):
        centre = random.uniform((-8, 4, -35), (16, 18, 35))
        paint(_ellipsoid(points, centre, random.uniform(4, 9, size=3)), random.uniform(10, 120))


def _paint_organs(points: Array, random: Generator, paint: Any) -> None:
    def near(centre: tuple[int, int, int], spread: float = 2.5) -> Any:
        return numpy.add(centre, random.normal(0, spread, size=3))

    phase = random.normal(0, 12)
    for side in (-1, 1):
        kidney = _ellipsoid(points, near((14 * side, -10, -16)), random.uniform((4, 5, 11), (6, 7, 16)))
        paint(kidney, random.normal(140, 14) + phase, KIDNEY)
    paint(
        _ellipsoid(points, near((20, 0, 14)), random.uniform((5, 8, 11), (8, 11, 18))),
        random.normal(118, 9) + phase,
        SPLEEN,
    )
    middle, radii = near((-13, 4, 12)), random.uniform((12, 13, 20), (15, 17, 27))
    liver, grey = _ellipsoid(points, middle, radii), random.normal(104, 9) + phase
    paint(liver, grey, LIVER)
    radius = random.uniform(3.5, 8.0)
    place = middle + random.uniform(-0.4, 0.4, size=3) * radii
    paint(
        liver & _ellipsoid(points, place, radius * random.uniform(0.8, 1.25, size=3)),
        grey - random.uniform(30, 65),
        TUMOUR,
    )


def _averaged(fine: Array) -> Array:
    """Mean of every 2 x 2 x 2 block."""
    blocks = fine.reshape(SHAPE[0], 2, SHAPE[1], 2, SHAPE[2], 2)
    result: Array = blocks.mean(axis=(1, 3, 5))
    return result


def _majority(fine: NDArray[numpy.uint8]) -> NDArray[numpy.uint8]:
    shares = [_averaged((fine == index).astype(numpy.float32)) for index in range(len(CLASSES))]
    result: NDArray[numpy.uint8] = numpy.argmax(shares, axis=0).astype(numpy.uint8)
    return result

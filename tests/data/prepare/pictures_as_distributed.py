"""Small archives of pictures in the layouts in which they are distributed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
SHAPE = (24, 30)


def rng(seed: int) -> numpy.random.Generator:
    return numpy.random.default_rng(seed)


def colours(seed: int, shape: tuple[int, int] = SHAPE) -> Array:
    """Return a smooth coloured picture, so that JPEG keeps it nearly as it is."""
    small = rng(seed).integers(0, 256, (4, 5, 3)).astype(numpy.uint8)
    picture = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
    return numpy.asarray(picture)


def mask(seed: int, shape: tuple[int, int] = SHAPE) -> Array:
    """Return a rectangle as a boolean mask."""
    row, column = rng(seed).integers(1, 8, 2)
    values = numpy.zeros(shape, bool)
    values[row : row + 9, column : column + 11] = True
    return values


def save(path: Path, values: Array, mode: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(numpy.uint8) * 255 if values.dtype == bool else values)
    (picture.convert(mode) if mode else picture).save(path)


def cvc(root: Path, frames: tuple[int, ...] = (1, 2, 25, 26, 27, 51, 68, 79, 104, 127)) -> None:
    for frame in frames:
        save(root / "CVC-ClinicDB" / "Original" / f"{frame}.tif", colours(frame))
        save(root / "CVC-ClinicDB" / "Ground Truth" / f"{frame}.tif", mask(frame))


def chase(root: Path) -> None:
    for child in range(1, 8):
        for place, side in enumerate("LR"):
            name = f"Image_{child:02d}{side}"
            save(root / f"{name}.jpg", colours(2 * child + place))
            save(root / f"{name}_1stHO.png", mask(2 * child + place), "1")
            save(root / f"{name}_2ndHO.png", mask(2 * child + place + 50), "1")


def view() -> Array:
    rows, columns = numpy.indices(SHAPE)
    return numpy.asarray((rows - 12) ** 2 + (columns - 15) ** 2 < 121)


def drive(root: Path, *, labelled_test: bool = True) -> None:
    for part, numbers in (("training", range(21, 27)), ("test", range(1, 4))):
        for number in numbers:
            name = f"{number:02d}"
            save(root / part / "images" / f"{name}_{part}.tif", colours(number))
            save(root / part / "mask" / f"{name}_{part}_mask.gif", view())
            if part == "training" or labelled_test:
                save(root / part / "1st_manual" / f"{name}_manual1.gif", mask(number) & view())
        if part == "test" and labelled_test:
            save(root / "test" / "2nd_manual" / "01_manual2.gif", mask(9))


def bus(root: Path) -> None:
    for number in range(1, 11):
        save(root / "BUS" / "original" / f"{number:06d}.png", colours(number), "L")
        save(root / "BUS" / "GT" / f"{number:06d}.png", mask(number))


def busi(root: Path) -> None:
    """Write images of which the first benign and the first malignant one are one picture, brightened in one."""
    top = root / "Dataset_BUSI_with_GT"
    for place, kind in enumerate(("benign", "malignant", "normal")):
        for number in range(1, 5):
            seed = 1 if (kind, number) in (("benign", 1), ("malignant", 1)) else 10 * place + number
            picture = numpy.asarray(Image.fromarray(colours(seed, (64, 60))).convert("L"))
            brighter = numpy.clip(picture.astype(int) + 9 * place, 0, 255).astype(numpy.uint8)
            save(top / kind / f"{kind} ({number}).png", brighter, "RGB")
            lesion = mask(number, (64, 60)) if kind != "normal" else numpy.zeros((64, 60), bool)
            save(top / kind / f"{kind} ({number})_mask.png", lesion)
    second = numpy.zeros((64, 60), bool)
    second[40:50, 30:50] = True
    save(top / "benign" / "benign (4)_mask_1.png", second)


def isic(root: Path, parts: tuple[str, ...] = ("Training",)) -> None:
    for place, part in enumerate(parts):
        for number in range(6 if part == "Training" else 2):
            name = f"ISIC_{100 * place + number:07d}"
            save(root / f"ISIC2018_Task1-2_{part}_Input" / f"{name}.jpg", colours(number))
            save(root / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png", mask(number))
        note = root / f"ISIC2018_Task1-2_{part}_Input" / "LICENSE.txt"
        note.write_text("terms")


def dsb(root: Path) -> None:
    for number in range(6):
        name = f"{number:064x}"
        alpha = numpy.full((*SHAPE, 1), 255, numpy.uint8)
        folder = root / "stage1_train" / name
        save(folder / "images" / f"{name}.png", numpy.concatenate([colours(number), alpha], -1))
        for nucleus in range(3):
            own = numpy.zeros(SHAPE, bool)
            own[2 + 7 * nucleus : 7 + 7 * nucleus, number : number + 9] = True
            save(folder / "masks" / f"{number}{nucleus}.png", own)
    save(root / "stage1_test" / "abc" / "images" / "abc.png", colours(99))


def mortar(root: Path) -> None:
    top = root / "TopoMortar" / "dataset"
    lines = ["ID,group"]
    parts = [("train", 4), ("val", 2), ("test", 6)]
    numbers = iter(range(1, 20))
    for part, count in parts:
        for _ in range(count):
            number = next(numbers)
            save(top / part / "images" / f"{number:03d}.png", colours(number))
            for kind, shift in (("accurate", 0), ("noisy", 1), ("pseudo", 2)):
                if kind == "accurate" or part != "test":
                    save(top / part / kind / f"{number:03d}.png", numpy.roll(mask(number), shift, 0))
            lines.append(f"{number:03d},{'shadows' if number > 9 else 'indistr'}")
    (top / "dataset_types.txt").write_text("\n".join(lines) + "\n")


def zipped(root: Path, archive: Path) -> Path:
    """Pack a folder, with the hidden files that macOS leaves."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                where = path.relative_to(root)
                file.write(path, where)
                file.writestr(str(Path("__MACOSX") / where.with_name(f"._{where.name}")), b"junk")
    return archive

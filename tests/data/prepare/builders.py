"""Small archives laid out as the real ones, filled with scans of a body that is not symmetric."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel
import numpy

SHAPE = (12, 10, 8)
AFFINE = numpy.diag([1.5, 2.0, 3.0, 1.0])
ORGAN = (slice(3, 6), slice(2, 4), slice(1, 3))
TUMOUR = (slice(4, 5), slice(2, 4), slice(1, 2))
# Ten scans, of which every test finds out how many it needs.
COUNT = 10


def body(number: int) -> numpy.ndarray:
    """Return a scan in Hounsfield units: air around a body that is nowhere its own mirror image."""
    values = numpy.full(SHAPE, -1000, numpy.int16)
    values[1:9, 1:6, :5] = 40
    return (values + numpy.random.default_rng(number).integers(0, 9, SHAPE)).astype(numpy.int16)


def organs(*labels: int) -> numpy.ndarray:
    """Return labels of an organ and of a part of it, in the body; further labels take a voxel each."""
    values = numpy.zeros(SHAPE, numpy.uint8)
    values[ORGAN] = labels[0]
    if len(labels) > 1:
        values[TUMOUR] = labels[1]
    for place, label in enumerate(labels[2:]):
        values[7, 1 + place % 5, place // 5] = label
    return values


def write(path: Path, values: numpy.ndarray, affine: numpy.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def series(folder: Path, values: numpy.ndarray) -> None:
    """Write a scan as DICOM files, a slice each, with the axes to the left, to the back and to the head."""
    itk: Any = import_module("SimpleITK")
    folder.mkdir(parents=True, exist_ok=True)
    writer = itk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in range(values.shape[2]):
        image = itk.GetImageFromArray(numpy.ascontiguousarray(values[:, :, number].T))
        image.SetSpacing([1.5, 2.0])
        facts = {"0008|0060": "CT", "0020|000e": "1.2.3.4", "0020|000d": "1.2.3", "0020|0013": str(number + 1)}
        facts |= {"0008|0018": f"1.2.3.4.{number + 1}", "0020|0032": f"0\\0\\{3 * number}", "0018|0050": "3"}
        facts |= {"0020|0037": "1\\0\\0\\0\\1\\0", "0008|0008": "DERIVED\\SECONDARY"}
        for tag, value in facts.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"1-{number + 1:03d}.dcm"))
        writer.Execute(image)


LPS = numpy.diag([-1.5, -2.0, 3.0, 1.0])


def decathlon(name: str, prefix: str, channels: int, classes: Sequence[str]) -> Callable[[Path], list[Path]]:
    def build(root: Path) -> list[Path]:
        folder = root / name
        for number in range(1, COUNT + 1):
            image = numpy.stack([body(number + channel) for channel in range(channels)], axis=-1)
            write(folder / f"imagesTr/{prefix}_{number:03d}.nii.gz", image if channels > 1 else image[..., 0])
            write(folder / f"labelsTr/{prefix}_{number:03d}.nii.gz", organs(*range(1, len(classes) + 1)))
            text(folder / f"imagesTr/._{prefix}_{number:03d}.nii.gz", "left behind by macOS")
        write(folder / f"imagesTs/{prefix}_{COUNT + 1:03d}.nii.gz", body(0))
        labels = {str(number): each for number, each in enumerate(("background", *classes))}
        text(folder / "dataset.json", json.dumps({"labels": labels, "modality": {"0": "MRI"}}))
        return [folder]

    return build


def lits(root: Path) -> list[Path]:
    """Two batches; every third header of a label map is another than that of its image."""
    for number in range(COUNT):
        batch = root / f"Training_Batch{1 + number % 2}" / f"Training Batch {1 + number % 2}"
        write(batch / f"volume-{number}.nii", body(number))
        write(batch / f"segmentation-{number}.nii", organs(1, 2), numpy.eye(4) if number % 3 == 0 else AFFINE)
    write(root / "Training_Batch1" / "test-volume-0.nii", body(0))
    return [root / "Training_Batch1", root / "Training_Batch2"]


def kits19(root: Path) -> list[Path]:
    for number in range(COUNT):
        folder = root / "kits19" / "data" / f"case_{number:05d}"
        write(folder / "imaging.nii.gz", body(number))
        write(folder / "segmentation.nii.gz", organs(1, 2).astype(numpy.uint16 if number == 3 else numpy.uint8))
    write(root / "kits19/data/case_00210/imaging.nii.gz", body(0))
    return [root / "kits19"]


def acdc(root: Path) -> list[Path]:
    for place, patient in enumerate((1, 2, 3, 4, 5, 101, 102)):
        folder = root / "ACDC" / ("training" if patient <= 100 else "testing") / f"patient{patient:03d}"
        for frame in (1, 7 + place):
            write(folder / f"patient{patient:03d}_frame{frame:02d}.nii.gz", body(patient))
            write(folder / f"patient{patient:03d}_frame{frame:02d}_gt.nii.gz", organs(1, 2, 3))
        write(folder / f"patient{patient:03d}_4d.nii.gz", body(0))
        text(folder / "Info.cfg", f"ED: 1\nES: {7 + place}\nGroup: DCM\nHeight: 170.0\n")
    return [root / "ACDC"]


def _glioma(folder: Path, name: str, number: int, ending: str, label: str = "") -> None:
    for sequence in ("flair", "t1", "t1ce", "t2"):
        write(folder / f"{name}_{sequence}{ending}", body(number))
    write(folder / f"{label or name + '_seg'}{ending}", organs(2, 1, 4))


def brats2018(root: Path) -> list[Path]:
    top = root / "MICCAI_BraTS_2018_Data_Training"
    for number in range(8):
        name = f"Brats18_TCIA01_{100 + number // 2}_{1 + number % 2}"
        _glioma(top / ("LGG" if number > 5 else "HGG") / name, name, number, ".nii.gz")
    write(top / "HGG" / "Brats18_lacking_1" / "Brats18_lacking_1_flair.nii.gz", body(0))
    return [top]


def brats2020(root: Path) -> list[Path]:
    top = root / "MICCAI_BraTS2020_TrainingData"
    for number in (1, 2, 3, 4, 5, 355):
        name = f"BraTS20_Training_{number:03d}"
        _glioma(top / name, name, number, ".nii", "W39_1998.09.19_Segm" if number == 355 else "")
    return [top]


def nih(root: Path) -> list[Path]:
    """Scans with labels whose headers are right, and one whose header lies along the rows."""
    for number in (1, 2, 3, 4, 5, 6):
        series(root / "Pancreas-CT" / f"PANCREAS_{number:04d}" / "11-24-2015" / "series", body(number))
        # Turned as the real ones are: to the right and to the front, as its header says, but for the last.
        values = organs(1)[::-1, :, :] if number == 6 else organs(1)[::-1, ::-1, :]
        write(root / "TCIA_pancreas_labels-02-05-2017" / f"label{number:04d}.nii.gz", values, AFFINE)
    return [root / "Pancreas-CT", root / "TCIA_pancreas_labels-02-05-2017"]


def gibson(root: Path) -> list[Path]:
    """Labels of both sources, images of both; the image of scan 25 has been withdrawn."""
    every = organs(1, 3, 4, 5, 6, 7, 11, 14, 2, 8)
    for number in (2, 3, 25):
        if number != 25:
            series(root / "Pancreas-CT" / f"PANCREAS_{number:04d}" / "date" / "series", body(number))
        write(root / "label_tcia_multiorgan" / f"label{number:04d}.nii.gz", every[::-1, ::-1], AFFINE)
    for number, part in ((1, "Training"), (2, "Training"), (61, "Testing")):
        write(root / "RawData" / part / "img" / f"img{number:04d}.nii.gz", body(number), LPS)
        write(root / "label_btcv_multiorgan" / f"label{number:04d}.nii.gz", every, LPS)
    names = ("Pancreas-CT", "label_tcia_multiorgan", "RawData", "label_btcv_multiorgan")
    return [root / name for name in names]


def livers_and_vessels(root: Path) -> list[Path]:
    return [*lits(root), *decathlon("Task08_HepaticVessel", "hepaticvessel", 1, ("Vessel", "Tumour"))(root)]


def pancreata(root: Path) -> list[Path]:
    return [*nih(root), *decathlon("Task07_Pancreas", "pancreas", 1, ("pancreas", "cancer"))(root)]


@dataclass(frozen=True)
class Expected:
    """How a small archive is built, and what must come of it: number of cases, of test cases, and of classes."""

    build: Callable[[Path], list[Path]]
    cases: int
    test: int
    classes: int
    channels: int = 1


ARCHIVES = {
    "Task01_BrainTumour": Expected(
        decathlon("Task01_BrainTumour", "BRATS", 4, ("edema", "non-enhancing tumour", "enhancing tumour")), 10, 2, 3, 4
    ),
    "Task05_Prostate": Expected(decathlon("Task05_Prostate", "prostate", 2, ("PZ", "TZ")), 10, 2, 2, 2),
    "Task09_Spleen": Expected(decathlon("Task09_Spleen", "spleen", 1, ("spleen",)), 10, 2, 1),
    "LiTS": Expected(lits, 10, 2, 2),
    "LiTS_tumour": Expected(lits, 10, 2, 1),
    "KiTS19": Expected(kits19, 10, 2, 2),
    "KiTS19_labelled_slices": Expected(kits19, 10, 2, 2),
    "ACDC2017": Expected(acdc, 14, 4, 3),
    "BraTS2018": Expected(brats2018, 8, 0, 3, 4),
    "BraTS2020": Expected(brats2020, 6, 1, 3, 4),
    "NIH_Pancreas-CT": Expected(nih, 6, 1, 1),
    "MultiOrgan_Gibson": Expected(gibson, 5, 1, 8),
    "odyssey-liver": Expected(lits, 10, 0, 1),
    "odyssey-liver-tumour": Expected(livers_and_vessels, 20, 0, 1),
    "odyssey-pancreas": Expected(pancreata, 16, 0, 1),
    "odyssey-multi-organ": Expected(gibson, 5, 0, 8),
}


def packed(folders: Sequence[Path], kind: str) -> list[Path]:
    """Pack each folder beside it as an archive of the ending `kind`."""
    return [_pack(folder, folder.with_name(folder.name + kind)) for folder in folders]


def _pack(folder: Path, archive: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file in files:
                zipped.write(file, file.relative_to(folder.parent).as_posix())
            zipped.writestr(f"__MACOSX/{folder.name}/._dataset.json", "left behind by macOS")
        return archive
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as tar:
        tar.add(folder, folder.name)
    return archive

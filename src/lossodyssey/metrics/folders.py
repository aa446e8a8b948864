"""Pairs of prediction and truth files, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.dataset_json import Label, read_names, read_object
from lossodyssey.data.grids import ENDINGS, is_image, stem


@dataclass(frozen=True)
class FilePair:
    """The two files of one case; None where a partner is missing."""

    name: str
    prediction: Path | None
    truth: Path | None


def pair_files(predictions: Path, truths: Path) -> list[FilePair]:
    """Pair image files by their names without endings, sorted by name; two single files are a pair.

    Files of other formats (`dataset.json`, `plans.json`) and hidden ones are passed over.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a folder has no images, or two files of one name.
    """
    if predictions.is_file() and truths.is_file():
        return [FilePair(stem(truths), predictions, truths)]
    # The union: a truth without a prediction and a prediction without a truth must both be seen, never dropped.
    predicted, true = _images(predictions), _images(truths)
    return [FilePair(name, predicted.get(name), true.get(name)) for name in sorted(predicted.keys() | true.keys())]


def _images(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder (give two folders, or two files)")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_image(path):
            continue
        # case.nii and case.nii.gz would both claim the case; which one is meant, only the user knows.
        other = found.setdefault(stem(path), path)
        if other is not path:
            raise ValueError(f"{folder}: {other.name} and {path.name} are both case {stem(path)!r}; remove one")
    if not found:
        raise ValueError(f"{folder}: no image files; expected {', '.join(ENDINGS)}")
    return found


def find_classes(predictions: Path, truths: Path) -> tuple[str, dict[Label, str]] | None:
    """Read the data set's name and the names of its classes from the `dataset.json` nearest to the truths, if any.

    The numbers may have gaps. Regions stand under the tuple of their labels, the ignored label under its number.
    """
    # nnU-Net keeps it above labelsTr, and its predictions carry a copy.
    for folder in (truths, truths.parent, predictions):
        file = folder / "dataset.json"
        if file.is_file():
            settings = read_object(file)
            name = settings.get("name") or file.resolve().parent.name
            return str(name), read_names(settings, file)
    return None

"""Pairs of prediction and truth files, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.annotated import read_annotated
from lossodyssey.data.dataset_json import Label, read_classes, read_names, read_object, read_regions
from lossodyssey.data.grids import ENDINGS, is_image, stem
from lossodyssey.data.pixel_sizes import read_spacing
from lossodyssey.data.sources import read_sources


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

    Raises:
        ValueError: the file cannot be read, or another one, such as that of the predictions, gives one of its names
            another number.
    """
    files = _settings(predictions, truths)
    if not files:
        return None
    settings = read_object(files[0])
    names = read_names(settings, files[0])
    for other in files[1:]:
        _check_agreement(names, files[0], other)
    return str(settings.get("name") or files[0].resolve().parent.name), names


def find_spacing(predictions: Path, truths: Path) -> tuple[float, ...]:
    """Read the pixel size of pictures in mm from the `dataset.json` nearest to the truths; () where it says none.

    Raises:
        ValueError: the file cannot be read, or its `spacing` is not a list of sizes.
    """
    files = _settings(predictions, truths)
    return read_spacing(read_object(files[0]), files[0]) if files else ()


def find_hidden(predictions: Path, truths: Path) -> dict[str, frozenset[Label]]:
    """Read which classes or regions are not annotated in a case, from the `dataset.json` nearest to the truths.

    Raises:
        ValueError: its key `annotated` cannot be read.
    """
    files = _settings(predictions, truths)
    settings = read_object(files[0]) if files else {}
    if "annotated" not in settings:
        return {}
    rows = read_annotated(settings, files[0], None, read_sources(settings, files[0]))
    regions: list[Label] = [region.labels for region in read_regions(settings, files[0])]
    labels = regions or list(read_classes(settings, files[0]))
    return {
        case: frozenset(label for label, known in zip(labels, row, strict=True) if not known)
        for case, row in rows.items()
    }


def _settings(predictions: Path, truths: Path) -> list[Path]:
    """List the files `dataset.json` around both, the nearest to the truths first."""
    predicted, true = (path.parent if path.is_file() else path for path in (predictions, truths))
    # nnU-Net keeps it above labelsTr, and its predictions carry a copy.
    candidates = [folder / "dataset.json" for folder in (true, true.parent, predicted)]
    return list({file.resolve(): file for file in candidates if file.is_file()}.values())


def _check_agreement(names: Mapping[Label, str], file: Path, other: Path) -> None:
    """Refuse two files that number one class differently: its predictions would be scored as those of another."""
    own = {_plain(name): label for label, name in names.items()}
    for label, name in _names_or_nothing(other).items():
        if own.get(_plain(name), label) != label:
            raise ValueError(
                f"{other}: {name!r} is {_short(label)}, but {_short(own[_plain(name)])} in {file}; expected the same "
                "numbers for predictions and truths: renumber one of them, or remove the dataset.json that is wrong"
            )


def other_names(predictions: Path, truths: Path) -> list[str]:
    """Say where a second `dataset.json` calls a label by another name: a spelling, or another data set."""
    files = _settings(predictions, truths)
    names = _names_or_nothing(files[0]) if files else {}
    return [
        f"{other} calls label {_short(label)} {name!r}, {files[0]} calls it {names[label]!r}: scored under the latter"
        for other in files[1:]
        for label, name in _names_or_nothing(other).items()
        if label in names and _plain(name) != _plain(names[label])
    ]


def _names_or_nothing(file: Path) -> dict[Label, str]:
    """Read a file that is looked at beside the one that counts; one that is broken says nothing."""
    with suppress(ValueError):
        return read_names(read_object(file), file)
    return {}


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _short(label: Label) -> str:
    return str(list(label) if isinstance(label, tuple) else label)

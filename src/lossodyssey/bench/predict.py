"""Segment new images with the network of a finished run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch import nn

from lossodyssey.bench.light import Light, identity
from lossodyssey.bench.record import Record, read_record
from lossodyssey.data import Case, Dataset, read_case, write_labels
from lossodyssey.data.grids import ENDINGS, is_image, is_volume, read_grid, stem, written_ending
from lossodyssey.data.preprocessing import check_sized
from lossodyssey.metrics.folders import find_spacing
from lossodyssey.training.checkpoint import BrokenCheckpoint, read_checkpoint
from lossodyssey.training.checkpoint import load_network as load_checkpoint
from lossodyssey.training.device import prepare_process
from lossodyssey.training.heads import HeadsApart
from lossodyssey.training.inference import segment
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings


def predict(
    run: Path, images: Path, output: Path, on_case: Callable[[int, int], None] = lambda done, total: None
) -> list[Path]:
    """Segment `images` (a file or a folder of them) with the network of `run`; give the files written to `output`.

    Label maps have the format of their image, except JPEG, BMP and GIF, which become PNG, MHD, which becomes MHA, and
    NHDR, which becomes NRRD. Where pictures have a pixel size, of their own or by a `dataset.json` beside or above
    them, it is written beside their label maps.
    Images with several channels are one file, or one file per channel named `case_0000`, `case_0001`, ...
    FileNotFoundError and ValueError name a folder that holds no finished run, an output that is a file, images that
    are absent or do not fit.
    """
    record = read_record(run)
    if record.status != "finished":
        raise ValueError(f"{run}: this run is {record.status}; expected a finished one")
    settings = settings_of(run, record)
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; expected a folder for the predictions, or a new name")
    cases = find_cases(images, len(record.channels))
    _check_not_overwritten(cases, output)
    network = load_network(run, record, settings)
    dataset = Dataset(
        record.dataset,
        images,
        dict(enumerate(record.classes)),
        record.channels,
        tuple(cases),
        spacing=find_spacing(images, images),
    )
    written = []
    for number, case in enumerate(cases, start=1):
        volume = read_case(dataset, case)
        path = output / (case.name + written_ending(case.images[0]))
        if settings.spacing != "original":
            check_sized(volume, case.images[0])
        labels = segment(network, volume.image, settings, record.written, volume.spacing)
        write_labels(path, labels, volume)
        written.append(path)
        on_case(number, len(cases))
    return written


def _check_not_overwritten(cases: Sequence[Case], output: Path) -> None:
    """Check that no label map takes the place of an image.

    Raises:
        ValueError: the output is the folder of the images.
    """
    images = {path.resolve() for case in cases for path in case.images}
    for case in cases:
        path = output / (case.name + written_ending(case.images[0]))
        if path.resolve() in images:
            raise ValueError(f"{path}: is one of the images; expected another folder for the predictions (-o)")


def settings_of(run: Path, record: Record) -> Settings:
    """Return the settings of a run of the light engine; ValueError for one of another engine."""
    if record.engine != Light.name:
        raise ValueError(f"{run}: trained by engine {record.engine!r}, whose own commands segment with its checkpoints")
    try:
        return Settings(**record.settings)
    except TypeError as error:
        raise ValueError(f"{run / 'run.json'}: not the settings of a run ({error})") from None


def load_network(run: Path, record: Record, settings: Settings) -> nn.Module:
    """Build the network of a run and give it the weights of its checkpoint."""
    device = prepare_process(settings)
    dimensions = len(settings.known_patch())
    outputs = len(record.written) or len(record.classes)
    path, own = run / "checkpoint.pt", identity(record.digest, record.seed)
    try:
        # The file says how many heads its network has: the loss itself may be one that is not at hand.
        heads = read_checkpoint(path, "cpu", own).get("heads", ())
        network = build_network(
            settings, dimensions=dimensions, channels=len(record.channels), classes=outputs, seed=0, heads=len(heads)
        )
        load_checkpoint(network, path, "cpu", own)
    except BrokenCheckpoint as broken:
        raise ValueError(f"{path}: {broken.problem}; remove the folder of the run and train it again") from None
    if heads:
        HeadsApart(network, outputs, heads)
    return network.to(device)


def find_cases(images: Path, channels: int) -> list[Case]:
    """List the images of a folder, or the single one; files `case_0000`, `case_0001`, ... make one case."""
    if not images.exists():
        raise FileNotFoundError(f"{images}: no such file or folder; expected an image or a folder of images")
    files = [images] if images.is_file() else [path for path in sorted(images.iterdir()) if is_image(path)]
    if not files:
        raise ValueError(f"{images}: holds no image; expected files that end in {', '.join(ENDINGS)}")
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(re.sub(r"_\d{4}$", "", stem(path)), []).append(path)
    return [case for name, paths in groups.items() for case in _cases(name, paths, channels)]


def _cases(name: str, paths: Sequence[Path], channels: int) -> Iterable[Case]:
    numbered = [stem(path) for path in paths] == [f"{name}_{channel:04d}" for channel in range(channels)]
    if numbered and not _is_whole(paths[0], channels):
        return [Case(name, tuple(paths), None)]
    return [Case(stem(path), (path,), None) for path in paths]


def _is_whole(path: Path, channels: int) -> bool:
    """Return whether a picture holds all of several channels itself, so that the number in its name counts pictures."""
    return channels > 1 and not is_volume(path) and read_grid(path).shown.shape[2:] == (channels,)

"""Where cases come from: a hospital, a scanner or an annotator, whose cases are annotated alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lossodyssey.data.dataset_json import read_object
from lossodyssey.data.grids import is_image, stem


def read_sources(settings: Mapping[str, Any], file: Path) -> dict[str, str]:
    """Read the source of each case that has one.

    It is the optional key `source` of an item of `training`, of a case in nnU-Net's `dataset`, or of a case in
    `cases.json` beside the file, which is believed before the others.

    Raises:
        ValueError: a source is not a name.
    """
    beside = file.with_name("cases.json")
    facts = read_object(beside) if beside.is_file() else {}
    sources = {name: item["source"] for name, item in (*_listed(settings), *facts.items()) if _has_source(item)}
    for name, source in sources.items():
        if not isinstance(source, str) or not source.strip():
            raise ValueError(f"{file}: 'source' of case {name!r} must be a name, found {source!r:.80}")
    return sources


def _listed(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    named = settings.get("dataset")
    if isinstance(named, dict):
        yield from named.items()
    training = settings.get("training")
    for item in training if isinstance(training, list) else ():
        label = item.get("label") if isinstance(item, dict) else None
        if isinstance(label, str) and is_image(Path(label)):
            yield stem(Path(label)), item


def _has_source(item: Any) -> bool:
    return isinstance(item, dict) and "source" in item

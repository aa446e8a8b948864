"""Partial labels: which classes are annotated in which case, from the key `annotated` of `dataset.json`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lossodyssey.data.dataset_json import read_classes, read_names, read_regions

SOURCE = "source:"
"""How `annotated` names all cases of a source: {"source:hospital A": ["liver"]}."""


def read_annotated(
    settings: Mapping[str, Any],
    file: Path,
    cases: Collection[str] | None = None,
    sources: Mapping[str, str] | None = None,
) -> dict[str, tuple[bool, ...]]:
    """Read the optional key `annotated`: {"case_001": ["liver", 2], ...}, classes or regions by name or number.

    {"source:hospital A": ["liver"]} lists the classes of all cases of a source; a case that is listed itself follows
    its own list.

    Args:
        settings: the content of `dataset.json`.
        file: its path, for messages.
        cases: the names of the data set's cases; None where they are not known, and not checked.
        sources: the source of each case that has one.

    Returns:
        For every case that is listed, whether each output of a network is annotated: each region, or each class with
        the background first, which always is. A case that is not listed is annotated fully.

    Raises:
        ValueError: a case, a source or a class that the data set does not have, or something else than lists of
            classes.
    """
    table = settings.get("annotated")
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise ValueError(
            f"{file}: 'annotated' must be an object of cases with their classes, such as "
            f'{{"case_001": ["liver"]}}, found {table!r:.80}'
        )
    sources = sources or {}
    absent = [name for name in table if cases is not None and name not in cases and not name.startswith(SOURCE)]
    if absent:
        raise ValueError(
            f"{file}: 'annotated' lists case {absent[0]!r}, which the data set does not have; leave it out"
        )
    _check_sources(table, sources, file)
    rows = {name: _row(listed, name, settings, file) for name, listed in table.items()}
    return dict(_by_case(rows, sources))


def _by_case(
    rows: Mapping[str, tuple[bool, ...]], sources: Mapping[str, str]
) -> Iterator[tuple[str, tuple[bool, ...]]]:
    yield from ((name, row) for name, row in rows.items() if not name.startswith(SOURCE))
    for case, source in sources.items():
        if case not in rows and SOURCE + source in rows:
            yield case, rows[SOURCE + source]


def _check_sources(table: Mapping[str, Any], sources: Mapping[str, str], file: Path) -> None:
    known = sorted(set(sources.values()))
    for name in table:
        if name.startswith(SOURCE) and name[len(SOURCE) :] not in known:
            raise ValueError(
                f"{file}: 'annotated' lists {name!r}, but no case comes from there; sources are "
                f"{', '.join(known) or 'none'}: give a case its source by the key 'source' of its item in 'training' "
                "or in cases.json"
            )


def _row(listed: Any, case: str, settings: Mapping[str, Any], file: Path) -> tuple[bool, ...]:
    """Return for every output whether it is among the classes that are listed for a case."""
    if not isinstance(listed, list) or not listed:
        raise ValueError(
            f"{file}: 'annotated' must list the classes of case {case!r} by name or number, found {listed!r:.80}; a "
            "case that is annotated fully is left out"
        )
    classes, regions = read_classes(settings, file), read_regions(settings, file)
    names = sorted({*classes.values(), *(region.name for region in regions)})
    for item in listed:
        # By repr, since True == 1 would pass for a class.
        if item not in names and repr(item) not in map(repr, classes):
            raise ValueError(
                f"{file}: 'annotated' lists {item!r:.80} for case {case!r}, which is not a class of the data; "
                f"expected some of {', '.join(names)}, or their numbers"
            )
    numbers = {number for number, name in classes.items() if number in listed or name in listed}
    if not regions:
        return tuple(number == 0 or number in numbers for number in classes)
    by_name = {label for label, name in read_names(settings, file).items() if name in listed}
    return tuple(region.name in listed or set(region.labels) <= numbers | by_name for region in regions)

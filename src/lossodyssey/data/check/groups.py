"""Groups of near duplicates, written where every split reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.atomic import write_text
from lossodyssey.data.check.duplicates import clusters
from lossodyssey.data.dataset_json import read_object
from lossodyssey.data.layouts import Dataset


def write_groups(dataset: Dataset, alike: Sequence[Sequence[str]]) -> tuple[Path, dict[str, str]]:
    """Write one group for the cases of each cluster into `cases.json`, whole or not; return the file and the changes.

    Groups that exist are kept: clusters that touch several of them join these groups.

    Raises:
        ValueError: the file is there and is not a JSON object of objects.
    """
    file = dataset.root / "cases.json"
    changes = new_groups(dataset, alike)
    content = read_object(file) if file.is_file() else {}
    for name, group in changes.items():
        facts = content.setdefault(name, {})
        if not isinstance(facts, dict):
            raise ValueError(f"{file}: case {name!r} is {facts!r:.60}; expected an object of its facts in braces")
        facts["group"] = group
    if changes:
        write_text(file, json.dumps(content, indent=1) + "\n")
    return file, changes


def new_groups(dataset: Dataset, alike: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the group of every case whose group changes, so that each cluster is in one."""
    groups = {case.name: case.group for case in dataset.cases}
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        if group:
            members.setdefault(group, []).append(name)
    own = [[name for name in names if name in groups] for names in alike]
    links = [(names[0], other) for names in (*own, *members.values()) for other in names[1:]]
    changes: dict[str, str] = {}
    for cluster in clusters(links):
        known = sorted({groups[name] for name in cluster} - {""})
        group = known[0] if known else f"like {cluster[0]}"
        changes |= {name: group for name in cluster if groups[name] != group}
    return changes

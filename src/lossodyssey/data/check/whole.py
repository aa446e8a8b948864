"""The whole check: every case is read once, then the cases are compared with each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.check.duplicates import duplicates, find_twins, twin_clusters
from lossodyssey.data.check.finding import Finding, in_order
from lossodyssey.data.check.geometry import grids_of_all
from lossodyssey.data.check.intensities import intensities_of_all
from lossodyssey.data.check.labels import labels_of_all
from lossodyssey.data.check.leakage import TEST, leakage
from lossodyssey.data.check.pairing import pairing
from lossodyssey.data.check.partners import absent_files, partners
from lossodyssey.data.check.sight import look
from lossodyssey.data.grids import is_image, stem
from lossodyssey.data.layouts import Case, Dataset, read_dataset

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Check:
    """The result: findings from the worst to the mildest, and the `alike`, groups of cases that show one image."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    alike: tuple[tuple[str, ...], ...]

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(finding.severity == "error" for finding in self.findings)


def check_dataset(folder: str | Path, progress: Progress | None = None) -> Check:
    """Check the data set in a folder; `progress(done, total)` is called after each case.

    A case that cannot be read is an error among the findings, and the check goes on.

    Raises:
        FileNotFoundError: there is no `dataset.json`, or none of its cases has files.
        ValueError: `dataset.json` itself cannot be understood.
    """
    missing: list[str] = []
    dataset = read_dataset(folder, missing)
    found = [*absent_files(missing), *partners(dataset)]
    sights, tested = [], _test_cases(dataset)
    total = len(dataset.cases) + len(tested)
    for case in (*dataset.cases, *tested):
        sight, wrong = look(dataset, case)
        sights.append(sight)
        found += wrong
        if progress:
            progress(len(sights), total)
    pairs, cases = find_twins(sights), sights[: len(dataset.cases)]
    own = [pair for pair in pairs if not pair.second.startswith(TEST)]
    found += [
        *grids_of_all(cases),
        *labels_of_all(dataset, cases),
        *intensities_of_all(cases),
        *duplicates(cases, own),
        *leakage(dataset, pairs),
        *pairing(cases),
    ]
    return Check(dataset, tuple(in_order(found)), tuple(twin_clusters(own)))


def _test_cases(dataset: Dataset) -> list[Case]:
    """Return the images of `imagesTs`, whose labels are not read."""
    folder = dataset.root / "imagesTs"
    files = sorted(path for path in folder.iterdir() if is_image(path)) if folder.is_dir() else []
    several = len(dataset.channels) > 1 or any(path.name.count("_0000") for path in files)
    groups: dict[str, list[Path]] = {}
    for path in files:
        name = re.sub(r"_\d{4}$", "", stem(path)) if several else stem(path)
        groups.setdefault(name, []).append(path)
    return [Case(TEST + name, tuple(paths), None) for name, paths in groups.items()]

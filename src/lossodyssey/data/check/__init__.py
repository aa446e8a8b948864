"""Checks of a data set before it is trained on: files, grids, labels, duplicates and leakage."""

from __future__ import annotations

from lossodyssey.data.check.finding import Finding, as_json
from lossodyssey.data.check.groups import new_groups, write_groups
from lossodyssey.data.check.whole import Check, check_dataset

__all__ = ["Check", "Finding", "as_json", "check_dataset", "new_groups", "write_groups"]

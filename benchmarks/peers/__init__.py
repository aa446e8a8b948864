"""The calls that the losses are timed beside: plain PyTorch, and other libraries where they are installed."""

from __future__ import annotations

from benchmarks.peers.entry import Call, Entry, cross_entropy, floor
from benchmarks.peers.libraries import library_entries
from benchmarks.peers.plain import MAPPED, compiled_entries, plain_entries

__all__ = ["MAPPED", "Call", "Entry", "all_peers", "cross_entropy", "floor"]


def all_peers(extra: dict[str, str], only: list[str]) -> dict[str, Entry]:
    """List every peer that can be called here, or the libraries of the rows in `only`, by the name of its row.

    `extra` are the sums of the table that the atlas does not name.
    """
    return plain_entries(extra) | compiled_entries() | library_entries(set(MAPPED), only)

"""The report: one self-contained page that answers which loss to use."""

from lossodyssey.report.overlays import Gallery, Overlay, choose, choose_failures, choose_for_all
from lossodyssey.report.page import write
from lossodyssey.report.runs import Curve, RunSummary, read_runs

__all__ = [
    "Curve",
    "Gallery",
    "Overlay",
    "RunSummary",
    "choose",
    "choose_failures",
    "choose_for_all",
    "read_runs",
    "write",
]

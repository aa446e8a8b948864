"""The report: one self-contained page that answers which loss to use."""

from lossodyssey.report.overlays import Overlay, choose
from lossodyssey.report.page import write
from lossodyssey.report.runs import Curve, RunSummary, read_runs

__all__ = ["Curve", "Overlay", "RunSummary", "choose", "read_runs", "write"]

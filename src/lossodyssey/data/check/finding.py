"""Something that a check of a data set found: how bad it is, where, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "note"]
"""An error spoils or stops a training, a warning may, a note is good to know."""

Question = Literal["files", "partners", "geometry", "labels", "intensities", "duplicates", "leakage", "pairing"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
FEW = 6  # names that a finding about many cases lists


@dataclass(frozen=True)
class Finding:
    """One finding; `cases` are empty where it is about the whole data set."""

    severity: Severity
    question: Question
    cases: tuple[str, ...]
    seen: str
    fix: str

    @property
    def where(self) -> str:
        """The cases, the first of many."""
        return listed(self.cases) if self.cases else "all"


def listed(names: Sequence[str], most: int = FEW) -> str:
    """Join the first names, and say how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def from_text(severity: Severity, question: Question, case: str, text: str) -> Finding:
    """Make a finding of a message whose part after the last semicolon says what to do."""
    seen, _, fix = text.rpartition("; ")
    return Finding(severity, question, (case,), seen or fix, fix if seen else "correct the file or take the case out")


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Order findings by severity, then by question and case."""
    return sorted(findings, key=lambda own: (SEVERITIES.index(own.severity), own.question, own.cases, own.seen))


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain objects with the keys severity, question, cases, seen and fix."""
    return [{**asdict(own), "cases": list(own.cases)} for own in findings]

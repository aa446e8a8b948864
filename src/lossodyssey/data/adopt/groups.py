"""Patients: by an expression that the user gives; where names look as if they had one, it is only proposed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

BETWEEN = r"[_\-. ]*"
PARTS = "slice frame sl fr layer image img tile patch crop view time week day".replace(" ", "|")
OWNERS = "patient pat subject sub case person animal mouse pid id".replace(" ", "|")
GUESSES = (
    (rf"^(.+?){BETWEEN}(?P<word>{PARTS}){BETWEEN}\d+$", rf"^(.+?){BETWEEN}WORD{BETWEEN}\d+$"),
    (rf"^(.*?(?P<word>{OWNERS}){BETWEEN}\d+)\D.*$", rf"^(.*?WORD{BETWEEN}\d+)"),
    (rf"^(.*\d){BETWEEN}(?P<word>[lr]|left|right|od|os)$", r"^(.*\d)"),
)
"""Patterns of names that contain a patient, each with the pattern that is proposed for the word that was found."""


def grouped(names: Sequence[str], pattern: str) -> dict[str, str]:
    """Return the patient of every case by the first capture group of a pattern; nothing without a pattern.

    Raises:
        ValueError: a name does not have the pattern, or all cases or none have a patient in common.
    """
    if not pattern:
        return {}
    found = {name: re.search(pattern, name) for name in names}
    odd = [name for name, match in found.items() if match is None or not match[1]]
    if odd:
        raise ValueError(
            f"--group {pattern!r} finds no patient in {len(odd)} of {len(names)} names, such as {odd[0]!r}; expected a "
            "text in its first brackets in every name"
        )
    groups = {name: match[1] for name, match in found.items() if match}
    if len(set(groups.values())) < 2:
        raise ValueError(f"--group {pattern!r} makes one patient of all {len(names)} cases; no case could be held out")
    return groups


def proposed(names: Sequence[str]) -> str:
    """Return a note where names look as if several cases were of one patient; the empty text otherwise."""
    for expression, template in GUESSES:
        found = [match for name in names if (match := re.search(expression, name, re.IGNORECASE))]
        counts = Counter(match[1] for match in found)
        if len(found) == len(names) and 1 < len(counts) <= len(names) / 1.2:
            example, several = counts.most_common(1)[0]
            pattern = template.replace("WORD", found[0]["word"])
            return (
                f"names look as if they told the patient ({several} cases begin with {example!r}), and cases of one "
                f"patient must not be parted: add --group '{pattern}' if it is so"
            )
    return ""

"""The rows that were measured, as JSON and as a Markdown table in which peers stand below the loss of ours."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from argparse import Namespace
from collections.abc import Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from benchmarks.clock import Outcome
from benchmarks.peers import Entry

from lossodyssey.atomic import write_text

PACKAGES = ["torch", "numpy", "scipy", "edt", "triton", "monai", "nnunetv2", "segmentation-models-pytorch", "kornia"]
TRANSFERS = 3
"""How often a loss must move the logits: read for the value, read for the gradient, write the gradient."""

Row = dict[str, Any]


def rows(
    shape: str, entries: Mapping[str, Entry], outcomes: Mapping[str, Outcome], size: int, copied: float
) -> list[Row]:
    """Make one row per call: times as multiples of the references, and of the bandwidth of a copy."""
    table = [_row(shape, name, entries[name], outcome) for name, outcome in outcomes.items()]
    times = {row["call"]: row["milliseconds"] for row in table if "milliseconds" in row}
    for row in table:
        if (taken := row.get("milliseconds")) is not None:
            row["of_copy"] = TRANSFERS * size / (taken / 1000) / copied
            for key, name in {"ours": row["beside"], "cross_entropy": "F.cross_entropy", "floor": "floor"}.items():
                if name in times:
                    row[f"x_{key}"] = taken / times[name]
    return table


def _row(shape: str, name: str, entry: Entry, outcome: Outcome) -> Row:
    row: Row = {"shape": shape, "call": name, "beside": entry.beside, "ours": entry.ours, "equals": entry.equals}
    row["status"] = outcome.status
    if outcome.reason:
        row["reason"] = outcome.reason
    if outcome.value is not None and outcome.status == "ok":
        row["value"] = outcome.value
    if outcome.median is not None:
        row["milliseconds"] = 1000 * outcome.median
    return row


def machine(options: Namespace) -> dict[str, Any]:
    """Describe the machine and its software, on which the numbers depend, without the machine's name."""
    cuda = options.device == "cuda"
    return {
        "processor": _processor(cuda),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": options.threads,
        "device": options.device,
        "dtype": options.dtype,
        "clock": "device events" if cuda else "processor time" if options.threads == 1 else "wall time",
        "load": [round(x, 1) for x in os.getloadavg()],
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "date": date.today().isoformat(),
    }


def _processor(cuda: bool) -> str:
    if cuda:
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def save(report: dict[str, Any], stem: Path) -> None:
    """Write the JSON and the Markdown file."""
    write_text(stem.with_suffix(".json"), json.dumps(_finite(report), indent=1, allow_nan=False) + "\n")
    write_text(stem.with_suffix(".md"), markdown(report))


def load(stem: Path) -> dict[str, Any]:
    """Read the saved report."""
    found: dict[str, Any] = json.loads(stem.with_suffix(".json").read_text(), object_hook=_with_numbers)
    return found


def _with_numbers(item: Row) -> Row:
    """Turn an object's texts of NaN and infinite values into numbers again."""
    return {key: float(value) if value in ("nan", "inf", "-inf") else value for key, value in item.items()}


def _finite(item: Any) -> Any:
    """Turn NaN and infinite values of the report into text, since JSON has no numbers for them."""
    if isinstance(item, dict):
        return {key: _finite(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_finite(value) for value in item]
    return str(item) if isinstance(item, float) and not math.isfinite(item) else item


def told(about: Mapping[str, Any]) -> str:
    """Return the sentence that describes a machine."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['processor']}, {about['cores']} cores ({about['instructions']}), {about['threads']} thread(s), "
        f"{about['clock']}, load {about['load'][0]}; {versions}; {about['date']}."
    )


def markdown(report: dict[str, Any]) -> str:
    about = report["machine"]
    text = [
        f"# Forward and backward pass of every loss ({about['device']}, {about['dtype']})\n",
        f"{told(about)}\n",
        *LEGEND,
    ]
    columns = CUDA_COLUMNS if about["device"] == "cuda" else COLUMNS
    for shape in dict.fromkeys(row["shape"] for row in report["rows"]):
        text += [f"\n## {shape}\n", f"| call | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
        text += [_line(row, columns) for row in grouped([row for row in report["rows"] if row["shape"] == shape])]
    return "\n".join(text) + "\n"


LEGEND = [
    "Bold: a loss of this library at its defaults. Below it, from fast to slow, the calls that give its number or, "
    "marked ≈, one near it; x ours is their time over that of the bold row. Other libraries are called as the page of "
    "the loss writes it. CE is `F.cross_entropy`; floor reads the logits and writes a fresh gradient; of copy is the "
    "bandwidth of reading the logits twice and writing them once, over that of a copy on the same device. Memory in "
    "multiples of the logits, of which the gradient is 1.0. Maps of the truth are given, except in rows that say "
    "`map made` and in those below them. A loss refuses shapes that it cannot take; `not run` says that it would take "
    "minutes.",
    "",
]
COLUMNS = {
    "ms": ("milliseconds", ".1f"),
    "x ours": ("x_ours", ".2f"),
    "x CE": ("x_cross_entropy", ".2f"),
    "x floor": ("x_floor", ".1f"),
    "peak": ("peak", ".2f"),
    "held": ("held", ".2f"),
}
CUDA_COLUMNS = {
    "ms": ("milliseconds", ".3f"),
    "x ours": ("x_ours", ".2f"),
    "x CE": ("x_cross_entropy", ".2f"),
    "of copy": ("of_copy", ".1%"),
    "peak": ("peak", ".2f"),
    "held": ("held", ".2f"),
}


def grouped(table: list[Row]) -> list[Row]:
    """Sort the rows: every loss of ours followed by its peers from fast to slow; references first."""
    names = [row["call"] for row in table if row["ours"]]
    ours = {name: k for k, name in enumerate(names)}

    def place(row: Row) -> tuple[int, bool, float]:
        group = row["call"] if row["ours"] else row["beside"]
        return ours.get(group, -1), not row["ours"], row.get("milliseconds", math.inf)

    return sorted(table, key=place)


def _line(row: Row, columns: dict[str, tuple[str, str]]) -> str:
    near = "≈ " if row["beside"] and not row["equals"] else ""
    name = f"**{row['call']}**" if row["ours"] else near + row["call"]
    cells = [format(row[key], form) if key in row else "-" for key, form in columns.values()]
    if row["status"] != "ok":
        cells[0] = row["status"]
    elif not math.isfinite(row.get("value", 0.0)):
        # A loss that is NaN may be fast because it does nothing: the table must show it.
        cells[0] += f" ({row['value']})"
    return f"| {name} | {' | '.join(cells)} |"

"""Account for every record of reference values: matched, excused for a written reason, or missed.

    python tests/golden/check.py --inputs inputs.npz --records core.json [--loss NAME]

A record is what one implementation gives for one loss on one input. It is matched if the object of this library that
its loss, reference and params describe (`builders.py`) gives the same value, norm of the gradient and gradient at the
probed logits in float64. It is excused only by a rule of `reasons.py`. The last line is `matched M, excused E,
missed X of N`; the exit code is 1 if anything was missed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from builders import call_for
from calls import Case, evaluate
from reasons import reason

Record = dict[str, Any]
INDEPENDENT = ("paper formula", "multi-class extension")


@dataclass(frozen=True)
class Outcome:
    """What became of a record: "matched", "excused" or "missed", and why."""

    record: Record
    verdict: str
    why: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, check every record, print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="the .npz file with logits, labels and spacings")
    parser.add_argument("--records", type=Path, required=True, help="the .json file with the references' values")
    parser.add_argument("--loss", help="check the records of this loss only")
    given = parser.parse_args(arguments)
    records = [r for r in json.loads(given.records.read_text()) if given.loss in (None, r["loss"])]
    outcomes = list(check(given.inputs, records))
    print_account(outcomes)
    return int(any(outcome.verdict == "missed" for outcome in outcomes))


def check(inputs: Path, records: list[Record]) -> Iterator[Outcome]:
    """Give the outcome of each record."""
    with np.load(inputs) as arrays:
        cases = cache(lambda name: read_case(arrays, name))
        for record in records:
            yield outcome_of(record, cases)


def read_case(arrays: Any, name: str) -> Case:
    logits, labels = (torch.from_numpy(arrays[f"{name}.{key}"]) for key in ("logits", "labels"))
    return Case(logits.double(), labels.long(), tuple(float(step) for step in arrays[f"{name}.spacing"]))


def outcome_of(record: Record, cases: Any) -> Outcome:
    try:
        case = cases(record["case"])
    except KeyError as problem:
        return Outcome(record, "missed", f"no such input: {problem}")
    try:
        difference = compare(record, case)
    except Exception as problem:  # whatever a record states, it is accounted for
        difference = f"{type(problem).__name__}: {problem}"
    if not difference:
        return Outcome(record, "matched")
    why = reason(record, case)
    return Outcome(record, "excused", why) if why else Outcome(record, "missed", difference)


def compare(record: Record, case: Case) -> str:
    """What differs between the record and this library, as text; empty if nothing does."""
    millimetres = str(record["params"].get("units", "")).startswith("mm")
    with double_precision():
        value, gradient = evaluate(call_for(record, case), case, millimetres=millimetres)
    if record["value"] is None:
        return "" if value.isnan() else f"value {float(value)!r}, reference gives none"
    tolerance = tolerance_of(record)
    pairs = [("value", float(value), record["value"])]
    if record["grad_l2"] is not None:
        pairs.append(("gradient norm", float(gradient.norm()), record["grad_l2"]))
    for index, slope in record["grad_probe"] or []:
        pairs.append((f"gradient at {index}", float(gradient.flatten()[index]), slope))
    # Small slopes are differences of larger ones, and small values sums that cancel: both are compared on that scale.
    scale = {"value": 1e-3, "gradient norm": 0.0}
    slope_scale = float(gradient.abs().max())
    for name, ours, theirs in pairs:
        floor = tolerance * scale.get(name, slope_scale)
        if not math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=floor):
            return f"{name} {ours!r}, reference {theirs!r}"
    return ""


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 torch's default, in which the library then computes distances, too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def tolerance_of(record: Record) -> float:
    if record["reference"].startswith(INDEPENDENT):
        return 1e-9
    return 1e-5 if record["precision"] == "float32" else 1e-6


def print_account(outcomes: list[Outcome]) -> None:
    total = Counter(o.record["loss"] for o in outcomes)
    matched = Counter(o.record["loss"] for o in outcomes if o.verdict == "matched")
    for loss in sorted(total):
        print(f"{loss}: {matched[loss]}/{total[loss]}")
    excused = Counter((o.record["loss"], o.why) for o in outcomes if o.verdict == "excused")
    for (loss, why), number in sorted(excused.items()):
        print(f"excused {number} {loss}: {why}")
    for o in outcomes:
        if o.verdict == "missed":
            print("missed {loss} on {case}, {reference}, {params}:".format(**o.record), o.why)
    verdicts = Counter(o.verdict for o in outcomes)
    print(
        f"matched {verdicts['matched']}, excused {verdicts['excused']}, missed {verdicts['missed']} of {len(outcomes)}"
    )


if __name__ == "__main__":
    sys.exit(main())

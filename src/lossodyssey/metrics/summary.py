"""Statistics over many cases: per class and metric, and both orders of averaging over cases and classes."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossodyssey.atomic import write_text, writing
from lossodyssey.metrics.cases import CaseResult, ClassResult
from lossodyssey.metrics.measure import table_facts
from lossodyssey.metrics.score import Label
from lossodyssey.metrics.undefined import STATUSES
from lossodyssey.table import Row
from lossodyssey.table.row import NOT_ANNOTATED

POLICY = "undefined values are left out of every statistic and counted beside it"


@dataclass(frozen=True)
class Line:
    """Statistics of one metric in one class over the cases where it is defined; how many cases have each status."""

    class_name: str
    metric: str
    mean: float
    median: float
    q25: float
    q75: float
    statuses: dict[str, int]


@dataclass(frozen=True)
class Macro:
    """Both averages over classes and cases of one metric.

    `macro_case` averages the classes of each case and then the cases; `macro_class` averages the cases of each class
    and then the classes, as nnU-Net does. They differ as soon as a value is undefined.
    """

    metric: str
    macro_case: float
    macro_class: float


def long_rows(
    results: Sequence[CaseResult], names: Mapping[Label, str], *, loss: str, dataset: str, fold: int = 0, seed: int = 0
) -> list[Row]:
    """Lay the results out as rows of the long table, by case, class and metric.

    `size` is the true volume in mm^3, `greatest` the image's diagonal in mm where the metric is a distance. A
    prediction without a truth is not a case: in a ranking its rows would be failures of the loss.
    """
    return [
        Row(
            loss, dataset, fold, seed, result.files.name, names.get(label, str(label)), score.metric,
            score.value, score.status, size=found.truth_volume,
            **table_facts(score.metric, result.diagonal, result.sized),
        )
        for result in results
        if result.files.truth is not None
        for label, found in result.classes.items()
        for score in found.scores
    ]  # fmt: skip


def summarise(rows: Sequence[Row]) -> tuple[list[Line], list[Macro]]:
    """Condense the rows of one loss into a line per class and metric, and the macro averages per metric."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row.class_name, row.metric), []).append(row)
    lines = [_line(name, metric, found) for (name, metric), found in cells.items()]
    return lines, [_macro(metric, rows, lines) for metric in dict.fromkeys(row.metric for row in rows)]


def _line(class_name: str, metric: str, rows: Sequence[Row]) -> Line:
    values = [row.value for row in rows if row.status == "ok"]
    q25, median, q75 = np.percentile(values, [25, 50, 75]).tolist() if values else [math.nan] * 3
    return Line(class_name, metric, _mean(values), median, q25, q75, dict(Counter(row.status for row in rows)))


def _macro(metric: str, rows: Sequence[Row], lines: Sequence[Line]) -> Macro:
    cases: dict[str, list[float]] = {}
    for row in rows:
        if row.metric == metric:
            cases.setdefault(row.case, []).append(row.value)
    # nnU-Net's order of averaging; the other one gives every case the same weight.
    by_class = [line.mean for line in lines if line.metric == metric]
    return Macro(metric, _mean([_mean(values) for values in cases.values()]), _mean(by_class))


def _mean(values: Sequence[float]) -> float:
    """Average the values that are defined; NaN where none is."""
    # fsum: the mean does not depend on the order of the cases.
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def check_output(output: Path) -> None:
    """Check that the name of a table differs from those of its summaries.

    Raises:
        ValueError: the name does not end in .csv, or is that of a summary.
    """
    name = output.name.lower()
    if not name.endswith(".csv") or name in (".csv", "summary.csv") or name.endswith(".summary.csv"):
        raise ValueError(
            f"output is {output}; expected a name such as cases.csv, beside which cases.summary.csv and others are "
            "written"
        )


def beside(output: Path, ending: str) -> Path:
    """Return the file of this ending that belongs to a table, and to no other table in its folder."""
    return output.with_name(output.name[: -len(".csv")] + ending)


def write_summary(
    output: Path,
    rows: Sequence[Row],
    results: Sequence[CaseResult],
    *,
    ignore: int | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Write `cases.summary.csv` and `cases.summary.json` beside `cases.csv`.

    `ignore` is the ignored label, `warnings` are of all cases together; both are written down with the scores.
    """
    lines, macros = summarise(rows)
    _write_csv(beside(output, ".summary.csv"), lines, macros)
    content = {
        "policy": POLICY,
        "classes": [asdict(line) for line in lines],
        "macro": [asdict(macro) for macro in macros],
        "not_scored": [
            {"case": result.files.name, "status": result.status, "reason": result.reason}
            for result in results
            if result.status != "ok"
        ],
        "notes": [{"case": result.files.name, "note": result.note} for result in results if result.note],
        "warnings": list(warnings),
        "ignore": ignore,
        "ignored_voxels": {result.files.name: result.found.ignored for result in results if result.found.ignored},
    }
    write_text(beside(output, ".summary.json"), json.dumps(null(content), indent=2) + "\n")


def _write_csv(path: Path, lines: Sequence[Line], macros: Sequence[Macro]) -> None:
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        # The column of partial labels is there where a data set has them.
        partial = any(line.statuses.get(NOT_ANNOTATED) for line in lines)
        statuses = [status for status in STATUSES if status != NOT_ANNOTATED or partial]
        writer.writerow(["class", "metric", "mean", "median", "q25", "q75", *statuses])
        for line in lines:
            numbers = [_text(number) for number in (line.mean, line.median, line.q25, line.q75)]
            counts = [line.statuses.get(status, 0) for status in statuses]
            writer.writerow([line.class_name, line.metric, *numbers, *counts])
        for macro in macros:
            writer.writerow(["macro_case", macro.metric, _text(macro.macro_case)] + [""] * (3 + len(statuses)))
            writer.writerow(["macro_class", macro.metric, _text(macro.macro_class)] + [""] * (3 + len(statuses)))


def _text(number: float) -> str:
    return "" if math.isnan(number) else repr(number)


def null(content: Any) -> Any:
    """Put null in place of NaN, which JSON does not have."""
    if isinstance(content, dict):
        return {key: null(value) for key, value in content.items()}
    if isinstance(content, list):
        return [null(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_nnunet_summary(path: Path, results: Sequence[CaseResult]) -> None:
    """Write the scored cases as nnU-Net's `summary.json` has them: Dice, IoU and counts, and their means.

    Like there, an undefined value is NaN, which is not strict JSON, and means leave it out.
    """
    scored = [result for result in results if result.status == "ok"]
    # nnU-Net's file has no place for a case without scores; `write_summary` lists those.
    tables = [{str(label): _nnunet(found) for label, found in result.classes.items()} for result in scored]
    mean = {label: _mean_of([table[label] for table in tables]) for label in (tables[0] if tables else {})}
    cases = [
        {
            "metrics": table,
            "prediction_file": str(result.files.prediction),
            "reference_file": str(result.files.truth),
        }
        for table, result in zip(tables, scored, strict=True)
    ]
    content = {"foreground_mean": _mean_of(list(mean.values())), "mean": mean, "metric_per_case": cases}
    write_text(path, json.dumps(content, indent=4) + "\n")


def _nnunet(found: ClassResult) -> dict[str, float]:
    n = found.counts
    union = n.tp + n.fp + n.fn
    return {
        # union + tp = 2 tp + fp + fn, the denominator of Dice.
        "Dice": 2 * n.tp / (union + n.tp) if union else math.nan,
        "FN": n.fn,
        "FP": n.fp,
        "IoU": n.tp / union if union else math.nan,
        "TN": n.tn,
        "TP": n.tp,
        "n_pred": n.tp + n.fp,
        "n_ref": n.tp + n.fn,
    }


def _mean_of(tables: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: _mean([table[key] for table in tables]) for key in (tables[0] if tables else {})}

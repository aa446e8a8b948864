"""Compare the measured numbers with the aims, from the tables in `benchmarks/results`.

    python -m benchmarks.bars

Prints one line per aim and writes them to `benchmarks/results/bars.md`: ratios of times of one run, and the most that
any row of a kind weighs, in multiples of the logits. A line whose rows were not measured says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.losses import RESULTS, measured_losses

from lossodyssey import Loss, OverlapLoss, VoxelLoss, parse
from lossodyssey.atomic import write_text
from lossodyssey.core.kinds import LinearLoss

SMALL, MANY, FLAT = "2x3x96x96x96", "1x14x96x96x96", "2x2x512x512"
SHAPES = {SMALL: "3 classes", MANY: "14 classes", FLAT: "2D, 2 classes", "1x118x96x96x96": "118 classes"}
Line = tuple[str, str, str]


@dataclass(frozen=True)
class Aim:
    """The time of `call` over that of `other` in a table, at most `limit`."""

    call: str
    other: str
    limit: float
    shape: str = SMALL
    table: str = "losses_aims"


AIMS = (
    Aim("DiceCE", "F.cross_entropy", 0.95, MANY),
    Aim("DiceCE", "F.cross_entropy", 1.15, MANY, "losses_two_threads"),
    Aim("DiceCE", "MONAI DiceCELoss", 1 / 3.2, MANY),
    Aim("DiceCE", "nnU-Net DC_and_CE_loss", 1 / 3.2, MANY),
    Aim("DiceCE", "MONAI DiceCELoss", 0.75),
    Aim("Dice + CE + Focal", "DiceCE", 1.25),
    Aim("Dice + CE + Focal", "DiceCE", 1.25, MANY),
    Aim("Lovasz", "plain Lovasz", 0.6),
    Aim("Boundary", "DiceCE", 1.5),
    Aim("Boundary", "DiceCE", 1.5, MANY),
    Aim("HausdorffDT", "MONAI HausdorffDTLoss", 0.2),
    Aim("HausdorffDT, map made", "MONAI HausdorffDTLoss", 0.2),
    Aim("SkeletonRecall", "DiceCE", 1.3),
    Aim("CenterlineCE", "CenterlineDice", 1.2),
    Aim("CenterlineBoundaryDice", "CenterlineDice", 1.2),
    Aim("CenterlineDice", "MONAI SoftclDiceLoss", 1 / 3, "2x3x64x64x64", "losses_centerline"),
    Aim("GeneralizedWassersteinDice", "Dice", 1.25, SMALL, "losses_relations"),
    Aim("NonAdjacency", "DiceCE", 20, MANY, "losses_relations"),
    Aim("RegionMutualInformation", "DiceCE", 20, MANY, "losses_relations"),
    Aim("ConnectedComponents", "DiceCE", 3, SMALL, "losses_shelf"),
    Aim("ConnectedComponents", "DiceCE", 3, FLAT, "losses_shelf"),
    Aim("Blobs of DiceCE", "DiceCE", 3, SMALL, "losses_shelf"),
    Aim("Blobs of DiceCE", "DiceCE", 3, FLAT, "losses_shelf"),
    Aim("Marginal, a class hidden", "DiceCE", 1.5, SMALL, "losses_shelf"),
    Aim("Marginal, other classes in each sample", "DiceCE", 1.5, SMALL, "losses_shelf"),
)


def table(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the rows of a table by shape and call; none where it has not been written."""
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return {(row["shape"], row["call"]): row for row in rows}


def times() -> Iterator[Line]:
    for aim in AIMS:
        rows = table(aim.table)
        ours, theirs = (rows.get((aim.shape, call), {}).get("milliseconds") for call in (aim.call, aim.other))
        threads = ", two threads" if aim.table == "losses_two_threads" else ""
        what = f"{aim.call} / {aim.other}, {SHAPES.get(aim.shape, aim.shape)}{threads}"
        yield what, f"{ours / theirs:.2f}" if ours and theirs else "not measured", f"{aim.limit:.2f}"


def maps() -> Line:
    path = RESULTS / "distances.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    found = [x["milliseconds"]["ours"] / x["milliseconds"]["scipy"] for x in rows if SMALL[:4] in x["name"]]
    return "distance maps / two scipy transforms per class, 3 classes", span(found), "0.20"


def memory() -> Iterator[Line]:
    # Every loss was weighed once; those that are timed here were weighed again.
    rows = table("losses") | table("losses_aims")
    for shape, title in SHAPES.items():
        # TopK keeps one number per voxel to select from: 1 / C of the logits.
        one_number = 1 / int(shape.split("x")[1])
        for name, calls, more in (("losses, maps given, and sums", light(), 0.0), ("TopK", TOPK, one_number)):
            weighed = [row for (at, call), row in rows.items() if at == shape and call in calls]
            for key, most in (("peak", 1.3), ("held", 0.05)):
                found = [row[key] for row in weighed if key in row]
                yield f"{key} memory of {name}, {title}", span(found), f"{most + more:.2f}"
    found = table("losses_centerline").get(("2x3x64x64x64", "CenterlineDice"), {})
    yield "peak memory of CenterlineDice, 10 levels, 2x3x64^3", span([found["peak"]] if found else []), "12.00"


TOPK = {"TopK", "DiceTopK"}
HEAVIER = {"ShapeAware", "TopologicalInteraction"}
"""Voxel losses that look at the prediction, or at neighbours, before their formula."""
SUMS = {"Dice + CE + Focal": "Dice() + CrossEntropy() + Focal()"}
SUMS |= {"GeneralizedDice + Focal": "GeneralizedDice() + Focal()"}


def light() -> set[str]:
    """Name the losses that keep nothing of the logits' size, with maps given: functions of one pass over the logits."""
    texts = {name: f"{name}()" for name in measured_losses()} | SUMS
    return {name for name, text in texts.items() if all(_one_pass(leaf) for _, leaf in parse(text).terms)}


def _one_pass(loss: Loss) -> bool:
    return isinstance(loss, VoxelLoss | OverlapLoss | LinearLoss) and type(loss).__name__ not in HEAVIER


def span(numbers: list[float]) -> str:
    low, high = (f"{pick(numbers):.2f}" if numbers else "not measured" for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def main() -> None:
    lines = ["| | measured | at most |", "|---|---:|---:|"]
    lines += [f"| {what} | {found} | {limit} |" for what, found, limit in (*times(), maps(), *memory())]
    text = "# What was measured and what is aimed at\n\n" + "\n".join(lines) + "\n"
    write_text(RESULTS / "bars.md", text)
    print(text)


if __name__ == "__main__":
    main()

"""Keep and show the comparisons that stand beside the odyssey: each asks one question of a few losses.

python paper/asides.py --keep STUDY NAME    keeps the records of a comparison in paper/asides/NAME

`paper/odyssey.py` writes their tables into its page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from kept_tables import ARCHIVE, PLAN, keep, orders, tables

from lossodyssey.bench.plan import Plan
from lossodyssey.bench.plan_file import read_plan

RECORDS = Path(__file__).parent / "asides"


@dataclass(frozen=True)
class Aside:
    """A question, and the loss that each one is held against, or one for all.

    Where the training has variants each loss is held against itself under the `usual` one. `limits` stand at the end.
    """

    title: str
    question: str
    against: str | Mapping[str, str]
    usual: str = ""
    limits: str = ""


WRONG, ANYWHERE = "wrong labels", "no foreground sampling"
STEADY = "no schedules"
BY_PAPER = "protocol odyssey"
BY_NNUNET = ("CE", "Dice", "DiceCE", "DiceTopK", "DiceFocal", "Tversky", "Lovasz", "DiceBD")
PROTOCOL = ("CE", "TopK", "Focal", "Dice batch", "Tversky batch", "DiceCE batch", "DiceTopK batch", "DiceFocal batch")
MARKS = (
    '"better" and "worse" in a table speak of the losses trained again, with 5 % errors over all its pairs; in '
    "brackets, of these networks alone. Where neither stands, nothing is shown. The noise of training is taken from "
    "all losses of a table: so the intervals of one loss differ between tables."
)
ASIDES = {
    "as_released": Aside(
        "What the released code does",
        "The code that was released with the paper differs from its formulas in places. pCE computes its distances and "
        "discards them. GDice gives the weight of 100,000 to a class that is in no picture of the batch, which drowns "
        "all others. pGDice gives no gradient then, and applies its penalty to the loss where the formula applies it "
        "to the score. Each released loss is held against the formula of the same name.",
        {"pCE as released": "pCE", "GDice as released": "GDice batch", "pGDice as released": "pGDice batch"},
        limits="A batch without any object is rare here, since one picture in six has none and a batch has two. Tasks "
        "of many organs, where some class is often not in the batch, are not tested.",
    ),
    "thresholds": Aside(
        "How many voxels TopK should keep",
        "Table 3 of the paper compares TopK by the share of voxels it keeps, and by the probability of the true class "
        "below which it keeps them. With all voxels it is cross entropy, against which each is held; TopK keeps a "
        "tenth of them. Under a threshold of 1/2 a voxel is dropped as soon as its true class is the likeliest, under "
        "a lower one even earlier.",
        "CE",
    ),
    "protocol": Aside(
        "What the training itself decides",
        "Two things of the protocol are changed, one at a time, at the rate that the odyssey chose for each loss: with "
        f"`{WRONG}` the label maps of a fifth of the training cases are shifted by a tenth of their extent, and with "
        f"`{ANYWHERE}` no patch is centred on foreground on purpose, where a third are otherwise. Each loss is held "
        "against itself under the usual protocol.",
        {f"{loss}, {variant}": loss for loss in PROTOCOL for variant in (WRONG, ANYWHERE)},
        usual="as usual",
        limits="A patch of these small volumes is about as large as a whole one, so that little can depend on where it "
        "lies: the second answer says nothing about large images. Rates were not searched again with wrong labels.",
    ),
    "schedules": Aside(
        "What the schedules of the weights do",
        "DiceBD hands over from Dice to the boundary loss in the course of the training, and DiceHD scales Dice to the "
        f"size of the Hausdorff term after every epoch. With `{STEADY}` each weight keeps its first value: DiceBD is "
        "Dice alone then, and DiceHD the plain sum. Both are trained from the start here, not from a network of "
        "another loss, with rates searched for each. Each loss is held against itself with its schedule.",
        {f"{loss}, {STEADY}": loss for loss in ("DiceBD batch", "DiceHD batch")},
        usual="as usual",
        limits="One small data set and short trainings: the paper's schedule takes its course in a thousand epochs.",
    ),
    "nnunet": Aside(
        "What nnU-Net says",
        "nnU-Net v2 plans, preprocesses, trains and predicts, with a network of 8 to 64 features. Losses without an "
        f"addition are trained by its own protocol; with `{BY_PAPER}` by the paper's, in which Lovasz and DiceBD go on "
        "from another loss and the learning rate falls on a plateau, with a patience of the paper's share of the "
        "training. Rates are those of the protocols and were not searched. Each loss is held against DiceCE under "
        "the same protocol.",
        {loss: "DiceCE" for loss in BY_NNUNET} | {f"{loss}, {BY_PAPER}": f"DiceCE, {BY_PAPER}" for loss in BY_NNUNET},
        usual="protocol nnunet",
    ),
}


def asides() -> Iterator[str]:
    """Write the part of every comparison that is kept."""
    kept = {name: aside for name, aside in ASIDES.items() if (RECORDS / name / ARCHIVE).is_file()}
    if kept:
        yield "## Questions beside it"
        yield MARKS
    for name, aside in kept.items():
        yield f"### {aside.title}"
        yield f"{aside.question} Trainings have {steps(read_plan(RECORDS / name / PLAN)):,} steps."
        yield from tables([RECORDS / name], aside.against, usual=aside.usual, told=True)
        if aside.usual:
            yield "\n".join(f"- {said}" for said in orders([RECORDS / name], aside.usual))
        if aside.limits:
            yield aside.limits


def steps(plan: Plan) -> int:
    """Return the steps of a training; a plan of nnU-Net states them as epochs of iterations."""
    return max(plan.steps) if plan.steps else plan.settings["epochs"] * plan.settings["iterations"]


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs=2, metavar=("STUDY", "NAME"), required=True)
    study, name = parser.parse_args(arguments).keep
    if name not in ASIDES:
        parser.error(f"--keep: NAME is {name!r}, expected one of {', '.join(ASIDES)}")
    keep(Path(study), RECORDS / name)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Write docs/journeys.md: three journeys from an empty folder to an answer, run, counted and timed.

    python docs/journeys.py

A journey is a tutorial: its commands are the calls of `sh`, what is done by hand those of `write` and `edit`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tutorials

PAGE = tutorials.ROOT / "docs" / "journeys.md"
SMALLEST = {"STEPS": 4, "CASES": 8}
"""The numbers with which the tests run the tutorials."""


@dataclass(frozen=True)
class Journey:
    """Who asks what, the tutorial that answers it, and the file that holds the answer."""

    who: str
    asks: str
    tutorial: str
    answer: str


JOURNEYS = (
    Journey("A student with pictures", "Which loss should I train with?", "own_pictures", "study/report.html"),
    Journey("An engineer with a pipeline in MONAI", "Would another loss be better?", "own_pipeline", "report.html"),
    Journey("A researcher with a new loss", "How does it compare?", "own_loss_study", "study/report.html"),
)


@dataclass(frozen=True)
class Trip:
    """What a journey took: what was typed, what was done to which file by hand, and seconds of the clock."""

    commands: Sequence[str]
    by_hand: Sequence[str]
    seconds: float = 0.0

    @property
    def counted(self) -> str:
        """The cells of the table that say how much there was to do."""
        return f"{len(self.commands)} | {', '.join(self.by_hand) or 'nothing'}"


def go(journey: Journey, **constants: int) -> Trip:
    """Go on a journey in an empty folder.

    Raises:
        ValueError: the answer is not there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name).resolve(), time.monotonic()
        for _ in tutorials.outputs(tutorials.SCRIPTS / f"{journey.tutorial}.py", folder, **constants):
            pass
        if not (folder / journey.answer).is_file():
            raise ValueError(f"{journey.tutorial}: there is no {journey.answer} at the end")
        return replace(taken(), seconds=time.monotonic() - start)


def taken() -> Trip:
    """Return what was typed and done since the last trip."""
    shell = sys.modules.pop("shell")
    return Trip(shell.COMMANDS, shell.BY_HAND)


def page(trips: Iterable[tuple[Journey, Trip, Trip]], load: float) -> str:
    """Return the page; of each journey the trip as the tutorial shows it and that of the tests."""
    lines, typed = [], []
    for journey, whole, smallest in trips:
        name = f"[{journey.who}](tutorials/{journey.tutorial}.md): {journey.asks}"
        times = f"{whole.seconds:.0f} s | {smallest.seconds:.0f} s"
        lines.append(f"| {name} | {whole.counted} | {times} | `{journey.answer}` |")
        typed.append("\n".join([f"## {journey.who}", "", "```sh", *whole.commands, "```"]))
    return HEAD.format(cores=os.cpu_count(), load=load, rows="\n".join(lines), typed="\n\n".join(typed))


HEAD = """# Three journeys

Each begins in an empty folder and ends with an answer. It is a program of `examples/tutorials/` that stands in for you:
it draws the data, types the commands and does what is to be done by hand. The tests go on all three in their smallest
form. They begin after [the installation](index.md#install), which is not in the times either; your own data take the
time that your networks take.

| who asks what | commands | by hand | time | smallest form | the answer |
|---|---|---|---|---|---|
{rows}

`python docs/journeys.py` counted and timed it, without a GPU, on {cores} cores under a load of {load:.0f}: a load
above the number of cores is other work, which slowed it down.

{typed}
"""


def main() -> None:
    """Go on all journeys and write the page."""
    trips = [(each, go(each), go(each, **SMALLEST)) for each in JOURNEYS]
    PAGE.write_text(page(trips, os.getloadavg()[1]), encoding="utf-8")
    print(PAGE.relative_to(tutorials.ROOT))


if __name__ == "__main__":
    main()

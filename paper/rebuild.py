"""Rebuild from the published means what can be rebuilt: print it, and write it as a page.

python paper/rebuild.py [paper.html]
"""

from __future__ import annotations

import sys

from lossodyssey.ranking import paper
from lossodyssey.ranking.published import METRICS, means
from lossodyssey.ranking.statements import findings, statements
from lossodyssey.report.published import write_page


def main(page: str = "paper.html") -> None:
    """Print every rebuilt number and write the page."""
    table = means("table2")
    print("Mean ranks", {loss: round(place, 2) for loss, place in paper.mean_ranks(table).items()})
    for metric in METRICS:
        print(f"tau between tasks, {metric}\n", paper.tau_between_tasks(table, metric).round(2))
    print("tau between DSC and NSD", {name: round(tau, 2) for name, tau in paper.tau_between_metrics(table).items()})
    for task, (tau, found) in paper.leave_one_task_out(table).items():
        print(f"without {task}: tau {tau:.2f}, best", list(found.items())[:4])
    print("tasks drawn again", paper.resample_tasks(table))
    print("V1 against V2", {name: round(tau, 2) for name, tau in paper.tau_between_trainers().items()})
    for checked in statements():
        print("agrees" if checked.agrees else "differs", "|", checked.says, "|", checked.found)
    print(*findings(), sep="\n")
    write_page(page)


if __name__ == "__main__":
    main(*sys.argv[1:2])

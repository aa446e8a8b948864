"""The calibration in docs/ranking.md, from the kept results of ranking_calibration.py."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from statistics import fmean

RESULTS = Path(__file__).resolve().parent / "results"
PAGE = RESULTS.parents[1] / "docs" / "ranking.md"
MARK = re.compile(r"(<!-- calibration -->\n).*?(<!-- /calibration -->)", re.DOTALL)
OTHERS = ("banerjee", "satterthwaite", "cochran", "smaller_df")


def _read(name: str) -> list[dict[str, str]]:
    path = RESULTS / name
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tables() -> str:
    """Return the Markdown of the page: worst cells, an unsteady loss, other limits, led draws."""
    lines = _read("ranking_calibration.csv")
    steady = [line for line in lines if line["noise"] != "unsteady"]
    count = min((int(line["tables"]) for line in lines), default=0)
    lead = max((float(line["better"]) for line in lines), default=0.0)

    parts = [
        f"{len(lines) // 2} settings, {count} tables each, once with equal losses and once with a "
        f"first loss that leads by {lead:g}.",
        _worst(steady),
        "With normal noise and one loss whose trainings vary ten times as much as the others':",
        _worst([line for line in lines if line["noise"] == "unsteady" and line["run_sd"] != "0.0"]),
        "Other limits, one task, Bonferroni's level; false statements / power:",
        _alternatives(steady),
        "Led in a share of the resampled rankings (six losses, 50 cases, graded truth drawn again per table):",
        _led(),
    ]
    return "\n\n".join(parts)


def _worst(lines: list[dict[str, str]]) -> str:
    """Return the worst settings per losses, seeds and run-to-run deviation, power with one task as a range."""
    groups: dict[tuple[int, int, float], list[dict[str, str]]] = {}
    for line in lines:
        groups.setdefault((int(line["losses"]), int(line["seeds"]), float(line["run_sd"])), []).append(line)

    rows = [
        "| losses | seeds | run sd | false, retrained | false, networks | ranks right | best kept | covered | power |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (losses, seeds, run_sd), own in sorted(groups.items()):
        # With one seed nothing is said of retrained losses.
        known = seeds > 1
        # The worst setting of each group: a mean over settings would hide the one in which the tests fail.
        worst = [max(float(line[name]) for line in own) for name in ("false", "false_networks")[not known :]]
        least = [min(float(line[name]) for line in own) for name in ("ranks_right", "best_kept", "covered")]
        cells = [*([] if known else ["-"]), *(f"{share:.3f}" for share in (*worst, *least)), _power(own, known)]
        rows.append(f"| {losses} | {seeds} | {run_sd:g} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _power(lines: list[dict[str, str]], known: bool) -> str:
    ahead = [line for line in lines if line["tasks"] == "1" and float(line["better"])]
    shares = [float(line["power"]) for line in ahead if known]
    return f"{min(shares):.2f} to {max(shares):.2f}" if shares else "-"


def _alternatives(lines: list[dict[str, str]]) -> str:
    """Return the worst false statements and the mean power of each kind of limits."""
    names = ["Banerjee (used)", "Satterthwaite", "Cochran", "smaller df alone"]
    rows = [f"| losses x seeds | run sd | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    groups: dict[tuple[int, int, float], list[dict[str, str]]] = {}
    for line in lines:
        # The other limits are tried in a few settings only.
        if line["banerjee_false"]:
            groups.setdefault((int(line["losses"]), int(line["seeds"]), float(line["run_sd"])), []).append(line)
    for (losses, seeds, run_sd), own in sorted(groups.items()):
        shares = [f"{_most(own, f'{name}_false'):.3f} / {_mean(own, f'{name}_power'):.2f}" for name in OTHERS]
        rows.append(f"| {losses} x {seeds} | {run_sd:g} | {' | '.join(shares)} |")
    return "\n".join(rows)


def _most(lines: list[dict[str, str]], name: str) -> float:
    return max(float(line[name]) for line in lines)


def _mean(lines: list[dict[str, str]], name: str) -> float:
    """Average over the settings in which a loss leads."""
    return fmean(float(line[name]) for line in lines if float(line["better"]))


def _led() -> str:
    rows = ["| led in share of draws | mean share | truly the best | losses |", "|---|---|---|---|"]
    rows += [
        f"| {line['low']} to {line['high']} | {line['mean_share']} | {line['truly_best']} | {line['losses']} |"
        for line in _read("ranking_bootstrap.csv")
    ]
    return "\n".join(rows)


def page() -> str:
    """Return the page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    return MARK.sub(lambda found: f"{found[1]}{tables()}\n{found[2]}", text)


def write() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")

"""The leaderboard as a table for a paper, in LaTeX and in Markdown: every mean with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossodyssey.ranking.cells import Cell
from lossodyssey.ranking.nouns import noun, nouns
from lossodyssey.ranking.rank import Ranking, rank_interval
from lossodyssey.report.escaping import code, escape, plain
from lossodyssey.report.marks import BEST, TIED, WORST, explained, marks

Floats = NDArray[np.float64]
Style = dict[str, Callable[[str], str]]

ARROWS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\to$", "³": "$^3$", "²": "$^2$"}
LONG_NAME, LETTERS = 30, 5.5
"""Letters of a name that is broken into lines, and letters per centimetre."""
WITH_INTERVALS, WITHOUT = 4, 10
"""Columns of metrics that fit side by side on a page."""
LATEX: Style = {
    "": str,
    BEST: lambda text: rf"\textbf{{{text}}}",
    TIED: lambda text: rf"{text}$^\dagger$",
    WORST: lambda text: rf"\underline{{{text}}}",
}
MARKDOWN: Style = {
    "": str,
    BEST: lambda text: f"**{text}**",
    TIED: lambda text: f"{text}†",
    WORST: lambda text: f"*{text}*",
}


def latex(ranking: Ranking, intervals: ArrayLike | None = None, *, caption: str = "", label: str = "tab:losses") -> str:
    r"""Write the leaderboard, best loss first, as LaTeX that a paper can \input; it needs the package booktabs.

    `intervals` holds (mean, low, high) per standing and loss, in the order of `ranking.standings` and
    `ranking.losses`; without it the means over the cases stand alone. Columns that do not fit side by side become a
    table of their own, the second one labelled `label-2`. `caption` goes before the sentences on the table itself.

    Raises:
        ValueError: `intervals` is not of shape (standings, losses, 3), has other means than the ranking, or a lower
            end above the upper one.
    """
    values = _checked(ranking, intervals)
    parts = _parts(ranking, WITHOUT if intervals is None else WITH_INTERVALS)
    text = f"{caption} {_about(ranking, intervals is not None, 'bold', 'underlined')}"
    tables = [
        _latex_table(ranking, values, part, escape(text), label if number == 1 else f"{label}-{number}")
        for number, part in enumerate(parts, 1)
    ]
    return "\n".join(["% Needs \\usepackage{booktabs} in the preamble.", *tables])


def markdown(ranking: Ranking, intervals: ArrayLike | None = None, *, caption: str = "") -> str:
    """Write the leaderboard, best loss first, as a Markdown table with its caption below; see `latex`."""
    values = _checked(ranking, intervals)
    found = [marks(standing) for standing in ranking.standings]
    heads = [plain(_heading(ranking, k)) for k in range(len(found))]
    lines = [[noun().capitalize(), "Ranks", *heads], [":--", *["--:"] * (len(heads) + 1)]]
    for i in ranking.overall.order:
        cells = [MARKDOWN[found[k][i]](_number(own[0])) + _interval(own) for k, own in enumerate(values[:, i])]
        lines.append([code(ranking.losses[i]), _ranks(ranking, i, "–"), *cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = plain(f"{caption} {_about(ranking, intervals is not None, 'bold', 'italic')}".strip())
    return f"{table}\n\n{below}\n"


def _checked(ranking: Ranking, intervals: ArrayLike | None) -> Floats:
    """Arrange (mean, low, high) per standing and loss; both ends are NaN where no interval is wanted."""
    means = np.stack([s.cell.values.mean(axis=1) for s in ranking.standings])
    shape = (*means.shape, 3)
    if intervals is None:
        return np.stack([means, *np.full((2, *means.shape), np.nan)], axis=-1)
    values = np.asarray(intervals, dtype=np.float64)

    if values.shape != shape:
        raise ValueError(
            f"intervals: shape {values.shape}; expected {shape}: (mean, low, high) for each of "
            f"{shape[0]} standings and {shape[1]} {nouns()}"
        )
    # The one check that notices intervals of another ranking, or in another order.
    if not np.allclose(values[..., 0], means):
        raise ValueError(
            "intervals: the first numbers are not the means of the ranking; expected (mean, low, high), "
            "in the order of ranking.standings and ranking.losses"
        )
    if (values[..., 1] > values[..., 2]).any():
        raise ValueError("intervals: a lower end lies above the upper one; expected (mean, low, high)")
    return values


def _parts(ranking: Ranking, most: int) -> list[list[int]]:
    """Distribute the standings over tables of at most `most` columns; a task is torn apart only where it must be."""
    parts: list[list[int]] = []
    for _, run in groupby(range(len(ranking.standings)), key=lambda k: ranking.standings[k].cell.task):
        own = list(run)
        for chunk in (own[at : at + most] for at in range(0, len(own), most)):
            # Greedy: tasks stay in their order, which readers know from the text.
            if parts and len(parts[-1]) + len(chunk) <= most:
                parts[-1] += chunk
            else:
                parts.append(chunk)
    return parts


def _latex_table(ranking: Ranking, values: Floats, part: Sequence[int], caption: str, label: str) -> str:
    roomy = bool(np.isfinite(values[..., 1:]).any())
    wide = "*" if len(part) > (1 if roomy else 3) else ""
    long = max(map(len, ranking.losses)) > LONG_NAME
    names = r"p{0.24\linewidth}" if long else "l"
    lines = [
        rf"\begin{{table{wide}}}", r"\centering", r"\footnotesize", r"\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{names}{'r' * (len(part) + 1)}}}", r"\toprule",
        *_latex_head(ranking, part, 2.4 if roomy else 1.2), r"\midrule",
    ]  # fmt: skip

    found = {k: marks(ranking.standings[k]) for k in part}
    for i in ranking.overall.order:
        name = rf"\raggedright {escape(ranking.losses[i])}" if long else escape(ranking.losses[i])
        cells = [
            LATEX[found[k][i]](escape(_number(values[k, i, 0]))) + _small(escape(_interval(values[k, i]))) for k in part
        ]
        lines.append(" & ".join([name, _ranks(ranking, i, "--"), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", rf"\end{{table{wide}}}", ""])


def _latex_head(ranking: Ranking, part: Sequence[int], room: float) -> list[str]:
    """Write the heads of the columns, below the names of several tasks; `room` is centimetres per column."""
    metrics = [_in_latex(ranking.standings[k].cell) for k in part]
    head = " & ".join([noun().capitalize(), "Ranks", *metrics]) + r" \\"
    if len(ranking.tasks) == 1:
        return [head]

    names, rules, at = [], [], 3
    for task, run in groupby(part, key=lambda k: ranking.standings[k].cell.task):
        span = len(list(run))
        name = escape(task)
        # \multicolumn does not break lines; a box of the columns' width does.
        if len(task) > LETTERS * room * span:
            name = rf"\parbox{{{room * span:.1f}cm}}{{\centering {name}}}"
        names.append(rf"\multicolumn{{{span}}}{{c}}{{{name}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        at += span
    return [" & ".join(["", "", *names]) + r" \\", " ".join(rules), head]


def _about(ranking: Ranking, with_intervals: bool, bold: str, underlined: str) -> str:
    """Say what the table holds; explain only the marks that occur."""
    cases = {s.cell.task: len(s.cell.cases) for s in ranking.standings}
    counted = " and ".join(f"{count} cases of {task}" for task, count in cases.items())
    interval = ", in brackets its 95 % interval" if with_intervals else ""
    meaning, used = explained(ranking.alpha), {mark for s in ranking.standings for mark in marks(s)}
    shown = {BEST: bold.capitalize(), TIED: "†", WORST: underlined.capitalize()}
    texts = [f"{sign}: {meaning[mark]}." for mark, sign in shown.items() if mark in used]
    texts = texts or [f"The tests separate no {noun()} from all others in any column (p < {ranking.alpha:g}, Holm)."]
    which = f"these {nouns()} trained again" if ranking.overall.retrained else "the networks trained here"
    ranks = f"Ranks: those left open for {which}, over all columns that count for the order"
    return f"Mean over {counted}{interval}. {ranks} ({', '.join(ranking.headline)}). {' '.join(texts)}"


def _heading(ranking: Ranking, k: int) -> str:
    cell = ranking.standings[k].cell
    title = cell.measure.titled(cell.metric)
    return f"{title}, {cell.task}" if len(ranking.tasks) > 1 else title


def _in_latex(cell: Cell) -> str:
    title = escape(cell.measure.titled(cell.metric))
    for sign, command in ARROWS.items():
        title = title.replace(sign, command)
    return title


def _ranks(ranking: Ranking, i: int, dash: str) -> str:
    low, high = (int(ends[i]) for ends in rank_interval(ranking.overall.judged))
    return str(low) if low == high else f"{low}{dash}{high}"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _interval(own: Floats) -> str:
    return f" [{_number(own[1])}, {_number(own[2])}]" if np.isfinite(own[1:]).all() else ""


def _small(text: str) -> str:
    return rf" {{\scriptsize {text}}}" if text else ""

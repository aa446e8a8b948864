"""The leaderboard as LaTeX and Markdown: what is in it, and that LaTeX takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.ranking import Ranking, rank
from lossodyssey.report.escaping import code, escape
from lossodyssey.report.export import latex, markdown
from lossodyssey.table import Row

HARD = 'a_b%c&d#e\\f{g}$h~i^j<k>|l`m"n'
LOSSES = ("Dice()", "Loss β=0.5, \u2212λ é", "Dice(smooth=1.0) + 0.5 * Focal(gamma=2.0) + TopK(percent=10.0)", HARD)


def ranking_of(tasks: int = 1, metrics: int = 2, losses: tuple[str, ...] = LOSSES, step: float = 0.1) -> Ranking:
    rng = np.random.default_rng(0)
    return rank(
        Row(loss, task, 0, 0, str(case), "x", metric, 0.9 - step * i + float(rng.normal(scale=0.01)))
        for task in ("Task04_Hippocampus", "a data set of 100 % long & odd_names")[:tasks]
        for i, loss in enumerate(losses)
        for metric in ("DSC", "NSD", "lesion_f1", "clDice", "BF1", "HD95")[:metrics]
        for case in range(20)
    )


def intervals_of(ranking: Ranking) -> np.ndarray:
    means = np.stack([s.cell.values.mean(axis=1) for s in ranking.standings])
    return np.stack([means, means - 0.012, means + 0.013], axis=-1)


def test_every_mean_has_its_interval_and_its_mark() -> None:
    ranking = ranking_of()
    values = intervals_of(ranking)
    text, table = latex(ranking, values), markdown(ranking, values)
    best, worst = values[0, 0], values[0, 3]
    assert rf"\textbf{{{best[0]:.3f}}} {{\scriptsize [{best[1]:.3f}, {best[2]:.3f}]}}" in text
    assert rf"\underline{{{worst[0]:.3f}}}" in text
    assert f"| `Dice()` | 1 | **{best[0]:.3f}** [{best[1]:.3f}, {best[2]:.3f}] |" in table
    assert f"*{worst[0]:.3f}* [" in table
    assert "Bold: best mean of the column" in text and "Italic: worst mean of the column" in table
    assert r"DSC $\uparrow$" in text and "DSC ↑" in table and r"p \textless{} 0.05" in text


def test_without_a_difference_no_value_is_marked_and_that_is_said() -> None:
    ranking = ranking_of(step=0.0)
    text = latex(ranking)
    assert r"\textbf" not in text and r"\underline" not in text and r"\dagger" not in text
    assert "tests separate no loss" in text and r"\scriptsize" not in text
    shared = rank([*(Row(f"loss {i}", "t", 0, 0, str(c), "x", "DSC", 0.9 if i < 2 else 0.5 + c / 100)
                     for i in range(3) for c in range(20))])  # fmt: skip
    assert latex(shared).count(r"0.900$^\dagger$") == 2 and "0.900†" in markdown(shared)


def test_names_are_text_in_latex() -> None:
    assert escape("a_b%c&d#e") == r"a\_b\%c\&d\#e"
    assert escape("\\x{y}$") == r"\textbackslash{}x\{y\}\$"
    assert escape("~^<>|") == r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"
    assert escape("β\n  \u22121") == r"$\beta$ $-$1"


@pytest.mark.parametrize("name", ["a|b", "a`b", "``", "`x", "x_y*z", "<i>&", "two\nlines"])
def test_names_are_code_in_one_cell_of_markdown(name: str) -> None:
    text = code(name)
    fence = re.match("`+", text)
    assert fence is not None and text.endswith(fence[0])
    assert fence[0] not in re.findall("`+", text[len(fence[0]) : -len(fence[0])])
    assert "|" not in text.replace(r"\|", "") and "\n" not in text
    table = markdown(ranking_of(losses=(name, "Dice()"))).split("\n\n")[0]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} == {5}


@pytest.mark.parametrize("tasks, metrics, columns", [(1, 2, [2]), (2, 2, [4]), (2, 3, [3, 3]), (1, 6, [4, 2])])
def test_what_does_not_fit_side_by_side_is_another_table(tasks: int, metrics: int, columns: list[int]) -> None:
    ranking = ranking_of(tasks, metrics)
    text = latex(ranking, intervals_of(ranking), caption="Our data: 50 %.", label="tab:x")
    assert re.findall(r"\\begin\{tabular\}\{p\{0\.24\\linewidth\}(r+)\}", text) == ["r" * (n + 1) for n in columns]
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:x", "tab:x-2"][: len(columns)]
    assert text.count(r"\caption{Our data: 50 \%.") == len(columns)
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines()} <= {n + 1 for n in columns}
        assert len(body.splitlines()) == len(LOSSES)
    assert (r"\cmidrule" in text) == (tasks > 1)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda values: values[:1], r"shape \(1, 4, 3\); expected \(2, 4, 3\)"),
        (lambda values: values[:, :, :2], r"shape \(2, 4, 2\)"),
        (lambda values: values[..., [0, 2, 1]], "lower end lies above"),
        (lambda values: values[..., ::-1], "not the means of the ranking"),
        (lambda values: values[:, ::-1], "not the means of the ranking"),
    ],
)
@pytest.mark.parametrize("write", [latex, markdown])
def test_intervals_that_do_not_fit_are_refused(write, change, message: str) -> None:  # type: ignore[no-untyped-def]
    ranking = ranking_of()
    with pytest.raises(ValueError, match=message):
        write(ranking, change(intervals_of(ranking)))


@pytest.mark.parametrize("encoding", ["T1", "OT1"])
def test_latex_takes_the_tables(tmp_path: Path, encoding: str) -> None:
    ranking = ranking_of(2, 3)
    body = latex(ranking, intervals_of(ranking)) + latex(ranking_of(1, 6), label="tab:y")
    if shutil.which("pdflatex") is None:
        assert body.count("\\begin{") == body.count("\\end{") and body.count("{") == body.count("}") + body.count(
            r"\{"
        ) - body.count(r"\}")
        return
    lines = [r"\documentclass{article}", rf"\usepackage[{encoding}]{{fontenc}}", r"\usepackage{booktabs}",
             r"\begin{document}", body, r"\end{document}"]  # fmt: skip
    (tmp_path / "table.tex").write_text("\n".join(lines), encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout

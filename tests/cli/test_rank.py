from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from lossodyssey.cli import paper
from lossodyssey.cli import rank as verbs
from lossodyssey.cli import report as pages
from lossodyssey.cli.tables import read_tables
from lossodyssey.table import Row, read_rows, write_rows

app = typer.Typer()
for verb in (verbs.rank, pages.report, paper.paper):
    app.command(verb.__name__)(verb)

KEYS = {"loss", "task", "metric", "significance_score", "significance_score_holm", "mean_rank", "rank_low", "rank_high"}


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        Row(loss, "A", 0, 0, str(case), "x", metric, float(base + rng.normal(scale=0.01)))
        for case in range(10)
        for loss, base in (("Dice()", 0.8), ("[red]CE()", 0.6))
        for metric in ("DSC", "NSD")
    ]
    write_rows(tmp_path / "cases.csv", rows)
    return tmp_path / "cases.csv"


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_rank_prints_answer_and_table(cases: Path) -> None:
    text = call("rank", cases, "--bootstrap", 20)
    assert text.startswith("Use Dice().")
    assert "[red]CE()" in text and "mean rank" in text


def test_json_is_one_list_with_the_promised_keys(cases: Path) -> None:
    found = json.loads(call("rank", cases, "--json", "--bootstrap", 0))
    assert [(r["loss"], r["task"], r["metric"]) for r in found[:2]] == [
        ("Dice()", "A", "DSC"),
        ("[red]CE()", "A", "DSC"),
    ]
    assert all(set(record) >= KEYS for record in found)
    assert {(r["task"], r["metric"]) for r in found} == {("A", "DSC"), ("A", "NSD"), ("all", "all")}
    best = found[0]
    assert (best["significance_score"], best["mean_rank"], best["rank_low"], best["rank_high"]) == (1, 1, 1, 1)


def test_one_metric_has_no_overall_records(cases: Path) -> None:
    found = json.loads(call("rank", cases, "--json", "--metric", "DSC", "--method", "mean"))
    assert [r["metric"] for r in found] == ["DSC", "DSC"]


def test_csv_holds_the_same_records(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "ranking.csv"
    found = json.loads(call("rank", cases, "--json", "--csv", out, "--bootstrap", 10))
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["loss"] for line in lines] == [record["loss"] for record in found]
    assert float(lines[0]["mean_rank"]) == found[0]["mean_rank"]


def test_a_foreign_table_is_told_about(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    lines = [f"{name},{case},{value + case}" for name, value in (("x", 1), ("y", 9)) for case in range(8)]
    path.write_text("algorithm,image,score\n" + "\n".join(lines))
    columns = ["--column", "loss=algorithm", "--column", "case=image", "--column", "value=score"]
    with pytest.raises(ValueError, match="metric 'score' is not known here"):
        call("rank", path, *columns)
    found = json.loads(call("rank", path, *columns, "--higher", "score", "--json", "--bootstrap", 0))
    assert [record["loss"] for record in found] == ["y", "x"]


ODD = "Algorithm;Case;Metric;Value;Contrast\n" + "".join(
    f"{name};{case};DSC;{value + case},5;{'T1' if case % 2 else 'T2'}\n"
    for name, value in (("x", 80), ("y", 60))
    for case in range(8)
)


def test_a_table_of_another_dialect_is_ranked_and_what_was_decided_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(ODD.encode("utf-16"))
    arguments = ["rank", str(path), "--percent", "DSC", "--json", "--bootstrap", "0"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    found = json.loads(result.stdout)
    assert [(record["loss"], round(record["mean"], 6)) for record in found] == [("x", 0.84), ("y", 0.64)]
    assert "note: DSC: values in percent are divided by 100" in result.stderr
    assert "read Algorithm as loss" in result.stderr


def test_the_page_says_what_reading_decided(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(ODD)
    call("report", tmp_path / "odd.csv", "-o", tmp_path / "r.html", "--percent", "DSC", "--bootstrap", 20)
    assert "values in percent are divided by 100" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("separator", [",", ";"])
def test_tables_of_one_loss_each_are_named_on_the_command_line(tmp_path: Path, separator: str) -> None:
    for name, value in (("a", 0.5), ("b", 0.7)):
        lines = [f"{case}{separator}{value + case / 100}" for case in range(6)]
        (tmp_path / f"{name}=1.csv").write_text("\n".join([f"case{separator}DSC", *lines]))
    tables = [f"Tversky(alpha=0.3)={tmp_path / 'a=1.csv'}", f"CE={tmp_path / 'b=1.csv'}"]
    found = json.loads(call("rank", *tables, "--json", "--bootstrap", 0))
    assert [record["loss"] for record in found] == ["CE", "Tversky(alpha=0.3)"]
    with pytest.raises(ValueError, match=r"columns \['loss'\] are missing.*given as LOSS=a=1\.csv"):
        call("rank", tmp_path / "a=1.csv")


def test_a_table_that_names_its_loss_is_not_renamed(cases: Path) -> None:
    with pytest.raises(ValueError, match="column loss names the loss, and so does CE=; leave one out"):
        call("rank", f"CE={cases}")


def test_strata_reach_the_rows(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(ODD)
    rows = read_tables([str(tmp_path / "odd.csv")], by="contrast", percent=["DSC"])
    assert {(row.case, row.stratum) for row in rows} == {(str(i), "T1" if i % 2 else "T2") for i in range(8)}


def test_report_writes_page_and_figures(cases: Path, tmp_path: Path) -> None:
    text = call("report", cases, "-o", tmp_path / "r.html", "--figures", tmp_path / "f", "--bootstrap", 20)
    assert "Use Dice()." in text
    assert (tmp_path / "r.html").stat().st_size < 5e6
    assert len(list((tmp_path / "f").glob("*.svg"))) == len(list((tmp_path / "f").glob("*.csv"))) > 4


def test_paper_shows_agreement_and_writes_its_page(tmp_path: Path) -> None:
    text = call("paper", "-o", tmp_path / "paper.html")
    assert "differs" in text and "agrees" in text and "DiceTopK" in text
    page = (tmp_path / "paper.html").read_text(encoding="utf-8")
    assert "4.06" in page and "Beside the paper" in page


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["rank", "{cases}", "--metric", "HD95"], "HD95"),
        (["rank", "{cases}", "--policy", "zero"], "policy 'zero'"),
        (["rank", "{cases}", "--column", "loss"], "expected OURS=THEIRS"),
        (["rank", "{cases}", "{cases}"], "twice the same file"),
        (["rank", "summary.json"], "say which loss it is"),
        (["rank", "{cases}", "--by", "centre"], "no column is called 'centre'"),
        (["rank", "{cases}", "--percent", "DSC"], "these are shares"),
        (["rank", "{cases}", "A=summary.json", "--by", "class"], "--by: summary.json is a summary of nnU-Net"),
        (["rank", "{cases}", "--higher", "DICE"], r"metrics \['DICE'\] are not in the table; it has \['DSC', 'NSD'\]"),
        (["report", "{cases}", "--lower", "HD"], r"metrics \['HD'\] are not in the table"),
        (["rank", "{cases}", "--higher", "DSC", "--lower", "DSC"], r"both name \['DSC'\]"),
        (["report", "{cases}", "--by", "value"], "says one thing of a case"),
        (["report", "{cases}", "--bootstrap", "0"], "draws 0"),
    ],
)
def test_mistakes_are_value_errors_with_the_reason(cases: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(*(argument.format(cases=cases) for argument in arguments))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        call("rank", tmp_path / "none.csv")


def test_a_page_does_not_mix_the_runs_of_another_engine_in(tmp_path: Path) -> None:
    rows = [
        Row(loss, "A", 0, 0, str(case), "x", "DSC", value + case / 100, engine="nnunet")
        for case in range(6)
        for loss, value in (("Dice()", 0.8), ("Focal()", 0.6))
    ]
    write_rows(tmp_path / "cases.csv", rows)
    run = tmp_path / "runs" / "dice"
    run.mkdir(parents=True)
    arguments = ["report", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "page.html"), "--runs", str(tmp_path)]
    record = {"expression": "Dice()", "dataset": "A", "seed": 0, "status": "finished", "engine": "light"}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="runs of engine light, but the tables are of engine nnunet"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    (run / "run.json").write_text(json.dumps(record | {"engine": "nnunet"}))
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0


def test_a_narrow_terminal_shows_every_metric_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    metrics = {"DSC": 0.8, "NSD": 0.7, "HD95": 4.0}
    lines = [
        f"{loss},{task},{seed},c{case},{metric},{value + 0.001 * case * (1 + place)}"
        for place, loss in enumerate(("Dice()", "CrossEntropy()"))
        for task in ("Liver", "Prostate")
        for seed in range(2)
        for case in range(9)
        for metric, value in metrics.items()
    ]
    path = tmp_path / "cases.csv"
    path.write_text("loss,dataset,seed,case,metric,value\n" + "\n".join(lines))
    text = call("rank", path, "--bootstrap", 0)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    for heading in ("retrained", "best", "mean rank", *metrics):
        assert heading in text
    assert sum(line.split().count("HD95") for line in text.splitlines()) == 2
    assert sum(line.startswith("CrossEntropy() ") for line in text.splitlines()) > 1


def test_a_loss_that_was_not_run_everywhere_is_named_in_every_output(cases: Path, tmp_path: Path) -> None:
    rows = read_rows(cases)
    more = [replace(row, loss="Focal()") for row in rows if row.loss == "Dice()"]
    more += [replace(row, dataset="B") for row in rows]
    write_rows(tmp_path / "more.csv", more)
    words = ["rank", str(cases), str(tmp_path / "more.csv"), "--bootstrap", "20"]
    assert "Focal() was not run on all of these data and is not compared" in " ".join(call(*words).split())
    result = CliRunner().invoke(app, [*words, "--json"])
    assert "note: Focal() is left out: the table has no row of it in B" in result.stderr
    assert {record["loss"] for record in json.loads(result.stdout)} == {"Dice()", "[red]CE()"}
    page = tmp_path / "page.html"
    assert "Focal() was not run on all" in call("report", *words[1:], "-o", page)
    assert "Focal() is left out: the table has no row of it in B" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["rank", "report"])
def test_a_cut_table_of_an_evaluation_is_refused(cases: Path, verb: str) -> None:
    counts = [{"statuses": {"ok": 20}}, {"statuses": {"ok": 20}}]
    cases.with_suffix(".summary.json").write_text(json.dumps({"classes": counts}))
    cases.write_text("".join(cases.read_text().splitlines(keepends=True)[:30]))
    with pytest.raises(ValueError, match=r"cases\.csv: holds 29 rows, and cases\.summary\.json beside it counts 40"):
        CliRunner().invoke(app, [verb, str(cases)], catch_exceptions=False)

"""Which column holds what: other words, one column per metric, no column for the metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossodyssey.table import Table, read_rows


def read(folder: Path, text: str, **columns: str) -> Table:
    path = folder / "any.csv"
    path.write_text(text)
    return read_rows(path, {"class" if name == "class_name" else name: theirs for name, theirs in columns.items()})


@pytest.mark.parametrize(
    "text, name",
    [
        ("Task,TestCase,Algorithm,MetricValue\nT1,c1,A1,0.266\nT1,c1,A2,NA\n", "MetricValue"),
        ('"","task","alg_name","value","case"\n"1","T1","A1",0.266,"c1"\n"2","T1","A2",,"c1"\n', "value"),
        ("task;case;algorithm;value\nT1;c1;A1;0,266\nT1;c1;A2;NA\n", "value"),
    ],
)
def test_tables_of_challenger_are_read_and_their_metric_is_not_guessed(tmp_path: Path, text: str, name: str) -> None:
    table = read(tmp_path, text)
    assert [(row.loss, row.dataset, row.case, row.metric) for row in table] == [
        ("A1", "T1", "c1", name), ("A2", "T1", "c1", name)
    ]  # fmt: skip
    assert table[0].value == 0.266 and table[1].status == "missing"
    assert " as loss" in table.notes[0]
    assert any(f"so it is called '{name}'" in note and "--column metric=DSC" in note for note in table.notes)
    assert {row.metric for row in read(tmp_path, text, metric="NSD@2")} == {"NSD@2"}


def test_one_column_per_metric_is_read_and_said(tmp_path: Path) -> None:
    table = read(tmp_path, "loss,case,Dice,Surface Dice,HD95 (mm),seconds\nA,1,0.5,0.6,12,3\nB,1,0.7,,9,4\n")
    assert [(row.loss, row.metric, row.value) for row in table if row.status == "ok"] == [
        ("A", "DSC", 0.5), ("B", "DSC", 0.7), ("A", "NSD", 0.6), ("A", "HD95", 12.0), ("B", "HD95", 9.0)
    ]  # fmt: skip
    assert "one column per metric; read Dice (as DSC), Surface Dice (as NSD), HD95 (mm) (as HD95)" in table.notes[0]
    assert "columns not read: seconds" in table.notes[1]


def test_a_column_of_values_named_by_its_metric_needs_no_other_word(tmp_path: Path) -> None:
    assert [row.metric for row in read(tmp_path, "model;image;HD95\nA;1;12,5\n")] == ["HD95"]
    table = read(tmp_path, "model,image,my score\nA,1,12\n", value="my score")
    assert table[0].metric == "my score" and any("no column names the metric" in note for note in table.notes)


def test_columns_without_a_use_are_named(tmp_path: Path) -> None:
    notes = read(tmp_path, "loss,case,metric,value,contrast,centre\nA,1,DSC,0.5,T1,x\n").notes
    assert any("columns not read: contrast, centre (--by" in note for note in notes)


@pytest.mark.parametrize(
    "text, columns, message",
    [
        ("case,UNet,VNet\n1,0.5,0.6\n", {}, r"\['loss', 'value'\] are missing; .*--column loss=YOURS.*melt"),
        ("loss,case,value,value\nA,1,0.5,0.6\n", {}, r"columns \['value', 'value'\] could all be value"),
        ("loss,LOSS,case,DSC\nA,B,1,0.5\n", {}, r"could all be loss"),
        ("method,algorithm,case,value\nA,B,1,0.5\n", {}, r"--column loss=algorithm"),
        ("loss,case,Dice,DSC\nA,1,0.5,0.6\n", {}, "name one measure twice"),
        ("loss,case,value\nA,1,0.5\n", {"metric": "quality"}, r"columns \['quality'\] are missing; found"),
        ("loss,case,value\nA,1,0.5\n", {"loss": "network"}, r"columns \['network'\] are missing; found"),
        ("x,x,case,value\nA,A,1,0.5\n", {"loss": "x"}, "2 columns are called 'x'"),
    ],
)
def test_a_header_that_leaves_a_question_is_refused(
    tmp_path: Path, text: str, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **columns)


def test_a_question_about_two_columns_is_answered_by_naming_one(tmp_path: Path) -> None:
    assert read(tmp_path, "method,algorithm,case,DSC\nA,B,1,0.5\n", loss="Algorithm")[0].loss == "B"


def test_joined_tables_that_spell_a_metric_in_two_ways_have_one(tmp_path: Path) -> None:
    for loss, metric in (("A", "Dice"), ("B", "DSC")):
        (tmp_path / f"{loss}.csv").write_text(f"loss,case,metric,value\n{loss},1,{metric},0.5\n")
    table = read_rows([tmp_path / "A.csv", tmp_path / "B.csv"])
    assert [row.metric for row in table] == ["DSC", "DSC"]
    assert table.notes == ("metric 'Dice' is read as DSC, as other rows call it",)


def test_one_table_that_holds_both_spellings_keeps_two_metrics(tmp_path: Path) -> None:
    text = "loss,case,metric,value\nA,1,Dice,0.5\nA,1,DSC,0.6\n"
    assert [row.metric for row in read(tmp_path, text)] == ["Dice", "DSC"]

"""Losses under a user's names, and runs that were begun under another text of the same loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.naming import Entry, read_losses
from lossodyssey.bench.record import Record, read_record, write_record
from lossodyssey.bench.run import adopted, execute
from lossodyssey.bench.story import tell
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset
from lossodyssey.report.runs import read_run
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Dice(smooth=1)", Entry("Dice(smooth=1.0)")),
        ("mine=0.5 * Dice() + 0.5 * Focal(gamma=3)", Entry("0.5 * Dice() + 0.5 * Focal(gamma=3.0)", "mine")),
        (" my  own-1.0_b = DiceTopK( )", Entry("DiceTopK()", "my own-1.0_b")),
        ("Größe=CE()", Entry("CrossEntropy()", "Größe")),
        ("Dice=Dice()", Entry("Dice()", "Dice")),
        ("DiceTopK=Dice() + TopK()", Entry("Dice() + TopK()", "DiceTopK")),
        ("CE=CrossEntropy()", Entry("CrossEntropy()", "CE")),
    ],
)
def test_a_loss_may_have_a_name(text: str, entry: Entry) -> None:
    assert read_losses([text]) == [entry]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a/b=Dice()"], "named 'a/b'; expected letters, digits, spaces and - _ ."),
        (["=Dice()"], "named ''; expected letters"),
        (["..=Dice()"], "named '..'; expected letters"),
        (["<b>=Dice()"], "expected letters"),
        (["a\nb\t=Dice(\n)", "a b=TopK()"], "two losses are named 'a b'"),
        ([f"{'n' * 61}=Dice()"], "at most 60 characters"),
        (["mine=Dise()"], "did you mean 'Dice'"),
        (["mine="], "is not a loss expression"),
        (["Dice=CrossEntropy()"], r"named 'Dice', which is the atlas's name of another loss, Dice()"),
        (["dicetopk=Dice()"], "the atlas's name of another loss, DiceTopK()"),
        (["Dice=Dice(batch=True)"], "the atlas's name of another loss"),
        (["IoU=Dice()"], "the atlas's name of another loss, Jaccard()"),
        (["a=Dice()", "a=TopK()"], "two losses are named 'a': Dice() and TopK()"),
        (["a=Dice()", "b=Dice()"], "'b' computes the same as 'a'"),
        (["DiceTopK()", "Dice() + TopK()"], "'Dice() + TopK()' computes the same as 'DiceTopK()'"),
        (["CrossEntropy() + Dice()", "mine=DiceCE()"], "'mine' computes the same as"),
        (["Dice()", "CE()", "Dice() + 0 * CE()"], "computes the same as 'Dice()'"),
    ],
)
def test_names_and_doubles_that_do_not_serve(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        read_losses(texts)
    assert message in str(refusal.value) and len(str(refusal.value)) < 500


def test_the_same_loss_given_twice_is_one() -> None:
    assert read_losses(["Dice()", "Dice( smooth=1e-5 )", "CE()", "CrossEntropy()"]) == [
        Entry("Dice()"),
        Entry("CrossEntropy()"),
    ]


def planned(dataset: Dataset, settings: Settings, output: Path, *losses: str) -> list[Job]:
    return compare(dataset, losses, seeds=1, held_out=2, engine=Light(settings), output=output).jobs


def silent(job: Job, event: object) -> None:
    """Hear nothing."""


def test_the_name_stands_in_table_and_page_and_the_text_in_the_record(
    dataset: Dataset, quick: Settings, tmp_path: Path
) -> None:
    text = "0.5 * Dice() + 0.5 * Focal(gamma=3.0)"
    jobs = planned(dataset, quick, tmp_path, f"mine={text}", "DiceTopK()")
    assert [job.folder.name.partition("-")[0] for job in jobs] == ["mine", "dicetopk"]
    for job in jobs:
        execute(job, lambda event: None)
    sweep(jobs, executor=Local(1), on_event=silent)
    write_table(jobs, tmp_path / "cases.csv")
    assert {row.loss for row in read_rows(tmp_path / "cases.csv")} == {"mine", "DiceTopK()"}
    record = read_record(jobs[0].folder)
    assert (record.expression, record.name) == (text, "mine")
    summary = read_run(jobs[0].folder)
    assert (summary.loss, summary.name, summary.expression) == ("mine", "mine", text)
    other = read_run(jobs[1].folder)
    assert (other.loss, other.name, other.expression) == ("DiceTopK()", "", "DiceTopK()")
    page = tell(jobs).read_text(encoding="utf-8")
    assert "<code>mine</code>" in page and "<code>DiceTopK()</code>" in page
    assert page.count("data:image/png") >= 2


def earlier(job: Job, expression: str) -> Path:
    """Make a finished run look as an earlier version left it: another text, another folder, fewer facts."""
    execute(job, lambda event: None)
    record = json.loads((job.folder / "run.json").read_text())
    for name in ("files", "notes", "name"):
        del record[name]
    (job.folder / "run.json").write_text(json.dumps(record | {"expression": expression}))
    table = (job.folder / "cases.csv").read_text().replace(job.expression, expression)
    (job.folder / "cases.csv").write_text(table)
    return job.folder.rename(job.runs / f"dice-topk-{job.digest}-seed{job.seed}")


def test_a_finished_run_of_an_earlier_text_is_found_finished(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    job, other = planned(dataset, quick, tmp_path, "DiceTopK()", "Dice()")
    folder = earlier(job, "Dice() + TopK()")
    execute(other, lambda event: None)
    assert job.folder == folder and job.done()
    heard: list[object] = []
    records = sweep([job, other], executor=Local(1), on_event=lambda job, event: heard.append(event))
    write_table([job, other], tmp_path / "cases.csv")
    assert [type(event) for event in heard] == [Record, Record], "nothing was trained"
    assert records[0].expression == "DiceTopK()"
    assert {row.loss for row in read_rows(tmp_path / "cases.csv")} == {"DiceTopK()", "Dice()"}
    assert "<code>DiceTopK()</code>" in tell([job, other]).read_text(encoding="utf-8")


def test_the_fingerprint_of_a_preset_is_that_of_its_sum(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (preset,) = planned(dataset, quick, tmp_path, "DiceFocal(gamma=3)")
    (written,) = planned(dataset, quick, tmp_path, "Dice() + Focal(gamma=3.0)")
    (named,) = planned(dataset, quick, tmp_path, "mine=DiceFocal(gamma=3)")
    (another,) = planned(dataset, quick, tmp_path, "DiceFocal()")
    assert preset.digest == written.digest == named.digest != another.digest


@pytest.mark.parametrize("losses", [("mine=Dice()", "Dice()"), ("Dice()", "mine=Dice()"), ("a=Dice()", "b=Dice()")])
def test_a_run_is_taken_over_under_another_name(
    dataset: Dataset, quick: Settings, tmp_path: Path, losses: tuple[str, str]
) -> None:
    (first,), (second,) = (planned(dataset, quick, tmp_path, loss) for loss in losses)
    execute(first, lambda event: None)
    (second,) = planned(dataset, quick, tmp_path, losses[1])
    assert second.folder == first.folder and second.done()
    assert adopted(second).notes == ()
    assert {row.loss for row in read_rows(second.folder / "cases.csv")} == {second.label}
    assert second.done() and read_record(second.folder).label == second.label


def test_a_run_of_another_loss_is_not_taken_over(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (job,) = planned(dataset, quick, tmp_path, "Dice()")
    write_record(job.folder, replace(job.record(), status="finished", digest="00000000"))
    assert not job.done()


@pytest.mark.parametrize(("asked", "count"), [(0.25, 2), (0.5, 4), (3, 3)])
def test_a_fraction_of_the_cases_may_be_held_out(
    dataset: Dataset, quick: Settings, tmp_path: Path, asked: float, count: int
) -> None:
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=asked, engine=Light(quick), output=tmp_path).jobs
    assert len(job.scored) == count

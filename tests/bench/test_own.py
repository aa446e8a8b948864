"""Losses of one's own travel with their runs, are kept with them, and make another run when they are edited."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import lossodyssey as lo
from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.own import reopen
from lossodyssey.bench.record import Record, read_record
from lossodyssey.bench.run import execute
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep
from lossodyssey.core.door import LATEST
from lossodyssey.core.sources import SHELF
from lossodyssey.data import Dataset
from lossodyssey.training.settings import Settings

pytestmark = pytest.mark.usefixtures("own_atlas")

OVERLAP = """import lossodyssey as lo


class HalfDice(lo.OverlapLoss, range=(0, 1)):
    def formula(self, s, g, tp):
        return 1 - 1.5 * tp / (0.5 * s + g + self.smooth)
"""
VOXEL = """import lossodyssey as lo


class Steep(lo.VoxelLoss):
    power: lo.Positive = 3.0

    def formula(self, log_p, labels):
        return (-log_p) ** self.power
"""
TEXTS = {"HalfDice()": OVERLAP, "Dice() + Steep(power=2.0)": VOXEL}
Planned = Callable[..., Job]


@pytest.fixture
def planned(dataset: Dataset, quick: Settings, tmp_path: Path) -> Planned:
    """Plan one run of an expression in the folder `study`."""

    def one(expression: str) -> Job:
        (job,) = compare(
            dataset, [expression], seeds=1, held_out=2, engine=Light(quick), output=tmp_path / "study"
        ).jobs
        return job

    return one


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def forget() -> None:
    """Be a process that never saw the files."""
    for source in LATEST.values():
        source.put_away()
        SHELF.pop(source.module)
        del sys.modules[source.module]
    LATEST.clear()


def silent(job: Job, event: Progress | Record) -> None:
    """Hear nothing."""


def test_a_run_in_another_process_has_and_keeps_the_sources(planned: Planned, tmp_path: Path) -> None:
    texts = {"half.py": OVERLAP, "steep.py": VOXEL}
    paths = [written(tmp_path / name, text) for name, text in texts.items()]
    cards = [card for path in paths for card in lo.load_losses(path)]
    job = planned("HalfDice() + Steep(power=2.0)")
    for path in paths:
        path.unlink()
    (record,) = sweep([job], executor=Local(1), on_event=silent)
    assert record.status == "finished", record.reason
    assert {path.name: path.read_text() for path in (job.folder / "losses").iterdir()} == texts
    assert list(record.sources) == list(texts)
    for card, about in zip(cards, record.sources.values(), strict=True):
        assert about["losses"] == [card.name] and len(about["sha256"]) == 64


def test_two_files_of_one_name_are_both_kept(planned: Planned, tmp_path: Path) -> None:
    for folder, text in (("a", OVERLAP), ("b", VOXEL)):
        lo.load_losses(written(tmp_path / folder / "mine.py", text))
    job = planned("HalfDice() + Steep()")
    execute(job, lambda progress: None)
    copies = sorted((job.folder / "losses").iterdir())
    assert {path.read_text() for path in copies} == {OVERLAP, VOXEL} and "mine.py" in [path.name for path in copies]
    assert sorted(read_record(job.folder).sources) == sorted(path.name for path in copies)


@pytest.mark.parametrize("expression", sorted(TEXTS))
def test_the_content_counts_where_the_expression_uses_it(planned: Planned, tmp_path: Path, expression: str) -> None:
    before = planned("Dice()").digest
    path = written(tmp_path / "mine.py", TEXTS[expression])
    lo.load_losses(path)
    own = planned(expression).digest
    assert planned("Dice()").digest == before == replace(planned("Dice()"), sources=()).digest
    path.write_text(f"# edited\n{TEXTS[expression]}")
    lo.load_losses(path)
    assert planned(expression).digest != own and planned("Dice()").digest == before
    path.write_text(TEXTS[expression])
    lo.load_losses(path)
    assert planned(expression).digest == own


@pytest.mark.parametrize("expression", sorted(TEXTS))
def test_a_comparison_goes_on_with_the_copy_of_its_run(planned: Planned, tmp_path: Path, expression: str) -> None:
    (card,) = lo.load_losses(written(tmp_path / "mine.py", TEXTS[expression]))
    job = planned(expression)
    execute(job, lambda progress: None)
    assert reopen(tmp_path / "study", [expression]) == [], "a loss that is known is taken from nowhere else"
    copy = job.folder / "losses" / "mine.py"
    forget()
    with pytest.raises(ValueError, match=f"unknown loss '{card.name}'"):
        planned(expression)
    assert reopen(tmp_path / "study", ["Dice()"]) == reopen(tmp_path / "study", ["Dise()"]) == []
    assert reopen(tmp_path / "study", [f"name={expression}", expression]) == [
        f"{card.name}: executed from the copy that its run keeps, {copy}"
    ]
    assert planned(expression).done()


def test_copies_that_do_not_serve_are_named(planned: Planned, tmp_path: Path) -> None:
    study = tmp_path / "study"
    lo.load_losses(written(tmp_path / "mine.py", OVERLAP))
    first = planned("HalfDice()")
    execute(first, lambda progress: None)
    copy = first.folder / "losses" / "mine.py"
    forget()
    written(copy, "raise RuntimeError('executed')\n")
    with pytest.raises(ValueError, match=r"mine\.py: is not as the run left it; give the file"):
        reopen(study, ["HalfDice()"])
    copy.unlink()
    with pytest.raises(ValueError, match=r"mine\.py: no such file; it holds the loss HalfDice"):
        reopen(study, ["HalfDice()"])
    written(copy, OVERLAP)
    lo.load_losses(written(tmp_path / "mine.py", f"# edited\n{OVERLAP}"))
    execute(planned("HalfDice()"), lambda progress: None)
    forget()
    with pytest.raises(ValueError, match="HalfDice: the runs keep 2 versions"):
        reopen(study, ["HalfDice()"])


def test_predicting_executes_no_loss(planned: Planned, dataset: Dataset, tmp_path: Path) -> None:
    folders = []
    for number, (expression, text) in enumerate(TEXTS.items()):
        lo.load_losses(written(tmp_path / str(number) / "mine.py", text))
        job = planned(expression)
        execute(job, lambda progress: None)
        written(job.folder / "losses" / "mine.py", "raise RuntimeError('executed')\n")
        folders.append(str(job.folder))
    code = f"""
from pathlib import Path
import lossodyssey as lo
from lossodyssey.bench.predict import predict

def refuse(*arguments):
    raise AssertionError("a loss is built")

lo.Loss.__post_init__ = refuse
image, out = Path({str(dataset.cases[0].images[0])!r}), Path({str(tmp_path / "out")!r})
for folder in map(Path, {folders!r}):
    print(len(predict(folder, image, out / folder.name)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr


def test_a_record_whose_sources_are_broken_is_no_record(planned: Planned, tmp_path: Path) -> None:
    lo.load_losses(written(tmp_path / "mine.py", OVERLAP))
    job = planned("HalfDice()")
    execute(job, lambda progress: None)
    path = job.folder / "run.json"
    content = json.loads(path.read_text())
    for broken in ({"mine.py": "here"}, ["mine.py"]):
        path.write_text(json.dumps(content | {"sources": broken}))
        with pytest.raises(ValueError, match="not the record of a run"):
            read_record(job.folder)

"""The records of a study in an archive: equal bytes, the same table again, and nothing but what belongs to it."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.packing import outside_plan, pack, unpacked
from lossodyssey.bench.partial import read_partial
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.record import read_record
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.study import Study
from lossodyssey.bench.sweep import run_study
from lossodyssey.cli import run
from lossodyssey.data import write_phantom
from lossodyssey.table import read_rows
from lossodyssey.training.settings import Settings

PLAN = """\
datasets: [phantom]
losses:
  - Dice()
  - {loss: CrossEntropy(), learning_rates: [1e-3, 1e-2]}
  - {name: late, stages: [Dice(), TopK()], learning_rates: [1e-3]}
held_out: 3
validation: 2
seeds: 1
patch: [16, 16, 8]
features: [4, 8]
steps: [4, 120]
search_steps: 4
epoch: 2
overlap: 0.0
device: cpu
"""


def silent(job: Job, event: object) -> None:
    pass


def study(data: Path, output: Path, text: str = PLAN) -> Study:
    return resolve(parse_plan(text, "plan.yaml"), Light(Settings()), output, data)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=9)
    return folder


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = study(data, tmp_path_factory.mktemp("done"))
    run_study(found, executor=Local(2), on_event=silent)
    return found.output


@pytest.fixture(scope="module")
def archive(done: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "study.tar.xz"
    assert pack(done, file) == 8
    return file


def test_equal_studies_give_equal_archives(done: Path, archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done, copy)
    pack(copy, tmp_path / "again.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == archive.read_bytes()


def test_an_archive_holds_tables_and_no_networks(done: Path, archive: Path) -> None:
    with unpacked(archive) as folder:
        names = {path.name for path in folder.rglob("*") if path.is_file()}
        assert names == {"plan.json", "tuning.csv", "run.json", "curve.csv", "cases.csv", "validation.csv"}
        long = next(run for run in folder.glob("runs/*") if read_record(run).settings["steps"] == 120)
        curve = (long / "curve.csv").read_text().splitlines()
        whole = (done / "runs" / long.name / "curve.csv").read_text().splitlines()
        assert len(curve) == 61 and len(whole) == 121
        # The second point stands for steps 3 and 4.
        losses = [float(line.split(",")[1]) for line in whole[3:5]]
        assert float(curve[2].split(",")[1]) == pytest.approx(sum(losses) / 2, rel=1e-5)
        assert curve[-1].split(",")[0] == "120"
        assert set(read_record(long).files) == {"curve.csv", "cases.csv", "validation.csv"}
        assert (long / "cases.csv").read_bytes() == (done / "runs" / long.name / "cases.csv").read_bytes()
    assert not folder.exists()


def test_runs_that_the_plan_no_longer_has_are_left_out(
    done: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, file = tmp_path / "copy", tmp_path / "study.tar.xz"
    shutil.copytree(done, copy)
    run_study(study(data, copy, PLAN.replace("steps: [4, 120]", "steps: [120]")), executor=Local(1), on_event=silent)
    assert len(outside_plan(copy)) == 3 and len(list(copy.glob("runs/*"))) == 8
    monkeypatch.setattr("sys.argv", ["lossodyssey", "pack", str(copy), "-o", str(file)])
    with pytest.raises(SystemExit, match="0"):
        run()
    assert "3 runs that the plan does not have were left out: crossentropy-" in capsys.readouterr().out
    with unpacked(file) as folder:
        assert len(list(folder.glob("runs/*"))) == 5


def test_fingerprints_of_the_data_go_along(done: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done, copy)
    (copy / "fingerprint-my set.json").write_text("{}")
    pack(copy, tmp_path / "with.tar.xz")
    with unpacked(tmp_path / "with.tar.xz") as folder:
        assert (folder / "fingerprint-my set.json").read_text() == "{}"


def test_a_study_goes_on_from_an_archive_without_training(
    done: Path, archive: Path, data: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    again = study(data, tmp_path / "new")
    run_study(again, executor=Local(1), on_event=silent, earlier=archive, say=said.append)
    assert (again.output / "cases.csv").read_bytes() == (done / "cases.csv").read_bytes()
    assert (again.output / "cases-4.csv").read_bytes() == (done / "cases-4.csv").read_bytes()
    assert all("taken over" in line for line in said) and not list(again.output.rglob("checkpoint.pt"))


def test_a_network_that_the_archive_lacks_is_trained_again_where_another_loss_begins_with_it(
    done: Path, archive: Path, data: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    text = PLAN.replace("TopK()", "Focal()")
    again, whole = study(data, tmp_path / "new", text), study(data, tmp_path / "whole", text)
    for each, earlier in ((again, archive), (whole, done)):
        run_study(each, executor=Local(2), on_event=silent, earlier=earlier, say=said.append)
        assert {read_record(job.folder).status for job in each.jobs} == {"finished"}
    for table in ("cases.csv", "cases-4.csv"):
        assert (again.output / table).read_bytes() == (whole.output / table).read_bytes()
    trained = {path.parent.name.split("-")[0] for path in again.output.rglob("checkpoint.pt")}
    assert trained == {"dice", "late"}
    notes = [note for job in again.jobs for note in read_record(job.folder).notes]
    assert "its network, which other losses begin with, was gone; trained again" in notes
    heard: list[object] = []
    run_study(again, executor=Local(1), on_event=lambda job, event: heard.append(event), earlier=archive)
    assert not any(isinstance(event, Progress) for event in heard)


def test_the_page_of_an_archive_is_that_of_its_folder(
    archive: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with unpacked(archive) as folder:
        assert read_partial(folder).rows == read_rows(done / "cases.csv")
        assert read_partial(folder, 4).rows == read_rows(done / "cases-4.csv")
    page = tmp_path / "page.html"
    monkeypatch.setattr("sys.argv", ["lossodyssey", "report", str(archive), "-o", str(page), "--bootstrap", "20"])
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 0
    text = page.read_text()
    assert "after 4 steps" in text and "CrossEntropy()" in text
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(page) and "not complete" not in said.err


@pytest.mark.parametrize("name", ["../out", "runs/../../out", "/out", "runs/a/checkpoint.pt", "runs/../x/run.json"])
def test_members_that_are_not_of_a_study_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.tar.xz"
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match=r"bad\.tar\.xz: not an archive of lossodyssey pack"), unpacked(file):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar.xz"]


def test_links_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.tar.xz"
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo("runs/a/run.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(member)
    with pytest.raises(ValueError, match="is not part of a study"), unpacked(file):
        pass


def test_what_is_no_study_or_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder or archive"), unpacked(tmp_path / "none"):
        pass
    (tmp_path / "text.tar.xz").write_text("text")
    with pytest.raises(ValueError, match=r"text\.tar\.xz: not an archive"), unpacked(tmp_path / "text.tar.xz"):
        pass
    with pytest.raises(ValueError, match="holds no run that has ended"):
        pack(tmp_path, tmp_path / "x.tar.xz")

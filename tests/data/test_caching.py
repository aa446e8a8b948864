"""Prepared cases in memory and in files: equal values, whatever is killed, broken or done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.data.caching import HELD, Keeping, cache
from lossodyssey.data.contents import read_contents
from lossodyssey.data.patches import CachedCase
from lossodyssey.data.preprocessing import Preprocessing
from lossodyssey.data.store import ABANDONED, Store

PLAN = Preprocessing((2.5, 2.0, 3.5), ((-200.0, 300.0, 40.0, 90.0),), crop=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=4)
    return read_dataset(folder)


def store(dataset: Dataset, folder: Path) -> Store:
    digests = read_contents(dataset, folder / "data.json").digests
    return Store(folder / "prepared", lambda: digests)


def prepared(dataset: Dataset, folder: Path, most: int, plan: Preprocessing = PLAN) -> list[CachedCase]:
    return cache(dataset, dataset.cases, preprocessing=plan, keeping=Keeping(store(dataset, folder), most))


def entries(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "prepared").glob("*/*/entry.json"))


def facts(case: CachedCase) -> list[Any]:
    arrays = [case.image, case.labels, *case.foreground, case.counted, case.centres, case.spacing, case.kept]
    return [case.name, *(None if array is None else np.asarray(array) for array in arrays)]


def check_equal(found: list[CachedCase], expected: list[CachedCase]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.image.dtype, one.labels.dtype) == (other.image.dtype, other.labels.dtype)
        for mine, theirs in zip(facts(one), facts(other), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("plan", [Preprocessing(), PLAN], ids=["as they are", "resampled"])
@pytest.mark.parametrize("most", [0, 1_000_000, HELD], ids=["mapped", "some of them mapped", "held"])
def test_cases_are_the_same_wherever_they_lie(dataset: Dataset, tmp_path: Path, plan: Preprocessing, most: int) -> None:
    plain = cache(dataset, dataset.cases, preprocessing=plan)
    for _ in range(2):  # the second time from the files of the first
        check_equal(prepared(dataset, tmp_path, most, plan), plain)
    kept = {(0, False): 4, (1_000_000, False): 3, (HELD, False): 0}.get((most, plan.moves_voxels), 4)
    assert len(entries(tmp_path)) == kept


def test_what_is_ignored_is_the_same_in_files(folder, tmp_path: Path) -> None:
    folder.save(labels={"background": 0, "organ": 1, "ignore": 2})
    dataset = read_dataset(folder.root)
    mapped = prepared(dataset, tmp_path / "kept", 0, Preprocessing((1.0, 2.0, 3.0)))
    check_equal(mapped, cache(dataset, dataset.cases, preprocessing=Preprocessing((1.0, 2.0, 3.0))))
    assert all(case.counted is not None and not case.counted.all() for case in mapped)


def test_wrong_labels_are_not_taken_for_right_ones(dataset: Dataset, tmp_path: Path) -> None:
    right = prepared(dataset, tmp_path, 0)
    name = dataset.cases[0].name
    keeping = Keeping(store(dataset, tmp_path), 0)
    wrong = cache(dataset, dataset.cases, wrong=[name], preprocessing=PLAN, keeping=keeping)
    assert not torch.equal(wrong[0].labels, right[0].labels)
    check_equal(wrong[1:], right[1:])


def test_other_contents_settings_and_targets_are_other_entries(folder, tmp_path: Path) -> None:
    dataset = read_dataset(folder.root)
    prepared(dataset, tmp_path, 0)
    assert len(entries(tmp_path)) == 2
    prepared(dataset, tmp_path, 0, replace(PLAN, crop=False))
    assert len(entries(tmp_path)) == 4
    prepared(replace(dataset, classes={0: "background", 1: "liver", 2: "tumour", 3: "x"}), tmp_path, 0)
    assert len(entries(tmp_path)) == 6
    folder.nifti("imagesTr/a.nii.gz", np.ones((5, 6, 4), np.float32))
    found = prepared(dataset, tmp_path, 0)
    assert len(entries(tmp_path)) == 7
    check_equal(found, cache(dataset, dataset.cases, preprocessing=PLAN))


def test_another_size_of_pixels_is_another_entry(folder, tmp_path: Path) -> None:
    for name in "ab":
        folder.picture(f"imagesTr/{name}.png", np.eye(12, dtype=np.uint8) * 90)
        folder.picture(f"labelsTr/{name}.png", np.eye(12, dtype=np.uint8))
    training = [{"image": f"imagesTr/{name}.png", "label": f"labelsTr/{name}.png"} for name in "ab"]
    plan = Preprocessing((0.5, 0.5))
    folder.save(training=training, labels={"0": "background", "1": "line"})
    shapes = []
    for size in (0.5, 1.0):
        folder.save(spacing=[size, size])
        shapes += [case.labels.shape for case in prepared(read_dataset(folder.root), tmp_path, 0, plan)[:1]]
    folder.settings.pop("spacing")
    for size in (0.25, 2.0):
        for name in "ab":
            folder.text(f"imagesTr/{name}.json", f'{{"spacing": [{size}, {size}]}}')
        folder.save()
        shapes += [case.labels.shape for case in prepared(read_dataset(folder.root), tmp_path, 0, plan)[:1]]
    assert shapes == [(12, 12), (24, 24), (6, 6), (48, 48)]


def test_a_copy_of_the_data_under_other_names_is_prepared_once(folder, tmp_path: Path) -> None:
    prepared(read_dataset(folder.root), tmp_path, 0)
    other = folder.root.rename(tmp_path / "moved")
    moved = prepared(read_dataset(other), tmp_path, 0)
    assert len(entries(tmp_path)) == 2 and [case.name for case in moved] == ["a", "b"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, turned, emptied, Path.unlink], ids=["cut", "a bit", "empty", "gone"])
@pytest.mark.parametrize("name", ["image.npy", "labels.npy", "foreground0.npy", "entry.json"])
def test_what_is_broken_is_made_again(dataset: Dataset, tmp_path: Path, damage: Any, name: str) -> None:
    prepared(dataset, tmp_path, 0)
    damage(entries(tmp_path)[0] / name)
    check_equal(prepared(dataset, tmp_path, 0), cache(dataset, dataset.cases, preprocessing=PLAN))
    assert len(entries(tmp_path)) == 4


PREPARE = """
import sys
from pathlib import Path
from lossodyssey.data import read_dataset
from lossodyssey.data.caching import Keeping, cache
from lossodyssey.data.contents import read_contents
from lossodyssey.data.preprocessing import Preprocessing
from lossodyssey.data.store import Store

root, folder = map(Path, sys.argv[1:3])
dataset = read_dataset(root)
digests = read_contents(dataset, folder / "data.json").digests
plan = Preprocessing((2.5, 2.0, 3.5), ((-200.0, 300.0, 40.0, 90.0),), crop=True)
print("ready", flush=True)
sys.stdin.readline()
keeping = Keeping(Store(folder / "prepared", lambda: digests), 0)
cases = cache(dataset, dataset.cases, preprocessing=plan, keeping=keeping)
print(sum(float(case.image.sum()) for case in cases), flush=True)
"""


def process(dataset: Dataset, folder: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PREPARE, str(dataset.root), str(folder)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_prepare_one_set_at_the_same_time(dataset: Dataset, tmp_path: Path) -> None:
    both = [process(dataset, tmp_path) for _ in range(2)]
    for each in both:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    sums = {each.communicate()[0] for each in both}
    assert [each.returncode for each in both] == [0, 0] and len(sums) == 1
    check_equal(prepared(dataset, tmp_path, 0), cache(dataset, dataset.cases, preprocessing=PLAN))
    assert len(entries(tmp_path)) == 4 and not list(tmp_path.rglob(".*"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_is_killed_leaves_nothing_that_is_taken_for_a_case(dataset: Dataset, tmp_path: Path) -> None:
    killed = process(dataset, tmp_path)
    assert killed.stdin is not None
    killed.stdin.write("go\n")
    killed.stdin.flush()
    while not list((tmp_path / "prepared").rglob("*.npy")):
        assert killed.poll() is None
        time.sleep(0.001)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    check_equal(prepared(dataset, tmp_path, 0), cache(dataset, dataset.cases, preprocessing=PLAN))
    assert len(entries(tmp_path)) == 4


def test_drafts_of_killed_processes_are_removed_and_those_of_others_are_not(dataset: Dataset, tmp_path: Path) -> None:
    prepared(dataset, tmp_path, 0)
    entry = entries(tmp_path)[0]
    old, young = entry / ".0123456789ab.image.npy", entry / ".ba9876543210.image.npy"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 2 * ABANDONED))
    (entry / "entry.json").unlink()
    prepared(dataset, tmp_path, 0)
    assert not old.exists() and young.exists()


def test_mapped_cases_need_no_open_file(dataset: Dataset, tmp_path: Path) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not list open files")
    before = len(list(folder.iterdir()))
    cases = prepared(dataset, tmp_path, 0)
    assert len(list(folder.iterdir())) == before and len(cases) == 4


def test_a_full_disk_is_told_and_leaves_no_entry(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        prepared(dataset, tmp_path, 0)
    monkeypatch.undo()
    assert not entries(tmp_path) and not [path for path in (tmp_path / "prepared").rglob("*") if path.is_file()]


MEASURE = """
import re, sys
from pathlib import Path
import torch
from lossodyssey.core.text import parse
from lossodyssey.data import read_dataset
from lossodyssey.data.caching import HELD, Keeping, cache
from lossodyssey.data.contents import read_contents
from lossodyssey.data.store import Store
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit

def most():
    # The most of this program alone: ru_maxrss begins with that of the process that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

root, folder, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
dataset = read_dataset(root)
settings = Settings(steps=3, patch=(16, 16, 16), features=(2, 4), device="cpu")
torch.set_num_threads(1)
few = cache(dataset, dataset.cases[:1])
fit(parse("Dice()"), few, settings, classes=2, seed=0)
before = most()
digests = read_contents(dataset, folder / "data.json").digests
room = 0 if kind == "mapped" else HELD
cases = cache(dataset, dataset.cases, keeping=Keeping(Store(folder / "prepared", lambda: digests), room))
outcome = fit(parse("Dice()"), cases, settings, classes=2, seed=0)
size = sum(case.image.nbytes + case.labels.nbytes for case in cases) / 2**20
print(size, most() - before, *(loss for _, loss, _ in outcome.curve))
"""


def measured(root: Path, folder: Path, kind: str) -> list[float]:
    words = [sys.executable, "-c", MEASURE, str(root), str(folder), kind]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="the most memory of a process is read from Linux")
def test_a_set_trains_in_a_fraction_of_its_size(folder, tmp_path: Path) -> None:
    labels = np.zeros((128, 128, 64), np.uint8)
    labels[40:60, 40:60, 20:40] = 1
    image = np.full(labels.shape, 3, np.int16)
    image[labels > 0] = 9
    names = [f"c{number:02d}" for number in range(40)]
    folder.nifti("labelsTr/c00.nii", labels)
    for number, name in enumerate(names):
        image[0, 0, 0] = number  # equal cases would share one entry
        folder.nifti(f"imagesTr/{name}.nii", image)
        if number:
            os.link(folder.root / "labelsTr/c00.nii", folder.root / f"labelsTr/{name}.nii")
    training = [{"image": f"imagesTr/{name}.nii", "label": f"labelsTr/{name}.nii"} for name in names]
    folder.save(labels={"0": "background", "1": "organ"}, training=training)

    size, mapped, *curve = measured(folder.root, tmp_path, "mapped")
    assert size > 230 and mapped < size / 4
    _, held, *same = measured(folder.root, tmp_path, "held")
    assert held > size * 0.9 and same == curve

"""Of all processes that want to execute a run, one does; a claim ends with its process, whatever clocks say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossodyssey.atomic import write_text
from lossodyssey.bench.claims import NAME, Held, Lost, Taken, Timing, Watch, _remove, _right, claimed
from lossodyssey.bench.executors.driver import Account, perform
from lossodyssey.bench.job import Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import read_record, write_record
from lossodyssey.bench.study import compare
from lossodyssey.data import Dataset
from lossodyssey.training.settings import Settings

FAST = Timing(beat=0.02, stale=0.3, look=0.02)
PATIENT = Timing(beat=0.02, stale=1e9, look=0.02)
"""Nothing becomes stale by waiting."""

HOLD = """
import sys, time
from pathlib import Path
from lossodyssey.bench.claims import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
TURNS = """
import os, sys
from pathlib import Path
from lossodyssey.bench.claims import Taken, Timing, claimed
folder, log = Path(sys.argv[1]), os.open(sys.argv[2], os.O_APPEND | os.O_WRONLY)
turns = 0
while turns < 10:
    try:
        with claimed(folder, Timing(beat=0.01, stale=1e9)):
            os.write(log, f"in {os.getpid()}\\n".encode())
            os.write(log, f"out {os.getpid()}\\n".encode())
            turns += 1
    except Taken:
        pass
"""
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are told apart on Linux only")


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the claim on the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with process:
        yield process
        process.kill()


@pytest.fixture
def turns() -> Iterator[None]:
    """Let threads take turns far more often than usual, so that they meet in every line."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def rewrite(folder: Path, **changes: object) -> None:
    """Change fields of a claim, as if another process had written it."""
    path = folder / NAME
    write_text(path, json.dumps({**json.loads(path.read_text()), **changes}))


def foreign(folder: Path, beat: int = 0) -> None:
    """Leave the claim of a process of another machine."""
    held = Held(folder, FAST)
    text = (folder / NAME).read_text()
    held.release()
    (folder / NAME).write_text(text)
    rewrite(folder, token="foreign", host="node7", machine="another", beat=beat)


def waited(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the test hangs, and says where, if it never comes."""
    while not condition():
        time.sleep(0.01)


def test_a_claim_is_held_by_one_and_ends_with_its_block(tmp_path: Path) -> None:
    refused = pytest.raises(Taken, match=rf"process {os.getpid()} on .* executes this run")
    with claimed(tmp_path / "run"), refused, claimed(tmp_path / "run"):
        pass
    assert not any((tmp_path / "run").iterdir())
    with claimed(tmp_path / "run") as held:
        held.check()


def test_processes_take_turns_and_are_never_in_at_the_same_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", TURNS, str(tmp_path / "run"), str(log)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = log.read_text().splitlines()
    assert len(lines) == 3 * 10 * 2
    assert all(lines[i + 1] == lines[i].replace("in", "out") for i in range(0, len(lines), 2))


@linux
@pytest.mark.parametrize("reaped", [True, False])
def test_the_claim_of_a_killed_process_of_this_machine_is_free_at_once(
    tmp_path: Path, holder: subprocess.Popen[str], reaped: bool
) -> None:
    watch = Watch(tmp_path, PATIENT)
    found = watch.holder()
    assert found is not None and found.pid == holder.pid and watch.alive
    os.kill(holder.pid, signal.SIGKILL)
    if reaped:
        holder.wait()
    else:
        waited(lambda: ") Z " in Path(f"/proc/{holder.pid}/stat").read_text())
    assert watch.holder() is None
    with claimed(tmp_path, PATIENT):
        pass


@linux
def test_a_process_number_that_is_used_again_holds_nothing(tmp_path: Path) -> None:
    held = Held(tmp_path, PATIENT)
    held.release()
    foreign(tmp_path)
    rewrite(tmp_path, pid=os.getpid(), machine=held.claim.machine, started=held.claim.started)
    assert Watch(tmp_path, PATIENT).holder() is not None
    rewrite(tmp_path, started="1")
    assert Watch(tmp_path, PATIENT).holder() is None


def test_a_claim_of_another_machine_is_stale_when_it_stops_changing(tmp_path: Path) -> None:
    foreign(tmp_path)
    watch = Watch(tmp_path, FAST)
    assert watch.holder() is not None and not watch.alive
    waited(lambda: watch.holder() is None)
    assert not any(tmp_path.iterdir())


def test_a_claim_that_changes_is_alive_whatever_its_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(tmp_path)
    watch = Watch(tmp_path, FAST)
    now = time.time()
    for beat in range(1, 8):
        for jump in (-1e9, 1e9):  # 30 years
            os.utime(tmp_path / NAME, (now + jump, now + jump))
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            assert watch.holder() is not None
        rewrite(tmp_path, beat=beat)
        time.sleep(FAST.stale / 5)
    assert watch.holder() is not None and watch.alive


def test_who_wants_a_run_of_another_machine_waits_until_it_is_seen_to_live_or_stale(tmp_path: Path) -> None:
    foreign(tmp_path)
    over = threading.Event()

    def beat() -> None:
        for number in range(1, 10**6):
            if over.wait(0.02):
                return
            rewrite(tmp_path, beat=number)

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(Taken, match="on node7"), claimed(tmp_path, PATIENT):
        pass
    over.set()
    thread.join()
    with claimed(tmp_path, FAST) as held:
        assert held.claim.host != "node7"


def test_of_many_that_find_a_claim_stale_one_takes_it_over(tmp_path: Path, turns: None) -> None:
    for _ in range(20):
        foreign(tmp_path)
        winners: list[Held] = []
        start, end = threading.Barrier(8), threading.Barrier(8)

        def take(start: threading.Barrier = start, end: threading.Barrier = end, won: list[Held] = winners) -> None:
            start.wait()
            with suppress(Taken), claimed(tmp_path, FAST) as held:
                won.append(held)
                end.wait()
                held.check()
                return
            end.wait()

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(winners) == 1
        assert not any(tmp_path.iterdir())


def test_who_lost_a_claim_notices_and_leaves_that_of_the_new_owner_alone(tmp_path: Path) -> None:
    held = Held(tmp_path, FAST)
    _remove(tmp_path / NAME, held.claim.token)
    with claimed(tmp_path, PATIENT) as owner:
        waited(lambda: held.lost)
        with pytest.raises(Lost, match="another process has taken over this run"):
            held.tell(("training", 1, 2, 0.5, 0.1))
        held.release()
        owner.check()


def test_a_claim_that_changed_before_it_was_removed_stays(tmp_path: Path) -> None:
    with claimed(tmp_path, FAST) as held:
        _remove(tmp_path / NAME, "that of an older claim")
        held.check()
        _remove(tmp_path / NAME, held.claim.token, b"as it was before it beat")
        held.check()
    assert not any(tmp_path.iterdir())


def test_a_claim_that_another_process_is_about_to_remove_stays(tmp_path: Path) -> None:
    foreign(tmp_path)
    _right(tmp_path / NAME, "foreign").touch()
    assert not _remove(tmp_path / NAME, "foreign")
    assert (tmp_path / NAME).exists()


def test_the_right_of_a_process_that_was_killed_before_it_removed_a_claim_ends(tmp_path: Path) -> None:
    foreign(tmp_path)
    _right(tmp_path / NAME, "foreign").touch()
    with claimed(tmp_path, FAST) as held:
        assert held.claim.host != "node7"
    assert not any(tmp_path.iterdir())


def test_rights_to_earlier_claims_that_a_killed_process_left_are_removed(tmp_path: Path) -> None:
    _right(tmp_path / NAME, "of an earlier claim").touch()
    with claimed(tmp_path, PATIENT) as held:
        assert [path.name for path in tmp_path.iterdir()] == [NAME]
        held.check()


def test_the_time_in_which_a_disk_or_the_watcher_stood_still_is_no_silence(tmp_path: Path) -> None:
    foreign(tmp_path)
    watch = Watch(tmp_path, FAST)
    assert watch.holder() is not None
    time.sleep(2 * FAST.stale)
    assert watch.holder() is not None
    waited(lambda: watch.holder() is None)


def test_a_claim_that_cannot_be_kept_alive_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"), claimed(tmp_path, FAST):
        pass
    assert not any(tmp_path.iterdir())


def test_a_claim_that_was_long_in_the_making_leaves_that_of_another_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(held: Held) -> None:
        (tmp_path / NAME).unlink()
        (tmp_path / NAME).write_text("of another process")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Held, "_write", write)
    with pytest.raises(OSError, match="No space"), claimed(tmp_path, FAST):
        pass
    assert (tmp_path / NAME).read_text() == "of another process"


def test_rights_that_cannot_be_removed_are_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == other:
            raise PermissionError(1, "Operation not permitted", str(path))
        usual(path, missing_ok)

    other = _right(tmp_path / NAME, "of another user")
    other.touch()
    monkeypatch.setattr(Path, "unlink", unlink)
    with claimed(tmp_path, FAST) as held:
        held.check()
    assert list(tmp_path.iterdir()) == [other]


def test_numbers_of_an_array_are_told_like_others(tmp_path: Path) -> None:
    with claimed(tmp_path, FAST) as held:
        held.tell(("training", 1, 2, np.float32(0.5), float("nan")))
        watch = Watch(tmp_path, FAST)
        waited(lambda: bool((found := watch.holder()) and found.progress and found.progress[3] == 0.5))
        held.check()


def test_a_picture_of_a_step_is_not_told(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(quick), output=tmp_path).jobs
    job.folder.mkdir(parents=True)
    picture = np.zeros((2, 2, 3), np.uint8)
    seen: list[object] = []
    account = Account([job], lambda job, event: seen.append(event), FAST)
    (run,) = account.waiting
    with claimed(job.folder, FAST) as held:
        held.tell(Progress("training", 1, 2, 0.5, 0.1, picture).told)
        waited(lambda: account.follow(run) and bool(seen))
        held.tell(("of another version",))
        before = held.beats
        waited(lambda: held.beats > before + 1)
        assert account.follow(run)
    assert {*seen} == {Progress("training", 1, 2, 0.5, 0.1)}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"pid": -1}', b"\xff\0", b"[" * 100_000, b'{"token": 5, "pid": 1, "progress": []}'],
    ids=lambda content: repr(content[:12]),
)
def test_a_damaged_claim_holds_until_it_is_stale(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    watch = Watch(tmp_path, FAST)
    assert watch.holder() is not None
    waited(lambda: watch.holder() is None)
    with claimed(tmp_path, PATIENT):
        pass


def test_a_run_that_was_taken_over_writes_no_end(dataset: Dataset, quick: Settings, tmp_path: Path) -> None:
    (job,) = compare(dataset, ["Dice()"], seeds=1, held_out=2, engine=Light(quick), output=tmp_path).jobs
    theirs = replace(job.record(), status="failed", reason="that of the new owner")
    seen: list[Progress] = []

    def take_over(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase == "scoring" and progress.done == progress.total:
            foreign_claim = json.loads((job.folder / NAME).read_text()) | {"token": "foreign"}
            (job.folder / NAME).unlink()
            (job.folder / NAME).write_text(json.dumps(foreign_claim))
            write_record(job.folder, theirs)

    ending = perform(job, take_over)
    assert ending.kind == "elsewhere" and seen
    assert read_record(job.folder) == theirs
    assert (job.folder / NAME).exists()

"""A real SLURM and a real Ray cluster on this machine, and the sweep that they complete.

Everything that is started lies in a folder of its own and is ended with the tests; nothing in /etc is touched.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.bench.claims import Timing, Watch
from lossodyssey.bench.executors import Local
from lossodyssey.bench.job import Job, Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.record import Record
from lossodyssey.bench.study import compare
from lossodyssey.bench.sweep import sweep, write_table
from lossodyssey.data import Dataset, read_dataset, write_phantom
from lossodyssey.training.settings import Settings

TIMING = Timing(beat=0.5, stale=60.0, look=0.5)
PACKAGES = ["slurmctld", "slurmd", "munge", "slurm-client"]
SETTINGS = Settings(
    steps=240, epoch=40, patch=(16, 16, 8), features=(4, 8), checkpoint_every=20, overlap=0.0, device="cpu"
)
LOSSES = ["Dice()", "CrossEntropy()", "DiceCE()", "Focal()"]
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=10
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Heard:
    """The events of a sweep: how often each run ended, and the first progress of each, at which `at` is called."""

    at: Callable[[Job], None]
    ends: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)

    def __call__(self, job: Job, event: Progress | Record) -> None:
        """Hear an event."""
        if isinstance(event, Record):
            self.ends.append(f"{job.expression} {event.status}")
        elif job.expression not in self.begun and (job.folder / "checkpoint.pt").exists():
            self.begun.add(job.expression)
            self.at(job)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, cases=8)
    return read_dataset(folder)


def planned(dataset: Dataset, output: Path) -> list[Job]:
    """Plan the sweep that is the same everywhere."""
    return compare(dataset, LOSSES, seeds=1, held_out=2, engine=Light(SETTINGS), output=output).jobs


def table_of(jobs: list[Job]) -> bytes:
    """Write the table of a sweep, after the runs that are left, and read it."""
    table = jobs[0].runs.parent / "cases.csv"
    sweep(jobs, executor=Local(2), on_event=lambda job, event: None)
    write_table(jobs, table)
    return table.read_bytes()


@pytest.fixture(scope="session")
def expected(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of the same sweep on this machine alone."""
    return table_of(planned(dataset, tmp_path_factory.mktemp("local")))


def process_of(job: Job) -> int:
    """The process that executes a run, by its claim."""
    holder = Watch(job.folder, TIMING).holder()
    assert holder is not None
    return holder.pid


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Start a Ray cluster of two nodes, each with one processor."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 * 2**20}
    try:
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    except Exception as error:
        pytest.skip(f"Ray does not start: {error}")
    try:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start SLURM's daemons; give the folder of their logs."""
    pytest.importorskip("submitit")
    _install()
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("SLURM_CONF", str(_configure(folder)))
        for daemon in (
            ["munged", "--foreground", "--force", *_munge(folder)],
            ["slurmctld", "-D", "-L", str(folder / "slurmctld.log")],
            ["slurmd", "-D", "-L", str(folder / "slurmd.log")],
        ):
            stack.enter_context(_daemon(folder, daemon))
        _wait_for_node(folder)
        yield folder
        _empty_queue()


def _install() -> None:
    """Install the daemons where that can be done, else skip."""
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons start as root only")
    if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "mungekey", "sbatch")):
        if not shutil.which("apt-get"):
            pytest.skip("SLURM is not installed, and there is no apt-get to install it with")
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(["apt-get", "--quiet", *command], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"apt-get {command[0]} failed: {done.stderr.strip()[-200:]}")


def _configure(folder: Path) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    # munged looks at all folders above its socket, and wants others to be able to reach it.
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o111 != 0o111:
            parent.chmod(parent.stat().st_mode | 0o111)
    subprocess.run(["mungekey", "--create", "--keyfile", str(folder / "munge.key")], check=True)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=socket.gethostname().split(".")[0], folder=folder, ports=_free_ports(2)))
    return conf


def _munge(folder: Path) -> list[str]:
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return [f"--{option}={folder / f'munge.{name}'}" for option, name in names.items()]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class _daemon:
    """A daemon in the foreground of a process of ours, which ends with the tests."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.log = folder / f"{command[0]}.out"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self) -> None:
        time.sleep(1)
        if self.process.poll() is not None:
            pytest.skip(f"{self.process.args[0]} does not start: {self.log.read_text()[-300:]}")  # type: ignore[index]

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _empty_queue() -> None:
    """Cancel what is left and wait for its end: processes of jobs outlive the daemons."""
    subprocess.run(["scancel", "--me"], check=False)
    for _ in range(60):
        found = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True)
        if not found.stdout.strip():
            return
        time.sleep(1)


def _wait_for_node(folder: Path) -> None:
    for _ in range(60):
        found = subprocess.run(["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True)
        if found.stdout.strip() == "idle":
            return
        time.sleep(1)
    pytest.skip(f"SLURM's node does not become idle: {found.stdout}{found.stderr} (logs in {folder})")

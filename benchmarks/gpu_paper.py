"""Compile the Triton kernels of the pass ahead of time, for GPUs that need not be there, and say what they need.

    python -m benchmarks.gpu_paper [--json FILE]

For every variant: registers, bytes spilled, shared memory, the share of a multiprocessor's warps that have work at the
same time, and the bytes per voxel that it must move, over the device's bandwidth: the least time that it can take.
Nothing runs on a GPU, and nothing is measured. Writes `benchmarks/results/gpu_paper.json` and `.md`; with `--json` the
variants alone, to that file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)  # the interpreter compiles nothing

import torch
import triton
from benchmarks.losses import RESULTS
from torch import Tensor
from triton.backends.compiler import GPUTarget

from lossodyssey.atomic import write_text
from lossodyssey.kernels import MapSum, MapTerm, Request, Truth, VoxelTerm
from lossodyssey.kernels.fused import launch
from lossodyssey.kernels.fused.slices import Part, slices
from lossodyssey.kernels.powers import Power

BANDWIDTH = {"A100 40 GB": 1.555e12, "A100 80 GB": 2.039e12, "H100 SXM": 3.35e12}
"""Bytes per second, as NVIDIA's data sheets give them."""
SHARED = {80: 164 << 10, 90: 228 << 10}
"""Shared memory of a multiprocessor, in bytes, of which each block of threads keeps 1 KiB for the system."""
WARPS, BLOCKS, REGISTERS = 64, 32, 1 << 16
"""The most warps, blocks of threads and registers of a multiprocessor, of both architectures."""
CLASSES = {"softmax": (3, 14, 32, 118), "sigmoid": (3, 32, 118)}
"""Tiles of 4, 16 and 32 rows, and blocks of 32 rows."""
FORMULAS = {
    "cross entropy": [Power(log=1)],
    "cross entropy and focal": [Power(log=1), Power(error=2, log=1)],
    "level and map": [Power(log=1, level=-0.5, of_map=0)],
    "margin and any exponents": [Power(margin=1.5), Power(error=0.75, log=0.3), Power(error=0.5)],
}
"""Powers that are a formula together: every function that a primitive may be made of is in one of them."""
VOXELS = 2 * 128**3
"""A batch of nnU-Net: two patches of 128^3."""


@dataclass(frozen=True)
class Variant:
    """One kernel for one kind of request."""

    kernel: str
    truth: str
    asks: str
    classes: int
    dtype: str
    architecture: int


@dataclass(frozen=True)
class Need:
    """The registers and memory of a compiled kernel, and the bytes per voxel that it must move at least once."""

    registers: int
    spilled: int
    shared: int
    warps: int
    occupancy: float
    bytes_per_voxel: float


def needs() -> Iterator[tuple[Variant, Need]]:
    """Yield every variant with its needs."""
    for link, numbers in CLASSES.items():
        for classes in numbers:
            for truth, asks in (("hard", "table"), ("hard", "table and maps"), ("soft", "table")):
                yield from both(link, truth, asks, classes, torch.float32, 80)
            yield from both(link, "hard", "table", classes, torch.float32, 90)
            for asks, architecture in itertools.product(FORMULAS, (80, 90)):
                yield from both(link, "hard", asks, classes, torch.float32, architecture)
        yield from both(link, "hard", "table", 3, torch.float16, 80)


def both(
    link: str, truth: str, asks: str, classes: int, dtype: torch.dtype, architecture: int
) -> Iterator[tuple[Variant, Need]]:
    """Yield the kernel that reads and the one that writes the gradient."""
    z = torch.zeros(1, classes, 4096, dtype=dtype)
    (part,) = slices(z, truth_of(link, truth, z), request_of(asks, z))
    triton.runtime.driver.set_active(Target(architecture))
    for kind, launched in {"read": launch_read, "write": launch_write}.items():
        name = f"{kind}_{link}"
        with recorded(name) as record:
            launched(part)
        yield Variant(name, truth, asks, classes, str(dtype)[6:], architecture), record.need(architecture, z)


def truth_of(link: str, truth: str, z: Tensor) -> Truth:
    if truth == "soft":
        return Truth(None, torch.zeros(z.shape), None, None, link == "sigmoid", soft=True)
    if link == "sigmoid":
        return Truth(None, torch.zeros(z.shape, dtype=torch.bool), None, None, True)
    return Truth(torch.zeros(1, z.shape[2], dtype=torch.uint8), None, None, None, False)


def request_of(asks: str, z: Tensor) -> Request:
    if asks in FORMULAS:
        return Request(True, True, voxel_terms=[formula_of(asks, z)])
    if "maps" not in asks:
        return Request(True, True, True)
    m = torch.zeros(z.shape)
    return Request(True, True, True, map_terms=[MapTerm(1, lambda s, g: s, (), 1)], map_sums=[MapSum(1, m, 1)])


def formula_of(name: str, z: Tensor) -> VoxelTerm:
    return VoxelTerm(
        1, lambda log_p: log_p, (torch.zeros_like(z[:, :1]),), lambda *_: dict.fromkeys(FORMULAS[name], 1.0)
    )


def launch_read(part: Part) -> None:
    launch.read(part)


def launch_write(part: Part) -> None:
    z, truth, request = part.logits, part.truth, part.request
    a = torch.zeros(1, z.shape[1], launch.columns_of(truth, request) - 1 - len(request.map_sums))
    h = torch.zeros(1, launch.elements_of(truth, z.shape[1]), z.shape[2]) if request.log_p else None
    d_s = torch.zeros(1, z.shape[1] - request.first, z.shape[2]) if request.map_terms else None
    launch.write(part, launch.Upstream(a, torch.ones(launch.count_of(part.powers)), h, d_s), torch.empty_like(z))


class Target:
    """A driver of Triton without a device, for one architecture."""

    def __init__(self, architecture: int) -> None:
        self.architecture = architecture

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.architecture, 32)

    def get_current_device(self) -> int:
        return self.architecture

    def get_current_stream(self, device: int) -> int:
        return 0


class Record:
    """A kernel that is compiled where it would be launched."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def compiled(*given: Any, **named: Any) -> None:
            self.binary = self.kernel.warmup(*given, grid=grid, **named)
            self.moved = sum(x.numel() * x.element_size() for x in tensors((*given, *named.values())))

        return compiled

    def need(self, architecture: int, z: Tensor) -> Need:
        used, shared, warps = (
            resources(self.binary.asm["cubin"]),
            self.binary.metadata.shared,
            self.binary.metadata.num_warps,
        )
        share = occupancy(used["REG"], shared, warps, architecture)
        return Need(used["REG"], used["STACK"], shared, warps, share, self.moved / z.shape[2])


@contextmanager
def recorded(name: str) -> Iterator[Record]:
    """Put a record in the place of the kernel of this name."""
    kernel = getattr(launch, name)
    record = Record(kernel)
    setattr(launch, name, record)
    try:
        yield record
    finally:
        setattr(launch, name, kernel)


def tensors(given: Any) -> Iterator[Tensor]:
    """Yield the tensors among arguments and tuples of them."""
    for each in given:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple):
            yield from tensors(each)


def resources(binary: bytes) -> dict[str, int]:
    """Return what the assembler gave a thread: registers REG, and bytes of memory STACK, which hold what spills."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        said = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    return {name: int(number) for name, number in re.findall(r"(REG|STACK):(\d+)", said.stdout)}


def occupancy(registers: int, shared: int, warps: int, architecture: int) -> float:
    """Return the share of a multiprocessor's warps that can have work at the same time."""
    # Registers are given to warps in units of 256.
    by_registers = REGISTERS // (-(-registers * 32 // 256) * 256) // warps
    by_memory = SHARED[architecture] // (shared + 1024)
    return min(by_registers, by_memory, BLOCKS, WARPS // warps) * warps / WARPS


def markdown(rows: list[dict[str, Any]]) -> str:
    devices = " | ".join(f"{name}, ms" for name in BANDWIDTH)
    lines = [
        "# The Triton kernels on paper\n",
        "Nothing here was run on a GPU: the kernels were compiled ahead of time, and times are lower bounds, the bytes "
        "that must be moved over the bandwidth of the data sheet, for two patches of 128^3. Triton "
        f"{triton.__version__}, torch {torch.__version__}; {date.today().isoformat()}.\n",
        "Occupancy is the share of the 64 warps of a multiprocessor that have work at the same time. More classes than "
        "32 are read two times (gradient: three times), of which the bound counts one: later times are meant to find "
        "them in the cache.\n",
        "| kernel | truth, request | classes | dtype | sm | registers | spilled | occupancy | bytes/voxel | "
        f"{devices} |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|" + "---:|" * len(BANDWIDTH),
    ]
    for row in rows:
        times = " | ".join(f"{1000 * VOXELS * row['bytes_per_voxel'] / speed:.2f}" for speed in BANDWIDTH.values())
        lines.append(
            f"| {row['kernel']} | {row['truth']}, {row['asks']} | {row['classes']} | {row['dtype']} | "
            f"{row['architecture']} | {row['registers']} | {row['spilled']} | {row['occupancy']:.0%} | "
            f"{row['bytes_per_voxel']:.1f} | {times} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the variants to this file, and no page")
    target = parser.parse_args().json
    rows = [{**asdict(variant), **asdict(need)} for variant, need in needs()]
    text = json.dumps({"triton": triton.__version__, "bandwidth": BANDWIDTH, "rows": rows}, indent=1) + "\n"
    write_text(target or RESULTS / "gpu_paper.json", text)
    if target is None:
        write_text(RESULTS / "gpu_paper.md", markdown(rows))
        print(markdown(rows))


if __name__ == "__main__":
    main()

"""Time and weigh every loss of the atlas and its peers: forward and backward, in one process, on one thread.

    python -m benchmarks.losses [--shapes 2x3x96x96x96 ...] [--rounds 5] [--only NAME ...] [--device cuda] [--dtype ...]

Times are medians of rounds in which all calls take turns: processor time, which other work on the machine disturbs
least, wall time with several threads, or device events on CUDA. Memory is the growth of the resident set of a fresh
process. Writes `benchmarks/results/losses.json` and `.md`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.peers import Call, all_peers, cross_entropy, floor
from torch import Tensor

import lossodyssey as lo

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CPU_SHAPES = ["2x3x96x96x96", "1x14x96x96x96", "2x2x512x512"]
GPU_SHAPES = ["2x3x128x128x128", "2x16x128x128x128", "1x118x128x128x128"]
EXTRA = {"Dice + CE + Focal": "Dice() + CrossEntropy() + Focal()"}
HOURS = ("MONAI SoftclDiceLoss",)
"""Peers that take too long at the usual sizes: measured only when named."""
SLOW_SECONDS = 3.0
"""A call that takes longer is timed once."""


def keep_freed_memory() -> None:
    """Let the allocator keep what it got, so that no call pays for the page faults of another."""
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD
    libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def give_back_freed_memory() -> None:
    """Let the allocator return every large block at once, so that the resident set is what is in use."""
    ctypes.CDLL(None).mallopt(-3, 64 << 10)


def batch(shape: str, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits of a half-trained network and smooth labels."""
    samples, classes, *space = (int(n) for n in shape.split("x"))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(samples, classes, *(max(2, n // 12) for n in space), generator=generator)
    coarse[:, 0] += 1
    labels = F.interpolate(coarse, space, mode="trilinear" if len(space) == 3 else "bilinear").argmax(1)
    logits = torch.randn(samples, classes, *space, generator=generator)
    logits.scatter_add_(1, labels[:, None], torch.full((samples, 1, *space), 2.0))
    return logits.to(device, dtype).requires_grad_(), labels.to(device)


def our_calls() -> dict[str, Call]:
    """Every loss of the atlas at its defaults; maps of the truth are made before the clock starts."""
    texts = {f"{card.name}": f"{card.name}()" for card in lo.atlas() if not card.name.startswith("Released")}
    return {name: _with_maps(lo.parse(text)) for name, text in (texts | EXTRA).items()}


def _with_maps(loss: lo.Loss) -> Call:
    known: dict[tuple[int, ...], dict[str, Tensor]] = {}

    def call(logits: Tensor, labels: Tensor) -> Tensor:
        key = tuple(logits.shape)
        if key not in known:
            known[key] = lo.maps_for(loss, labels, logits.shape[1])
        value: Tensor = loss(logits, labels, maps=known[key])
        return value

    return call


def all_calls(only: list[str]) -> dict[str, Call]:
    calls = {"floor": floor, "F.cross_entropy": cross_entropy, **our_calls()}
    if not set(only) <= set(calls) or not only:
        calls |= {name: call for name, (_, call) in all_peers().items() if name in only or name not in HOURS}
    kept = {"floor", "F.cross_entropy"} | set(only)
    return {name: call for name, call in calls.items() if not only or name in kept}


def seconds(call: Call, logits: Tensor, labels: Tensor, clock: Callable[[], float]) -> float:
    """Time of one forward and backward pass."""
    logits.grad = None
    if logits.is_cuda:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        torch.autograd.backward(call(logits, labels))
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000
    start = clock()
    torch.autograd.backward(call(logits, labels))
    return clock() - start


def times(calls: dict[str, Call], shape: str, options: argparse.Namespace) -> dict[str, float | str]:
    """Median seconds of every call, or why it failed."""
    logits, labels = batch(shape, options.device, getattr(torch, options.dtype))
    clock = time.process_time if options.threads == 1 else time.perf_counter
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for turn in range(options.rounds + 1):
        for name, call in calls.items():
            if name in failed or (turn > 1 and min(found[name]) > SLOW_SECONDS):
                continue
            try:
                taken = seconds(call, logits, labels, clock)
            except Exception as problem:
                failed[name] = f"{type(problem).__name__}: {problem}"[:80]
                continue
            if turn == 0:
                found[name] = [taken] if taken > SLOW_SECONDS else []
            else:
                found[name].append(taken)
    return {name: failed.get(name) or statistics.median(found[name]) for name in calls}


def memory(name: str, shape: str, options: argparse.Namespace) -> tuple[float, float] | None:
    """Peak and held memory of a call in a fresh process, as multiples of the logits."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.losses",
        "--weigh",
        name,
        "--shapes",
        shape,
        "--device",
        options.device,
    ]
    command += ["--dtype", options.dtype]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = re.search(r"^peak (\S+) held (\S+)$", done.stdout, re.MULTILINE)
    return (float(found[1]), float(found[2])) if found else None


def weigh(name: str, shape: str, options: argparse.Namespace) -> None:
    """Print the peak and held memory of one call, after a call on a small batch has loaded everything."""
    call = all_calls([name])[name]
    samples, classes, *space = shape.split("x")
    small, labels = batch("x".join([samples, classes, *["16"] * len(space)]), options.device, torch.float32)
    torch.autograd.backward(call(small, labels))
    give_back_freed_memory()
    logits, labels = batch(shape, options.device, getattr(torch, options.dtype))
    size = logits.numel() * logits.element_size()
    resting = _used(options.device)
    _forget_peak(options.device)
    value = call(logits, labels)
    held = _used(options.device) - resting
    torch.autograd.backward(value)
    print(f"peak {(_peak(options.device) - resting) / size:.3f} held {held / size:.3f}")


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def _used(device: str) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else _status("VmRSS")


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on; no name of the machine."""
    packages = ["torch", "numpy", "scipy", "edt", "monai", "nnunetv2", "segmentation-models-pytorch"]
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": options.threads,
        "device": options.device,
        "dtype": options.dtype,
        "clock": "processor time" if options.threads == 1 else "wall time",
        "load": [round(x, 1) for x in os.getloadavg()],
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "date": date.today().isoformat(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def rows(shape: str, measured: dict[str, float | str], weights: dict[str, Any]) -> list[dict[str, Any]]:
    ours = set(our_calls())
    table = []
    for name in measured or weights:
        row: dict[str, Any] = {"shape": shape, "call": name, "ours": name in ours}
        taken = measured.get(name)
        if isinstance(taken, str):
            row["failed"] = taken
        elif taken is not None:
            row |= {"milliseconds": 1000 * taken, "x_cross_entropy": taken / float(measured["F.cross_entropy"])}
            row |= {"x_floor": taken / float(measured["floor"])}
        if weights.get(name):
            row["peak"], row["held"] = weights[name]
        table.append(row)
    return table


def markdown(report: dict[str, Any]) -> str:
    about = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    text = [
        f"# Forward and backward pass of every loss ({about['device']}, {about['dtype']})\n",
        f"{about['processor']}, {about['cores']} cores ({about['instructions']}), {about['threads']} thread(s), "
        f"{about['clock']}, load {about['load'][0]}; {versions}; {about['date']}.\n",
        "CE is `F.cross_entropy`; floor reads the logits and writes a fresh gradient; memory in multiples of the "
        "logits, of which the gradient is 1.0. Maps of the truth are given. Bold: this library.\n",
    ]
    for shape in dict.fromkeys(row["shape"] for row in report["rows"]):
        text += [f"\n## {shape}\n", "| call | ms | x CE | x floor | peak | held |", "|---|---:|---:|---:|---:|---:|"]
        found = [row for row in report["rows"] if row["shape"] == shape]
        text += [_line(row) for row in sorted(found, key=lambda row: row.get("milliseconds", 1e9))]
    return "\n".join(text) + "\n"


def _line(row: dict[str, Any]) -> str:
    name = f"**{row['call']}**" if row["ours"] else row["call"]
    memory_cells = f"{row['peak']:.2f} | {row['held']:.2f}" if "peak" in row else "- | -"
    if "failed" in row:
        return f"| {name} | {row['failed'].split(':')[0]} | - | - | {memory_cells} |"
    if "milliseconds" not in row:
        return f"| {name} | - | - | - | {memory_cells} |"
    return (
        f"| {name} | {row['milliseconds']:.1f} | {row['x_cross_entropy']:.2f} | {row['x_floor']:.1f} | {memory_cells} |"
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that was asked for."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    calls, table = all_calls(options.only), []
    for shape in options.shapes:
        weights = {} if options.no_memory else {name: memory(name, shape, options) for name in calls}
        measured = times(calls, shape, options) if options.rounds else {}
        table += rows(shape, measured, weights)
        print(f"{shape}: {len(calls)} calls", file=sys.stderr)
    return {"machine": machine(options), "rows": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", help="NxCxS...; default: the sizes of the published table")
    parser.add_argument("--rounds", type=int, default=5, help="0: memory only")
    parser.add_argument("--only", nargs="*", default=[], help="names of losses and peers; default: all")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument("--output", default="losses", help="name of the two files in benchmarks/results")
    parser.add_argument("--weigh", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.shapes = options.shapes or (GPU_SHAPES if options.device == "cuda" else CPU_SHAPES)
    warnings.simplefilter("ignore")
    if options.weigh:
        torch.set_num_threads(1)
        weigh(options.weigh, options.shapes[0], options)
        return
    report = run(options)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{options.output}.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / f"{options.output}.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

"""Measure the time of a comparison with nnU-Net's own commands on this machine, from raw data to scores.

    python benchmarks/nnunet.py [DATASET, default Task04_Hippocampus]

Exports 15 cases, plans, preprocesses, adds the small configuration, trains DiceTopK and Tversky by name with
`nnUNetv2_train`, predicts with `nnUNetv2_predict_from_modelfolder` and evaluates. Writes results/nnunet.{json,md}.
Needs the environment of `make test-nnunet`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lossodyssey.atomic import write_text
from lossodyssey.integrations.nnunet.environment import PLUGIN, VARIABLE, search_problem

RESULTS = Path(__file__).parent / "results" / "nnunet"
BIN = Path(sys.executable).parent
CASES, HELD_OUT, EPOCHS, ITERATIONS = 15, 3, 2, 10
LOSSES = ("DiceTopK", "Tversky")
STAND_IN = """
import torch
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""Two operators that let a torchvision built for CUDA be imported beside torch for the CPU; nobody calls them."""


def commands(dataset: str) -> dict[str, str]:
    """List every step, as it is typed in the folder of the work."""
    plans = "preprocessed/Dataset004_Measured/nnUNetPlans.json"
    raw = "raw/Dataset004_Measured"
    steps = {
        "export": f"lossodyssey nnunet export {shlex.quote(dataset)} {raw} --cases {CASES} --held-out {HELD_OUT}",
        "plan and preprocess": "nnUNetv2_plan_and_preprocess -d 4 -c 3d_fullres -np 1 -npfp 1",
        "small configuration": f"lossodyssey nnunet small {plans}",
    }

    for loss in LOSSES:
        trainer = f"nnUNetTrainerLO_{loss}__{EPOCHS}epochs__{ITERATIONS}iterations"
        model = f"results/Dataset004_Measured/{trainer}__nnUNetPlans__3d_fullres_small"
        # Without mirrored copies, which would be the larger part of the time on a processor.
        fast = "-device cpu --disable_tta -npp 1 -nps 1"
        steps |= {
            f"train {loss}": f"nnUNetv2_train 4 3d_fullres_small 0 -tr {trainer} -device cpu",
            f"predict {loss}": f"nnUNetv2_predict_from_modelfolder -i {raw}/imagesTs -o {loss} -f 0 -m {model} {fast}",
            f"evaluate {loss}": f"lossodyssey evaluate {loss} {raw}/labelsTs -o {loss}.csv --loss '{loss}()'",
        }
    return steps


def variables(work: Path) -> dict[str, str]:
    """Make the environment of the steps: one process each for data, one thread."""
    found = {f"nnUNet_{name}": str(work / name) for name in ("raw", "preprocessed", "results")}
    found |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1", VARIABLE: str(PLUGIN)}
    # sitecustomize is imported before anything else in each process of nnU-Net.
    if search_problem():
        write_text(work / "sitecustomize.py", STAND_IN)
        found["PYTHONPATH"] = str(work)
    return dict(os.environ) | found | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def measure(step: str, command: str, work: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Measure wall and processor seconds of one command and of all processes that it started."""
    load, began, before = os.getloadavg()[0], time.perf_counter(), _processor_seconds()
    done = subprocess.run(shlex.split(command), cwd=work, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    wall, processor = time.perf_counter() - began, _processor_seconds() - before
    print(f"{step}: {wall:.0f} s wall, {processor:.0f} s of processor time", flush=True)
    return {"step": step, "wall": wall, "processor": processor, "load": load, "command": command}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def markdown(report: dict[str, Any]) -> str:
    """Lay the results out as a table, with machine, versions and sizes above."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# nnU-Net from raw data to scores\n",
        f"`python benchmarks/nnunet.py`, {report['date']}: {report['dataset']}, {CASES - HELD_OUT} cases for training "
        f"and {HELD_OUT} for testing, {EPOCHS} epochs of {ITERATIONS} iterations of the small configuration, with "
        f"nnU-Net's validation of its fold. {report['cores']} cores, one thread; load is the average "
        f"of the minute before the step, 0 on an idle machine. {versions}.\n",
        "| step | wall, s | processor, s | load |",
        "|---|--:|--:|--:|",
    ]
    steps = [*report["steps"], report["total"]]
    lines += [f"| {s['step']} | {s['wall']:.0f} | {s['processor']:.0f} | {s['load']:.1f} |" for s in steps]
    return "\n".join(lines) + "\n"


def main(dataset: str = "Task04_Hippocampus") -> None:
    """Measure all steps and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        environment = variables(work)
        steps = [measure(step, command, work, environment) for step, command in commands(dataset).items()]

    report = {
        "date": date.today().isoformat(),
        "dataset": dataset,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("lossodyssey", "torch", "nnunetv2")},
        "steps": steps,
        "total": {"step": "all", "wall": sum(s["wall"] for s in steps), "processor": sum(s["processor"] for s in steps)}
        | {"load": max(s["load"] for s in steps)},
    }
    write_text(RESULTS.with_suffix(".json"), json.dumps(report, indent=1) + "\n")
    write_text(RESULTS.with_suffix(".md"), markdown(report))


if __name__ == "__main__":
    main(*sys.argv[1:2])

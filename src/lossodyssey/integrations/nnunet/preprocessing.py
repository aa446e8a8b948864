"""nnU-Net's own planning and preprocessing of a benchmark's training cases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lossodyssey.data import Case, Dataset
from lossodyssey.integrations.nnunet.raw import add_small_configuration, export

RAW, PREPROCESSED, RESULTS = "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"
COMMAND = "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints"


def identifier(dataset: Dataset) -> str:
    """Return the name that nnU-Net asks for: `Dataset001_Task04_Hippocampus`."""
    return "Dataset001_" + re.sub(r"\W+", "_", dataset.name)


def variables(folder: Path) -> dict[str, str]:
    """Return nnU-Net's variables for data below `folder`."""
    return {name: str(folder.resolve() / name) for name in (RAW, PREPROCESSED, RESULTS)}


def plan_and_preprocess(dataset: Dataset, cases: Sequence[Case], folder: Path, configuration: str, log: Path) -> None:
    """Leave plans, with the small configuration, and preprocessed `cases` in `folder/nnUNet_preprocessed`.

    The output of nnU-Net goes to `log`.

    Raises:
        ValueError: nnU-Net failed, or did not plan this `configuration`.
    """
    export(dataset, folder / RAW / identifier(dataset), training=cases)
    processes = str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)
    options = ["-d", "1", "-c", configuration, "-np", processes, "-npfp", processes]
    # Planning fails where this is 0, which a training with reproducible batches asks for.
    environment = os.environ | variables(folder) | {"nnUNet_n_proc_DA": "1"}
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", COMMAND, *options]
        done = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise ValueError(f"nnU-Net could not plan and preprocess {dataset.name}; {log} says why")
    add_small_configuration(folder / PREPROCESSED / identifier(dataset) / "nnUNetPlans.json", configuration)
    shutil.rmtree(folder / RAW)

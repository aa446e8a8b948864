"""Estimate what the paper's own four tasks would need, in operations and in time.

The paper's protocol trains for at most 1,000 epochs of 250 batches of two patches, tries three learning rates, and five
in a second stage. The network is counted as MONAI builds nnU-Net's plain U-Net, on patches of 128^3 voxels, the size of
nnU-Net's plans for one GPU; the four plans' own sizes differ somewhat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import torch
from monai.networks.nets.dynunet import DynUNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lossodyssey.fingerprint.record import Fingerprint
from lossodyssey.report.runs import RunSummary
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings

TASKS, STEPS, BATCH, PATCH = 4, 1000 * 250, 2, (128, 128, 128)
RATES, LATER_RATES, TWO_STAGES = 3, 5, 3
GPU = 20e12  # operations a second, of convolutions in half precision; an assumption, nothing was run on a GPU
YEAR = 365 * 86400


@cache
def of_nnunet() -> int:
    """Count the operations of one training step of nnU-Net's plain U-Net, forward and backward."""
    with torch.device("meta"):
        levels = [[1] * 3, *[[2] * 3] * 5]
        network = DynUNet(3, 1, 14, [[3] * 3] * 6, levels, levels[1:], filters=[32, 64, 128, 256, 320, 320])
    return _counted(network, (BATCH, 1, *PATCH))


def of_light(run: RunSummary, sheet: Fingerprint) -> int:
    """Count the operations of one training step of the light engine's network, with the choices of a run."""
    return _counted(_light(run, sheet), (run.settings["batch"], len(sheet.channels), *run.settings["patch"]))


def weights(run: RunSummary, sheet: Fingerprint) -> int:
    """Count the numbers that the light engine's network learns, with the choices of a run."""
    return sum(parameter.numel() for parameter in _light(run, sheet).parameters())


def _light(run: RunSummary, sheet: Fingerprint) -> nn.Module:
    kept = {name: tuple(run.settings[name]) for name in ("features", "patch")}
    channels, classes = len(sheet.channels), 1 + len(sheet.classes)
    choices = Settings(batch=run.settings["batch"], **kept)
    with torch.device("meta"):
        return build_network(choices, dimensions=sheet.dims, channels=channels, classes=classes, seed=0)


def _counted(network: nn.Module, shape: Sequence[int]) -> int:
    images = torch.zeros(tuple(shape), device="meta")
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return int(counter.get_total_flops())


def speed(runs: Sequence[RunSummary], sheet: Fingerprint) -> float:
    """Return the operations a second of the fastest training of a data set: the loss counts as nothing."""
    done = [run for run in runs if run.status == "finished" and run.seconds > 0]
    fastest = max(done, key=lambda run: run.settings["steps"] / run.seconds)
    return of_light(fastest, sheet) * float(fastest.settings["steps"]) / fastest.seconds


def needed(losses: int, runs: Sequence[RunSummary], sheet: Fingerprint) -> Iterator[str]:
    """Say what the paper's four tasks would take, with its searches, and with three trainings of each loss."""
    once = TASKS * ((losses - TWO_STAGES) * RATES + TWO_STAGES * LATER_RATES)
    trainings = once + TASKS * losses * 2
    operations = float(trainings) * STEPS * of_nnunet()
    rate = speed(runs, sheet)
    yield "### What the paper's own four tasks would need"
    patch = " x ".join(map(str, PATCH))
    yield (
        f"{losses} losses on {TASKS} tasks, each at {RATES} rates ({LATER_RATES} in a second stage), are {once:,} "
        f"trainings; with two more of each loss at its rate, {trainings:,}. The paper's protocol ends after {STEPS:,} "
        f"steps at the latest, and a step of nnU-Net's network on {BATCH} patches of {patch} voxels is "
        f"{of_nnunet() / 1e12:.1f} TFLOP. That is {operations / GPU / YEAR:.1f} years of a GPU that "
        f"sustains {GPU / 1e12:.0f} TFLOP/s (an assumption: nothing was run on one), or "
        f"{operations / rate / YEAR:,.0f} years of one thread here, where the fastest training did "
        f"{rate / 1e9:.1f} GFLOP/s. `paper/needed.py` counts them."
    )


if __name__ == "__main__":
    print(f"a step of nnU-Net's plain U-Net on {BATCH} patches of {PATCH}: {of_nnunet():,} operations")

"""Training: fair to every loss, stopped when it diverges, and the same after a kill."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lossodyssey as lo
from lossodyssey.data import Dataset, augmentation, split
from lossodyssey.data.caching import cache
from lossodyssey.data.patches import CachedCase, patch_shape
from lossodyssey.training import batches, trainer
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import Outcome, State, fit

SMALL = Settings(steps=6, epoch=2, patch=(16, 16), features=(4, 8), checkpoint_every=2)


def weights(outcome: Outcome) -> dict[str, Tensor]:
    return dict(outcome.network.state_dict())


def same(first: Outcome, second: Outcome) -> bool:
    return all(torch.equal(weights(first)[name], weights(second)[name]) for name in weights(first))


def test_every_loss_starts_from_the_same_weights_and_sees_the_same_batches(
    cases: list[CachedCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def apply(*arguments: Any) -> tuple[Tensor, Tensor]:
        images, labels = augmentation.apply(*arguments)
        seen.extend((images.clone(), labels.clone()))
        return images, labels

    def build(*arguments: Any, **options: Any) -> torch.nn.Module:
        network = build_network(*arguments, **options)
        seen.extend(parameter.detach().clone() for parameter in network.parameters())
        return network

    monkeypatch.setattr(batches, "augmentation", SimpleNamespace(draw=augmentation.draw, apply=apply))
    monkeypatch.setattr(trainer, "build_network", build)
    witnessed = []
    for text in ("Dice()", "CrossEntropy()", "Dice() + Focal()"):
        seen.clear()
        fit(lo.parse(text), cases, SMALL, classes=2, seed=3, flip_axes=(0,))
        witnessed.append(list(seen))
    first, *others = witnessed
    assert len(first) > 2 * SMALL.steps
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_seed_decides_everything(cases: list[CachedCase]) -> None:
    first, again, other = (fit(lo.Dice(), cases, SMALL, classes=2, seed=seed) for seed in (1, 1, 2))
    assert first.curve == again.curve
    assert same(first, again)
    assert not same(first, other)


def test_a_disc_is_learned(cases: list[CachedCase]) -> None:
    settings = replace(SMALL, steps=60, epoch=10)
    heard: list[int] = []
    outcome = fit(lo.Dice(), cases, settings, classes=2, seed=0, on_step=lambda step, loss, rate: heard.append(step))
    losses = [loss for _, loss, _ in outcome.curve]
    assert heard == list(range(1, 61))
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert outcome.reason == ""
    assert outcome.seconds > 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_few_steps_on_whole_volumes_lower_the_loss(dataset: Dataset, optimizer: Any) -> None:
    training, _ = split(dataset, 0.25)
    volumes = cache(dataset, training[:6])
    settings = Settings(steps=20, optimizer=optimizer, learning_rate=3e-3, warmup=0)
    settings = replace(settings, patch=patch_shape(volumes, settings.divisor, voxels=2**15))
    classes = len(dataset.classes)
    outcome = fit(lo.CrossEntropy(), volumes, settings, classes=classes, seed=0, flip_axes=dataset.flip_axes)
    losses = [loss for _, loss, _ in outcome.curve]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


def test_half_precision_trains(cases: list[CachedCase]) -> None:
    for precision in ("bfloat16", "float16"):
        settings = replace(SMALL, precision=precision)
        outcome = fit(lo.parse("Dice() + CrossEntropy()"), cases, settings, classes=2, seed=0)
        assert outcome.reason == ""
        assert all(value.dtype == torch.float32 for value in weights(outcome).values())


def test_a_diverging_run_is_stopped_and_says_where(cases: list[CachedCase], tmp_path: Path) -> None:
    wild = replace(SMALL, steps=50, optimizer="sgd", learning_rate=1e30)
    outcome = fit(lo.CrossEntropy(), cases, wild, classes=2, seed=0, checkpoint=tmp_path / "checkpoint.pt")
    step = len(outcome.curve)
    assert 1 < step < 50
    assert f"at step {step}" in outcome.reason


def test_clipping_is_counted(cases: list[CachedCase]) -> None:
    assert fit(lo.CrossEntropy(), cases, replace(SMALL, clip=1e-6), classes=2, seed=0).clipped == 1
    assert fit(lo.CrossEntropy(), cases, replace(SMALL, clip=1e6), classes=2, seed=0).clipped == 0


def test_schedules_of_the_loss_run_from_0_to_1(cases: list[CachedCase], monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    monkeypatch.setattr(trainer, "advance", lambda loss, progress: heard.append(progress))
    fit(lo.Dice(), cases, SMALL, classes=2, seed=0)
    assert heard == [0.0, 0.5, 1.0]


def test_without_schedules_every_weight_keeps_its_first_value(cases: list[CachedCase]) -> None:
    still = replace(SMALL, loss_schedules=False)
    text, first = "Ramp(1.0, 0.0) * Dice() + Ratio() * CrossEntropy()", "Dice() + CrossEntropy()"
    moved = fit(lo.parse(text), cases, SMALL, classes=2, seed=0)
    kept = fit(lo.parse(text), cases, still, classes=2, seed=0)
    assert kept.curve == fit(lo.parse(first), cases, SMALL, classes=2, seed=0).curve != moved.curve


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_hyper_parameter_trains_beside_the_network(cases: list[CachedCase], optimizer: Any) -> None:
    settings = replace(SMALL, steps=30, epoch=10, optimizer=optimizer, weight_decay=0.1)
    loss = lo.parse("RobustT(nu=2.0, normalization='none') + Dice()")
    outcome = fit(loss, cases, settings, classes=2, seed=0)
    (name, value), *others = outcome.trained.items()
    assert name == "RobustT(nu=2.0, normalization='none').nu" and not others
    assert value != 2 and np.isfinite(value) and repr(loss) == "RobustT(nu=2.0, normalization='none') + Dice()"


def test_a_trained_hyper_parameter_is_neither_clipped_nor_decayed(cases: list[CachedCase]) -> None:
    state = State(build_network(SMALL, dimensions=2, channels=1, classes=2, seed=0), lo.Criterion("RobustT()"), SMALL)
    network, own = state.optimizer.param_groups
    assert own["params"] == list(state.criterion.parameters()) and own["weight_decay"] == 0
    assert network["params"] == list(state.network.parameters())
    without = State(state.network, lo.Criterion("Dice()"), SMALL)
    assert len(without.optimizer.param_groups) == 1


KILLED = """
import multiprocessing, os, pickle, signal, sys
import monai.networks.nets, torch, torch._dynamo  # what a training imports, before the processes part
import lossodyssey as lo
from lossodyssey.training.trainer import fit
torch.set_num_threads(1)
def kill(step, loss, rate):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
def train(text, settings, checkpoint):
    fit(lo.parse(text), cases, settings, classes=2, seed=0, checkpoint=checkpoint, on_step=kill)
cases, jobs = pickle.load(open(sys.argv[1], "rb"))
for job in jobs:
    process = multiprocessing.get_context("fork").Process(target=train, args=job)
    process.start()
    process.join()
    print(process.exitcode)
"""
KILLED_LOSSES = [
    "DiceHausdorff()",
    "Ramp(1.0, 0.0) * Dice() + Ratio() * CrossEntropy() + Focal()",
    "Dice() + RobustT(nu=2.0)",
]
KILLED_EVERY = {"between epochs": 3, "within an epoch": 4}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_a_killed_run_ends_with_the_bits_of_an_undisturbed_one(cases: list[CachedCase], tmp_path: Path) -> None:
    settings = replace(SMALL, steps=8, epoch=3, schedule="plateau", patience=1)
    jobs = [
        (text, replace(settings, checkpoint_every=every), tmp_path / f"{number} {when}.pt")
        for number, text in enumerate(KILLED_LOSSES)
        for when, every in KILLED_EVERY.items()
    ]
    (tmp_path / "jobs").write_bytes(pickle.dumps((cases, jobs)))
    words = [sys.executable, "-c", KILLED, str(tmp_path / "jobs")]
    killed = subprocess.run(words, check=True, capture_output=True, text=True)
    assert killed.stdout.split() == [str(-signal.SIGKILL)] * len(jobs), killed.stderr
    for job in jobs:
        check_resumes(cases, *job)


def check_resumes(cases: list[CachedCase], text: str, settings: Settings, checkpoint: Path) -> None:
    steps: list[int] = []
    resumed = fit(
        lo.parse(text),
        cases,
        settings,
        classes=2,
        seed=0,
        checkpoint=checkpoint,
        on_step=lambda step, loss, rate: steps.append(step),
    )
    undisturbed = fit(lo.parse(text), cases, settings, classes=2, seed=0)
    assert steps == list(range(settings.checkpoint_every + 1, 9)), checkpoint.name
    assert resumed.curve == undisturbed.curve, checkpoint.name
    assert same(resumed, undisturbed), checkpoint.name


def test_a_finished_run_is_not_trained_again(cases: list[CachedCase], tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    first = fit(lo.Dice(), cases, SMALL, classes=2, seed=0, checkpoint=checkpoint)
    written = checkpoint.read_bytes()
    again = fit(lo.Dice(), cases, SMALL, classes=2, seed=0, checkpoint=checkpoint)
    assert again.curve == first.curve
    assert same(again, first)
    assert checkpoint.read_bytes() == written


def test_a_broken_checkpoint_is_named(cases: list[CachedCase], tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    fit(lo.Dice(), cases, SMALL, classes=2, seed=0, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    changed = whole[: len(whole) // 3] + bytes(byte ^ 255 for byte in whole[len(whole) // 3 :][:99])
    changed += whole[len(changed) :]
    for content in (whole[: len(whole) // 2], b"", b"not a checkpoint", b"\0" * 9999, changed):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint\.pt: not a checkpoint .* \(it is cut, changed,"):
            fit(lo.Dice(), cases, SMALL, classes=2, seed=0, checkpoint=checkpoint)


def test_a_checkpoint_of_another_network_is_refused(cases: list[CachedCase], tmp_path: Path) -> None:
    network = build_network(SMALL, dimensions=2, channels=1, classes=2, seed=0)
    state = State(network, lo.Criterion(lo.Dice()), SMALL)
    state.save(tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="not a checkpoint of this network"):
        fit(lo.Dice(), cases, SMALL, classes=3, seed=0, checkpoint=tmp_path / "checkpoint.pt")


def test_nested_losses_with_schedules_resume_as_if_nothing_had_happened(
    cases: list[CachedCase], tmp_path: Path
) -> None:
    text = "0.5 * Blobs(loss=Ramp(1, 0.1) * Tversky(alpha=0.5) + Focal()) + Marginal(loss=DiceCE(), hidden=(2,))"
    checkpoint = tmp_path / "checkpoint.pt"

    def stop(step: int, loss: float, rate: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    whole = fit(lo.parse(text), cases, SMALL, classes=3, seed=0)
    with pytest.raises(KeyboardInterrupt):
        fit(lo.parse(text), cases, SMALL, classes=3, seed=0, checkpoint=checkpoint, on_step=stop)
    heard: list[int] = []
    resumed = fit(
        lo.parse(text),
        cases,
        SMALL,
        classes=3,
        seed=0,
        checkpoint=checkpoint,
        on_step=lambda step, *_: heard.append(step),
    )
    assert heard == [5, 6] and resumed.curve == whole.curve and same(resumed, whole)

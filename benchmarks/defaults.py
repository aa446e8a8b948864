"""Choose the learning rate and the warm-up of the light engine on validation cases alone.

    python benchmarks/defaults.py            # go on where the kept results end, write results/defaults.{csv,md}
    python benchmarks/defaults.py --page     # write the page of what is kept

Four losses train on the phantom and on Task04_Hippocampus, found as `lossodyssey train` finds data sets. Every rate is
tried in short runs, the two highest also with a warm-up; then the two best pairs in runs of the default length. A score
is the mean DSC over the classes of the validation cases; the scored cases of a comparison are never looked at.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from itertools import product
from pathlib import Path
from statistics import fmean

import torch

from lossodyssey.atomic import write_text, writing
from lossodyssey.core.text import parse
from lossodyssey.data import Dataset, read_case
from lossodyssey.data.caching import cache
from lossodyssey.data.divisions import Division, hold_out
from lossodyssey.data.patches import CachedCase, patch_shape
from lossodyssey.data.places import find_dataset
from lossodyssey.metrics import score
from lossodyssey.training.inference import segment
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit

RESULTS = Path(__file__).resolve().parent / "results" / "defaults"
DATASETS = ("phantom", "Task04_Hippocampus")
LOSSES = ("CrossEntropy()", "Dice()", "DiceCE()", "Focal()")
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
WARM_UP = 30
"""Steps over which the rate rises from zero; tried with the two highest rates, which it may serve."""
SHORT, LENGTH = 300, 1000
HELD_OUT, VALIDATION = 0.25, 16
TOLERANCE = 0.002
"""Scores this near to the best count as equal, as in `lossodyssey.bench.tuning`."""


Key = tuple[float, int, int]
"""Learning rate, warm-up and steps."""


@dataclass(frozen=True)
class Trial:
    """One training; `warmup` is its number of steps over which the rate rises from zero."""

    dataset: str
    loss: str
    learning_rate: float
    warmup: int
    steps: int


@dataclass(frozen=True)
class Task:
    """A data set with its training cases in memory."""

    dataset: Dataset
    division: Division
    cases: Sequence[CachedCase]
    patch: tuple[int, ...]


def grid() -> list[Trial]:
    """List the trials of rates, and of the two highest with a warm-up, in the shortest runs."""
    plain = product(LOSSES, DATASETS, RATES, [0])
    warmed = ((loss, dataset, rate, WARM_UP) for rate, loss, dataset in product(RATES[:-3:-1], LOSSES, DATASETS))
    return [Trial(dataset, loss, rate, warmup, SHORT) for loss, dataset, rate, warmup in [*plain, *warmed]]


def longer(best: Sequence[Key]) -> list[Trial]:
    """List the trials of the best pairs in runs of the default length, which those of short runs may not suit."""
    tasks = product(LOSSES, DATASETS, best)
    return [Trial(dataset, loss, rate, warmup, LENGTH) for loss, dataset, (rate, warmup, _) in tasks]


def open_task(name: str) -> Task:
    """Read a data set and cache its training cases."""
    dataset = find_dataset(name)
    division = hold_out(dataset, HELD_OUT, VALIDATION)
    cases = cache(dataset, [case for case in dataset.cases if case.name in set(division.training)])
    return Task(dataset, division, cases, patch_shape(cases, Settings().divisor))


def run(task: Task, trial: Trial) -> float:
    """Train once and return the score on the validation cases, 0 where the run diverged."""
    rate, warmup = trial.learning_rate, trial.warmup
    settings = Settings(learning_rate=rate, warmup=warmup, steps=trial.steps, patch=task.patch, device="cpu")
    classes = len(task.dataset.classes)
    outcome = fit(parse(trial.loss), task.cases, settings, classes=classes, seed=0)
    return 0.0 if outcome.reason else validate(task, outcome.network, settings)


def validate(task: Task, network: torch.nn.Module, settings: Settings) -> float:
    """Return the mean over the classes of the mean DSC over the validation cases."""
    found: dict[object, list[float]] = {}
    for case in task.dataset.cases:
        if case.name in task.division.validation:
            volume = read_case(task.dataset, case)
            labels = segment(network, volume.image, settings)
            own = [target.labels for target in task.dataset.targets]
            for each in score(labels, volume.labels, spacing=volume.spacing, labels=own, metrics=["DSC"]):
                if each.status == "ok" or each.value == each.value:
                    found.setdefault(each.label, []).append(each.value)
    return fmean(map(fmean, found.values()))


def kept(path: Path) -> dict[Trial, float]:
    """Read the scores of the trials that are done."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {_trial(line): float(line["score"]) for line in csv.DictReader(file)}


def _trial(line: Mapping[str, str]) -> Trial:
    rate, warmup, steps = float(line["learning_rate"]), int(line["warmup"]), int(line["steps"])
    return Trial(line["dataset"], line["loss"], rate, warmup, steps)


def keep(path: Path, done: Mapping[Trial, float]) -> None:
    """Write the scores of all trials that are done."""
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(each.name for each in fields(Trial)), "score"])
        writer.writerows([*asdict(trial).values(), f"{value:.4f}"] for trial, value in done.items())


def means(done: Mapping[Trial, float], trials: Sequence[Trial]) -> dict[Key, float]:
    """Average the scores of every rate, warm-up and length over all losses and data sets that are done for each."""
    by_key: dict[Key, dict[tuple[str, str], float]] = {}
    for trial in trials:
        if trial in done:
            by_key.setdefault((trial.learning_rate, trial.warmup, trial.steps), {})[_task(trial)] = done[trial]
    return {key: fmean(own.values()) for key, own in by_key.items() if len(own) == len(LOSSES) * len(DATASETS)}


def _task(trial: Trial) -> tuple[str, str]:
    return trial.dataset, trial.loss


def chosen(scores: Mapping[Key, float]) -> Key:
    """Choose the smallest rate, and rather no warm-up, of those whose mean is within TOLERANCE of the best."""
    highest = max(scores.values())
    equal = [key for key, value in scores.items() if value >= highest - TOLERANCE]
    return min(equal, key=lambda key: (key[1], key[0]))


def execute() -> None:
    """Run what is left, and keep every score as it comes."""
    path = RESULTS.with_suffix(".csv")
    done, tasks = kept(path), {name: open_task(name) for name in DATASETS}
    for trials in _phases(done):
        for trial in trials:
            if trial not in done:
                done[trial] = run(tasks[trial.dataset], trial)
                keep(path, done)
                print(f"{trial}: {done[trial]:.4f}", flush=True)


def _phases(done: Mapping[Trial, float]) -> Iterator[list[Trial]]:
    yield grid()
    found = means(done, grid())
    yield longer(sorted(found, key=lambda key: -found[key])[:2])


def page(done: Mapping[Trial, float]) -> str:
    """Return the results as a page: a line per rate, warm-up and length, a column per data set and loss."""
    tasks = list(product(DATASETS, LOSSES))
    keys = sorted({(trial.steps, trial.warmup, trial.learning_rate) for trial in done})
    lines = [f"| steps | warm-up | rate | {' | '.join(f'{loss} {name}' for name, loss in tasks)} | mean |"]
    lines += ["|--:|--:|--:|" + "--:|" * (len(tasks) + 1)]
    for steps, warmup, rate in keys:
        own = [done.get(Trial(name, loss, rate, warmup, steps)) for name, loss in tasks]
        cells = ["-" if value is None else f"{value:.3f}" for value in own]
        mean = "-" if None in own else f"{fmean(value for value in own if value is not None):.3f}"
        lines.append(f"| {steps} | {warmup} | {rate:g} | {' | '.join(cells)} | {mean} |")
    return "\n".join([HEAD.format(date=date.today().isoformat()), *lines, "", *_rule(done), ""])


def _rule(done: Mapping[Trial, float]) -> list[str]:
    """Say what the rule chooses at each length."""
    said = []
    for steps in sorted({trial.steps for trial in done}):
        found = means(done, [trial for trial in done if trial.steps == steps])
        if found:
            rate, warmup, _ = chosen(found)
            said.append(
                f"- After {steps} steps the rule takes {rate:g}{f', with {warmup} steps of warm-up' * bool(warmup)}."
            )
    return said


HEAD = """# The defaults of the light engine, from validation cases

`python benchmarks/defaults.py`, {date}: mean DSC over the classes of 16 validation cases, one seed, all other settings
as they are by default (two patches a step, Adam, a rate that falls as (1 - step / steps)^0.9). The cases that a
comparison scores were not looked at. The rule: the smallest rate, and rather no warm-up, of those whose mean over
losses and data sets is within 0.002 of the best. A dash: not run.
"""


def main() -> None:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="write the page of what is kept, train nothing")
    torch.set_num_threads(1)
    if not parser.parse_args().page:
        execute()
    write_text(RESULTS.with_suffix(".md"), page(kept(RESULTS.with_suffix(".csv"))))


if __name__ == "__main__":
    main()

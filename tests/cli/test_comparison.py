"""The sentences of a comparison on the terminal: how many runs there are, and which of them has ended."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from lossodyssey.bench.job import Progress
from lossodyssey.bench.light import Light
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.study import Study
from lossodyssey.cli.comparison import _announce, _how
from lossodyssey.cli.progress import Display, duration
from lossodyssey.data import write_phantom
from lossodyssey.training.settings import Settings

PLAN = """\
datasets: [phantom]
losses: [Dice(), {name: late, stages: [CrossEntropy(), Lovasz()], learning_rates: [1e-3, 1e-4]}]
held_out: 2
validation: 2
seeds: 2
steps: [4, 8]
search_steps: 3
patch: [16, 16, 8]
features: [4, 8]
device: cpu
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=7)
    return resolve(parse_plan(PLAN, "plan.yaml"), Light(Settings()), folder / "out", folder)


@pytest.mark.parametrize(
    ("executor", "only", "end"),
    [
        ("local", "", "2 at a time."),
        ("print", "", "for the commands below."),
        ("slurm", "", "by slurm."),
        ("local", "dice-1a2b3c4d-seed0", "of which this command executes one."),
    ],
    ids=["local", "print", "slurm", "one"],
)
def test_searches_are_counted_apart_with_their_own_length(
    executor: str, only: str, end: str, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(study, _how(study, executor, 2, only))
    first = capsys.readouterr().out.splitlines()[0]
    # Dice, cross entropy as the first stage of late, and late: two seeds of two lengths each.
    assert first == f"12 runs of 4 or 8 steps (2 losses, 2 seeds) and 2 of 3 steps to find learning rates, {end}"


def test_runs_of_several_lengths_have_names_of_their_own(study: Study) -> None:
    display = Display(study, Console(file=StringIO()))
    names = [display._name(job) for job in next(study.phases())]
    assert len(set(names)) == len(names) == 8
    assert "Dice() seed 0, 4 steps" in names and "CrossEntropy() seed 1, earlier stage, 8 steps" in names


def test_off_a_terminal_a_line_a_minute_says_how_long_it_still_takes(study: Study) -> None:
    now, text = [0.0], StringIO()
    display = Display(study, Console(file=text, width=200), clock=lambda: now[0])
    first, second = [*next(study.phases())][:2]
    for step, second_passed in ((1, 10), (2, 20), (3, 61), (4, 70)):
        now[0] = second_passed
        display(first, Progress("training", step, 4, 0.5, 0.1))
    lines = [line for line in text.getvalue().splitlines() if line.strip()]
    total = sum(sum(steps) for *_, steps in study.lengths())
    # Three steps took 61 seconds, and all but three are left.
    assert lines == [f"  {3 / total:.0%} of all steps, 0 runs ended, about {duration(61 * (total - 3) / 3)} left"]
    now[0] = 130
    display(second, Progress("training", 3, 8, 0.5, 0.1))  # an earlier attempt made two of them
    assert f"about {duration(130 * (total - 7) / 5)} left" in text.getvalue()


def test_on_a_terminal_no_line_is_written(study: Study) -> None:
    now, text = [0.0], StringIO()
    display = Display(study, Console(file=text, force_terminal=True), clock=lambda: now[0])
    now[0] = 500.0
    display(next(iter(next(study.phases()))), Progress("training", 3, 4, 0.5, 0.1))
    assert "of all steps," not in text.getvalue()

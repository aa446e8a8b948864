"""Plans as files: what is read, what is written back, and the line that every mistake is told by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossodyssey.bench.plan import Plan, PlannedData, PlannedLoss
from lossodyssey.bench.plan_file import parse_plan, plan_text
from lossodyssey.cli.bench import PRESETS, preset_text

WHOLE = """\
name: mine
datasets:
  - phantom
  - {name: Task04_Hippocampus, held_out: 40}
losses:
  - Dice()
  - mine = Dice() + 0.5 * Focal(gamma=3.0)
  - loss: TopK(percent=5)
    name: five
    learning_rates: [1e-2, 3e-3]
  - {name: late, stages: [CrossEntropy(), Lovasz()], learning_rates: 3e-4}
learning_rates: [3e-3, 0.01]
folds: 5
validation: 0.2
seeds: 2
steps: [1000, 500]
metrics: [DSC, "NSD@1"]
foreground: 0
patch: [32, 32, 16]
variants:
  usual: {}
  centred: {foreground: 1.0}
"""


def test_every_key_is_read() -> None:
    plan = parse_plan(WHOLE, "plan.yaml")
    assert plan.datasets == (PlannedData("phantom"), PlannedData("Task04_Hippocampus", 40))
    assert plan.losses == (
        PlannedLoss(("Dice()",)),
        PlannedLoss(("Dice() + 0.5 * Focal(gamma=3.0)",), "mine"),
        PlannedLoss(("TopK(percent=5)",), "five", (0.01, 0.003)),
        PlannedLoss(("CrossEntropy()", "Lovasz()"), "late", (0.0003,)),
    )
    assert (plan.name, plan.folds, plan.validation, plan.seeds) == ("mine", 5, 0.2, 2)
    assert plan.steps == (500, 1000) and plan.learning_rates == (0.003, 0.01)
    assert plan.settings == {"foreground": 0, "patch": (32, 32, 16)}
    assert plan.variants == {"usual": {}, "centred": {"foreground": 1.0}}
    assert plan.where("losses", 2, "name") == "plan.yaml, line 9: losses"


@pytest.mark.parametrize("text", [WHOLE, *map(preset_text, PRESETS)], ids=["whole", *PRESETS])
def test_a_plan_is_written_and_read_back(text: str) -> None:
    plan = parse_plan(text, "plan.yaml")
    assert replace(parse_plan(plan_text(plan), "plan.yaml"), lines={}) == replace(plan, lines={})


LEAST = "datasets: [phantom]\nlosses: [Dice()]\n"


def test_a_short_plan_has_the_defaults() -> None:
    plan = parse_plan(LEAST, "plan.yaml")
    assert plan == Plan(
        datasets=(PlannedData("phantom"),), losses=(PlannedLoss(("Dice()",)),), file="plan.yaml", lines=plan.lines
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys such as datasets: and losses:, found None"),
        ("- Dice()", "expected keys such as"),
        ("losses: [Dice()]", "key 'datasets' is missing or empty"),
        ("datasets: [phantom]\nlosses: []", "key 'losses' is missing or empty"),
        (LEAST + "seed: 3", r"line 3: seed is not a key here, did you mean .seeds.\?; expected one of"),
        (LEAST + "seeds: 0", "line 3: seeds is 0; expected a whole number of 1 or more"),
        (LEAST + "seeds: true", "line 3: seeds is True"),
        (LEAST + "seeds: many", "line 3: seeds is 'many'"),
        (LEAST + "engine: heavy", "line 3: engine is 'heavy'; expected one of light, nnunet"),
        (LEAST + "engine: nnunet\nforeground: 0.5", "line 4: foreground is not a key here"),
        (LEAST + "learning_rates: [3e-3, fast]", r"line 3: learning_rates is \[0.003, 'fast'\]; expected positive"),
        (LEAST + "learning_rates: [3e-3, 0.003]", "line 3: learning_rates is .*expected each rate once"),
        (LEAST + "learning_rates: -1e-3", "line 3: learning_rates"),
        (LEAST + "steps: [100, 100]", "line 3: steps is .*each once"),
        (LEAST + "steps:\n  - 100\n  - ten", r"line 5: steps\[1\] is 'ten'"),
        (LEAST + "held_out: 1.5", "line 3: held_out is 1.5; expected a number of cases such as 40, or a fraction"),
        (LEAST + "folds: 1", "line 3: folds is 1; expected a number of folds of 2 or more"),
        (LEAST + "variants: [a]", "line 3: variants is .*expected names, each with settings"),
        (
            LEAST + "variants:\n  a: {forground: 0}",
            "line 4: variants.a.forground is not a key here, did you mean .foreground",
        ),
        (LEAST + "metrics: []", "line 3: metrics is .*expected at least one text"),
        ("datasets: [{held_out: 3}]\nlosses: [Dice()]", r"line 1: datasets\[0\] is .*expected a key 'name'"),
        ("datasets: [a]\nlosses: [{name: x}]", r"line 2: losses\[0\] is .*expected either 'loss'"),
        ("datasets: [a]\nlosses: [{loss: Dice(), stages: [Dice()]}]", r"line 2: losses\[0\] is .*either 'loss'"),
        ("datasets: [a]\nlosses: [{loss: Dice(), rates: 1}]", r"line 2: losses\[0\].rates is not a key here"),
        ("datasets: [a]\nlosses: [3]", r"line 2: losses\[0\] is 3; expected a text"),
        (LEAST + "losses: [Dice()]", "line 3: key 'losses' occurs twice"),
        (LEAST + "folds: 3\nheld_out: 4", "line 4: held_out is 4; expected either this key or 'folds'"),
        (
            "datasets: [{name: a, folds: 3, held_out: 4}]\nlosses: [Dice()]",
            r"line 1: datasets\[0\] is .*expected either 'held_out' or 'folds'",
        ),
        (LEAST + "seeds:", "line 3: seeds is None; expected a whole number"),
        (LEAST + "imports: mine.py", "line 3: imports is not a key here"),
        (LEAST + "name: [", "line 3: not valid YAML"),
        (LEAST + "name: 2026-01-01", "line 3: cannot read '2026-01-01'"),
        (LEAST + "name: !!python/name:os.system", "line 3"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\n" * 1, "line 1: a is not a key here"),
    ],
)
def test_a_mistake_is_told_by_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^plan.yaml.*{message}"):
        parse_plan(text, "plan.yaml")


def test_aliases_that_repeat_without_end_are_refused() -> None:
    levels = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ValueError, match="more than 20000 values"):
        parse_plan(f"x0: &x0 [1]\n{levels}", "plan.yaml")

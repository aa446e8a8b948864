"""The page of the odyssey follows from its records, and a run from its record."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lossodyssey.bench.executors import Local
from lossodyssey.bench.fingerprints import write_fingerprints
from lossodyssey.bench.job import Job
from lossodyssey.bench.light import Light
from lossodyssey.bench.packing import unpacked
from lossodyssey.bench.plan_file import parse_plan
from lossodyssey.bench.resolve import resolve
from lossodyssey.bench.sweep import run_study
from lossodyssey.data import write_phantom
from lossodyssey.table import Row
from lossodyssey.training.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PLAN = """\
datasets: [{name: phantom, held_out: 6}]
losses:
  - {name: DiceCE batch, loss: DiceCE(batch=True)}
  - {name: Dice batch, loss: Dice(batch=True)}
  - {name: TopK 30, loss: TopK(percent=30)}
  - {name: Lovasz, stages: [CrossEntropy(), Lovasz()], learning_rates: [1e-2]}
learning_rates: [1e-2, 3e-2]
validation: 3
seeds: 2
steps: [3, 6]
patch: [16, 16, 8]
features: [4, 8]
overlap: 0.0
device: cpu
metrics: [DSC, "NSD@1"]
"""


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "paper" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


odyssey, again, findings = script("odyssey"), script("again"), script("findings")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_phantom(folder / "phantom", cases=12)
    return folder


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def silent(job: Job, event: object) -> None:
        pass

    (output := tmp_path_factory.mktemp("study")).joinpath("plan.yaml").write_text(PLAN)
    study = resolve(parse_plan(PLAN, "plan.yaml"), Light(Settings()), output, data)
    run_study(study, executor=Local(2), on_event=silent)
    assert not list(write_fingerprints(study))
    folder = tmp_path_factory.mktemp("results")
    odyssey.RESULTS = folder
    odyssey.keep(output, "phantom")
    odyssey.RESULTS = ROOT / "paper" / "results"
    return folder / "phantom"


def test_records_give_the_page(results: Path) -> None:
    study = odyssey.read(results / "study.tar.xz")
    text = odyssey.page([study])
    assert "## phantom\n\n4 losses, 2 trainings each of 6 steps, scored on 6 cases." in text
    table = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(table) == 4 and sum("| yes |" in line for line in table) >= 1
    assert "over the 4 losses that both have" in text
    assert "| phantom | 3, 3, 6 | 16 x 16 x 8 |" in text and "NSD (1 mm)" in text
    assert "`CrossEntropy()` ([CrossEntropy](losses/CrossEntropy.md)), then `Lovasz()`" in text
    assert "A training of 3 steps puts" in text and "lies at the edge of those tried" in text
    effects = odyssey.measured([study]).splitlines()
    facts = dict(zip(effects[0].split(","), effects[1].split(","), strict=True))
    assert facts["dims"] == "3" and float(facts["rarest"]) >= float(facts["imbalance"]) > 1 and facts["unit"] == "mm"
    assert len(effects) == 1 + 3 * 2 and effects[1].startswith(
        "Dice batch,Dice(batch=True),DiceCE(batch=True),phantom,DSC"
    )
    assert {"study.tar.xz", "plan.yaml", "tuning.csv"} == {path.name for path in results.iterdir()}


def rows(better: Callable[[int], float]) -> list[Row]:
    """Return the table of two losses, the second of which is better by an amount that depends on the seed."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, size=(2, 4, 30))
    return [
        Row(loss, "toy", 0, seed, f"case{case}", "organ", "DSC", 0.5 + loss_number * better(seed) + value, "ok")
        for loss_number, loss in enumerate(("A", "B"))
        for seed in range(4)
        for case, value in enumerate(noise[loss_number, seed])
    ]


def test_the_common_order_says_which_losses_not_all_data_sets_have() -> None:
    both = rows(lambda seed: 0.2)
    third = [replace(row, loss="C") for row in both if row.loss == "A"]
    tables = [
        both + third,
        [replace(row, dataset="second") for row in both],
        [replace(row, dataset="third") for row in both],
    ]
    text = "".join(odyssey.together([odyssey.Odyssey(table, {}, [], [], []) for table in tables]))
    assert "The 3 data sets have the same weight" in text
    assert "Losses that not all of them have are left out: C. With" in text
    assert "| 1 | B | yes | 1 to 1 |\n| 2 | A | no | 2 to 2 |" in text


@pytest.mark.parametrize(
    ("better", "counted"),
    [(lambda seed: 0.2, (6, 6, 0)), (lambda seed: 0.2 if seed < 2 else -0.2, (2, 0, 2))],
    ids=["steady", "turned"],
)
def test_one_half_of_the_seeds_is_held_against_the_other(
    better: Callable[[int], float], counted: tuple[int, int, int]
) -> None:
    study = odyssey.Odyssey(rows(better), {}, [], [], [])
    assert odyssey.halves([study]) == counted
    assert f"makes {counted[1]}, too, and contradicts {counted[2]} " in "".join(odyssey.about_halves([study]))


def test_the_page_says_what_a_reader_may_not_take_for_a_finding() -> None:
    """Of the kept records: few scores, pictures without an object, noisy trainings, rates at an edge."""
    study = odyssey.read(ROOT / "paper" / "results" / "BUSI_small" / "study.tar.xz")
    said = "\n".join(findings.findings(study))
    assert "no loss should be chosen by them: the best mean DSC on BUSI_small is 0." in said
    assert "27 of the 200 scored cases show no object." in said
    assert "The trainings of DiceTopK batch and TopK differ more than those of the other losses do" in said
    assert "the smallest of several rates that did equally well" in said and "by -" not in said
    assert "least: read them as the loss of that stage" in said


@pytest.mark.parametrize("loss", ["topk", "lovasz"])
def test_a_run_trained_again_gives_its_table_bit_for_bit(results: Path, data: Path, loss: str) -> None:
    runs = {run.loss: run for run in odyssey.read(results / "study.tar.xz").trainings}
    assert len(runs) == 4
    with unpacked(results / "study.tar.xz") as folder:
        name = next(path.name for path in sorted(folder.glob(f"runs/{loss}*-seed1")))
    assert again.again(results / "study.tar.xz", name, data)


def test_a_run_that_is_not_kept_is_named(results: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="no run 'focal-00000000-seed0'"):
        again.again(results / "study.tar.xz", "focal-00000000-seed0", data)


def test_the_page_of_the_repository_is_fresh() -> None:
    number = r"-?\d+\.?\d*"
    files = odyssey.generated()
    assert files
    for path, text in files.items():
        written = path.read_text(encoding="utf-8")
        assert re.sub(number, "", written) == re.sub(number, "", text), f"{path}: run `make odyssey-page`"
        # The last digit may differ between processors.
        old, new = ([float(word) for word in re.findall(number, words)] for words in (written, text))
        assert new == pytest.approx(old, abs=0.0011), f"{path}: run `make odyssey-page`"

"""The comparisons beside the odyssey: each has a plan that can be read, and a loss to be held against."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lossodyssey.bench.plan_file import read_plan
from lossodyssey.table import Row

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "paper" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


asides, needed, kept_tables = script("asides"), script("needed"), script("kept_tables")


@pytest.mark.parametrize("name", sorted(asides.ASIDES))
def test_every_loss_that_is_held_against_another_is_in_the_plan(name: str) -> None:
    aside, plan = asides.ASIDES[name], read_plan(asides.RECORDS / name / "plan.yaml")
    named = {aside.against} if isinstance(aside.against, str) else {*aside.against, *aside.against.values()}
    variants = [f", {variant}" for variant in plan.variants if variant != aside.usual]
    assert named <= {entry.name + variant for entry in plan.losses for variant in ("", *variants)}
    assert bool(aside.usual) == bool(plan.variants)


def test_a_loss_under_two_variants_is_compared_like_two_losses() -> None:
    usual, wrong = (Row("CE", f"Heart, {name}", 0, 0, "a", "organ", "DSC", 0.5) for name in ("usual", "wrong"))
    found = [kept_tables.side_by_side(row, "usual") for row in (usual, wrong)]
    assert [(row.dataset, row.loss) for row in found] == [("Heart", "CE"), ("Heart", "CE, wrong")]


def test_a_comparison_of_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asides.main(["--keep", "study", "other"])
    assert "--keep: NAME is 'other', expected one of as_released" in capsys.readouterr().err


def test_the_operations_of_a_network_are_those_of_its_convolutions() -> None:
    from torch import nn

    assert needed._counted(nn.Conv2d(3, 5, 3, padding=1, device="meta"), (2, 3, 8, 8)) == 2 * (
        2 * 2 * 8 * 8 * 5 * 3 * 9
    )


def test_every_variant_says_its_best_losses_and_how_far_it_agrees_with_the_usual_one() -> None:
    said = {text.split("`")[1]: text for text in kept_tables.orders([asides.RECORDS / "protocol"], "as usual")}
    assert said["as usual"].startswith("With `as usual` the best loss is") and "Kendall" not in said["as usual"]
    assert "Kendall's tau between this order and the usual one is 0." in said["no foreground sampling"]
    assert "among 5 of 8: all but Focal, CE and Tversky batch; Kendall's" in said["wrong labels"]


def test_a_table_says_what_it_shows_and_in_which_metrics() -> None:
    rows = [
        Row(loss, "toy", 0, seed, f"case{case}", "organ", metric, 0.5 + gain * (metric == "DSC") + 1e-3 * case, "ok")
        for loss, gain in {"A": 0.0, "B": 0.1, "C": 0.0}.items()
        for seed in range(3)
        for case in range(20)
        for metric in ("DSC", "NSD")
    ]
    ranking = kept_tables.rank(rows)
    assert list(kept_tables.shown(ranking, "A")) == ["Shown to be better: B (in DSC)."]
    assert list(kept_tables.shown(ranking, {"A": "B"})) == ["Shown to be worse: A (in DSC)."]
    assert list(kept_tables.shown(ranking, {"A": "C"})) == ["No loss is shown to be better or worse, trained again."]


def test_a_leader_of_the_order_that_is_not_the_best_in_the_mean_is_named() -> None:
    leads = [-0.5] * 5 + [0.01] * 25  # of A over B: in most cases, and by little
    values = {"A": leads, "B": [0.0] * 30}
    rows = [
        Row(loss, "toy", 0, seed, f"case{case}", "organ", "DSC", 0.8 + value + 1e-4 * seed, "ok")
        for loss, own in values.items()
        for seed in range(3)
        for case, value in enumerate(own)
    ]
    assert kept_tables.among(kept_tables.rank(rows)) == (
        "B. A leads the order, which counts significant differences as the paper does, and yet is none of them: "
        "in the mean B is better, by 0.0750"
    )

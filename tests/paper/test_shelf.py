"""The tables of the third shelf follow from the records that are kept."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lossodyssey.bench.plan_file import read_plan
from lossodyssey.core.text import parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shelf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shelf", ROOT / "paper" / "shelf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_records_say(shelf: ModuleType) -> None:
    assert shelf.PAGE.read_text(encoding="utf-8") == shelf.text(), "run python paper/shelf.py"


@pytest.mark.parametrize("name", ["partial", "whole", "partial_long", "whole_long", "lesions", "calibration"])
def test_a_plan_reads_and_has_three_seeds_and_searched_rates(shelf: ModuleType, name: str) -> None:
    plan = read_plan(shelf.RECORDS / name / "plan.yaml")
    assert plan.seeds == 3 and len(plan.learning_rates) >= 4 and plan.validation
    assert all(parse(loss.stages[-1]) for loss in plan.losses)


def test_a_page_without_marks_is_refused(shelf: ModuleType) -> None:
    with pytest.raises(ValueError, match="<!-- lesions: start -->"):
        shelf.rewritten("no marks", "lesions", [])

"""The tables of losses on vessels follow from the records that are kept."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vessels", ROOT / "paper" / "vessels.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_records_say() -> None:
    vessels = script()
    assert vessels.PAGE.read_text(encoding="utf-8") == vessels.text(), "run python paper/vessels.py"
    assert vessels.MEASURED.read_text(encoding="utf-8") == vessels.measured(), "run python paper/vessels.py"
    assert "phantom_vessels: 18 held-out images, 3 trainings of each loss." in vessels.text()

"""The published tasks in small: their numbering asks for whole sources, whose sizes are set to those of the tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lossodyssey.data.prepare import multiorgan, odyssey

from .builders import COUNT


@pytest.fixture
def small_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odyssey, "LITS", COUNT)
    monkeypatch.setattr(odyssey, "VESSELS", COUNT)
    monkeypatch.setattr(odyssey, "TASK07", COUNT)
    monkeypatch.setattr(multiorgan, "GIBSON", replace(multiorgan.GIBSON, cases=6))

"""A few hundred random losses on random inputs hold what every loss promises; `fuzz.py` tries any number by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import checks
import inputs

import fuzz


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_input_fails(seed: int) -> None:
    tries, failures, refusals = fuzz.run(seed, 100, minutes=10, progress=False)
    assert tries == 100 and not failures, "\n".join(failures)
    assert sum(refusals.values()) < 25, refusals


def test_an_input_follows_from_its_seed_and_index() -> None:
    first, again, other = inputs.draw(3, 7), inputs.draw(3, 7), inputs.draw(3, 8)
    assert str(first) == str(again) != str(other)
    assert torch.equal(first.logits, again.logits) or first.left_out is not None


@pytest.mark.parametrize(
    ("backend", "off"), [("chunked", (1.001, 1.0)), ("chunked", (1.0, 1.01)), ("plain", (1.001, 1.0))], ids=str
)
def test_a_wrong_back_end_is_found(monkeypatch: pytest.MonkeyPatch, backend: str, off: tuple[float, float]) -> None:
    right = checks.answer

    def wrong(case: inputs.Case, name: str, *others: torch.Tensor) -> checks.Answer:
        found = right(case, name, *others)
        if name != backend or (others and name == "plain"):
            return found
        return checks.Answer(found.value * off[0], found.gradient * off[1])

    monkeypatch.setattr(checks, "answer", wrong)
    _, failures, _ = fuzz.run(4, 40, minutes=10, progress=False)
    assert any(f": {backend}" in text or "float64" in text for text in failures)

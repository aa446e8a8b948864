"""The side-by-side table on small batches: who stands in it, that equals are equal, and what becomes of failures."""

from __future__ import annotations

import json
import math
import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

import lossodyssey as lo

pytest.importorskip("scipy")
sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks import clock, losses, memory, table
from benchmarks.peers import Entry, cross_entropy, floor

SHAPES = ["2x2x20x24", "2x3x12x10x14"]
OPTIONS = Namespace(only=[], device="cpu", dtype="float32", threads=1, rounds=1, no_memory=True)


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return losses.entries(OPTIONS)


@pytest.fixture(scope="module", params=SHAPES)
def measured(entries: dict[str, Entry], request: pytest.FixtureRequest) -> list[table.Row]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return losses.measure(request.param, entries, OPTIONS)


def test_every_loss_of_the_atlas_stands_there_with_a_peer(measured: list[table.Row]) -> None:
    ours = {row["call"] for row in measured if row["ours"]}
    assert ours >= {card.name for card in lo.atlas() if not card.name.startswith("Released")}
    peers = {row["beside"] for row in measured if not row["ours"]}
    assert ours <= peers
    assert peers <= ours | {""}


def test_rows_have_finite_values_and_times_or_a_reason(measured: list[table.Row]) -> None:
    for row in measured:
        if row["status"] == "ok":
            assert math.isfinite(row["value"]) and row["milliseconds"] > 0 and row["of_copy"] > 0, row
            assert row["x_cross_entropy"] > 0 and (row["beside"] == "" or row["x_ours"] > 0)
        else:
            assert row["status"] == "refused" and row["reason"], row
            assert not row["ours"] and not row["call"].startswith("plain")


@pytest.mark.parametrize("shape", SHAPES)
def test_calls_said_to_be_equal_are_equal(entries: dict[str, Entry], shape: str) -> None:
    logits, labels = losses.batch(shape, "cpu", torch.float32)
    classes = logits.shape[1]
    for name, entry in entries.items():
        if entry.equals is None:
            continue
        outcome = clock.Outcome()
        with warnings.catch_warnings(), clock.noting(outcome):
            warnings.simplefilter("ignore")
            theirs = entry.ready(logits, labels)()
        if outcome.status != "ok":
            continue
        same = eval(
            "ours" if entry.relation == "same" else entry.relation,
            {"ours": entry_value(entry, logits, labels), "C": classes},
        )
        assert theirs.item() == pytest.approx(same.item(), rel=1e-4, abs=1e-6), name
        found, wanted = (torch.autograd.grad(value, logits)[0] for value in (theirs, same))
        assert (found - wanted).abs().max() <= 1e-3 * wanted.abs().max(), name


def entry_value(entry: Entry, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    assert entry.equals is not None
    return lo.parse(entry.equals)(logits, labels)

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
from torch import Tensor

import lossodyssey as lo

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.peers import Entry, cross_entropy, floor

from benchmarks import clock, losses, table

SHAPES = ["2x2x20x24", "2x3x12x10x14"]
OPTIONS = Namespace(only=[], device="cpu", dtype="float32", threads=1, rounds=1, no_memory=True, resume=False)


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return losses.entries(OPTIONS)


@pytest.fixture(scope="module", params=SHAPES)
def measured(entries: dict[str, Entry], request: pytest.FixtureRequest) -> list[table.Row]:
    return measure(request.param, entries)


def measure(shape: str, entries: dict[str, Entry], **changes: Any) -> list[table.Row]:
    options = Namespace(**vars(OPTIONS) | changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return losses.measure(shape, entries, *losses.batch(shape, "cpu", torch.float32), options)


def test_every_loss_of_the_atlas_stands_there_with_a_peer(measured: list[table.Row]) -> None:
    ours = {row["call"] for row in measured if row["ours"]}
    assert ours >= set(losses.measured_losses()) - losses.APART
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
    for name, entry in entries.items():
        outcome = clock.Outcome()
        with warnings.catch_warnings(), clock.noting(outcome):
            warnings.simplefilter("ignore")
            theirs = entry.ready(logits, labels)()
        if entry.equals is None or outcome.status == "refused":
            continue
        ours = lo.parse(entry.equals)(logits, labels)
        # Every sample has every class, so that means over samples are means over the batch.
        same = entry.relation == "same" or "samples" in entry.relation
        names = {"ours": ours, "C": logits.shape[1], "P": logits.shape[1]}
        wanted = ours if same else eval(entry.relation, names)
        assert theirs.item() == pytest.approx(wanted.item(), rel=1e-4, abs=1e-6), name
        gradients = [torch.autograd.grad(value, logits)[0] for value in (theirs, wanted)]
        assert (gradients[0] - gradients[1]).abs().max() <= 1e-3 * gradients[1].abs().max(), name


@pytest.mark.usefixtures("own_atlas")
def test_losses_of_users_are_not_measured() -> None:
    type("Stranger", (lo.VoxelLoss,), {"formula": lambda self, log_p, labels: -log_p}, range=(0, 1))
    assert any(card.name == "Stranger" for card in lo.atlas())
    assert "Stranger" not in losses.our_entries()


def fails_with(problem: Exception) -> Entry:
    def call(logits: Tensor, labels: Tensor) -> Tensor:
        raise problem

    return Entry("Dice", call)


def test_failures_are_rows_and_the_rest_is_measured() -> None:
    rows = measure(
        "1x2x8x8",
        {
            "floor": Entry("", floor),
            "small": fails_with(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
            "planes": fails_with(ValueError("expected 4 axes\nand more")),
            "huge": Entry("Dice", cross_entropy, limit=100),
            "F.cross_entropy": Entry("CrossEntropy", cross_entropy),
        },
    )
    assert [row["status"] for row in rows] == ["ok", "out of memory", "refused", "not run", "ok"]
    assert rows[2]["reason"] == "ValueError: expected 4 axes"
    assert "milliseconds" in rows[4]
    text = table.markdown({"machine": table.machine(OPTIONS), "rows": rows})
    assert "| ≈ small | out of memory | - |" in text and "| ≈ planes | refused | - |" in text


def test_a_device_that_answers_no_more_ends_the_run() -> None:
    broken = torch.AcceleratorError("illegal memory access")
    with pytest.raises(torch.AcceleratorError):
        measure("1x2x8x8", {"broken": fails_with(broken)})


def test_slow_calls_are_timed_once_and_too_slow_ones_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(logits: Tensor, labels: Tensor) -> Tensor:
        calls.append(1)
        return cross_entropy(logits, labels)

    entry = {"huge": Entry("CrossEntropy", counted, limit=100)}
    assert measure("1x2x8x8", entry, rounds=3)[0]["status"] == "not run"
    measure("1x2x8x8", entry, rounds=3, only=["huge"])
    assert len(calls) == 1 + 3
    monkeypatch.setattr(clock, "SLOW_SECONDS", -1.0)
    measure("1x2x8x8", entry, rounds=3, only=["huge"])
    assert len(calls) == 1 + 3 + 1


def test_named_rows_come_with_the_references_and_unknown_names_are_mistakes() -> None:
    options = Namespace(**vars(OPTIONS) | {"only": ["Boundary, map made", "plain Lovasz", "compiled DiceCE"]})
    assert set(losses.entries(options)) == {"floor", "F.cross_entropy", *options.only}
    with pytest.raises(ValueError, match="no such row: Dise"):
        losses.entries(Namespace(**vars(OPTIONS) | {"only": ["Dise"]}))


def test_a_run_leaves_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "weigh_apart", lambda row, options: {"peak": 1.25, "held": math.nan})
    changes = {"only": ["Dice"], "shapes": SHAPES, "no_memory": False, "output": str(tmp_path / "found")}
    report = losses.run(Namespace(**vars(OPTIONS) | changes))
    kept = json.loads((tmp_path / "found.json").read_text())
    assert [row["call"] for row in kept["rows"]] == [row["call"] for row in report["rows"]]
    assert kept["rows"][0]["held"] == "nan"
    assert (tmp_path / "found.md").read_text().count("| **Dice** |") == len(SHAPES)


def test_a_resumed_run_measures_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed = []

    def weigh(row: table.Row, options: Namespace) -> table.Row:
        weighed.append((row["call"], row["shape"]))
        return {"peak": 1.25, "held": math.inf}

    monkeypatch.setattr(losses, "weigh_apart", weigh)
    options = Namespace(**vars(OPTIONS) | {"only": ["Dice"], "shapes": SHAPES[:1], "output": str(tmp_path / "found")})
    first = losses.run(options)
    options.no_memory, options.resume, options.shapes = False, True, SHAPES
    second = losses.run(options)
    assert [row["milliseconds"] for row in first["rows"]] == [row["milliseconds"] for row in second["rows"]][:3]
    assert sorted(weighed) == sorted((row["call"], row["shape"]) for row in second["rows"])
    assert weighed[0][0] == "Dice", "our own losses come first"
    assert losses.run(options)["rows"] == second["rows"] and len(weighed) == 6


def test_the_page_of_a_device_states_the_share_of_a_copy(measured: list[table.Row]) -> None:
    about = table.machine(OPTIONS) | {"device": "cuda", "clock": "device events"}
    text = table.markdown({"machine": about, "rows": measured})
    assert "| call | ms | x ours | x CE | of copy | peak | held |" in text
    for row in measured:
        name = f"**{row['call']}**" if row["ours"] else row["call"]
        assert text.count(f"| {name} |") + text.count(f"| ≈ {name} |") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the resident set from /proc")
def test_the_floor_weighs_its_gradient() -> None:
    found = losses.weigh_apart({"call": "floor", "shape": "1x4x64x64x64"}, OPTIONS)
    assert found["peak"] == pytest.approx(1, abs=0.2)
    assert found["held"] == pytest.approx(0, abs=0.2)

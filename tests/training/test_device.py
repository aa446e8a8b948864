"""Devices and precision."""

from __future__ import annotations

import pytest
import torch

from lossodyssey.training.device import choose_device, choose_precision, describe, peak_memory
from lossodyssey.training.settings import Settings


def test_the_processor_computes_in_float32_unless_told() -> None:
    cpu = choose_device(Settings(device="cpu"))
    assert cpu == torch.device("cpu")
    assert choose_precision(Settings(), cpu) == torch.float32
    assert choose_precision(Settings(precision="bfloat16"), cpu) == torch.bfloat16
    assert describe(cpu).startswith("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ValueError, match=f"device is '{device}'"):
        choose_device(Settings(device=device))


def test_memory_only_grows() -> None:
    before = peak_memory(torch.device("cpu"))
    block = torch.ones(before // 4 + 10_000_000)
    assert peak_memory(torch.device("cpu")) >= block.nbytes

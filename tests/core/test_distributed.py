"""Two processes with half a batch each find the loss and the gradient of one process with the whole batch."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

import lossodyssey as lo
from lossodyssey.core.distributed import average_gradient

TEXTS = [
    "Dice(batch=True)",
    "Tversky(batch=True, background=True) + CrossEntropy()",
    "GeneralizedDice(batch=True)",
    "Dice(batch=True, absent='skip')",
    "Dice(batch=True, square=True)",
]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(2, 3, 3, padding=1).double()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 2, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (4, 8, 8), generator=generator)
    labels[2:][labels[2:] == 2] = 0  # the second process has no voxel of class 2
    return images, labels


def step(model: nn.Module, text: str, rows: slice) -> tuple[Tensor, list[Tensor]]:
    images, labels = batch()
    model.zero_grad()
    value = lo.parse(text)(model(images[rows]), labels[rows])
    value.backward()
    return value.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def work(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    model = DistributedDataParallel(network())
    torch.save([step(model, text, slice(2 * rank, 2 * rank + 2)) for text in TEXTS], folder / f"{rank}.pt")
    number = torch.nn.Parameter(torch.zeros(()))
    number.register_post_accumulate_grad_hook(average_gradient)
    ((rank + 1.0) * number).backward()
    assert number.grad == 1.5
    dist.barrier()  # gloo aborts where one process leaves while the other still sends
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="PyTorch without gloo")
@pytest.mark.filterwarnings("ignore")
def test_two_processes_give_the_answer_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(work, (port, tmp_path), nprocs=2)  # type: ignore[no-untyped-call]
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for k, text in enumerate(TEXTS):
        value, gradients = step(network(), text, slice(4))
        torch.testing.assert_close(torch.stack([found[rank][k][0] for rank in range(2)]).mean(), value)
        for rank in range(2):
            torch.testing.assert_close(found[rank][k][1], gradients, rtol=1e-10, atol=1e-14)

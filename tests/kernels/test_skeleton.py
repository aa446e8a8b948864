"""Soft skeletons against the form by pooling, and the shapes whose skeletons are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossodyssey.kernels.skeleton import openings, pooled, soft_skeleton


def random_volumes(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("shape", [(2, 9), (2, 8, 7), (2, 6, 7, 8), (1, 1, 1), (1, 5, 1, 4)])
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_values_and_gradients_are_those_of_pooling(shape: tuple[int, ...], iterations: int) -> None:
    x, upstream = random_volumes(*shape).requires_grad_(), random_volumes(*shape)
    skeleton, expected = soft_skeleton(x, iterations), pooled(x, iterations)
    assert torch.equal(skeleton, expected)
    found, wanted = (torch.autograd.grad((y * upstream).sum(), x)[0] for y in (skeleton, expected))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)


def test_one_operator_in_a_compiled_graph_with_its_own_gradient() -> None:
    x, upstream = random_volumes(2, 6, 7).requires_grad_(), random_volumes(2, 6, 7)
    graphs: list[torch.fx.GraphModule] = []

    def seen(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled = torch.compile(lambda y: soft_skeleton(2 * y, 3) + 1, fullgraph=True, backend=seen)
    found, expected = compiled(x), soft_skeleton(2 * x, 3) + 1
    assert torch.equal(found, expected)
    slope, wanted = (torch.autograd.grad((y * upstream).sum(), x)[0] for y in (found, expected))
    assert torch.equal(slope, wanted)
    (graph,) = graphs
    assert sum("soft_skeleton" in str(node.target) for node in graph.graph.nodes) == 1


def test_gradients_are_those_of_differences_and_have_gradients() -> None:
    x = random_volumes(1, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: soft_skeleton(y, 2), x)
    assert torch.autograd.gradgradcheck(lambda y: soft_skeleton(y, 1), x)


@pytest.mark.parametrize(
    ("width", "iterations", "rows"), [(1, 0, 1), (2, 3, 2), (3, 1, 1), (4, 3, 2), (5, 2, 1), (7, 3, 1)]
)
def test_bars_become_their_centre_rows(width: int, iterations: int, rows: int) -> None:
    bar = torch.zeros(1, 15, 12)
    bar[0, 4 : 4 + width] = 1
    skeleton = soft_skeleton(bar, iterations)[0]
    assert torch.equal(skeleton.sum(0), torch.full((12,), float(rows)))
    assert not (skeleton * (1 - bar[0])).any()


@pytest.mark.parametrize(("width", "iterations"), [(5, 1), (7, 2), (9, 3)])
def test_bars_wider_than_the_iterations_reach_have_none(width: int, iterations: int) -> None:
    bar = torch.zeros(1, 19, 12)
    bar[0, 4 : 4 + width] = 1
    assert not soft_skeleton(bar, iterations).any()


@pytest.mark.parametrize(("width", "iterations"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (9, 4)])
def test_openings_are_as_many_as_the_widest_bar_needs(width: int, iterations: int) -> None:
    bars = torch.zeros(2, 19, 12, dtype=torch.bool)
    bars[0, 4 : 4 + width] = bars[1, 4] = True
    assert openings(bars, most=50) == iterations
    assert openings(bars, most=1) == min(iterations, 1)
    assert openings(torch.zeros_like(bars), most=50) == 0
    assert openings(torch.ones_like(bars), most=7) == 7


def test_a_full_image_has_no_skeleton_and_scale_passes_through() -> None:
    assert not soft_skeleton(torch.ones(1, 6, 6), 3).any()
    line = torch.zeros(1, 9, 9)
    line[0, 4] = 1
    assert torch.equal(soft_skeleton(0.5 * line, 3), 0.5 * line)


def test_only_the_input_is_kept_for_the_backward_pass() -> None:
    x, kept = random_volumes(2, 6, 6).requires_grad_(), set()

    def pack(saved: Tensor) -> Tensor:
        kept.add(saved.data_ptr())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        soft_skeleton(x, 5)
    assert kept == {x.data_ptr()}

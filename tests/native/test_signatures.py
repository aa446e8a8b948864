"""What C is given is checked against its own declarations, and what it returns is raised."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lossodyssey import native
from lossodyssey.native.compiler import exported, sources
from lossodyssey.native.signatures import parse

NEEDS_LIBRARY = pytest.mark.skipif(native.library() is None, reason="no C compiler")

LABELS, GRADIENT = torch.tensor([0, 1, 1, 0]), torch.zeros(2, 4)
WRONG: dict[str, tuple[tuple[Any, ...], str]] = {
    "too few": ((LABELS, 2, 4), "lo_one_hot takes 4 arguments, not 3"),
    "another type": ((LABELS.int(), 2, 4, GRADIENT), r"labels is a tensor of torch.int32 on cpu, expected .*int64"),
    "another device": ((LABELS.to("meta"), 2, 4, GRADIENT), r"labels is a tensor of torch.int64 on meta"),
    "gaps": (
        (LABELS, 2, 4, torch.zeros(4, 2).t()),
        r"g has the strides \(1, 2\) at the shape \(2, 4\), expected numbers",
    ),
    "a number for a tensor": ((3, 2, 4, GRADIENT), "labels is 3, expected a tensor"),
    "a tensor for a number": ((LABELS, LABELS, 4, GRADIENT), "classes is a tensor of torch.int64 on cpu, expected a"),
    "a fraction": ((LABELS, 2.5, 4, GRADIENT), "classes is 2.5, expected a number for c_long"),
    "nothing": ((LABELS, None, 4, GRADIENT), "classes is None, expected a number"),
}


@NEEDS_LIBRARY
@pytest.mark.parametrize("kind", WRONG)
def test_arguments_that_do_not_fit_are_refused(kind: str) -> None:
    arguments, said = WRONG[kind]
    with pytest.raises(TypeError, match=said):
        native.call("lo_one_hot", *arguments)


@NEEDS_LIBRARY
def test_rows_may_lie_apart_where_a_stride_is_among_the_arguments() -> None:
    z, s, table = torch.randn(1, 2, 6)[:, :, :4], torch.empty(1, 2, 4), torch.zeros(1, 1, 2, 6, dtype=torch.float64)
    truth = (LABELS, 8, 0, 0, None, 0)
    rest = (None, 0, None, 0, None, 0, table, s, None, torch.empty(3 * 256), 1)
    native.call("lo_softmax", z, 12, 6, 1, 2, 4, *truth, *rest)
    torch.testing.assert_close(s, z.softmax(1))
    with pytest.raises(TypeError, match=r"z has the strides .* expected rows without gaps"):
        native.call("lo_softmax", z.mT, 12, 6, 1, 2, 4, *truth, *rest)


@NEEDS_LIBRARY
def test_missing_memory_is_an_error_and_not_the_end_of_the_process() -> None:
    sizes, steps = torch.tensor([1 << 50]), torch.ones(1, dtype=torch.float64)
    with pytest.raises(MemoryError, match="lo_nearest_other: no memory"):
        native.call("lo_nearest_other", torch.zeros(1, dtype=torch.uint8), sizes, steps, 1, 1 << 50, torch.zeros(1))
    numbers, found = torch.zeros(1, dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    with pytest.raises(MemoryError, match="lo_nearest_object: no memory"):
        native.call("lo_nearest_object", numbers, sizes, steps, 1, 1 << 50, torch.zeros(1), found)


def test_every_function_can_be_called_and_none_ends_the_process() -> None:
    declared = exported()
    assert len(declared) >= 12 and all(parse(name, words) for name, (_, words) in declared.items())
    assert not [source.name for source in sources() if "abort(" in source.read_text()]


def test_a_parameter_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match=r"lo_new: 'char \*name' is no parameter"):
        parse("lo_new", "int64_t n, char *name")

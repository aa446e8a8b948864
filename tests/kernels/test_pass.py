"""All back ends of the pass give the statistics and the gradient of the plain one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lossodyssey import kernels, native
from lossodyssey.kernels import MapSum, MapTerm, Request, Truth, VoxelTerm, chunk, compiled_chunks

CLASSES = 5
NEEDS_TRITON = pytest.mark.skipif(not kernels.has_triton(), reason="Triton is not installed")
NEEDS_COMPILER = pytest.mark.skipif(native.library() is None, reason="no C compiler")
BACKENDS = ["chunked", pytest.param("compiled", marks=NEEDS_COMPILER), pytest.param("fused", marks=NEEDS_TRITON)]
VOXELS = {"fused": 200}
"""Voxels of a sample where 3000 would take too long: Triton's interpreter runs every block of 64 voxels in Python."""
KINDS = ["table", "squares", "log_p", "voxels", "maps", "map", "one channel", "map sums", "map sums and formulas"]
KINDS += ["all but map sums", "all"]
TOLERANCE = {torch.float64: (1e-12, 1e-12), torch.float32: (1e-6, 1e-5)}


def cross_entropy(log_p: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    return -log_p


def focal_with_map(log_p: Tensor, labels: Tensor, classes: Tensor, m: Tensor) -> Tensor:
    return m * torch.expm1(log_p) * log_p * (1 + labels)


def distance_term(s: Tensor, g: Tensor, m: Tensor) -> Tensor:
    return m * (s - g) ** 2


def logits_and_truth(
    link: str, dtype: torch.dtype = torch.float64, samples: int = 2, voxels: int = 3000
) -> tuple[Tensor, Truth]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(samples, CLASSES, voxels, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (samples, voxels), generator=generator)
    if link == "softmax":
        return logits.to(dtype), Truth(labels, None, None, None, sigmoid=False)
    regions = torch.rand(logits.shape, generator=generator) > 0.6
    return logits.to(dtype), Truth(None, regions, None, None, sigmoid=True)


def request_for(kind: str, logits: Tensor, truth: Truth) -> Request:
    generator = torch.Generator().manual_seed(1)
    elements = CLASSES if truth.sigmoid else 1
    voxel_map = torch.rand(len(logits), elements, logits.shape[2], generator=generator).to(logits.dtype)
    class_map = torch.rand(logits.shape, generator=generator).to(logits.dtype)
    voxel_terms = [VoxelTerm(1, cross_entropy), VoxelTerm(2, focal_with_map, (voxel_map,))]
    map_terms = [MapTerm(3, distance_term, (class_map,), first=1)]
    other_map = torch.randn(len(logits), logits.shape[2], CLASSES, generator=generator).transpose(1, 2)
    map_sums = [
        MapSum(4, class_map.float() - 0.5, first=2),
        MapSum(5, voxel_map[:, :1].float(), first=1),
        MapSum(4, other_map),
    ]
    return {
        "table": Request(table=True),
        "squares": Request(table=True, squares=True),
        "log_p": Request(log_p=True),
        "voxels": Request(voxel_terms=voxel_terms[:1]),
        "maps": Request(map_terms=map_terms),
        "map": Request(map_sums=map_sums[:1]),
        "one channel": Request(True, map_sums=map_sums[1:2]),
        "map sums": Request(True, True, map_sums=map_sums),
        "map sums and formulas": Request(False, False, False, voxel_terms, map_terms, map_sums),
        "all but map sums": Request(True, True, True, voxel_terms, map_terms),
        "all": Request(True, True, True, voxel_terms, map_terms, map_sums),
    }[kind]


def outcome(backend: str, logits: Tensor, truth: Truth, request: Request) -> tuple[list[Tensor], Tensor]:
    """Return all statistics of the pass, and the gradient of a random mixture of it."""
    leaf = logits.detach().clone().requires_grad_()
    with kernels.forced(backend):
        statistics = kernels.run_pass(leaf, truth, request)
        parts = [statistics.sums, statistics.map_sums, statistics.terms] + (
            [] if statistics.log_p is None else [statistics.log_p]
        )
        generator = torch.Generator().manual_seed(2)
        mixture = sum((part * torch.rand(part.shape, generator=generator, dtype=torch.float64)).sum() for part in parts)
        assert isinstance(mixture, Tensor)
        (gradient,) = torch.autograd.grad(mixture, leaf)
    return [x.detach() for x in (*parts, statistics.truths, statistics.map_truths, statistics.voxels)], gradient


def assert_agreement(backend: str, logits: Tensor, truth: Truth, request: Request) -> None:
    value_tolerance, gradient_tolerance = TOLERANCE[logits.dtype]
    values, gradient = outcome(backend, logits, truth, request)
    expected_values, expected_gradient = outcome("plain", logits.double(), truth, request)
    for value, expected in zip(values, expected_values, strict=True):
        scale = float(expected.abs().max()) if expected.numel() else 0
        torch.testing.assert_close(value.double(), expected, rtol=value_tolerance, atol=value_tolerance * scale)
    scale = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=gradient_tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_back_ends_agree(backend: str, link: str, kind: str, dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth(link, dtype, voxels=VOXELS.get(backend, 3000))
    assert_agreement(backend, logits, truth, request_for(kind, logits, truth))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_voxel_weights_and_the_ignore_label_agree(backend: str, link: str, dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth(link, dtype, voxels=VOXELS.get(backend, 3000))
    weight = torch.rand(2, 1, logits.shape[2], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weighted = replace(truth, weight=weight.where(weight > 0.3, 0))
    ignoring = replace(truth, ignore=2 if link == "softmax" else None, weight=weight > 0.5)
    for other in (weighted, ignoring):
        assert_agreement(backend, logits, other, request_for("all", logits, other))
        assert_agreement(backend, logits, other, request_for("map sums", logits, other))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_per_channel_agree(backend: str, kind: str, dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth("sigmoid", dtype, voxels=VOXELS.get(backend, 3000))
    each = torch.rand(logits.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    annotated = each[:, :, :1] > 0.4
    for weight in (each.where(each > 0.3, 0), each > 0.5, annotated, each[:, :, :1]):
        given = replace(truth, weight=weight.expand_as(each))
        assert_agreement(backend, logits, given, request_for(kind, logits, given))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_any_width_agree(backend: str, dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth("softmax", voxels=VOXELS.get(backend, 3000))
    assert truth.labels is not None
    assert_agreement(backend, logits, replace(truth, labels=truth.labels.to(dtype)), request_for("all", logits, truth))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float16, torch.float32])
def test_regions_of_any_dtype_agree(backend: str, dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth("sigmoid", torch.float32, voxels=VOXELS.get(backend, 3000))
    assert truth.regions is not None
    given = replace(truth, regions=truth.regions.mT.contiguous().mT.to(dtype))
    assert_agreement(backend, logits, given, request_for("all", logits, given))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_without_samples_there_are_no_sums(link: str, backend: str) -> None:
    logits, truth = logits_and_truth(link, torch.float32, samples=0)
    request = request_for("all", logits, truth)
    with kernels.forced(backend):
        statistics = kernels.run_pass(logits.requires_grad_(), truth, request)
    assert statistics.map_sums.shape == statistics.map_truths.shape == (0, CLASSES, 3)
    (gradient,) = torch.autograd.grad(statistics.map_sums.sum() + statistics.terms.sum(), logits)
    assert gradient.shape == logits.shape


def test_the_columns_of_a_loss_are_found_by_its_maps() -> None:
    logits, truth = logits_and_truth("softmax", voxels=10)
    request = request_for("all", logits, truth)
    assert [request.map_positions(owner) for owner in (4, 5, 6)] == [[0, 2], [1], []]


def sums_under(maps: list[MapSum], logits: Tensor, truth: Truth) -> Tensor:
    return kernels.run_pass(logits, truth, Request(map_sums=maps)).map_sums


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_sums_under_maps_are_those_of_their_formula(link: str) -> None:
    logits, truth = logits_and_truth(link, voxels=40)
    maps = request_for("map sums", logits, truth).map_sums
    weighted = replace(truth, weight=torch.rand(2, 1, 40, generator=torch.Generator().manual_seed(6)))
    assert weighted.weight is not None
    s = logits.softmax(1) if link == "softmax" else logits.sigmoid()
    expected = torch.stack([(s * term.map * weighted.weight).sum(2) for term in maps], 2)
    for k, term in enumerate(maps):
        expected[:, : term.first, k] = 0
    torch.testing.assert_close(sums_under(maps, logits, weighted), expected)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("backend", ["plain", *BACKENDS])
def test_sums_under_maps_have_second_derivatives(backend: str, link: str) -> None:
    logits, truth = logits_and_truth(link, samples=1, voxels=4)
    maps = request_for("map sums", logits, truth).map_sums
    with kernels.forced(backend):
        assert torch.autograd.gradgradcheck(lambda z: sums_under(maps, z, truth), logits.requires_grad_())


def test_sums_under_maps_are_traced_by_function_transforms() -> None:
    logits, truth = logits_and_truth("sigmoid", voxels=20)
    maps = request_for("map sums", logits, truth).map_sums
    expected = torch.autograd.functional.jacobian(lambda z: sums_under(maps, z, truth), logits)
    torch.testing.assert_close(torch.func.jacrev(lambda z: sums_under(maps, z, truth))(logits), expected)
    pairs = torch.stack([logits, 2 * logits])
    found = torch.func.vmap(lambda z: sums_under(maps, z, truth))(pairs)
    torch.testing.assert_close(found, torch.stack([sums_under(maps, z, truth) for z in pairs]))
    traced = torch.compile(lambda z: sums_under(maps, z, truth), fullgraph=True, backend="eager")
    torch.testing.assert_close(traced(logits), sums_under(maps, logits, truth))


def test_a_soft_truth_is_summed_under_maps_as_it_is() -> None:
    logits, _ = logits_and_truth("softmax", voxels=20)
    soft = Truth(None, logits.flip(2).softmax(1), None, None, sigmoid=False, soft=True)
    assert soft.regions is not None
    request = Request(map_sums=[MapSum(1, logits.square()), MapSum(1, logits[:, :1], first=1)])
    found = kernels.run_pass(logits, soft, request).map_truths
    torch.testing.assert_close(found[:, :, 0], (soft.regions * logits.square()).sum(2))
    torch.testing.assert_close(found[:, 1:, 1], (soft.regions * logits[:, :1]).sum(2)[:, 1:])
    assert not found[:, 0, 1].any()


def soft_truth(link: str, logits: Tensor) -> Truth:
    """Shares of every class, of which every third voxel is sure."""
    shares = torch.rand(logits.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    if link == "softmax":
        shares[:, :, ::3] = torch.nn.functional.one_hot(shares.argmax(1), logits.shape[1]).mT[:, :, ::3].double()
        shares = shares / shares.sum(1, keepdim=True)
    else:
        shares[:, :, ::3] = shares[:, :, ::3].round()
    return Truth(None, shares, None, None, link == "sigmoid", soft=True)


@NEEDS_TRITON
@pytest.mark.parametrize("kind", ["squares", "log_p", "voxels", "maps", "map sums", "all"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_fused_kernels_agree_on_soft_truths(link: str, kind: str) -> None:
    logits, _ = logits_and_truth(link, voxels=100)
    truth = soft_truth(link, logits)
    weight = torch.rand(2, 1, 100, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for given in (truth, replace(truth, weight=weight.where(weight > 0.3, 0))):
        assert_agreement("fused", logits, given, request_for(kind, logits, given))


@NEEDS_TRITON
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("soft", [False, True])
def test_fused_kernels_agree_in_blocks_of_classes(link: str, soft: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossodyssey.kernels.fused import tiles

    monkeypatch.setattr(tiles, "MOST_ROWS", 2)
    logits, truth = logits_and_truth(link, voxels=70)
    truth = soft_truth(link, logits) if soft else replace(truth, ignore=1 if link == "softmax" else None)
    # A class of far greater logits in the last block: what the first blocks added up must be scaled down.
    logits[:, -1] += 20
    assert_agreement("fused", logits, truth, request_for("all", logits, truth))


@NEEDS_TRITON
def test_fused_kernels_read_nothing_of_voxels_that_do_not_count() -> None:
    for link in ("softmax", "sigmoid"):
        logits, truth = logits_and_truth(link, torch.float32, voxels=70)
        weight = (torch.arange(70) % 3 > 0).expand(2, 1, 70)
        given = replace(truth, weight=weight)
        expected = outcome("fused", logits, given, request_for("all", logits, given))
        spoiled = outcome("fused", logits.masked_fill(~weight, torch.nan), given, request_for("all", logits, given))
        for value, other in zip(expected[0][:3], spoiled[0][:3], strict=True):
            assert torch.equal(value, other)
        assert torch.equal(expected[1], spoiled[1])


@NEEDS_TRITON
@pytest.mark.parametrize("classes", [2, 3, 17])
def test_fused_kernels_agree_for_any_number_of_classes_and_voxels(classes: int) -> None:
    generator = torch.Generator().manual_seed(4)
    for voxels in (1, 130):
        logits = torch.randn(2, classes, voxels, generator=generator, dtype=torch.float64)
        labels = torch.randint(0, classes, (2, voxels), generator=generator)
        truth = Truth(labels.to(torch.uint8), None, None, 1, sigmoid=False)
        request = Request(True, True, True, [VoxelTerm(1, cross_entropy)])
        assert_agreement("fused", logits, truth, request)
        half = logits.half()
        value, gradient = outcome("fused", half, truth, request)
        expected, expected_gradient = outcome("plain", half.double(), truth, request)
        torch.testing.assert_close(value[0].double(), expected[0], rtol=1e-5, atol=1e-4)
        assert gradient.dtype == torch.float16
        torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-3, atol=1e-4)


IN_CHUNKS = pytest.mark.parametrize("backend", BACKENDS[:2])


def limit_chunks(monkeypatch: pytest.MonkeyPatch, voxels: int) -> None:
    monkeypatch.setattr(chunk, "CHUNK_VOXELS", voxels)
    monkeypatch.setattr(compiled_chunks, "MOST_VOXELS", voxels)


@IN_CHUNKS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_the_size_of_a_chunk_and_the_threads_change_nothing(
    link: str, threads: int, dtype: torch.dtype, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(native, "GRAIN", 1)
    logits, truth = logits_and_truth(link, dtype, voxels=3001)
    request = request_for("all", logits, truth)
    for voxels in (1024, 1500, 1 << 16):
        limit_chunks(monkeypatch, voxels)
        assert_agreement(backend, logits, truth, request)


@IN_CHUNKS
def test_threads_leave_the_setting_as_it_was(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        limit_chunks(monkeypatch, 1024)
        logits, truth = logits_and_truth("softmax")
        first, second = (outcome(backend, logits, truth, Request(table=True)) for _ in range(2))
        assert torch.get_num_threads() == 2
        assert torch.equal(first[0][0], second[0][0]) and torch.equal(first[1], second[1])
    finally:
        torch.set_num_threads(before)


@IN_CHUNKS
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e5])
def test_extreme_logits_stay_finite(scale: float, backend: str) -> None:
    logits, truth = logits_and_truth("softmax", torch.float32)
    assert_agreement(backend, scale * logits.clamp(-1, 1), truth, request_for("squares", logits, truth))
    values, gradient = outcome(backend, scale * logits, truth, request_for("all", logits, truth))
    assert all(value.isfinite().all() for value in values) and gradient.isfinite().all()


@IN_CHUNKS
def test_nothing_of_the_size_of_the_logits_is_kept(backend: str) -> None:
    logits, truth = logits_and_truth("softmax")
    leaf, kept = logits.requires_grad_(), set()

    def pack(x: Tensor) -> Tensor:
        kept.add(x.data_ptr())
        return x

    with kernels.forced(backend), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        kernels.run_pass(leaf, truth, request_for("all", logits, truth))
    assert kept == {leaf.data_ptr()}


@NEEDS_COMPILER
@pytest.mark.parametrize("classes", [2, 3, 14, 118])
@pytest.mark.parametrize("voxels", [1, 255, 256, 1000])
def test_compiled_blocks_of_any_size_agree(classes: int, voxels: int) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = 4 * torch.randn(2, voxels, classes, generator=generator).transpose(1, 2)  # channels last
    labels = torch.randint(0, classes, (2, voxels), generator=generator, dtype=torch.uint8)
    truth = Truth(labels, None, None, 1, sigmoid=False)
    assert_agreement("compiled", logits, truth, Request(True, True, True, [VoxelTerm(1, cross_entropy)]))


@NEEDS_COMPILER
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_compiled_half_precision_is_float32_rounded_once(dtype: torch.dtype) -> None:
    logits, truth = logits_and_truth("softmax", dtype)
    maps = request_for("map sums", logits.float(), truth).map_sums
    request = Request(True, True, True, [VoxelTerm(1, cross_entropy)], map_sums=maps)
    values, gradient = outcome("compiled", logits, truth, request)
    expected, expected_gradient = outcome("compiled", logits.float(), truth, request)
    assert all(map(torch.equal, values, expected))
    assert torch.equal(gradient, expected_gradient.to(dtype))


@NEEDS_COMPILER
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_compiled_code_treats_what_is_no_number_as_pytorch_does(bad: float) -> None:
    logits, truth = logits_and_truth("softmax", torch.float32, voxels=300)
    logits[0, 2, 17] = bad
    request = Request(True, True, True)
    values, gradient = outcome("compiled", logits, truth, request)
    expected, expected_gradient = outcome("plain", logits, truth, request)
    for found, wanted in zip([*values, gradient], [*expected, expected_gradient], strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_unknown_back_end_is_refused() -> None:
    with pytest.raises(ValueError, match="backend is 'fast', expected one of"), kernels.forced("fast"):
        pass

"""What the base does for every auxiliary: keys, checks, spacing per sample, compiled graphs, function transforms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from lossodyssey.auxiliary import AUXILIARIES, Auxiliary, BorderWeights, SignedDistance, from_key

KEYS = [
    "phi",
    "phi[zero=none,normalize=max]",
    "boundary_distance",
    "rectified",
    "penalty",
    "border",
    "distance",
    "components",
    "components[connectivity=faces]",
    "cells",
    "inverse_size",
    "inverse_size[clip=None]",
    "inverse_size[clip=(0.5, 3.0)]",
    "class_frequency",
    "skeleton",
    "skeleton[per_class=True,tube=2]",
    "skeleton[tube=1,merged=True]",
    "depth",
    "soft_skeleton",
    "soft_skeleton[iterations=auto]",
    "soft_skeleton[iterations=1]",
    "signed_share",
    "signed_share[zero=jump]",
    "edge",
    "edge[border=True]",
    "edge_distance",
    "edge_distance[form=whole]",
]
GENERATOR = torch.Generator()


def labels(samples: int = 3, space: Sequence[int] = (9, 8)) -> Tensor:
    coarse = torch.randint(0, 4, (samples, *[-(-n // 3) for n in space]), generator=GENERATOR.manual_seed(1))
    for axis, n in enumerate(space, start=1):
        coarse = coarse.repeat_interleave(3, axis).narrow(axis, 0, n)
    return coarse  # three classes, and 3 for what does not count


def regions(samples: int = 3, space: Sequence[int] = (9, 8)) -> Tensor:
    return torch.stack([labels(samples, space) > 0, labels(samples, space) == 2], 1)


def test_every_auxiliary_is_among_the_keys() -> None:
    assert {from_key(key).name for key in KEYS} == {
        name for name, cls in AUXILIARIES.items() if cls.__module__.startswith("lossodyssey.")
    }


@pytest.mark.parametrize("key", KEYS)
def test_keys_round_trip(key: str) -> None:
    auxiliary = from_key(key)
    assert auxiliary.key == key and from_key(auxiliary.key) == auxiliary
    assert type(auxiliary) is AUXILIARIES[auxiliary.name] and eval(repr(auxiliary), dict(vars(_all()))) == auxiliary


def _all() -> object:
    import lossodyssey.auxiliary

    return lossodyssey.auxiliary


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("truth", [labels(), regions()], ids=["labels", "regions"])
def test_spacing_per_sample_is_one_call_per_sample(key: str, truth: Tensor) -> None:
    auxiliary, rows = from_key(key), [(2.0, 0.5), (1.0, 3.0), (2.0, 0.5)]
    made = auxiliary(truth, 3, rows)
    for sample, row in enumerate(rows):
        assert torch.equal(made[sample : sample + 1], auxiliary(truth[sample : sample + 1], 3, row))
    assert torch.equal(auxiliary(truth, 3, torch.tensor(rows)), made)
    assert torch.equal(auxiliary(truth, 3, torch.tensor([(2.0, 0.5)] * 3)), auxiliary(truth, 3, (2.0, 0.5)))


ROWS = torch.tensor([(2.0, 0.5), (1.0, 3.0), (2.0, 0.5)])


@pytest.mark.parametrize("number", range(len(KEYS)), ids=KEYS)
def test_compiled_functions_stay_one_graph(number: int) -> None:
    torch.compiler.reset()
    auxiliary, truth = from_key(KEYS[number]), (labels(), regions())[number % 2]

    def total(values: Tensor, spacing: tuple[float, ...] | Tensor | None) -> Tensor:
        return (values * auxiliary(truth, 3, spacing)).sum()

    compiled, values = torch.compile(total, fullgraph=True, backend="aot_eager"), torch.ones(len(truth), 1, 9, 8)
    values.requires_grad_()
    for spacing in [ROWS] if number else [None, (2.0, 1.0), (0.5, 3.0), ROWS]:
        (slope,) = torch.autograd.grad(compiled(values, spacing), values)
        torch.testing.assert_close(slope, torch.autograd.grad(total(values, spacing), values)[0])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("truth", [labels(4), regions(4)], ids=["labels", "regions"])
def test_function_transforms_fold_their_axis(key: str, truth: Tensor) -> None:
    auxiliary, steps = from_key(key), torch.rand(4, 2, generator=GENERATOR.manual_seed(0)) + 0.5
    each = torch.vmap(lambda sample: auxiliary(sample[None], 3)[0])
    assert torch.equal(each(truth), auxiliary(truth, 3))
    spaced = torch.vmap(lambda sample, step: auxiliary(sample[None], 3, step)[0])
    assert torch.equal(spaced(truth, steps), auxiliary(truth, 3, steps))
    same = torch.vmap(lambda step: auxiliary(truth, 3, step))
    assert torch.equal(same(steps)[1], auxiliary(truth, 3, steps[1]))
    rows = torch.vmap(lambda pair: auxiliary(pair, 3, steps[:2]))(truth.unflatten(0, (2, 2)))
    assert torch.equal(rows[1], auxiliary(truth[2:], 3, steps[:2]))
    slope = torch.func.grad(lambda s: (s * auxiliary(truth, 3)).sum())(torch.ones(()))
    torch.testing.assert_close(slope, auxiliary(truth, 3).sum().float())


@pytest.mark.parametrize("key", KEYS)
def test_nothing_gives_zeros_of_the_right_shape(key: str) -> None:
    auxiliary = from_key(key)
    for truth in (labels(), regions()):
        shape = auxiliary(truth, 3).shape
        assert auxiliary(truth[:0], 3).shape == (0, *shape[1:])
        for spacing in (None, (1.0, 2.0), [(1.0, 2.0)] * 3):
            nothing = auxiliary(truth[..., :0], 3, spacing)
            assert nothing.shape[:2] == shape[:2] and nothing.ndim == len(shape)
            assert nothing.dtype == auxiliary.dtype and not nothing.any()


@pytest.mark.parametrize("key", KEYS)
def test_the_result_is_new_and_of_its_dtype(key: str) -> None:
    auxiliary = from_key(key)
    for truth in (labels(), labels().to(torch.uint8), labels().int(), regions(), labels(2, (6, 5, 4)), labels(2, (5,))):
        if auxiliary.name == "skeleton" and truth.ndim == 2:
            continue
        untouched = truth.clone()
        made = auxiliary(truth, 3)
        assert made.dtype == auxiliary.dtype and made.shape == auxiliary.shape(truth, 3)
        assert torch.equal(truth, untouched) and made.data_ptr() != truth.data_ptr()
        assert torch.equal(auxiliary(truth.transpose(-1, 0).contiguous().transpose(-1, 0), 3), made)


def test_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"SignedDistance\.zero is 'outer', expected 'inner' or 'voxel-shift'"):
        SignedDistance(zero="outer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"BorderWeights\.w0 is 'large', expected a number"):
        BorderWeights(w0="large")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"BorderWeights\.w0 is True"):
        BorderWeights(w0=True)
    with pytest.raises(ValueError, match="expected w0 >= 0 and sigma > 0"):
        BorderWeights(sigma=0)
    with pytest.raises(ValueError, match=r"truth is torch.float32, expected integer labels"):
        SignedDistance()(torch.zeros(1, 4, 4), 2)
    with pytest.raises(ValueError, match=r"spacing has shape \(3,\), expected \(2,\)"):
        SignedDistance()(labels(), 3, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("phy", "unknown auxiliary 'phy', expected one of .*phi.*, fields in"),
        ("phi[", "unknown auxiliary"),
        ("phi[]", "unknown auxiliary"),
        ("phi[zerro=none]", "has 'zerro=none', expected field=value, each field once, of: zero, normalize"),
        ("phi[zero=none,zero=none]", "each field once"),
        ("phi[zero]", "has 'zero'"),
        ("phi[zero=outer]", "zero is 'outer', expected 'inner'"),
        ("border[w0=inf]", "w0 is 'inf', expected a number"),
        ("border[w0=1e]", "w0 is '1e', expected a number"),
        ("rectified[zero=none]", "each field once, of: $"),
    ],
)
def test_wrong_keys_are_named(key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_key(key)


def test_a_taken_name_is_refused_and_a_new_one_filed() -> None:
    with pytest.raises(ValueError, match=r"the name 'phi' is taken by lossodyssey.auxiliary.signed_distance"):

        class Other(Auxiliary, name="phi"):
            def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
                raise NotImplementedError

    with pytest.raises(ValueError, match="other signs than letters"):

        class Spaced(Auxiliary, name="a b"):
            def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
                raise NotImplementedError

    class Ones(Auxiliary, name="ones_of_a_test"):
        size: tuple[float, int] | None = (1, 2)
        thick: bool = False

        def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
            return torch.ones(self.shape(truth, classes))

    try:
        assert Ones(thick=True, size=(3, 4)).key == "ones_of_a_test[size=(3.0, 4),thick=True]"
        for one in (Ones(), Ones(size=None), Ones(size=(0.25, 4)), Ones(thick=True, size=(3, 4))):
            assert from_key(one.key) == one
        assert Ones()(labels(), 3).sum() == 3 * 3 * 72
        with pytest.raises(ValueError, match=r"size is '\(1,\)', expected a tuple of 2 numbers or None"):
            from_key("ones_of_a_test[size=(1,)]")
        with pytest.raises(ValueError, match=r"size is '\(1,2\.5\)'"):
            from_key("ones_of_a_test[size=(1,2.5)]")
    finally:
        del AUXILIARIES["ones_of_a_test"]


def test_a_class_without_a_name_is_abstract() -> None:
    class Family(Auxiliary):
        def make(self, truth: Tensor, classes: int, spacing: Sequence[float] | None) -> Tensor:
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"Family has no name; expected class Family\(Auxiliary, name=\.\.\.\)"):
        Family()


def test_an_auxiliary_can_be_constructed_in_a_compiled_graph() -> None:
    torch.compiler.reset()

    def distance(truth: Tensor) -> Tensor:
        return SignedDistance(zero="none")(truth, 3, (2.0, 1.0)) + 1

    assert torch.equal(torch.compile(distance, fullgraph=True, backend="aot_eager")(labels()), distance(labels()))

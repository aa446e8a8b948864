"""Six losses of users have every property of the atlas's losses, and train in the light engine."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lossodyssey as lo
from lossodyssey.data.patches import CachedCase
from lossodyssey.training.settings import Settings
from lossodyssey.training.trainer import fit

sys.path.insert(0, str(Path(__file__).parents[1] / "losses"))
from test_properties import *  # noqa: F403 - the tests of the atlas's losses, with the losses of this file
from test_properties import WithImage

pytestmark = pytest.mark.usefixtures("own_atlas")
FILE = Path(__file__).with_name("outsiders.py")
NAMES = ["BrightCE", "Centroid", "LesionRecall", "SizeWeightedCE", "SmoothedDice", "WholeOrgan"]
SETTINGS = Settings(steps=2, epoch=1, patch=(16, 16), features=(4, 8), checkpoint_every=2, device="cpu")


@pytest.fixture(params=NAMES)
def loss(request: pytest.FixtureRequest, own_atlas: None) -> lo.Loss:
    lo.load_losses(FILE)
    found = lo.parse(f"{request.param}()")
    return WithImage(found) if found.needs_image else found  # type: ignore[return-value]


def test_each_is_at_most_twenty_lines_beside_its_docstring() -> None:
    classes = [node for node in ast.parse(FILE.read_text()).body if isinstance(node, ast.ClassDef)]
    assert sorted(node.name for node in classes) == NAMES
    for node in classes:
        docstring = node.body[0]
        lines = (node.end_lineno or 0) - node.lineno + 1 - ((docstring.end_lineno or 0) - docstring.lineno + 1)
        assert lines <= 20, node.name


def test_the_check_of_users_finds_nothing(loss: lo.Loss) -> None:
    own = loss.loss if isinstance(loss, WithImage) else loss
    assert [finding for finding in lo.check_loss(own) if not finding.holds] == []


@pytest.fixture
def cases() -> list[CachedCase]:
    rng = np.random.default_rng(0)
    return [disc(rng, number) for number in range(2)]


def disc(rng: np.random.Generator, number: int) -> CachedCase:
    rows, columns = np.mgrid[:32, :32]
    labels = ((rows - 12 - number) ** 2 + (columns - 16) ** 2 < 36).astype(np.int16)
    image = torch.from_numpy((labels + rng.normal(0, 0.3, labels.shape))[None].astype(np.float32))
    return CachedCase(f"disc{number}", image, torch.from_numpy(labels), (2.0, 1.0), (np.argwhere(labels == 1),))


def test_trains_in_the_light_engine(loss: lo.Loss, cases: list[CachedCase]) -> None:
    own = loss.loss if isinstance(loss, WithImage) else loss
    outcome = fit(own, cases, SETTINGS, classes=2, seed=0)
    assert outcome.reason == "" and len(outcome.curve) == 2
    untouched = fit(0.0001 * own, cases, SETTINGS, classes=2, seed=0)
    assert outcome.curve[0][1] == pytest.approx(1e4 * untouched.curve[0][1], rel=1e-4)
    assert outcome.curve[0][1] != outcome.curve[1][1]


def test_a_list_of_scales(loss: lo.Loss) -> None:
    own = loss.loss if isinstance(loss, WithImage) else loss
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(2, 3, n, n, generator=generator, dtype=torch.float64).requires_grad_() for n in (8, 4)]
    labels = torch.randint(0, 3, (2, 4, 4), generator=generator).repeat_interleave(2, 1).repeat_interleave(2, 2)
    image = torch.rand(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    values = [
        own(logits[0], labels, image=image, spacing=(2.0, 1.0)),
        own(logits[1], labels[:, ::2, ::2], image=torch.nn.functional.avg_pool2d(image, 2), spacing=(4.0, 2.0)),
    ]
    found = lo.Criterion(own)(logits, labels, image=image, spacing=(2.0, 1.0))
    torch.testing.assert_close(found, 2 / 3 * values[0] + 1 / 3 * values[1])
    assert all(gradient.any() for gradient in torch.autograd.grad(found, logits))


def test_they_compute_what_they_say() -> None:
    lo.load_losses(FILE)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 6, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (2, 6, 5), generator=generator)
    g = torch.nn.functional.one_hot(y, 3).movedim(-1, 1).double()
    close = torch.testing.assert_close
    close(lo.parse("SmoothedDice(share=0.3)")(z, y), lo.Dice()(z, 0.7 * g + 0.1))
    foreground = torch.stack([z[:, 0], z[:, 1:].logsumexp(1)], 1)
    close(lo.parse("WholeOrgan()")(z, y), lo.DiceCE()(foreground, (y > 0).long()))
    weight = lo.auxiliary.InverseSize(clip=None)(y, 3)[:, 0]
    ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
    close(lo.parse("SizeWeightedCE()")(z, y), (weight * ce).mean())
    dark = torch.full((2, 1, 6, 5), -100.0)
    close(lo.parse("BrightCE()")(z, y, image=-dark), 2 * lo.parse("BrightCE()")(z, y, image=dark))
    sharp = 60 * g
    close(lo.parse("Centroid()")(sharp.roll(1, 2), y.clone().fill_(0)), torch.zeros((), dtype=torch.float64))
    spot = torch.zeros(1, 6, 5, dtype=torch.long)
    spot[0, 2, 2] = 1
    seen = 60 * torch.nn.functional.one_hot(spot.roll(1, 1), 2).movedim(-1, 1).double()
    close(
        lo.parse("Centroid()")(seen, spot, spacing=(3.0, 1.0)),
        torch.tensor(9.0, dtype=torch.float64),
        rtol=1e-4,
        atol=0,
    )

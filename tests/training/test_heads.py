"""Networks with heads: their logits are those of the network without, and nobody but the loss sees more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import lossodyssey as lo
from lossodyssey.training.checkpoint import begin_with
from lossodyssey.training.heads import HeadsApart, narrowed, widened
from lossodyssey.training.network import build_network
from lossodyssey.training.settings import Settings

SETTINGS = Settings(features=(4, 8), patch=(8, 8))
IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
WITH_HEAD = "Dice() + 10 * SignedDistanceRegression(head=True)"


def build(heads: int = 0, features: tuple[int, ...] = (4, 8)) -> nn.Module:
    settings = Settings(features=features, patch=(8, 8))
    return build_network(settings, dimensions=2, channels=1, classes=3, seed=0, heads=heads)


def test_a_head_leaves_the_first_logits_as_they_are() -> None:
    plain, wide = build(), build(heads=1)
    assert wide(IMAGES).shape == (2, 6, 8, 8)
    torch.testing.assert_close(wide(IMAGES)[:, :3], plain(IMAGES), rtol=0, atol=1e-6)
    apart = HeadsApart(wide, 3, ["map"])
    assert wide(IMAGES).shape == (2, 3, 8, 8)
    (heads,) = apart.taken()
    assert heads["map"].shape == (2, 3, 8, 8) and apart.taken() == []


def test_weights_go_to_a_network_without_heads_and_back() -> None:
    plain, wide = build(), build(heads=2)
    shapes = {key: own.shape for key, own in plain.state_dict().items()}
    plain.load_state_dict(narrowed(wide.state_dict(), shapes))
    torch.testing.assert_close(wide(IMAGES)[:, :3], plain(IMAGES), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"weights of shape .* expected .* or those without heads"):
        widened(build(features=(8, 16)).state_dict(), wide.state_dict())


def test_a_loss_with_heads_begins_with_a_network_without_them(tmp_path: Path) -> None:
    other, network = build(), build(heads=1)
    with torch.no_grad():
        for own in other.parameters():
            own.mul_(1.5)
    torch.save({"network": other.state_dict()}, tmp_path / "checkpoint.pt")
    begin_with(network, tmp_path / "checkpoint.pt", "cpu", heads=True)
    torch.testing.assert_close(network(IMAGES)[:, :3], other(IMAGES), rtol=0, atol=1e-6)
    torch.save({"network": build(features=(8, 16)).state_dict()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="not a checkpoint of this network"):
        begin_with(network, tmp_path / "checkpoint.pt", "cpu", heads=True)


def test_the_criterion_takes_the_heads_off_the_channels_or_is_given_them() -> None:
    labels = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    output = build(heads=1)(IMAGES)
    logits, head = output[:, :3], output[:, 3:]
    criterion = lo.Criterion(WITH_HEAD, classes=3)
    value = criterion(output, labels)
    torch.testing.assert_close(lo.Criterion(WITH_HEAD)(logits, labels, heads={"signed_share": head}), value)
    torch.testing.assert_close(lo.parse(WITH_HEAD)(logits, labels, heads={"signed_share": head}), value)
    torch.testing.assert_close(criterion({"out": output, "aux": output}, labels), value)
    torch.testing.assert_close(sum(criterion.summands(output, labels).values()), value)
    (gradient,) = torch.autograd.grad(
        lo.Criterion("SignedDistanceRegression(head=True)", classes=3)(output, labels), output
    )
    assert not gradient[:, :4].any() and gradient[:, 4:].any()


def test_scales_of_deep_supervision_have_heads_of_their_own() -> None:
    labels = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    output = build(heads=1)(IMAGES)
    coarse = output[..., ::2, ::2]
    criterion = lo.Criterion(WITH_HEAD, classes=3)
    expected = (2 * criterion(output, labels) + criterion(coarse, labels[:, 1::2, 1::2])) / 3
    torch.testing.assert_close(criterion([output, coarse], labels), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, y: lo.Criterion(WITH_HEAD)(z, y), r"let the network have 6 channels and say Criterion\(loss, class"),
        (lambda z, y: lo.Criterion(WITH_HEAD, classes=3)(z, y), "logits have 3 channels, expected 6: 3 for the cl"),
        (lambda z, y: lo.Criterion("Dice()", classes=2)(z, y), "logits have 3 channels, expected 2"),
        (lambda z, y: lo.Criterion("Dice()", classes=0), "classes is 0, expected the number"),
        (
            lambda z, y: lo.parse(WITH_HEAD)(z, y, heads={"signed_share": z[:, :2]}),
            r"heads\['signed_share'\] has shape",
        ),
        (lambda z, y: lo.Criterion(WITH_HEAD)([z, z[..., ::2]], y, heads={"signed_share": z}), "2 scales, heads in 1"),
        (lambda z, y: lo.parse("Blobs(loss=SignedDistanceRegression(head=True))"), "expected a loss of logits alone"),
    ],
)
def test_missing_and_misfitting_heads_are_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long))


def test_what_a_head_holds_in_voxels_that_do_not_count_has_no_influence() -> None:
    labels = torch.randint(0, 2, (1, 6, 6), generator=torch.Generator().manual_seed(1))
    labels[0, :2] = 255
    logits, head = (torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(k)) for k in (2, 3))
    other = head.clone()
    other[..., :2, :] = torch.nan
    loss = lo.parse("SignedDistanceRegression(head=True)")
    values = [loss(logits, labels, ignore=255, heads={"signed_share": each}) for each in (head, other)]
    assert values[0] == values[1] and values[0].isfinite()


def test_a_head_that_is_the_map_of_distances_costs_nothing() -> None:
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[0, 3:6, 2:7] = 1
    y = lo.maps_for("SignedDistanceRegression()", labels, 2)["signed_share"].double()
    head = torch.atanh(y.clamp(-1 + 1e-9, 1 - 1e-9))
    value = lo.parse("SignedDistanceRegression(head=True)")(
        torch.zeros(1, 2, 9, 9), labels, heads={"signed_share": head}
    )
    assert float(value) == pytest.approx(0, abs=1e-6)

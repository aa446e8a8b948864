"""Names, protocols and target conventions of the nnU-Net trainers: what can be tested without nnU-Net."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from dataclasses import replace

import pytest
import torch

import lossodyssey as lo
from lossodyssey.integrations.nnunet import environment
from lossodyssey.integrations.nnunet.engine import NnUNet
from lossodyssey.integrations.nnunet.loss import PlanLoss, check_fit, pooled, scale_weights
from lossodyssey.integrations.nnunet.protocols import PROTOCOLS, Plateau
from lossodyssey.integrations.nnunet.recipe import PREFIX, Recipe, read_name

SPACE = (8, 8, 8)


def batch(channels: int = 3, labels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, channels, *SPACE, generator=generator)
    return logits, torch.randint(labels, (2, 1, *SPACE), generator=generator, dtype=torch.int16)


@pytest.mark.parametrize("card", [card for card in lo.atlas() if card.category != "custom"], ids=lambda card: card.name)
def test_every_loss_has_a_name_that_states_it(card: lo.Card) -> None:
    length = {"epochs": 100, "iterations": 50, "patience": 5}
    recipe = Recipe(loss=f"{card.name}()", protocol="odyssey", learning_rate=3e-4, seed=1, **length)
    assert recipe.name.isidentifier()
    read = read_name(recipe.name)
    assert read == recipe
    assert read.loss == repr(card())


def test_names_of_the_documentation() -> None:
    assert read_name("nnUNetTrainerLO_DiceTopK") == Recipe(loss="DiceTopK()")
    recipe = read_name("nnUNetTrainerLO_Tversky__lr3e4__100epochs")
    assert (recipe.learning_rate, recipe.epochs, recipe.protocol) == (3e-4, 100, "nnunet")
    assert read_name("nnUNetTrainerLO_Dice__lr25e5__1epoch").learning_rate == 2.5e-4


@pytest.mark.parametrize("rate", [3e-3, 2.5e-4, 1e-6, 0.1, 1.0, 12.0])
def test_learning_rates_survive_the_name(rate: float) -> None:
    assert read_name(Recipe(loss="Dice()", learning_rate=rate).name).learning_rate == pytest.approx(rate, rel=1e-12)


def test_a_preset_has_its_name_however_it_is_written() -> None:
    for text in ("DiceTopK()", "Dice() + TopK()", "TopK() + Dice()", "DiceTopK10()"):
        assert Recipe(loss=text).name == f"{PREFIX}DiceTopK"
    assert read_name(f"{PREFIX}CE").loss == "CrossEntropy()"
    assert Recipe(loss="DiceTopK(batch=True)").name.startswith(f"{PREFIX}DiceTopK_batch_True_")
    boundary = Recipe(loss="Ramp(1, 0.01) * Dice() + Ramp(0, 0.99) * Boundary()", protocol="odyssey")
    assert boundary.first_stage is not None and boundary.first_stage.loss == "Dice()"


def test_expressions_have_names_of_their_own() -> None:
    first, second = (Recipe(loss=f"Dice() + 0.5 * Focal(gamma={gamma})").name for gamma in (3, 4))
    assert first.isidentifier() and second.isidentifier() and first != second
    assert "__" not in first.removeprefix(PREFIX)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nnUNetTrainerLO_Tverski", "did you mean 'Tversky'"),
        ("nnUNetTrainerLO_Dice__fast", "'fast' is not known"),
        ("nnUNetTrainerLO_Dice__lr1e3__lr1e4", "'lr1e4' comes too late"),
        ("nnUNetTrainerLO_Dice__0epochs", "epochs is 0"),
        ("nnUNetTrainerLO_Dice__odyssey__0patience", "patience is 0; expected a positive number"),
        ("nnUNetTrainerLO_Dice__5patience", "protocol nnunet falls with every epoch; leave patience out"),
    ],
)
def test_wrong_names_say_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_name(name)


def test_deep_supervision_weights_are_those_of_nnunet() -> None:
    assert scale_weights(4, lowest=0) == [1, 0.5, 0.25, 0]
    assert scale_weights(1, lowest=0) == [1]
    logits, labels = batch()
    scales = [logits, logits[..., ::2, ::2, ::2], logits[..., ::4, ::4, ::4]]
    targets = [labels, labels[..., 1::2, 1::2, 1::2], labels[..., 2::4, 2::4, 2::4]]
    loss = lo.Dice() + lo.CrossEntropy()
    expected = (2 * loss(scales[0], targets[0]) + loss(scales[1], targets[1])) / 3
    torch.testing.assert_close(PlanLoss(loss, scales=scale_weights(3, lowest=0))(scales, targets), expected)


def test_distances_of_coarse_scales_are_in_their_spacing() -> None:
    logits, labels = batch()
    coarse, truth = logits[..., ::2, :, :], labels[..., ::2, :, :]
    value = PlanLoss(lo.Boundary(), spacing=(1, 2, 3), scales=(0.5, 0.5))([logits, coarse], [labels, truth])
    parts = [lo.Boundary()(logits, labels, spacing=(1, 2, 3)), lo.Boundary()(coarse, truth, spacing=(2, 2, 3))]
    torch.testing.assert_close(value, torch.stack(parts).mean())


@pytest.mark.parametrize("text", ["DiceCE()", "TopK()", "Tversky(batch=True)"])
def test_ignored_voxels_have_no_influence(text: str) -> None:
    logits, labels = batch(labels=4)
    loss = lo.parse(text)
    expected = loss(logits, labels, ignore=3)
    torch.testing.assert_close(PlanLoss(loss, ignore=3)(logits, labels), expected)
    masks = torch.cat([labels == 1, labels == 2, labels == 0, labels == 3], 1)
    weight = labels != 3
    value = PlanLoss(loss, regions=True, ignore=3)([logits, logits], [masks, masks])
    torch.testing.assert_close(value, loss(logits, masks[:, :3], link="sigmoid", weight=weight))
    noise = torch.where(weight, logits, 99.0)
    torch.testing.assert_close(PlanLoss(loss, regions=True, ignore=3)(noise, masks), value)


CARDS = [card for card in lo.atlas() if card.category not in ("custom", "as_released") and not card.needs_image]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_half_precision_is_computed_in_float32_at_every_scale(card: lo.Card, dtype: torch.dtype) -> None:
    fine, labels = batch()
    targets = [labels, labels[..., 1::2, 1::2, 1::2]]
    built = PlanLoss(card(), scales=scale_weights(2, lowest=1e-6), spacing=(1, 1, 1))
    try:
        check_fit(built, 3, 3)
    except ValueError:
        pytest.skip("refused before any data are loaded")
    halves = [scale.to(dtype).requires_grad_() for scale in (fine, fine[..., ::2, ::2, ::2])]
    with torch.autocast("cpu", torch.bfloat16):
        value = built(halves, targets)
    value.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.detach(), built([half.detach().float() for half in halves], targets))
    assert all(half.grad is not None and half.grad.dtype == dtype for half in halves)
    assert all(half.grad is not None and half.grad.isfinite().all() for half in halves)


def test_batch_dice_reaches_every_term_that_knows_it() -> None:
    assert repr(pooled(lo.parse("DiceCE()"))) == "DiceCE(batch=True)"
    assert repr(pooled(lo.CrossEntropy())) == "CrossEntropy()"


def test_a_loss_that_does_not_fit_says_why() -> None:
    with pytest.raises(ValueError, match=r"does not fit this configuration: .*2 numbers, but there are 3 classes"):
        check_fit(PlanLoss(lo.CrossEntropy(class_weights=(1, 2))), channels=3, dimensions=2)
    check_fit(PlanLoss(lo.Boundary(), regions=True, ignore=3, spacing=(1, 1), scales=(1, 0.5)), 2, 2)


def test_plateau_follows_the_logged_losses_alone() -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 3e-4)
    losses = [1.0] * 170
    plateau = Plateau(optimizer, 3e-4, lambda: losses, 50)
    rates = []
    for epoch in range(171):
        plateau.step(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[50] == 3e-4 and rates[51] == pytest.approx(6e-5) and rates[101] == pytest.approx(1.2e-5)
    losses[:] = [1.0] * 300
    assert next(epoch for epoch in range(300) if plateau.over(epoch)) == 201
    assert plateau.rate(200) == pytest.approx(2.4e-6) and plateau.rate(201) == pytest.approx(4.8e-7)
    assert not Plateau(optimizer, 1e-6, lambda: losses, 50).over(50)
    losses[:] = [1.0] * 20
    assert Plateau(optimizer, 3e-4, lambda: losses, 2).rate(5) == pytest.approx(1.2e-5)
    losses[:] = [1 / (1 + epoch) for epoch in range(170)]
    plateau.step(60)
    assert optimizer.param_groups[0]["lr"] == 3e-4


def test_a_training_too_short_for_its_patience_is_told_so() -> None:
    short = Recipe(loss="Dice()", protocol="odyssey", epochs=50)
    assert short.caveat == (
        "The learning rate cannot fall: that takes more than 50 epochs, and there are 50. "
        "Give a smaller patience; 2 has the protocol's share of the training."
    )
    assert short.caveat in NnUNet(protocol="odyssey", epochs=50).note
    assert not replace(short, patience=2).caveat and not replace(short, epochs=51).caveat
    assert not replace(short, protocol="nnunet").caveat


def test_patience_is_a_setting_only_where_it_is_given() -> None:
    assert "patience" not in NnUNet().settings
    assert NnUNet(protocol="odyssey", patience=2).settings["patience"] == 2
    with pytest.raises(ValueError, match="patience is 2, but the rate of protocol nnunet"):
        NnUNet(patience=2)


def test_grids_are_those_of_the_paper() -> None:
    odyssey = PROTOCOLS["odyssey"]
    assert sorted(odyssey.rates("Dice")) == sorted(odyssey.rates("Lovasz")) == [3e-5, 3e-4, 3e-3]
    assert sorted(odyssey.rates("DiceBoundary")) == [1e-6, 3e-6, 1e-5, 3e-5, 3e-4]


def test_export_line_keeps_other_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", os.pathsep.join(["/own trainers", str(environment.PLUGIN)]))
    expected = f"export nnUNet_extTrainer='{environment.PLUGIN}{os.pathsep}/own trainers'"
    assert environment.export_line() == expected
    assert [path.name for path in environment.PLUGIN.glob("*.py")] == ["lossodyssey_trainers.py"]


def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "version", lambda name: "2.7.0")
    with pytest.raises(ValueError, match=r"nnU-Net is 2\.7\.0, but these trainers extend 2\.8"):
        environment.check_version()

    def absent(name: str) -> str:
        if name == "nnunetv2":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.13.0"

    monkeypatch.setattr(environment, "version", absent)
    install = r'it is the extra nnunet: pip install "\.\[nnunet\]" torch==2\.13\.0'
    with pytest.raises(ValueError, match=install):
        environment.check_version()


def test_plugin_answers_to_its_own_names_only() -> None:
    spec = importlib.util.spec_from_file_location(
        "lossodyssey_trainers", environment.PLUGIN / "lossodyssey_trainers.py"
    )
    assert spec is not None and spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    assert not hasattr(plugin, "nnUNetTrainer") and not hasattr(plugin, "__path__")


@pytest.mark.parametrize("text", ["DiceHausdorff()", "Ratio() * Dice() + CrossEntropy()"])
def test_the_pair_that_tries_a_loss_leaves_no_trace_in_its_ratio(text: str) -> None:
    """The weight of the first epoch is 1, as in the paper, and not the ratio on a pair that was made up."""
    loss = PlanLoss(lo.parse(text), scales=scale_weights(2, lowest=0.0))
    check_fit(loss, 3, 3)
    lo.advance(loss, 0)
    assert float(loss.criterion.loss.get_buffer("ratio")) == 1

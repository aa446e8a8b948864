"""MONAI calls the losses: same values, its spacing, its trainer, its bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lossodyssey as lo

pytest.importorskip("monai")

from monai.bundle import ConfigParser
from monai.data import MetaTensor, list_data_collate
from monai.losses import DiceCELoss
from monai.transforms import Compose, EnsureTyped, RandFlipd

from lossodyssey.integrations.monai import AdvanceLoss, MonaiLoss, prepare_batch

SPACE = (8, 7, 6)


def pair(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, classes, *SPACE, generator=generator)
    return logits, torch.randint(classes, (2, 1, *SPACE), generator=generator)


def with_spacing(labels: Tensor, *spacings: tuple[float, ...]) -> MetaTensor:
    """A collated batch whose samples have these spacings, along rotated world axes."""
    turned = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    samples = [
        MetaTensor(sample, affine=turned @ torch.diag(torch.tensor([*spacing, 1.0])))
        for sample, spacing in zip(labels, spacings, strict=True)
    ]
    batch: MetaTensor = list_data_collate(samples)
    return batch


CARDS = [card for card in lo.atlas() if card.category != "custom" and not card().needs_image]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_value_is_that_of_the_plain_call(card: lo.Card) -> None:
    logits, labels = pair()
    loss = card()
    expected = lo.Criterion(loss)(logits, labels)
    one_hot = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    for target in (labels, labels.float(), one_hot, MetaTensor(labels)):
        torch.testing.assert_close(
            MonaiLoss(loss)(MetaTensor(logits), target), expected, rtol=1e-6, atol=1e-6, equal_nan=True
        )


def test_several_outputs_and_labels_of_every_kind_are_taken() -> None:
    logits, labels = pair()
    marked = torch.where(labels == 2, 254, labels).to(torch.uint8)
    marked[:, :, 0] = 255
    loss = MonaiLoss("DiceCE()", ignore=[254, -1])
    expected = lo.DiceCE()(logits, torch.where(marked > 200, 9, marked), ignore=9)
    for target in (marked, MetaTensor(marked), marked.numpy(), {"label": MetaTensor(marked)}):
        torch.testing.assert_close(loss({"out": MetaTensor(logits)}, target), expected)
    both = MonaiLoss("DiceCE()")({"out": logits, "aux": logits / 2}, labels)
    torch.testing.assert_close(both, (2 * lo.DiceCE()(logits, labels) + lo.DiceCE()(logits / 2, labels)) / 3)


def test_keywords_of_monai_are_answered() -> None:
    with pytest.raises(ValueError, match=r"takes no 'to_onehot_y' here; labels and one-hot targets are both taken"):
        MonaiLoss("DiceCE()", to_onehot_y=True)


def test_agrees_with_monai_where_the_definitions_are_the_same() -> None:
    logits, labels = pair()
    theirs = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, smooth_nr=1e-5, smooth_dr=1e-5)
    # MONAI averages over classes and samples what is here a mean too, and smooths numerator and denominator alike.
    torch.testing.assert_close(MonaiLoss("Dice() + CrossEntropy()")(logits, labels), theirs(logits, labels))


@pytest.mark.parametrize("text", ["Boundary()", "HausdorffDT()", "DistancePenalisedCE()"])
def test_spacing_comes_from_the_affine_in_the_order_of_the_array(text: str) -> None:
    logits, labels = pair()
    spacing = (2.0, 1.0, 0.5)
    expected = lo.Criterion(text)(logits, labels, spacing=spacing)
    batch = with_spacing(labels, spacing, spacing)
    torch.testing.assert_close(MonaiLoss(text)(logits, batch), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(MonaiLoss(text, spacing=spacing)(logits, labels), expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(lo.Criterion(text)(logits, labels), expected, rtol=1e-3)


@pytest.mark.parametrize("text", ["Boundary()", "HausdorffDT()"])
def test_samples_of_different_spacing_keep_their_own(text: str) -> None:
    logits, labels = pair()
    spacings = [(2.0, 1.0, 0.5), (1.0, 1.0, 1.0)]
    single = [
        lo.Criterion(text)(logits[i : i + 1], labels[i : i + 1], spacing=spacing) for i, spacing in enumerate(spacings)
    ]
    value = MonaiLoss(text)(logits, with_spacing(labels, *spacings))
    torch.testing.assert_close(value, torch.stack(single).mean(), rtol=1e-6, atol=1e-6)
    coarse = [logits, logits[..., ::2, ::2, ::2]]
    expected = lo.Criterion(text)(coarse, labels, spacing=torch.tensor(spacings))
    torch.testing.assert_close(MonaiLoss(text)(coarse, with_spacing(labels, *spacings)), expected)


class Told(lo.Loss, range=(0, 100)):
    """Returns how much of its context has arrived."""

    needs_image = True

    def of(self, pair: Any) -> Tensor:
        assert pair.image is not None and pair.annotated is not None and pair.weight is not None
        own = pair.image.mean() + 10 * pair.annotated.sum() + pair.weight.sum() + 1000 * pair.steps[1, 0]
        return own.double() + 0 * pair.z.sum()


def test_heads_are_the_channels_after_those_of_the_classes() -> None:
    logits, labels = pair()
    text, classes = "Dice() + 10 * SignedDistanceRegression(head=True)", logits.shape[1]
    both = torch.cat([logits, logits.flip(1)], 1)
    expected = lo.parse(text)(logits, labels[:, 0], heads={"signed_share": logits.flip(1)})
    torch.testing.assert_close(MonaiLoss(text, classes=classes)(both, labels), expected)
    with pytest.raises(ValueError, match=rf"let the network have {2 * classes} channels"):
        MonaiLoss(text)(logits, labels)


def test_image_annotated_classes_and_weight_arrive_by_name_or_with_the_target() -> None:
    logits, labels = pair()
    batch = with_spacing(labels, (2.0, 1.0, 0.5), (3.0, 1.0, 1.0))
    image, annotated = torch.full((2, 1, *SPACE), 7.0), torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    weight = torch.ones(2, 1, *SPACE)
    expected = torch.tensor(7.0 + 30 + weight.numel() + 3000)
    given = {"image": image, "annotated": annotated, "weight": weight}
    loss = MonaiLoss(Told())
    torch.testing.assert_close(loss(logits, batch, **given), expected)
    moved, target = prepare_batch({"label": batch, **given})
    assert moved is target["image"]
    torch.testing.assert_close(loss(logits, target), expected)
    torch.testing.assert_close(sum(loss.summands(logits, target).values()), expected)
    context = lo.Context(spacing=(4.0, 1, 1), image=image, annotated=annotated, weight=weight)
    torch.testing.assert_close(loss(logits, batch, context=context), expected + 1000)
    with pytest.raises(ValueError, match="image is given twice, by the target's 'image' and by name"):
        loss(logits, target, image=image)
    with pytest.raises(ValueError, match="target holds image; expected 'label'"):
        loss(logits, {"image": image})


def test_auxiliary_is_another_name_of_maps() -> None:
    logits, labels = pair()
    made = lo.maps_for("Boundary()", labels, 3)
    doubled = {key: 2 * value for key, value in made.items()}
    loss = MonaiLoss("Boundary()")
    expected = loss(logits, labels)
    for name in ("maps", "auxiliary"):
        torch.testing.assert_close(loss(logits, {"label": labels, name: doubled}), 2 * expected)
        torch.testing.assert_close(loss(logits, labels, **{name: doubled}), 2 * expected)


def test_affines_that_a_joined_batch_lost_stop_only_losses_that_measure() -> None:
    logits, labels = pair()
    half = with_spacing(labels[:1], (2.0, 1.0, 0.5))
    joined = torch.cat([half, with_spacing(labels[1:], (1.0, 1.0, 1.0))])
    torch.testing.assert_close(MonaiLoss("DiceCE()")(logits, joined), lo.DiceCE()(logits, labels))
    with pytest.raises(ValueError, match=r"spacing has 1 rows, expected one for each of the 2 samples"):
        MonaiLoss("Boundary()")(logits, joined)


def test_deep_supervision_and_regions_and_ignore() -> None:
    logits, labels = pair()
    scales = [logits, logits[..., ::2, ::2, ::2]]
    options: dict[str, Any] = {"ignore": 2, "scales": (1, 0.5)}
    expected = lo.Criterion("DiceCE()", **options)(scales, labels)
    torch.testing.assert_close(MonaiLoss("DiceCE()", **options)(scales, labels), expected)
    regions = (logits.roll(1, 2) > 0).float()
    expected = lo.Criterion("DiceCE()", link="sigmoid")(logits, regions)
    torch.testing.assert_close(MonaiLoss("DiceCE()", link="sigmoid")(logits, regions), expected)


@pytest.mark.parametrize("spacings", [[(2.0, 1.0, 0.5)] * 2, [(2.0, 1.0, 0.5), (1.0, 1.0, 1.0)]])
def test_summands_are_the_loss_in_parts(spacings: list[tuple[float, ...]]) -> None:
    logits, labels = pair()
    loss, target = MonaiLoss("Dice() + 0.1 * Boundary()"), with_spacing(labels, *spacings)
    for output in (logits, [logits, logits[..., ::2, ::2, ::2]]):
        summands = loss.summands(output, target)
        assert list(summands) == ["Dice()", "0.1 * Boundary()"]
        torch.testing.assert_close(sum(summands.values()), loss(output, target))


def test_bundle_configuration_builds_it_from_text() -> None:
    config = {"loss": {"_target_": "lossodyssey.integrations.monai.MonaiLoss", "loss": "Dice() + 0.5 * Focal()"}}
    loss = ConfigParser(config).get_parsed_content("loss")
    logits, labels = pair()
    assert repr(loss.criterion.loss) == "Dice() + 0.5 * Focal()"
    torch.testing.assert_close(loss(logits, labels), (lo.Dice() + 0.5 * lo.Focal())(logits, labels))


def samples(count: int = 4) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(2)
    found = []
    for _ in range(count):
        label = torch.zeros(1, *SPACE)
        label[:, 2:5, 2:5, 2:5] = 1
        image = label + 0.1 * torch.randn(label.shape, generator=generator)
        affine = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0]))
        found.append({"image": MetaTensor(image, affine=affine), "label": MetaTensor(label, affine=affine)})
    return found


def test_maps_of_the_transform_serve_the_loss() -> None:
    loss = lo.Boundary() + lo.Dice()
    transform = Compose(
        [RandFlipd(["image", "label"], prob=1.0, spatial_axis=0), EnsureTyped(["image"]), lo.AddMaps(loss, classes=2)]
    )
    batch = list_data_collate([transform(sample) for sample in samples(2)])
    image, target = prepare_batch(batch)
    logits = torch.cat([-image, image], 1)
    expected = lo.Criterion(loss)(logits.as_tensor(), target["label"].as_tensor(), spacing=(1, 2, 3))
    torch.testing.assert_close(MonaiLoss(loss)(logits, target), expected, rtol=1e-6, atol=1e-6, equal_nan=True)
    target["maps"]["phi"] *= 2
    assert not torch.allclose(MonaiLoss(loss)(logits, target), expected)


class Progress:
    """A handler that notes how far the schedules are in every epoch."""

    def __init__(self, loss: MonaiLoss) -> None:
        self.loss, self.seen = loss.criterion.loss, list[float]()

    def attach(self, engine: Any) -> None:
        from ignite.engine import Events

        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        self.seen.append(float(self.loss.get_buffer("progress")))


@pytest.mark.filterwarnings("ignore")
def test_supervised_trainer_learns_and_moves_the_schedule() -> None:
    pytest.importorskip("ignite", reason="MONAI's trainers need pytorch-ignite")
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedTrainer

    torch.manual_seed(0)
    loss = MonaiLoss("DiceBoundary()")
    network = torch.nn.Conv3d(1, 2, 3, padding=1)
    images, labels = (torch.stack([sample[key].as_tensor() for sample in samples()]) for key in ("image", "label"))
    before = lo.Dice()(network(images), labels)
    progress = Progress(loss)
    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=5,
        train_data_loader=DataLoader(Dataset(samples(), lo.AddMaps(loss.criterion.loss, classes=2)), batch_size=2),
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 0.05),
        loss_function=loss,
        prepare_batch=prepare_batch,
        train_handlers=[AdvanceLoss(loss), progress],
    ).run()
    assert progress.seen == [0, 0.25, 0.5, 0.75, 1]
    assert lo.Dice()(network(images), labels) < before - 0.1


def trained(text: str, epochs: int, folder: Path, *, resume: Path | None = None) -> list[Tensor]:
    """Train with MONAI's engine for `epochs` in all, with a checkpoint per epoch; give the weights after each step."""
    from ignite.engine import Events
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedTrainer
    from monai.handlers import CheckpointLoader, CheckpointSaver

    torch.manual_seed(0)
    loss, network, bits = MonaiLoss(text), torch.nn.Conv3d(1, 2, 3, padding=1), []
    parts: dict[str, Any] = {
        "network": network,
        "optimizer": torch.optim.Adam(network.parameters(), 0.05),
        "schedules": AdvanceLoss(loss),
    }
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(Dataset(samples()), batch_size=2),
        network=network,
        optimizer=parts["optimizer"],
        loss_function=loss,
        train_handlers=[parts["schedules"]],
    )
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: bits.append(network.weight.detach().clone()))
    parts["trainer"] = trainer
    CheckpointSaver(str(folder), parts, epoch_level=True, save_interval=1).attach(trainer)
    if resume:
        CheckpointLoader(str(resume), parts, map_location="cpu").attach(trainer)
    trainer.run()
    return bits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ["DiceHausdorff()", "Ramp(1, 0) * Dice() + Ratio() * CrossEntropy()"])
def test_the_handler_is_part_of_a_checkpoint(tmp_path: Path, text: str) -> None:
    pytest.importorskip("ignite", reason="MONAI's trainers need pytorch-ignite")
    whole = trained(text, 4, tmp_path / "whole")
    (path,) = (tmp_path / "whole").glob("*epoch=2.pt")
    resumed = trained(text, 4, tmp_path / "resumed", resume=path)
    assert 0 < len(resumed) == len(whole) / 2
    assert all(map(torch.equal, resumed, whole[len(resumed) :]))


@pytest.mark.parametrize("text", ["DiceTopK(class_weights=(1, 2, 3))", "Dice() + Lovasz()"])
def test_channels_that_are_not_annotated_weigh_nothing(text: str) -> None:
    logits, regions = pair()[0].requires_grad_(), torch.rand(2, 3, *SPACE) > 0.5
    annotated = torch.ones(2, 3, 1, 1, 1)
    annotated[0, 1] = 0
    loss = MonaiLoss(text, link="sigmoid")
    value = loss(logits, MetaTensor(regions), weight=annotated)
    torch.testing.assert_close(value, lo.parse(text)(logits, regions, link="sigmoid", weight=annotated))
    torch.testing.assert_close(sum(loss.summands(logits, regions, weight=annotated).values()), value)
    value.backward()
    assert logits.grad is not None and not logits.grad[0, 1].any() and logits.grad[1, 1].any()


def test_keywords_of_a_call_are_answered() -> None:
    logits, labels = pair()
    with pytest.raises(ValueError, match=r"Criterion takes no 'reduction' here; .* one number per sample"):
        MonaiLoss("Dice()")(logits, labels, reduction="none")
    with pytest.raises(ValueError, match=r"not of the call: Criterion\(ignore=...\)"):
        MonaiLoss("Dice()").summands(logits, labels, ignore=2)

"""The tests of one Keras back end, which a process chooses once: `test_keras.py` runs this file for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

import lossodyssey as lo
from lossodyssey.integrations.keras import AdvanceLoss, KerasLoss

pytestmark = pytest.mark.filterwarnings("ignore")

TORCH = keras.backend.backend() == "torch"
UNIFIED = (
    "SymmetricFocal",
    "AsymmetricFocal",
    "SymmetricFocalTversky",
    "AsymmetricFocalTversky",
    "SymmetricUnifiedFocal",
    "AsymmetricUnifiedFocal",
)
ATLAS = [card for card in lo.atlas() if card.category not in ("custom", "as_released")]


def batch(classes: int = 3, labels: int = 3) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 6, 5, classes)).astype("float32"), rng.integers(labels, size=(2, 6, 5))


def expected(loss: lo.Loss, logits: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], **context: Any) -> float:
    return float(loss(torch.tensor(logits).movedim(-1, 1), torch.tensor(labels), **context))


def value(loss: KerasLoss, target: Any, output: Any) -> float:
    return float(
        keras.ops.convert_to_numpy(loss(keras.ops.convert_to_tensor(target), keras.ops.convert_to_tensor(output)))
    )


def served(name: str) -> bool:
    try:
        KerasLoss(f"{name}()")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("card", [card for card in ATLAS if served(card.name)], ids=lambda card: card.name)
def test_values_are_those_of_torch(card: lo.Card) -> None:
    logits, labels = batch()
    text, wanted = f"{card.name}()", expected(card(), *batch())
    one_hot = np.eye(3, dtype="float32")[labels]
    for target in (labels, labels[..., None], one_hot):
        assert value(KerasLoss(text, from_logits=True), target, logits) == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    probabilities = keras.ops.softmax(keras.ops.convert_to_tensor(logits), axis=-1)
    assert value(KerasLoss(text), one_hot, probabilities) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", UNIFIED)
def test_unified_focal_family_is_served_everywhere(name: str) -> None:
    assert served(name)


def test_what_is_not_served_says_why() -> None:
    if TORCH:
        assert all(served(card.name) for card in ATLAS)
        return
    for text, reason in [
        ("Boundary()", "distance maps"),
        ("Lovasz()", "sorts"),
        ("ReleasedFocal()", "PyTorch code"),
        ("DiceBoundary()", "schedule"),
    ]:
        with pytest.raises(ValueError, match=reason):
            KerasLoss(text)


@pytest.mark.parametrize("text", ["DiceCE()", "AsymmetricUnifiedFocal()", "Tversky(batch=True, background=True)"])
def test_regions_single_channels_and_ignored_labels(text: str) -> None:
    loss = lo.parse(text)
    logits, labels = batch(labels=4)
    wanted = expected(loss, logits, labels, ignore=3)
    assert value(KerasLoss(text, from_logits=True, ignore=3), labels, logits) == pytest.approx(wanted, abs=1e-5)
    regions = (np.stack([labels == 1, labels > 0, labels == 2], -1)).astype("float32")
    wanted = expected(loss, logits, np.moveaxis(regions, -1, 1), link="sigmoid")
    assert value(KerasLoss(text, from_logits=True, link="sigmoid"), regions, logits) == pytest.approx(wanted, abs=1e-5)
    single, binary = logits[..., :1], (labels > 1).astype("float32")
    wanted = expected(loss, single, binary[:, None])
    for target in (binary, binary[..., None]):
        assert value(KerasLoss(text, from_logits=True), target, single) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("ignore", [[254, 255], (254, -1)])
@pytest.mark.parametrize("text", ["DiceCE()", "Focal()"])
def test_several_labels_may_be_ignored(text: str, ignore: Any) -> None:
    logits, labels = batch(labels=5)
    marked = np.where(labels == 3, 254, np.where(labels == 4, 255, labels)).astype("uint8")
    wanted = expected(lo.parse(text), logits, np.minimum(labels, 3), ignore=3)
    loss = KerasLoss(text, from_logits=True, ignore=ignore)
    assert value(loss, marked, logits) == pytest.approx(wanted, abs=1e-5)
    assert value(KerasLoss.from_config(loss.get_config()), marked, logits) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["CrossEntropy(class_weights=(1, 2, 3))", "Dice(class_weights=(1, 2, 3), absent='skip')"]
)
def test_class_weights(text: str) -> None:
    logits, labels = batch(labels=2)
    wanted = expected(lo.parse(text), logits, labels)
    assert value(KerasLoss(text, from_logits=True), labels, logits) == pytest.approx(wanted, abs=1e-5)


def model() -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, padding="same", activation="softmax")]
    return keras.Sequential(layers)


def data() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    labels = np.zeros((4, 8, 8), dtype="int32")
    labels[:, 2:6, 2:6] = 1
    noise = 0.1 * np.random.default_rng(1).normal(size=labels.shape)
    return (labels + noise).astype("float32")[..., None], labels


def test_compiled_model_learns_and_is_saved_with_its_loss(tmp_path: Path) -> None:
    images, labels = data()
    network = model()
    network.compile(optimizer=keras.optimizers.Adam(0.1), loss=KerasLoss("AsymmetricUnifiedFocal()"))
    history = network.fit(images, labels, batch_size=2, epochs=5, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert repr(loaded.loss.criterion.loss) == repr(lo.parse("AsymmetricUnifiedFocal()"))
    assert loaded.evaluate(images, labels, verbose=0) == pytest.approx(network.evaluate(images, labels, verbose=0))


def test_config_rebuilds_the_loss() -> None:
    loss = KerasLoss("Dice() + 0.5 * Focal(gamma=3)", from_logits=True, link="sigmoid", ignore=7, name="mine")
    again = KerasLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert again.name == "mine" and again.criterion.ignore == 7 and again.from_logits


@pytest.mark.skipif(not TORCH, reason="schedules are refused there")
def test_schedules_move_with_the_epochs() -> None:
    images, labels = data()
    loss = KerasLoss("DiceBoundary()")
    network = model()
    network.compile(optimizer="adam", loss=loss)
    network.fit(images, labels, epochs=3, verbose=0, callbacks=[AdvanceLoss(loss)])
    assert float(loss.criterion.loss.get_buffer("progress")) == 1

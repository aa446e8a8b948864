"""The tests of one Keras back end, which a process chooses once: `test_keras.py` runs this file for each."""

from __future__ import annotations

import runpy
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


JIT = [False] if TORCH else [True, False]


def batch(labels: int = 3, space: tuple[int, ...] = (6, 5)) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, *space, 3)).astype("float32"), rng.integers(labels, size=(2, *space))


def form_of(labels: np.ndarray[Any, Any], form: str) -> np.ndarray[Any, Any]:
    """Labels (N, *S) as a target of this form."""
    forms = {"sparse": labels, "one channel": labels[..., None], "one-hot": np.eye(3, dtype="float32")[labels]}
    return forms[form]


def expected(loss: lo.Loss, logits: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], **context: Any) -> float:
    return float(loss(torch.tensor(logits).movedim(-1, 1), torch.tensor(labels), **context))


def value(loss: KerasLoss, target: Any, output: Any) -> float:
    return float(
        keras.ops.convert_to_numpy(loss(keras.ops.convert_to_tensor(target), keras.ops.convert_to_tensor(output)))
    )


def served(name: str) -> bool:
    try:
        KerasLoss(f"{name}()", from_logits=True)
    except ValueError:
        return False
    return True


SERVED = [card for card in ATLAS if served(card.name)]
ONE_OF_EACH_KIND = {type(card()).__mro__[1]: card for card in reversed(SERVED)}.values()


@pytest.mark.parametrize("card", SERVED, ids=lambda card: card.name)
def test_values_are_those_of_torch(card: lo.Card) -> None:
    logits, labels = batch()
    text, wanted = f"{card.name}()", expected(card(), *batch())
    one_hot = np.eye(3, dtype="float32")[labels]
    for target in (labels, labels[..., None], one_hot):
        assert value(KerasLoss(text, from_logits=True), target, logits) == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    if not card().shift_free:
        with pytest.raises(ValueError, match="tells logits apart that give the same probabilities"):
            KerasLoss(text)
        return
    probabilities = keras.ops.softmax(keras.ops.convert_to_tensor(logits), axis=-1)
    assert value(KerasLoss(text), one_hot, probabilities) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def check_fit(loss: lo.Loss, space: tuple[int, ...], form: str, **options: Any) -> None:
    """The curve of one epoch starts at the value of torch before it, and `evaluate` gives that of torch after it."""
    images, labels = batch(space=space)
    target = form_of(labels, form)
    convolution = keras.layers.Conv2D if len(space) == 2 else keras.layers.Conv3D
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.layers.Input((*space, 3)), convolution(3, 1)])
    network.compile(optimizer="sgd", loss=KerasLoss(loss, from_logits=True), **options)
    before = expected(loss, network.predict(images, verbose=0), labels)
    curve = network.fit(images, target, verbose=0).history["loss"]
    assert curve == [pytest.approx(before, rel=1e-4, abs=1e-5)]
    after = expected(loss, network.predict(images, verbose=0), labels)
    assert network.evaluate(images, target, verbose=0) == pytest.approx(after, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("card", SERVED, ids=lambda card: card.name)
def test_every_loss_that_is_served_trains_on_volumes(card: lo.Card) -> None:
    check_fit(card(), (4, 3, 5), "sparse")


@pytest.mark.parametrize("card", ONE_OF_EACH_KIND, ids=lambda card: card.name)
def test_every_kind_of_loss_that_is_served_trains_on_pictures(card: lo.Card) -> None:
    check_fit(card(), (6, 5), "one-hot")


@pytest.mark.parametrize("jit", JIT)
@pytest.mark.parametrize("form", ["sparse", "one channel", "one-hot"])
@pytest.mark.parametrize("space", [(6, 5), (4, 3, 5)])
def test_training_takes_every_form_of_target_compiled_or_not(space: tuple[int, ...], form: str, jit: bool) -> None:
    check_fit(lo.parse("AsymmetricUnifiedFocal()"), space, form, jit_compile=jit)


@pytest.mark.parametrize("text", ["Focal(gamma=0.5)", "DiceCE()", "SymmetricFocal(class_weights=(1, 2, 3))"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_soft_labels_are_those_of_torch(text: str, link: Any) -> None:
    logits, labels = batch()
    soft = 0.8 * np.eye(3, dtype="float32")[labels] + np.float32(0.2 / 3)
    wanted = expected(lo.parse(text), logits, np.moveaxis(soft, -1, 1), link=link)
    assert value(KerasLoss(text, from_logits=True, link=link), soft, logits) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", UNIFIED)
def test_unified_focal_family_is_served_everywhere(name: str) -> None:
    assert served(name)


def test_what_is_not_served_says_why() -> None:
    if TORCH:
        assert all(served(card.name) for card in ATLAS if not (card().needs_image or lo.trained_values(card())))
        return
    for text, reason in [
        ("Boundary()", "needs maps of the labels"),
        ("Lovasz()", "sorts"),
        ("Neighbours()", "looks at neighbours or other views"),
        ("Voxels()", "looks at neighbours or other views"),
        ("OverlapUnderDistance()", "needs maps of the labels"),
        ("ReleasedFocal()", "PyTorch code"),
        ("DiceBoundary()", "schedule"),
    ]:
        with pytest.raises(ValueError, match=reason):
            KerasLoss(text)


class SquareRoot(lo.CrossEntropy):
    """Computes with a function that arrays of Keras lack."""

    def formula(self, log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(-log_p)


class Entropy(lo.CrossEntropy):
    """Computes with a method that arrays of Keras lack."""

    def formula(self, log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -log_p.exp().neg() * log_p


class Linear(lo.CrossEntropy):
    """Computes with what arrays of Keras have."""

    def formula(self, log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 1 - log_p.exp()


class Neighbours(lo.GridLoss, range=(0, 1)):
    """Sees the whole grid."""

    def formula(self, s: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return (s - g).square().flatten(2).mean(2)


class Pictures(lo.GridLoss, range=(0, 1)):
    """Sees the image."""

    def formula(self, s: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return (s - image[:, :1]).square().flatten(2).mean(2)


class Voxels(lo.ViewLoss):
    """Is another loss on the same pair."""

    loss: lo.Loss = lo.Dice()

    def views(self, pair: Any) -> Any:
        yield 1.0, pair.view(self.inner)


class OverlapUnderDistance(lo.OverlapLoss, range=(0, 1)):
    """Has sums under a map."""

    def auxiliaries(self) -> dict[str, Any]:
        return lo.Boundary().auxiliaries()

    def formula(self, s_phi: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return s_phi / g


def test_a_loss_that_looks_at_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Pictures\(\) looks at the image, which Keras does not hand to a loss"):
        KerasLoss("Pictures()")


def test_a_loss_that_is_trained_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trains RobustT\(\).nu with the network, but Keras's optimizer"):
        KerasLoss("Dice() + RobustT()")


def test_a_loss_with_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="asks for maps beside the logits, which are not taken from Keras"):
        KerasLoss("Dice() + SignedDistanceRegression(head=True)")


@pytest.mark.parametrize("name", ["Dice", "Tversky", "Jaccard"])
@pytest.mark.parametrize("options", ["", ", class_weights=(1, 2, 3)", ", batch=True, background=True"])
def test_overlap_pooled_over_the_classes(name: str, options: str) -> None:
    logits, labels = batch()
    text = f"{name}(pooled=True{options})"
    wanted = expected(lo.parse(text), logits, labels)
    assert value(KerasLoss(text, from_logits=True), labels, logits) == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_own_losses_are_served_or_refused_with_the_reason() -> None:
    logits, labels = batch()
    wanted = expected(Linear(), logits, labels)
    assert value(KerasLoss(Linear(), from_logits=True), labels, logits) == pytest.approx(wanted, rel=1e-5)
    for own, missing in ((SquareRoot, "torch.sqrt"), (Entropy, "neg")):
        if TORCH:
            assert served(own.__name__)
            continue
        with pytest.raises(ValueError, match=f"{missing}.*KERAS_BACKEND=torch"):
            KerasLoss(own())


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (np.zeros((2, 6, 4)), {}, r"shape \(2, 6, 4\).*labels \(2, 6, 5\)"),
        (np.zeros((2, 6, 5, 4)), {}, r"shape \(2, 6, 5, 4\).*channels last"),
        (np.zeros((2, 3, 6, 5)), {}, "channels last"),
        (np.eye(3)[batch()[1]], {"ignore": 2}, "ignore is 2.*give labels"),
        (np.full((2, 6, 5), 3), {}, "labels 0 to 2|class 3, but"),
        (np.full((2, 6, 5), 0.5), {}, "labels 0 to 2|whole numbers"),
        (np.ones((2, 6, 5, 3)), {}, "one channel per class.*sum|channels sum"),
        (np.full((2, 6, 5, 3), 2.0), {"link": "sigmoid"}, "one channel per class.*1"),
    ],
)
def test_targets_that_do_not_fit_are_refused(target: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        value(KerasLoss("DiceCE()", from_logits=True, **options), target.astype("float32"), batch()[0])


@pytest.mark.parametrize("text", ["Dice(class_weights=(1, 2))", "CrossEntropy(class_weights=(1, 2, 3, 4))"])
def test_class_weights_of_another_length_are_refused(text: str) -> None:
    logits, labels = batch()
    with pytest.raises(ValueError, match="numbers, but there are 3 classes"):
        value(KerasLoss(text, from_logits=True), labels, logits)


@pytest.mark.skipif(TORCH, reason="refused in words there")
@pytest.mark.parametrize("target", [np.full((4, 8, 8), 2), np.ones((4, 8, 8, 2))], ids=["label 2", "two classes"])
def test_values_that_compiled_code_cannot_refuse_make_the_loss_nan(target: Any) -> None:
    images, _ = data()
    network = model()
    network.compile(optimizer="adam", loss=KerasLoss("DiceCE()"))
    assert np.isnan(network.fit(images, target, verbose=0).history["loss"]).all()


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
    marked = np.where(labels == 3, 255, labels > 1).astype("float32")
    wanted = expected(loss, single, marked.astype("int64"), ignore=255)
    for target in (marked, marked[..., None]):
        loss_of = KerasLoss(text, from_logits=True, ignore=255)
        assert value(loss_of, target, single) == pytest.approx(wanted, abs=1e-5)


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


@pytest.mark.parametrize("form", ["sparse", "one-hot"])
def test_compiled_model_learns_and_is_saved_with_its_loss(tmp_path: Path, form: str) -> None:
    images, labels = data()
    if form == "one-hot":
        labels = np.eye(2, dtype="float32")[labels]
    network = model()
    network.compile(optimizer=keras.optimizers.Adam(0.1), loss=KerasLoss("AsymmetricUnifiedFocal()"))
    history = network.fit(images, labels, batch_size=2, epochs=5, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert repr(loaded.loss.criterion.loss) == repr(lo.parse("AsymmetricUnifiedFocal()"))
    assert loaded.evaluate(images, labels, verbose=0) == pytest.approx(network.evaluate(images, labels, verbose=0))


def test_example_learns() -> None:
    curve = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "keras_model.py"))["main"]()
    assert curve[-1] < curve[0]


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

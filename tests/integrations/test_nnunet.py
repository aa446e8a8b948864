"""nnU-Net itself: its commands find, train and predict with our trainers, its trainer resumes with ours.

Needs an environment with nnU-Net (`make test-nnunet`). The data are ten cases of the hippocampus set where it is at
hand, else of the phantom.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.distributed as dist
from benchmarks.nnunet import STAND_IN
from torch.multiprocessing.spawn import spawn

import lossodyssey as lo

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed; make test-nnunet has it")

from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from lossodyssey.data import Dataset, find_dataset
from lossodyssey.integrations.nnunet import environment, runner
from lossodyssey.integrations.nnunet.annotated import AnnotatedCases, correct_summary
from lossodyssey.integrations.nnunet.raw import add_small_configuration, export
from lossodyssey.integrations.nnunet.recipe import Recipe
from lossodyssey.integrations.nnunet.trainer import LossTrainer, trainer_class
from lossodyssey.table import read_rows

pytestmark = pytest.mark.filterwarnings("ignore")

BIN = Path(sys.executable).parent
DATA = Path(os.environ.get("LOSSODYSSEY_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """nnU-Net's three folders with ten cases, planned and preprocessed by its own command."""
    root = tmp_path_factory.mktemp("nnunet")
    variables = {f"nnUNet_{name}": str(root / name) for name in ("raw", "preprocessed", "results")}
    variables |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        if environment.search_problem():
            (root / "sitecustomize.py").write_text(STAND_IN, encoding="utf-8")
        dataset = found()
        folder = root / "raw" / "Dataset004_Small"
        export(dataset, folder, training=dataset.cases[:8], test=dataset.cases[8:10])
        command("nnUNetv2_plan_and_preprocess", "-d", "4", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
        plans = root / "preprocessed" / "Dataset004_Small" / "nnUNetPlans.json"
        name = add_small_configuration(plans, "3d_fullres", features=(4, 8, 8))
        content = json.loads(plans.read_text(encoding="utf-8"))
        content["configurations"]["tiny"] = {"inherits_from": name, "patch_size": [16, 16, 16]}
        plans.write_text(json.dumps(content), encoding="utf-8")
        patch.setenv("nnUNet_n_proc_DA", "0")
        yield root


@pytest.fixture
def results(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results of its own; the picture of progress, which takes longer than an epoch here, is not drawn."""
    monkeypatch.setattr(MetaLogger, "plot_progress_png", lambda logger, folder: None)
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    return tmp_path


def found() -> Dataset:
    hippocampus = DATA / "Task04_Hippocampus"
    return find_dataset(str(hippocampus) if hippocampus.is_dir() else "phantom")


def command(name: str, *arguments: str) -> str:
    done = subprocess.run([BIN / name, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def recipe(loss: str, **changes: Any) -> Recipe:
    return Recipe(**{"loss": loss, "epochs": 3, "iterations": 2, "seed": 0} | changes)


def make(loss: str, labels: dict[str, Any] | None = None, **changes: Any) -> LossTrainer:
    """A trainer on the tiny configuration; `labels` replaces those of the data set's description."""
    trainer = runner.make_trainer("4", "tiny", 0, recipe(loss, **changes), device="cpu")
    if labels is None:
        return trainer
    description = trainer.dataset_json | {"labels": labels, "regions_class_order": [1, 2]}
    plans = trainer.plans_manager.plans | {"continue_training": False}
    return trainer_class(recipe(loss, **changes))(plans, "tiny", 0, description, torch.device("cpu"))


def step(trainer: LossTrainer) -> float:
    """One training step on noise and random labels, in the targets that nnU-Net's own transforms make."""
    from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
    from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

    trainer.initialize()
    manager = trainer.label_manager
    classes = 4 if manager.has_ignore_label else 3
    target = torch.randint(classes, (2, 1, 16, 16, 16), dtype=torch.int16)
    if manager.has_regions:
        regions = [*manager.foreground_regions, *([manager.ignore_label] if manager.has_ignore_label else [])]
        target = torch.stack([ConvertSegmentationToRegionsTransform(regions)._apply_to_segmentation(t) for t in target])
    scales = trainer._get_deep_supervision_scales()
    targets: Any = target
    if scales is not None:
        samples = [DownsampleSegForDSTransform(scales)._apply_to_segmentation(sample) for sample in target]
        targets = [torch.stack(scale) for scale in zip(*samples, strict=True)]
    trainer.on_train_epoch_start()
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    value = float(trainer.train_step({"data": torch.randn(2, 1, 16, 16, 16), "target": targets})["loss"])
    after = list(trainer.network.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    return value


PLAIN = {"background": 0, "anterior": 1, "posterior": 2}
LABELS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "ignore": PLAIN | {"ignore": 3},
    "regions": {"background": 0, "whole": [1, 2], "posterior": [2]},
    "regions and ignore": {"background": 0, "whole": [1, 2], "posterior": [2], "ignore": 3},
}
CARDS = [card for card in lo.atlas() if card.category not in ("custom", "as_released")]


@pytest.mark.parametrize("kind", LABELS)
def test_every_loss_trains_or_refuses_with_a_reason(results: Path, kind: str) -> None:
    refused = {}
    for card in CARDS:
        try:
            trainer = make(f"{card.name}()", LABELS[kind])
            assert np.isfinite(step(trainer)), card.name
        except ValueError as error:
            refused[card.name] = str(error)
    assert all("does not fit this configuration" in reason for reason in refused.values()), refused
    assert len(refused) < len(CARDS) / 4, sorted(refused)


def test_losses_of_ones_own_take_a_step(results: Path) -> None:
    cards = lo.load_losses(Path(__file__).parents[1] / "core" / "outsiders.py")
    assert len(cards) == 6
    for card in cards:
        assert np.isfinite(step(make(f"{card.name}()", PLAIN))), card.name


class ToldInTraining(lo.Loss, range=(0, 1)):
    """Notes image and annotated classes, and returns the mean of the probabilities."""

    needs_image = True
    notes: ClassVar[list[tuple[torch.Tensor, torch.Tensor | None]]] = []

    def of(self, pair: lo.Pair) -> torch.Tensor:
        assert pair.image is not None
        self.notes.append((pair.image.clone(), pair.annotated))
        return pair.s.mean(dtype=torch.float64)


def loaded(trainer: LossTrainer) -> list[dict[str, Any]]:
    """One batch of each loader, after what it takes to have them."""
    trainer.initialize()
    trainer.on_train_epoch_start()
    return [next(loader) for loader in trainer.get_dataloaders()]


@pytest.mark.parametrize("processes", ["0", "1"])
@pytest.mark.parametrize(("kind", "protocol"), [("plain", "nnunet"), ("plain", "odyssey"), ("regions", "nnunet")])
def test_loaders_make_what_the_loss_needs_for_every_scale(
    results: Path, monkeypatch: pytest.MonkeyPatch, kind: str, protocol: str, processes: str
) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", processes)
    trainer = make("Boundary() + HausdorffDT()", LABELS[kind], protocol=protocol)
    for batch in loaded(trainer):
        with trainer._telling(batch) as own:
            given = trainer.loss.entries["auxiliary"]
            scales = trainer.loss.criterion.scales
            assert len(given) == (sum(share > 0 for share in scales) if scales else 1)
            targets = own["target"] if scales else [own["target"]]
            assert len(targets) == len(scales or [1])
            for found, target in zip(given, targets, strict=False):
                assert set(found) == set(trainer.auxiliaries.preparation.wanted)
                assert all(value.shape[2:] == target.shape[2:] for value in found.values())
            outputs = [torch.randn(2, 2 if "regions" in kind else 3, *target.shape[2:]) for target in targets]
            value = trainer.loss(outputs, targets)
            trainer.loss.entries = {}
            assert torch.equal(trainer.loss(outputs, targets), value), "made on demand it is another value"
            trainer.loss.entries = {"auxiliary": [{key: 2 * each for key, each in found.items()} for found in given]}
            assert not torch.equal(trainer.loss(outputs, targets), value)
        assert np.isfinite(trainer.validation_step(batch)["loss"])
        assert np.isfinite(trainer.train_step(batch)["loss"])


@pytest.mark.parametrize("kind", LABELS)
def test_the_channel_of_ignored_voxels_is_no_region(results: Path, kind: str) -> None:
    trainer = make("Boundary()", LABELS[kind])
    trainer.initialize()
    trainer.on_train_epoch_start()
    manager, scales = trainer.label_manager, trainer._get_deep_supervision_scales()
    trainer.auxiliaries = trainer._make_auxiliaries()
    regions = manager.foreground_regions if manager.has_regions else None
    pipeline = trainer.get_validation_transforms(scales, regions=regions, ignore_label=manager.ignore_label)
    labels = torch.randint(4 if manager.has_ignore_label else 3, (1, 16, 16, 16), dtype=torch.int16)
    sample = pipeline(image=torch.randn(1, 16, 16, 16), segmentation=labels)
    target = [part[None] for part in sample["segmentation"]]
    with trainer._telling({"data": sample["image"][None], "target": target}) as own:
        outputs = [torch.randn(1, manager.num_segmentation_heads, *each.shape[2:]) for each in own["target"]]
        value = trainer.loss(outputs, own["target"])
        assert [value.shape[1] for value in trainer.loss.entries["auxiliary"][0].values()] == [outputs[0].shape[1]]
        trainer.loss.entries = {}
        assert torch.equal(trainer.loss(outputs, own["target"]), value)


def test_a_loss_without_need_keeps_the_pipeline_of_nnunet(results: Path) -> None:
    trainer = make("DiceCE()")
    training, validation = loaded(trainer)
    assert trainer.auxiliaries is None
    assert len(training["target"]) == len(validation["target"]) == len(trainer.loss.criterion.scales)


def test_image_and_annotated_classes_reach_the_loss(results: Path) -> None:
    trainer = make("ToldInTraining()", epochs=1)
    dataset = infer_dataset_class(trainer.preprocessed_dataset_folder)
    cases = sorted(dataset.get_identifiers(trainer.preprocessed_dataset_folder))
    first, second = (name for name, label in trainer.dataset_json["labels"].items() if label in (1, 2))
    batch, _ = loaded(trainer)
    trainer.dataset_json["annotated"] = {case: [first] for case in cases}
    trainer.annotated = trainer._read_annotated()
    ToldInTraining.notes.clear()
    trainer.train_step(batch)
    image, annotated = ToldInTraining.notes[0]
    assert torch.equal(image, batch["data"])
    rest = trainer.label_manager.num_segmentation_heads - 2
    assert annotated is not None and annotated.tolist() == [[True, True, *[False] * rest]] * 2
    trainer.dataset_json["annotated"] = {cases[0]: [second]}
    batch = batch | {"keys": [cases[0], cases[1]]}
    trainer.annotated = trainer._read_annotated()
    trainer.train_step(batch)
    annotated = ToldInTraining.notes[-1][1]
    assert annotated is not None and annotated[0].tolist()[:3] == [True, False, True] and annotated[1].all()


def test_a_label_map_with_a_class_that_is_not_annotated_is_refused(results: Path) -> None:
    trainer = make("Dice()")
    folder = trainer.preprocessed_dataset_folder
    cases = infer_dataset_class(folder).get_identifiers(folder)
    trainer.dataset_json["annotated"] = {case: [1] for case in cases}
    trainer.initialize()
    with pytest.raises(ValueError, match=r"'annotated' leaves .* out for case .*, but its label map holds this class"):
        trainer.get_dataloaders()


class Stored:
    """Two cases with two voxels of one class each, or of every class."""

    identifiers = ("one", "two")

    def __init__(self, **places: dict[Any, Any]) -> None:
        self.places = places

    def load_case(self, case: str) -> tuple[Any, ...]:
        return None, None, None, {"class_locations": self.places[case], "spacing": (1, 1, 1)}


def test_patches_are_centred_on_annotated_classes() -> None:
    places = {1: [[0, 1, 1, 1]], (2, 3): [[0, 2, 2, 2]], (-1, 0, 1, 2): [[0, 3, 3, 3]]}
    cases = AnnotatedCases(Stored(one=places, two=places), {"two": {(2, 3)}}, {})
    assert cases.load_case("one")[-1] == {"class_locations": places, "spacing": (1, 1, 1)}
    assert set(cases["two"][-1]["class_locations"]) == {1, (-1, 0, 1, 2)} and set(places) == {1, (2, 3), (-1, 0, 1, 2)}
    AnnotatedCases(Stored(one={1: []}, two=places), {"one": {1}}, {1: "liver"})
    with pytest.raises(ValueError, match="leaves 'liver' out for case 'one'"):
        AnnotatedCases(Stored(one=places, two=places), {"one": {1}}, {1: "liver"})


@pytest.mark.parametrize("kind", ["plain", "regions"])
def test_scores_along_the_training_are_those_of_annotated_classes(results: Path, kind: str) -> None:
    trainer = make("DiceCE()", LABELS[kind])
    trainer.initialize()
    trainer.on_train_epoch_start()
    outputs = 2 if kind == "regions" else 3
    trainer.annotated = {"partly": (True,) * (outputs - 1) + (False,)}
    logits = torch.randn(2, outputs, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    scales = len(trainer.loss.criterion.scales)
    coarser = [torch.zeros(2, outputs, n, n, n) for n in (8, 4)][: scales - 1]
    trainer.network.forward = lambda images: [logits.clone(), *coarser]
    classes = torch.ones(2, 1, 16, 16, 16, dtype=torch.int16)
    sizes = [slice(None), slice(None, None, 2), slice(None, None, 4)][:scales]
    targets = [classes[..., k, :, :][..., k, :][..., k] for k in sizes]
    if kind == "regions":
        targets = [torch.cat([each == 1, each == 2], 1) for each in targets]
    batch = {"data": torch.zeros(2, 1, 16, 16, 16), "target": targets}
    found = {
        name: trainer.validation_step(batch | {"keys": keys})
        for name, keys in {"whole": ["a", "b"], "partly": ["a", "partly"], "none": ["partly", "partly"]}.items()
    }
    false = {name: float(done["fp_hard"][-1]) for name, done in found.items()}
    assert false["whole"] > false["partly"] > false["none"] == 0
    for done in found.values():
        assert done["loss"] == found["whole"]["loss"] and done["tp_hard"][0] == found["whole"]["tp_hard"][0]


def test_the_summary_leaves_out_what_is_not_annotated(tmp_path: Path) -> None:
    from nnunetv2.evaluation.evaluate_predictions import load_summary_json, save_summary_json

    cases = [
        {"reference_file": f"/truth/{name}.nii.gz", "metrics": {1: {"Dice": one}, 2: {"Dice": two}}}
        for name, one, two in [("a", 0.5, 0.75), ("b", 1.0, 0.0)]
    ]
    means = {1: {"Dice": 0.75}, 2: {"Dice": 0.375}}
    path = tmp_path / "summary.json"
    save_summary_json({"metric_per_case": cases, "mean": means, "foreground_mean": {"Dice": 0.5625}}, str(path))
    correct_summary(path, {"b": {2}}, ".nii.gz")
    found = load_summary_json(str(path))
    assert found["mean"] == {1: {"Dice": 0.75}, 2: {"Dice": 0.75}} and found["foreground_mean"] == {"Dice": 0.75}
    assert np.isnan(found["metric_per_case"][1]["metrics"][2]["Dice"])


def test_a_loss_follows_the_scores_of_the_last_epoch(results: Path) -> None:
    trainer = make("DiceCE() + TvMFDice(kappa=FromDice(32))", epochs=2, iterations=1)
    told: list[list[float]] = []
    start = trainer.on_train_epoch_start

    def begin() -> None:
        start()
        told.append(np.atleast_1d(trainer.loss.criterion.loss.leaves[-1].dice.tolist()).tolist())

    trainer.on_train_epoch_start = begin
    trainer.run_training()
    first = trainer.logger.get_value("dice_per_class_or_region", step=None)[0]
    assert told == [[0.0], pytest.approx(np.nan_to_num(first).tolist())]


def test_annotated_classes_of_a_case_that_is_not_there_are_refused(results: Path) -> None:
    trainer = make("Dice()")
    trainer.dataset_json["annotated"] = {"nobody": [1]}
    trainer.initialize()
    with pytest.raises(ValueError, match=r"dataset.json: 'annotated' lists case 'nobody'"):
        trainer.get_dataloaders()


def test_protocols_differ_as_they_should(results: Path) -> None:
    today, then = make("Dice()"), make("Dice()", protocol="odyssey")
    step(today), step(then)
    assert isinstance(today.optimizer, torch.optim.SGD) and isinstance(then.optimizer, torch.optim.Adam)
    assert today.loss.criterion.scales is not None and then.loss.criterion.scales is None
    assert (today.initial_lr, then.initial_lr) == (1e-2, 3e-4)
    assert make("DiceBoundary()", protocol="odyssey").initial_lr == 3e-5


def weights(trainer: LossTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


HEAD = "Dice() + SignedDistanceRegression(head=True)"


@pytest.mark.parametrize(
    "options",
    [{"loss": "DiceHausdorff()"}, {"loss": "Dice() + RobustT()", "protocol": "odyssey"}, {"loss": HEAD}],
    ids=str,
)
def test_killed_training_resumes_to_the_same_weights(
    results: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("nnUNet_results", str(results / "whole"))
    whole = make(**options)
    whole.run_training()
    monkeypatch.setenv("nnUNet_results", str(results / "broken"))
    broken = make(**options)
    at = np.random.default_rng().integers(2, 6)
    steps = iter(range(6))
    train = broken.train_step

    def interrupted(batch: dict[str, Any]) -> Any:
        if next(steps) == at:
            raise KeyboardInterrupt
        return train(batch)

    monkeypatch.setattr(broken, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        broken.run_training()
    folder = runner.train("4", "tiny", 0, recipe(**options), device="cpu", resume=True, validate=False)
    checkpoint = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    expected = weights(whole)
    assert checkpoint["current_epoch"] == 3 and checkpoint["lossodyssey"]["loss"] == recipe(**options).loss
    found = checkpoint["network_weights"] | checkpoint["lossodyssey"]["with_heads"]
    for name, value in found.items():
        assert torch.equal(value, expected[name]), f"{name} differs after a kill in step {at}"
    own = whole.loss.state_dict()
    assert bool(own) == ("RobustT" in options["loss"]) and all(value != 0 for value in own.values())
    assert checkpoint["lossodyssey"]["criterion"] == own


def test_odyssey_ends_when_its_rate_falls_below_the_lowest(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stalled(protocol: str, patience: int | None = None) -> LossTrainer:
        trainer = make("Dice()", protocol=protocol, epochs=12, iterations=1, patience=patience)
        trainer.initialize()
        return trainer

    monkeypatch.setattr(nnUNetTrainer, "train_step", lambda trainer, batch: {"loss": np.float32(1)})
    trainer = stalled("odyssey", 2)
    trainer.run_training()
    path = Path(trainer.output_folder) / "checkpoint_final.pth"
    rates = trainer.logger.get_value("lrs", step=None)
    assert len(rates) == 9 and rates[-1] == pytest.approx(2.4e-6), rates
    assert torch.load(path, weights_only=False)["current_epoch"] == 9
    again = stalled("odyssey", 2)
    again.load_checkpoint(str(path))
    again.run_training()
    assert again.logger.get_value("lrs", step=None) == rates
    other = stalled("nnunet")
    other.run_training()
    assert len(other.logger.get_value("lrs", step=None)) == 12


def test_a_training_step_inside_autocast(results: Path) -> None:
    trainer = make("DiceCE()")
    with torch.autocast("cpu", torch.bfloat16):
        assert np.isfinite(step(trainer))
    assert {parameter.dtype for parameter in trainer.network.parameters()} == {torch.float32}


def criterion(trainer: LossTrainer, rows: slice) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Value and gradients of the trainer's own criterion for rows of a batch of four, at all scales."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(16, 16, 16), (8, 8, 8), (4, 4, 4)][: len(trainer.loss.criterion.scales or [1])]
    outputs = [torch.randn(4, 3, *size, generator=generator)[rows].requires_grad_() for size in sizes]
    targets = [torch.randint(3, (4, 1, *size), generator=generator)[rows] for size in sizes]
    value = trainer.loss(outputs, targets)
    value.backward()
    return value.detach(), [output.grad for output in outputs if output.grad is not None]


def distributed(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    trainer = make("DiceCE()")
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    trainer.is_ddp, trainer.configuration_manager.configuration["batch_dice"] = True, True
    trainer.loss = trainer._build_loss()
    torch.save(criterion(trainer, slice(2 * rank, 2 * rank + 2)), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_of_a_trainer_find_the_loss_of_one(results: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(distributed, (port, results), nprocs=2)
    halves = [torch.load(results / f"{rank}.pt", weights_only=True) for rank in range(2)]
    trainer = make("DiceCE()")
    trainer.configuration_manager.configuration["batch_dice"] = True
    trainer.is_ddp = True  # its weights of the scales; there is no group of processes here to sum over
    trainer.loss = trainer._build_loss()
    assert "batch=True" in repr(trainer.loss.criterion.loss) and trainer.loss.criterion.scales is not None
    value, gradients = criterion(trainer, slice(4))
    torch.testing.assert_close((halves[0][0] + halves[1][0]) / 2, value)
    for scale, gradient in enumerate(gradients):
        found = torch.cat([half[1][scale] for half in halves]) / 2
        torch.testing.assert_close(found, gradient)


def test_another_loss_cannot_go_on_from_a_checkpoint(results: Path) -> None:
    first = make("Dice()", epochs=1)
    first.run_training()
    path = Path(first.output_folder) / "checkpoint_final.pth"
    with pytest.raises(ValueError, match=r"trained with Dice\(\), cannot go on with CrossEntropy\(\)"):
        make("CrossEntropy()").load_checkpoint(str(path))


def test_second_stage_begins_with_the_weights_of_the_first(results: Path) -> None:
    second = make("DiceBoundary()", protocol="odyssey", epochs=1)
    with pytest.raises(FileNotFoundError, match="train nnUNetTrainerLO_Dice__odyssey__1epochs__2iterations__seed0"):
        second.on_train_start()
    first = make("Dice()", protocol="odyssey", epochs=1)
    first.run_training()
    second = make("DiceBoundary()", protocol="odyssey", epochs=1)
    second.on_train_start()
    expected = weights(first)
    assert all(torch.equal(value, expected[name]) for name, value in weights(second).items())


def test_the_example_trains_predicts_and_scores_with_stock_commands(root: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "LOSSES": "DiceTopK",
        "EPOCHS": "1",
        "ITERATIONS": "2",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    script = Path(__file__).parents[2] / "examples" / "nnunet.sh"
    line = ["bash", str(script), str(found().root), str(tmp_path / "work")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    name = "nnUNetTrainerLO_DiceTopK__1epochs__2iterations__nnUNetPlans__3d_fullres_small"
    model = tmp_path / "work" / "results" / "Dataset004_Example" / name
    assert (model / "fold_0" / "validation" / "summary.json").is_file()
    scores = [row for row in read_rows(tmp_path / "work" / "DiceTopK.csv") if row.metric == "DSC"]
    assert {row.loss for row in scores} == {"DiceTopK()"} and len({row.case for row in scores}) == 2


WITH_HEAD = "Dice() + 10 * SignedDistanceRegression(head=True)"


def test_a_head_starts_as_the_network_without_it_and_stays_inside_the_trainer(results: Path) -> None:
    plain, headed = make("Dice()", epochs=1), make(WITH_HEAD, epochs=1)
    torch.manual_seed(3)
    plain.initialize()
    images, state = torch.randn(1, 1, 16, 16, 16), torch.get_rng_state()
    headed.initialize()
    torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(state, torch.get_rng_state()), "the batches would be others"
    for own, other in zip(headed.network(images), plain.network(images), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)
    headed.set_deep_supervision_enabled(False)
    assert headed.network(images).shape == (1, 3, 16, 16, 16)


def test_stock_nnunet_predicts_with_the_checkpoint_of_a_loss_with_a_head(results: Path) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    folder = runner.train("4", "tiny", 0, recipe(WITH_HEAD, epochs=1), device="cpu")
    assert (folder / "validation" / "summary.json").is_file()
    checkpoint = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    trained = make(WITH_HEAD, epochs=1)
    trained.load_checkpoint(str(folder / "checkpoint_final.pth"))
    expected, with_heads = weights(trained), checkpoint["lossodyssey"]["with_heads"]
    assert with_heads and all(torch.equal(own, expected[name]) for name, own in with_heads.items())

    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder.parent), (0,), "checkpoint_final.pth")
    image = torch.randn(1, 1, 16, 16, 16)
    trained.set_deep_supervision_enabled(False)
    predictor.network.load_state_dict(predictor.list_of_parameters[0])
    stock, own = predictor.network.eval()(image), trained.network.eval()(image)
    torch.testing.assert_close(stock, own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "regions and ignore"])
def test_a_head_takes_a_step(results: Path, kind: str) -> None:
    assert np.isfinite(step(make(WITH_HEAD, LABELS[kind])))

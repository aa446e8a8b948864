"""nnU-Net's trainer with a loss, an optimizer and a length of ours; everything else is nnU-Net's."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from lossodyssey import parse
from lossodyssey.atomic import writing
from lossodyssey.core.distributed import average_gradient
from lossodyssey.core.preparation import Preparation
from lossodyssey.core.progress import load_schedule_state, schedule_state
from lossodyssey.core.schedules import observe
from lossodyssey.core.sources import keep
from lossodyssey.core.text import meaning
from lossodyssey.core.trained import train_loss_with, trained_values
from lossodyssey.data.annotated import read_annotated
from lossodyssey.data.sources import read_sources
from lossodyssey.integrations.epochs import advance_to_epoch
from lossodyssey.integrations.nnunet.annotated import (
    AnnotatedCases,
    Key,
    correct_summary,
    hidden_classes,
    leave_out,
)
from lossodyssey.integrations.nnunet.heads import HeadedNetwork
from lossodyssey.integrations.nnunet.loss import PlanLoss, check_fit, pooled, scale_weights
from lossodyssey.integrations.nnunet.pipeline import AddAuxiliaries, after
from lossodyssey.integrations.nnunet.protocols import Plateau
from lossodyssey.integrations.nnunet.recipe import Recipe, read_name
from lossodyssey.training.heads import widened
from lossodyssey.training.rates import LOWEST

OnStep = Callable[[int, float, float], None]
STATE = "lossodyssey"
"""Key of a checkpoint of the state that nnU-Net does not save."""


class LossTrainer(nnUNetTrainer):  # type: ignore[misc]
    """Abstract: the trainer of a `recipe`; `trainer_class` makes the final ones."""

    recipe: ClassVar[Recipe]

    # The base class looks up the names of these arguments in its own frame: they must be these.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        plans.setdefault("continue_training", False)
        super().__init__(plans, configuration, fold, dataset_json, device)
        rules = self.recipe.rules
        self.initial_lr = self.recipe.learning_rate or rules.rates(self.recipe.atlas_name)[0]
        self.num_epochs = self.recipe.epochs or rules.epochs
        self.num_iterations_per_epoch = self.recipe.iterations or rules.iterations
        self.num_val_iterations_per_epoch = max(1, self.num_iterations_per_epoch // 5)
        self.save_every = max(1, self.num_epochs // 20)
        self.enable_deep_supervision = rules.deep_supervision
        self.resumed: dict[str, Any] | None = None
        self.on_step: OnStep = lambda step, loss, rate: None
        self.auxiliaries: AddAuxiliaries | None = None
        self.annotated: dict[str, tuple[bool, ...]] = {}
        self.heads = HeadedNetwork(parse(self.recipe.loss).heads().values())
        if self.heads.names:
            self.build_network_architecture = self.heads.builder(super().build_network_architecture)

    def initialize(self) -> None:
        """Build network, optimizer and loss."""
        if self.recipe.seed is not None and not self.was_initialized:
            random.seed(self.recipe.seed)
            np.random.seed(self.recipe.seed)  # noqa: NPY002, nnU-Net draws its patches from the global state
            torch.manual_seed(self.recipe.seed)
        super().initialize()
        for parameter in train_loss_with(self.optimizer, self.loss):
            parameter.register_post_accumulate_grad_hook(average_gradient)  # type: ignore[no-untyped-call]
        if self.local_rank == 0:
            keep(self.recipe.sources, Path(self.output_folder))
        self.print_to_log_file(f"Loss: {self.loss.criterion}", f"recipe: {self.recipe}")

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return optimizer and schedule of the protocol."""
        if not self.recipe.rules.adam:
            optimizer, schedule = super().configure_optimizers()
            return optimizer, schedule
        adam = torch.optim.Adam(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        losses = lambda: self.logger.get_value("train_losses", step=None)  # noqa: E731
        return adam, Plateau(adam, self.initial_lr, losses, self.recipe.patience or self.recipe.rules.patience)

    def _build_loss(self) -> nn.Module:
        plan, labels = self.configuration_manager, self.label_manager
        loss = parse(self.recipe.loss)
        loss = pooled(loss) if plan.batch_dice else loss
        observe(loss, dice=0)
        # Under DDP every parameter needs a gradient, unless the network is compiled: nnU-Net's own exception.
        lowest = 1e-6 if self.is_ddp and not self._do_i_compile() else 0.0
        scales = self._get_deep_supervision_scales()
        built = PlanLoss(
            loss,
            regions=labels.has_regions,
            ignore=labels.ignore_label,
            spacing=plan.spacing,
            scales=scale_weights(len(scales), lowest=lowest) if scales else None,
            apart=self.heads.apart,
        )
        check_fit(built, labels.num_segmentation_heads, len(plan.patch_size), self.num_input_channels or 1)
        return built.to(self.device)

    def get_dataloaders(self) -> Any:
        """Return the loaders of training and validation, which make the auxiliary values of the loss."""
        self.annotated, self.auxiliaries = self._read_annotated(), self._make_auxiliaries()
        return super().get_dataloaders()

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """Return the cases of training and validation; patches are centred on classes that are annotated in a case."""
        parts: tuple[Any, Any] = super().get_tr_and_val_datasets()
        if not self.annotated:
            return parts
        names: dict[Key, str] = {
            label: name for name, label in self.dataset_json["labels"].items() if isinstance(label, int)
        }
        names = {} if self.label_manager.has_regions else names
        training, validation = (AnnotatedCases(part, self._hidden, names) for part in parts)
        return training, validation

    @property
    def _hidden(self) -> dict[str, set[Key]]:
        return hidden_classes(self.annotated, self.label_manager)

    def get_training_transforms(self, *arguments: Any, **options: Any) -> Any:
        """Return nnU-Net's augmentation, and after it the auxiliary values of the loss."""
        return after(super().get_training_transforms(*arguments, **options), self.auxiliaries)

    def get_validation_transforms(self, *arguments: Any, **options: Any) -> Any:
        """Return nnU-Net's transforms, and after them the auxiliary values of the loss."""
        return after(super().get_validation_transforms(*arguments, **options), self.auxiliaries)

    def _make_auxiliaries(self) -> AddAuxiliaries | None:
        """Return the transform that makes the auxiliary values of the loss; None where it needs nothing."""
        criterion, scales = self.loss.criterion, self._get_deep_supervision_scales()
        preparation = Preparation(
            self.recipe.loss,
            self.label_manager.num_segmentation_heads,
            link=criterion.link,
            ignore=criterion.ignore,
        )
        if not preparation.wanted:
            return None
        return AddAuxiliaries(
            preparation,
            targets=len(scales) if scales else 1,
            scales=sum(share > 0 for share in criterion.scales or [1.0]),
            spacing=self.loss.spacing,
            masked=self.loss.masked,
        )

    def _read_annotated(self) -> dict[str, tuple[bool, ...]]:
        """Read which classes are annotated in which case; ValueError names a case that nnU-Net does not have."""
        if "annotated" not in self.dataset_json:
            return {}
        folder = self.preprocessed_dataset_folder
        cases = infer_dataset_class(folder).get_identifiers(folder)
        file = Path(self.preprocessed_dataset_folder_base) / "dataset.json"
        return read_annotated(self.dataset_json, file, cases, read_sources(self.dataset_json, file))

    def on_train_start(self) -> None:
        """Load the data, then go on from the first stage, or from where the training was left."""
        super().on_train_start()
        if self.resumed is not None:
            _restore_random_state(self.resumed["random"])
        elif self.recipe.first_stage is not None:
            self._continue_from(self.recipe.first_stage)

    def run_training(self) -> None:
        """Train for the epochs that are left, or until the protocol ends the training."""
        try:
            super().run_training()
        except _Over:
            self.print_to_log_file(f"Over: the learning rate has fallen below {LOWEST}")
            self.on_train_end()

    def on_epoch_start(self) -> None:
        """Begin an epoch, unless the protocol says that the training is over."""
        if isinstance(self.lr_scheduler, Plateau) and self.lr_scheduler.over(self.current_epoch):
            raise _Over
        super().on_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Move the loss's schedules."""
        advance_to_epoch(self.loss, self.current_epoch, self.num_epochs)
        scores = self.logger.get_value("dice_per_class_or_region", step=None)
        observe(self.loss, dice=scores[-1] if scores else 0)
        for name, value in trained_values(self.loss).items():
            self.print_to_log_file(f"{name} is {float(value):.4g}")
        self.step = self.current_epoch * self.num_iterations_per_epoch
        super().on_train_epoch_start()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Run one step of the optimizer, and tell `on_step` its number, loss and learning rate."""
        with self._telling(batch) as own:
            done: dict[str, Any] = super().train_step(own)
        self.step += 1
        self.on_step(self.step, float(done["loss"]), self.optimizer.param_groups[0]["lr"])
        return done

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the numbers that nnU-Net notes of a batch that is not trained on; of annotated classes alone."""
        with self._telling(batch) as own, self._leaving_out():
            done: dict[str, Any] = super().validation_step(own)
        return done

    @contextmanager
    def _leaving_out(self) -> Iterator[None]:
        """Let nnU-Net count nothing of a class in a sample in which it is not annotated."""
        annotated = self.loss.entries.get("annotated")
        if annotated is None:
            yield
            return
        hook = self.loss.register_forward_hook(leave_out(annotated, regions=self.label_manager.has_regions))
        try:
            yield
        finally:
            hook.remove()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Segment the validation cases and score them; classes that are not annotated in a case are left out of it."""
        super().perform_actual_validation(save_probabilities)
        self.annotated = self._read_annotated()
        if self.annotated and self.local_rank == 0:
            path = Path(self.output_folder) / "validation" / "summary.json"
            summary = correct_summary(path, self._hidden, self.dataset_json["file_ending"])
            self.print_to_log_file(
                "Mean Validation Dice without classes that are not annotated: ", summary["foreground_mean"]["Dice"]
            )

    @contextmanager
    def _telling(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Tell the loss the context of a batch; give the batch as nnU-Net's own steps take it."""
        target = batch["target"]
        auxiliary: list[dict[str, Any]] = []
        if self.auxiliaries is not None and isinstance(target, list):
            targets, auxiliary = self.auxiliaries.parted(target)
            target = targets if self.enable_deep_supervision else targets[0]
        entries: dict[str, Any] = {"auxiliary": [self._moved(scale) for scale in auxiliary] or None}
        if self.annotated:
            whole = (True,) * self.label_manager.num_segmentation_heads
            entries["annotated"] = torch.tensor([self.annotated.get(case, whole) for case in batch["keys"]])
        data = batch["data"].to(self.device, non_blocking=True)
        if self.loss.criterion.loss.needs_image:
            entries["image"] = data
        with self.loss.told(**self._moved(entries)):
            yield batch | {"data": data, "target": target}

    def _moved(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values, tensors among them on the trainer's device."""
        move = {"device": self.device, "non_blocking": True}
        return {key: each.to(**move) if isinstance(each, torch.Tensor) else each for key, each in values.items()}

    def save_checkpoint(self, filename: str) -> None:
        """Write nnU-Net's checkpoint and our state, whole or not at all.

        The trainer's name is nnU-Net's, so its own prediction commands read the checkpoint without this package.
        """
        if self.local_rank != 0 or self.disable_checkpointing:
            return super().save_checkpoint(filename)  # type: ignore[no-any-return]
        with writing(filename) as draft:
            super().save_checkpoint(str(draft))
            checkpoint = _load(draft)
            checkpoint["trainer_name"] = nnUNetTrainer.__name__
            checkpoint["network_weights"], with_heads = self.heads.parted(checkpoint["network_weights"])
            checkpoint[STATE] = {
                "loss": self.recipe.loss,
                "sources": self.recipe.contents,
                "schedules": schedule_state(self.loss),
                "criterion": self.loss.state_dict(),
                "random": _random_state(),
                "with_heads": with_heads,
            }
            torch.save(checkpoint, draft)
        return None

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: the checkpoint was written with another loss, or another source of it.
        """
        state = _load(Path(filename_or_checkpoint)).get(STATE, {"loss": "nnU-Net's own"})
        if not same_loss(state["loss"], self.recipe.loss):
            raise ValueError(
                f"{filename_or_checkpoint}: trained with {state['loss']}, cannot go on with {self.recipe.loss}; "
                "remove it to start over"
            )
        if state.get("sources", {}) != self.recipe.contents:
            raise ValueError(
                f"{filename_or_checkpoint}: trained with another version of {self.recipe.loss}, which has a source of "
                "its own; give that of this training, or remove the checkpoint to start over"
            )

        with self.heads.whole(filename_or_checkpoint, state.get("with_heads", {})) as path:
            super().load_checkpoint(path)

        if "schedules" in state:
            load_schedule_state(self.loss, state["schedules"])
        else:  # an older checkpoint
            for name, buffer in self.loss.named_buffers():
                buffer.copy_(state["progress"][name])
        self.loss.load_state_dict(state.get("criterion", {}))
        self.resumed = state

    def _continue_from(self, first: Recipe) -> None:
        """Take the weights, output layer included, that the first stage reached."""
        results = Path(self.output_folder_base)
        folder = results.with_name(results.name.replace(type(self).__name__, first.name, 1))
        path = folder / f"fold_{self.fold}" / "checkpoint_final.pth"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: protocol {self.recipe.protocol} trains {self.recipe.loss} in two stages, the first with "
                f"{first.loss}; train {first.name} first"
            )
        network = self.network.module if self.is_ddp else self.network
        network = getattr(network, "_orig_mod", network)
        weights = _load(path)["network_weights"]
        network.load_state_dict(widened(weights, network.state_dict()) if self.heads.names else weights)
        self.print_to_log_file(f"Weights of the first stage: {path}")


def same_loss(first: str, second: str) -> bool:
    """Return whether two texts state one loss: the same text, or a preset and the sum that it stands for."""
    try:
        return first == second or meaning(parse(first)) == meaning(parse(second))
    except ValueError:
        return False


class _Over(Exception):
    """The protocol ends the training before its last epoch."""


def trainer_class(recipe: Recipe | str) -> type[LossTrainer]:
    """Return the trainer of a recipe, or of a name that states one."""
    if isinstance(recipe, str):
        name, recipe = recipe, read_name(recipe)
    else:
        name = recipe.name
    return type(name, (LossTrainer,), {"recipe": recipe, "__module__": __name__})


def _load(path: Path) -> dict[str, Any]:
    # nnU-Net's checkpoints hold numpy scalars and plans; it reads them like this, and so they must be trusted files.
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    return checkpoint


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state(), "cuda": cuda}  # noqa: NPY002


def _restore_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])

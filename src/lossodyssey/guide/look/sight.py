"""The numbers behind the pictures: value and pull on a scene, and the maps that a loss makes of the truth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary, BoundaryDistance, RectifiedMap, SignedDistance
from lossodyssey.core.class_weights import count_classes, needs_counts, with_class_weights
from lossodyssey.core.loss import Loss
from lossodyssey.core.progress import schedule_state
from lossodyssey.core.schedules import advance
from lossodyssey.guide.look.scenes import Scene, layers, scenes
from lossodyssey.guide.response import image_of, response

Floats = NDArray[np.float64]

PROBABILITIES = tuple(0.01 + 0.98 * k / 24 for k in range(25))
HALFWAY = 0.5


@dataclass(frozen=True, eq=False)
class Pull:
    """The value of a loss on a scene, and where a step of descent moves the logit of the shown class (H, W)."""

    scene: Scene
    value: float
    pull: Floats

    @property
    def most(self) -> float:
        """The largest pull of a pixel, in either direction; 0 where there is none, or it is not a number."""
        return float(np.abs(np.nan_to_num(self.pull)).max())


@dataclass(frozen=True, eq=False)
class TruthMap:
    """A map (H, W) of the shown class that is made of the truth of every scene, and the first sentence about it."""

    name: str
    says: str
    values: tuple[Floats, ...]

    @property
    def signed(self) -> bool:
        """Whether the map goes below 0 anywhere."""
        return any(each.min() < 0 for each in self.values)


@dataclass(frozen=True, eq=False)
class Look:
    """All that is seen of one loss: its response to one voxel, its pulls on the scenes and its maps of the truth.

    `loss` is the one that was looked at, its schedules moved.
    """

    text: str
    loss: Loss
    values: list[float]
    gradients: list[float]
    pulls: tuple[Pull, ...]
    maps: tuple[TruthMap, ...]

    @property
    def silent(self) -> tuple[str, ...]:
        """The names of the scenes on which the loss pulls at nothing."""
        return tuple(pull.scene.name for pull in self.pulls if not pull.most)


def look(loss: Loss, progress: float = HALFWAY) -> Look:
    """Look at a loss whose schedules, if it has any, are at `progress` in 0..1; the loss itself stays as it is.

    Class weights by frequency are those of the scenes. A loss that is about pairs of classes, and so pulls at none of
    the five scenes, sees three layers in place of the last of them.
    """
    own = deepcopy(loss)
    scheduled = is_scheduled(own)
    if scheduled:
        advance(own, progress)
    pulls = [pulled(own, scene) for scene in scenes()]
    if not any(pull.most for pull in pulls) and (other := pulled(own, layers())).most:
        pulls[-1] = other
    values, gradients = response(weighted(own, [scene.labels for scene in scenes()]), PROBABILITIES)
    text = repr(loss) + (f", at {progress:.0%} of the training" if scheduled else "")
    return Look(text, own, values, gradients, tuple(pulls), tuple(maps(own, [pull.scene for pull in pulls])))


def is_scheduled(loss: Loss) -> bool:
    """Return whether a loss changes while training goes on."""
    return bool(schedule_state(loss)["losses"])


def weighted(loss: Loss, labels: Sequence[Tensor], classes: int = 2) -> Loss:
    """Return the loss, with the class weights of these labels where it asks for weights by frequency."""
    return with_class_weights(loss, count_classes(labels, classes)) if needs_counts(loss) else loss


def pulled(loss: Loss, scene: Scene) -> Pull:
    """Return the value of a loss on a scene, and its pull: minus the gradient on the logit of the shown class.

    The mean over the classes is taken off the gradient, because a shift of all logits of a pixel changes nothing.
    """
    leaf = scene.logits.clone().requires_grad_()
    value = weighted(loss, [scene.labels], len(leaf))(
        leaf[None], scene.labels[None], image=image_of(scene.labels[None])
    )
    (gradient,) = torch.autograd.grad(value, leaf)
    # Adding 0 turns -0 into 0, which is printed otherwise.
    pull = 0 - (gradient - gradient.mean(0))[scene.shown]
    return Pull(scene, float(value.detach()), pull.numpy())


def maps(loss: Loss, seen: Iterable[Scene]) -> list[TruthMap]:
    """Return the maps that a loss asks to be made of the truth; numbers per class, which make no picture, are left out.

    A region-wise map is shown beside the maps that make other losses of the same form.
    """
    seen = tuple(seen)
    wanted = {each.key: each for _, leaf in loss.terms for each in leaf.auxiliaries().values()}
    found = [TruthMap(key, _summary(each), _made(each, seen)) for key, each in wanted.items()]
    if any(isinstance(each, RectifiedMap) for each in wanted.values()):
        found += region_wise(seen)
    return [each for each in found if all(values.size > 1 for values in each.values)]


def region_wise(seen: Iterable[Scene]) -> list[TruthMap]:
    """Return the maps with which probability times map is another loss (Valverde and Tohka 2021).

    They are those of the active contour's region term, of the Hausdorff loss without its square, and of the boundary
    loss.
    """
    seen = tuple(seen)
    signs = tuple(1.0 - 2.0 * scene.truth.double().numpy() for scene in seen)
    distances, signed = (_made(each, seen) for each in (BoundaryDistance(), SignedDistance(zero="none")))
    hausdorff = tuple(map(np.multiply, distances, signs))
    return [
        TruthMap("1 - 2 g", "The map of ActiveContour's region term.", signs),
        TruthMap("d (1 - 2 g)", "The map of HausdorffDT(alpha=1, one_sided=True, square=False).", hausdorff),
        TruthMap("phi[zero=none]", "The map of Boundary(zero='none').", signed),
    ]


def _made(wanted: Auxiliary, seen: Iterable[Scene]) -> tuple[Floats, ...]:
    return tuple(_of_shown(wanted(scene.labels[None], len(scene.logits)), scene) for scene in seen)


def _of_shown(made: Tensor, scene: Scene) -> Floats:
    """Return the shown class's map (H, W) of a made one (1, C or 1, H, W)."""
    return made[0, scene.shown if made.shape[1] > 1 else 0].double().numpy()


def _summary(wanted: Auxiliary) -> str:
    """Return the first sentence about an auxiliary value, without the shape that means nothing to a reader here."""
    sentence = (type(wanted).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    return re.sub(r" \(N, [^)]*\)", "", sentence)

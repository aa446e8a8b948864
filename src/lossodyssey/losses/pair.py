"""The pair: one prediction and its truth, where every tedious question is answered once for a whole sum of losses.

Letters: N samples, C classes, S spatial axes, V voxels of a sample; s probability, g truth, z logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from lossodyssey import kernels
from lossodyssey.distance.maps import MAPS, map_key
from lossodyssey.kernels import Request, Statistics, plain
from lossodyssey.kernels.request import compute_dtype
from lossodyssey.losses import target as targets
from lossodyssey.losses.arrays import plain as plain_tensor
from lossodyssey.losses.fields import ClassWeights
from lossodyssey.losses.ignored import Ignore, check_ignore
from lossodyssey.losses.lazy import lazy

Link = Literal["softmax", "sigmoid"]


class Asker(Protocol):
    """A loss, as the pair sees it: it adds what it needs to the request of the one pass over the logits."""

    def ask(self, pair: Pair, request: Request) -> None: ...


class Pair:
    """One prediction and its truth; every quantity is computed when first asked for, and once.

    Args:
        logits: (N, C, *S), any floating dtype; half precision is computed in float32. A dictionary or list of one
            such output is taken as that output.
        target: labels (N, *S) or (N, 1, *S) of any dtype; or one-hot, soft or multi-label (N, C, *S).
        link: "softmax" (exclusive classes) or "sigmoid" (one region per channel). One-channel logits are always
            taken as sigmoid.
        ignore: label of voxels that do not count, or several, in targets of labels. -1 is 255 in uint8.
        weight: (N, *S) or (N, 1, *S), bool or number: how much each voxel counts; 0 removes it from every sum, count
            and selection. Losses that select or sort voxels, or follow shapes, only see whether it is above 0. Under
            sigmoid also (N, C, *S) or (N, C, 1, ...): per channel, 0 where a region is not annotated.
        spacing: size of a voxel along each spatial axis, for distance maps; None measures in voxels.
        maps: precomputed maps (N, C, *S) by name, as `maps_for` gives them.

    Tensors may be subclasses as MONAI's `MetaTensor`; NumPy arrays and lists of numbers are taken as tensors.

    Raises:
        ValueError: shapes that do not fit, labels outside the classes, a target that is none of the above.
    """

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        weight: Tensor | None = None,
        spacing: Sequence[float] | None = None,
        maps: Mapping[str, Tensor] | None = None,
        losses: Sequence[Asker] = (),
    ) -> None:
        self.logits = logits = targets.read_logits(logits)
        self.sigmoid = targets.check_link(link) == "sigmoid" or logits.shape[1] == 1
        ignored = check_ignore(ignore)
        self.truth = targets.read(logits, target, sigmoid=self.sigmoid, ignore=ignored, weight=weight)
        self.spacing = targets.check_spacing(spacing, logits)
        self.given_maps = dict(maps or {})
        self._maps: dict[str, Tensor] = {}
        self.losses = list(losses)
        self.shape = tuple(logits.shape[2:])
        self.classes = logits.shape[1]
        self.dtype = compute_dtype(logits)

    def first_class(self, background: bool) -> int:
        """The first class that counts: 1 without background, 0 with it or where channels are regions."""
        return 0 if background or self.sigmoid else 1

    @lazy
    def z(self) -> Tensor:
        """Logits (N, C, V)."""
        return self.logits.flatten(2)

    @lazy
    def s(self) -> Tensor:
        """Probabilities (N, C, V) in float32 or wider."""
        return self._probabilities(self.z)

    def fresh_s(self) -> Tensor:
        """Probabilities (N, C, V) without a gradient, for the caller to overwrite."""
        return self._probabilities(self.z.detach())

    def _probabilities(self, logits: Tensor) -> Tensor:
        z = logits.to(self.dtype)
        return torch.sigmoid(z) if self.sigmoid else torch.softmax(z, 1)

    @lazy
    def g(self) -> Tensor:
        """Truth (N, C, V) per class, in the dtype of `s`."""
        return plain.one_hot(self.truth, self.z.new_empty(0, self.classes, 0, dtype=self.dtype))

    def g_of(self, label: int) -> Tensor:
        """Truth (N, V) of one class: booleans, or numbers where the target has a channel per class."""
        if self.truth.labels is not None:
            return self.truth.labels == label
        assert self.truth.regions is not None
        region = self.truth.regions[:, label]
        return region.to(self.dtype) if region.is_floating_point() else region

    @lazy
    def weight(self) -> Tensor | None:
        """How much each voxel counts, (N, 1, V) or per channel (N, C, V), 0 where ignored; None if all count alike."""
        return plain.voxel_weight(self.truth, self.dtype)

    def weight_of(self, label: int) -> Tensor | None:
        """How much each voxel counts in one channel, (N, V)."""
        return None if self.weight is None else self.weight[:, label if self.weight.shape[1] > 1 else 0]

    @lazy
    def counted(self) -> Tensor:
        """Whether any voxel counts, (N, C)."""
        if self.weight is None:
            return self.z.new_full((len(self.z), self.classes), self.z.shape[2] > 0, dtype=torch.bool)
        return (self.weight > 0).any(2).expand(-1, self.classes)

    def statistics(self, loss: Asker) -> Statistics:
        """The statistics of the logits for `loss`; one pass serves all losses of the sum."""
        return self._pass_for(loss)[1]

    def term(self, loss: Asker, k: int = 0) -> Tensor:
        """The k-th of the summed terms that `loss` asked for."""
        request, statistics = self._pass_for(loss)
        return statistics.terms[request.position(loss) + k]

    def map(self, kind: str, **options: object) -> Tensor:
        """The map `kind` of the truth, (N, C or 1, V): the given one, or computed once; see `distance.maps`."""
        key = map_key(kind, options)
        if key not in self._maps:
            given = self.given_maps.get(key)
            truth = self.truth_for_maps if given is None else None
            found = given if truth is None else self._made(kind, truth, **options)
            self._maps[key] = self._flat_map(key, found)
        return self._maps[key]

    def map_of_prediction(self, kind: str, rule: Literal["argmax", "threshold"], **options: object) -> Tensor:
        """The map `kind` of the hard prediction: the likeliest class, or every class with s > 1/2; no gradient."""
        z = self.logits.detach()
        if self.sigmoid:
            hard = z > 0
        elif rule == "argmax":
            hard = likeliest(z)
        else:
            hard = torch.softmax(z.to(self.dtype), 1) > 0.5
        return self._made(kind, hard, **options).flatten(2).to(self.dtype)

    def _made(self, kind: str, truth: Tensor, **options: object) -> Tensor:
        if truth.numel() == 0:  # of a batch without samples, or of images without voxels
            return torch.zeros((len(self.z), self.classes, *self.shape), device=self.z.device)
        return MAPS[kind](truth, self.classes, self.spacing, **options)

    @lazy
    def truth_for_maps(self) -> Tensor:
        """Labels (N, *S), ignored voxels as one class more; or boolean masks (N, C, *S)."""
        labels, regions = self.truth.labels, self.truth.regions
        if regions is not None:
            hard = regions > 0.5 if self.sigmoid else regions.argmax(1)
            return hard.reshape(*hard.shape[:-1], *self.shape)
        assert labels is not None
        if self.truth.ignore is not None:
            labels = torch.where(labels == self.truth.ignore, self.classes, labels.long())
        return labels.reshape(len(labels), *self.shape)

    def _flat_map(self, key: str, given: Tensor | None) -> Tensor:
        assert given is not None
        found = plain_tensor(f"maps[{key!r}]", given)
        if found.shape[0] != len(self.logits) or found.shape[2:] != self.logits.shape[2:]:
            expected = (len(self.logits), self.classes, *self.shape)
            raise ValueError(f"maps[{key!r}] has shape {tuple(found.shape)}, expected {expected}")
        return found.detach().flatten(2).to(self.z.device, self.dtype)

    def log_p(self, loss: Asker, class_weights: ClassWeights = None) -> Tensor:
        """Log-probability of the truth (N, E, V): of the true class, or under sigmoid of each channel's true state.

        `class_weights` multiply it by the weight of that class or channel.
        """
        log_p = self.statistics(loss).log_p
        assert log_p is not None
        if class_weights is None:
            return log_p
        return plain.weighted_log_p(self.z.to(self.dtype), self.truth, log_p, log_p.new_tensor(class_weights))

    def _pass_for(self, loss: Asker) -> tuple[Request, Statistics]:
        return self._shared_pass if any(known is loss for known in self.losses) else self._run_pass([loss])

    @lazy
    def _shared_pass(self) -> tuple[Request, Statistics]:
        return self._run_pass(self.losses)

    def _run_pass(self, losses: Sequence[Asker]) -> tuple[Request, Statistics]:
        request = Request()
        for loss in losses:
            loss.ask(self, request)
        return request, kernels.run_pass(self.z, self.truth, request)


def likeliest(logits: Tensor) -> Tensor:
    """The class (N, *S) of the largest logit, the first among equals: `argmax(1)`, which on the CPU is far slower."""
    largest = logits.amax(1)
    labels = torch.zeros_like(largest, dtype=torch.int16)
    for label in reversed(range(logits.shape[1])):
        labels.masked_fill_(logits[:, label] == largest, label)
    return labels

"""The pair: one prediction and its truth, where every tedious question is answered once for a whole sum of losses.

Letters: N samples, C classes, S spatial axes, V voxels of a sample; s probability, g truth, z logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossodyssey.auxiliary import Auxiliary
from lossodyssey.core import entries, merging
from lossodyssey.core import target as targets
from lossodyssey.core.cells import Cells
from lossodyssey.core.context import Context, Link
from lossodyssey.core.fields import ClassWeights
from lossodyssey.core.heads import read_head
from lossodyssey.core.ignored import check_ignore
from lossodyssey.core.lazy import lazy
from lossodyssey.core.shared_pass import Asker, SharedPass
from lossodyssey.kernels import Truth, plain
from lossodyssey.kernels.request import accumulator, compute_dtype

SAMPLED = ("spacing", "image", "annotated")
"""The entries of a context that may differ from sample to sample."""


class Pair(SharedPass):
    """One prediction, its truth and their context; every quantity is computed when first asked for, and once.

    Args:
        logits: (N, C, *S), any floating dtype; half precision is computed in float32. A dictionary or list of one
            such output is taken as that output.
        target: labels (N, *S) or (N, 1, *S) of any dtype; or one-hot, soft or multi-label (N, C, *S).
        context: ignore label, weight, spacing, image and the others; or give its entries by name.
        link: "softmax" (exclusive classes) or "sigmoid" (one region per channel). One-channel logits are always
            taken as sigmoid.

    Tensors may be subclasses as MONAI's `MetaTensor`; NumPy arrays and lists of numbers are taken as tensors.

    Raises:
        ValueError: shapes that do not fit, labels outside the classes, a target of another form than these.
    """

    def __init__(
        self,
        logits: Tensor,
        target: Tensor | Truth,
        context: Context | None = None,
        *,
        link: Link = "softmax",
        losses: Sequence[Asker] = (),
        **given: Any,
    ) -> None:
        self.context = Context.of(context, **given)
        self.logits = logits = targets.read_logits(logits)
        self.sigmoid = targets.check_link(link) == "sigmoid" or logits.shape[1] == 1
        ignored = check_ignore(self.context.ignore)
        self.truth = targets.read(logits, target, sigmoid=self.sigmoid, ignore=ignored, weight=self.context.weight)
        self.spacing = entries.read_spacing(self.context.spacing, logits)

        self.losses = list(losses)
        # A merger keeps where each class came from, so that weights given for the classes before it still find theirs.
        self.origins, self.unmerged = tuple(range(logits.shape[1])), logits.shape[1]
        # False for a part of a batch, whose sums are not pooled over processes (see `of_samples`).
        self.whole = True
        # Where there are cells, sums are made for each of them (see `in_cells`).
        self.cells: Cells | None = None
        self._auxiliary: dict[str, Tensor] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape."""
        return tuple(self.logits.shape[2:])

    @property
    def classes(self) -> int:
        """The number of classes or channels."""
        return self.logits.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of arithmetic: float32, or wider where the logits are."""
        return compute_dtype(self.logits)

    def first_class(self, background: bool) -> int:
        """Return the first class that counts: 1 without background, 0 with it or where channels are regions."""
        return 0 if background or self.sigmoid else 1

    @lazy
    def z(self) -> Tensor:
        """Logits (N, C, V)."""
        return self.logits.flatten(2)

    @lazy
    def known_z(self) -> Tensor:
        """Logits (N, C, V) in the dtype of `s`, 0 in voxels that do not count: they may hold anything, NaN too."""
        z = self.z.to(self.dtype)
        return z if self.weight is None else torch.where(self.weight > 0, z, 0)

    @lazy
    def s(self) -> Tensor:
        """Probabilities (N, C, V) in float32 or wider."""
        return self._probabilities(self.known_z)

    @lazy
    def log_states(self) -> Tensor:
        """Log-probabilities (N, B, K, V) of states: of all K classes with B = 1, or under sigmoid of each channel.

        The two states of a channel are 0, outside the region, and 1.
        """
        if self.sigmoid:
            return torch.stack([F.logsigmoid(-self.known_z), F.logsigmoid(self.known_z)], 2)
        return self.known_z.log_softmax(1)[:, None]

    def fresh_s(self) -> Tensor:
        """Return probabilities (N, C, V) without a gradient, for the caller to overwrite."""
        return self._probabilities(self.known_z.detach())

    def _probabilities(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z) if self.sigmoid else torch.softmax(z, 1)

    @lazy
    def g(self) -> Tensor:
        """Truth (N, C, V) per class, in the dtype of `s`."""
        return plain.one_hot(self.truth, self.z.new_empty(0, self.classes, 0, dtype=self.dtype))

    def numbers(self, mask: Tensor) -> Tensor:
        """Return a mask of any shape as 0 and 1 in the dtype of `s`."""
        return mask.to(self.dtype)

    def per_class(self, numbers: Tensor) -> Tensor:
        """Return a number per sample and class (N, C) as a map (N, C, V) in the dtype of `s`, which takes no memory."""
        return numbers[..., None].to(self.dtype).expand(-1, -1, self.z.shape[2])

    def g_of(self, label: int) -> Tensor:
        """Return the truth (N, V) of one class: booleans, or numbers where the target has a channel per class."""
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
        """Return how much each voxel counts in one channel, (N, V)."""
        return None if self.weight is None else self.weight[:, label if self.weight.shape[1] > 1 else 0]

    @property
    def counts_exactly(self) -> bool:
        """Whether numbers of voxels are whole, because none has a weight of its own and no truth is soft."""
        weight = self.truth.weight
        return not self.truth.soft and (weight is None or not weight.is_floating_point())

    @lazy
    def valid(self) -> Tensor:
        """Which voxels count, 0 or 1 in the dtype of `s`: (N, 1, V), or (N, C, V) where channels differ."""
        return torch.ones_like(self.s[:, :1]) if self.weight is None else self.numbers(self.weight > 0)

    @lazy
    def counted(self) -> Tensor:
        """Whether any voxel counts, (N, C)."""
        if self.weight is None:
            return self.z.new_full((len(self.z), self.classes), self.z.shape[2] > 0, dtype=torch.bool)
        return (self.weight > 0).any(2).expand(-1, self.classes)

    @lazy
    def image(self) -> Tensor | None:
        """The network's input (N, K, *S) in the dtype of `s`, without a gradient; None where the call has none."""
        return entries.read_image(self.context.image, self.logits, self.dtype)

    @lazy
    def annotated(self) -> Tensor | None:
        """Which classes are annotated in which sample, bool (N, C); None where all are."""
        return entries.read_annotated(self.context.annotated, self.logits)

    @lazy
    def steps(self) -> Tensor:
        """The spacing of every sample (N, D) in the dtype of `s`; 1 where the call has none."""
        return entries.rows_of(self.spacing, self.logits, self.dtype)

    def total(self, values: Tensor) -> Tensor:
        """Return the sums (N, C) of values (N, C, V) over the voxels that count, or (cells, 1) of each cell."""
        if self.cells is not None:
            return self.cells.total(values)
        return (values if self.weight is None else values * self.weight).sum(2, dtype=accumulator(self.z))

    def sums_of(self, formula: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the sums, as `total` does, of the values (N, C, V) that the formula makes of s and g."""
        return self.total(formula(self.s, self.g))

    def mean_of(self, values: Tensor) -> Tensor:
        """Return the mean of values (N, 1 or C, V) over the voxels that count and their channels."""
        weight = torch.ones_like(values) if self.weight is None else self.weight.expand_as(values)
        total = weight.sum(dtype=accumulator(self.z))
        return (values * weight).sum(dtype=accumulator(self.z)) / torch.where(total > 0, total, 1)

    def auxiliary(self, wanted: Auxiliary) -> Tensor:
        """Return values made of the truth, (N, C or 1, V): the given ones, or made once."""
        key = wanted.key
        if key not in self._auxiliary:
            given = entries.given_auxiliary(self.context, key)
            found = wanted(self.truth_for_maps, self.classes, self.spacing) if given is None else given
            self._auxiliary[key] = entries.read_auxiliary(key, found, self.logits, self.dtype)
        return self._auxiliary[key]

    def head(self, name: str, asker: str) -> Tensor:
        """Return the maps (N, C, V) that the network makes beside the logits, in the dtype of `s`; `asker` is a loss.

        They are 0 in voxels that do not count: they may hold anything there, NaN too.
        """
        found = read_head(self.context, name, self.logits, asker).to(self.dtype)
        return found if self.weight is None else torch.where(self.weight > 0, found, 0)

    def auxiliary_of_prediction(self, wanted: Auxiliary, rule: Literal["argmax", "threshold"]) -> Tensor:
        """Return values made of the hard prediction, without gradient: the likeliest class, or classes with s > 1/2.

        Voxels that do not count belong to no class, whatever is predicted there.
        """
        return wanted(self.hard_prediction(rule), self.classes, self.spacing).flatten(2).to(self.dtype)

    def hard_prediction(self, rule: Literal["argmax", "threshold"]) -> Tensor:
        """Return the likeliest class (N, *S), `classes` where a voxel does not count; or masks (N, C, *S)."""
        if self.sigmoid or rule == "threshold":
            # Under a sigmoid s > 1/2 is z > 0, without computing s.
            hard = self.known_z.detach() > 0 if self.sigmoid else self.fresh_s() > 0.5
            hard = hard if self.weight is None else hard & (self.weight > 0)
            return hard.reshape(*hard.shape[:2], *self.shape)
        hard = plain.likeliest(self.z.detach())
        if self.weight is not None:
            hard = hard.masked_fill(self.weight[:, 0] <= 0, self.classes)
        return hard.reshape(len(hard), *self.shape)

    @lazy
    def truth_for_maps(self) -> Tensor:
        """Labels (N, *S), ignored voxels as one class more; or boolean masks (N, C, *S)."""
        labels, regions = self.truth.labels, self.truth.regions
        if regions is not None:
            hard = regions > 0.5 if self.sigmoid else plain.likeliest(regions)
            return hard.reshape(*hard.shape[:-1], *self.shape)
        assert labels is not None
        if self.truth.ignore is not None:
            # One class more: an ignored voxel is neither background nor part of an object.
            labels = torch.where(labels == self.truth.ignore, self.classes, labels.long())
        return labels.reshape(len(labels), *self.shape)

    def log_p(self, loss: Asker, class_weights: ClassWeights = None) -> Tensor:
        """Return the log-probability of the truth (N, E, V): of the true class, or under sigmoid per channel.

        `class_weights` multiply it by the weight of that class or channel.
        """
        log_p = self.statistics(loss).log_p
        assert log_p is not None
        if class_weights is None:
            return log_p
        return plain.weighted_log_p(self.known_z, self.truth, log_p, log_p.new_tensor(class_weights))

    def view(
        self,
        losses: Sequence[Asker] = (),
        *,
        logits: Tensor | None = None,
        truth: Truth | None = None,
        context: Context | None = None,
    ) -> Pair:
        """Return a pair with other `logits` (N, C', *S), another `truth` or `context`, for `losses` that will see it.

        Auxiliary values are kept for the same truth, and are made again for another one.
        """
        # Auxiliary values follow from the truth alone: other logits leave them valid.
        kept = {} if truth is not None else self._auxiliary
        if context is None:
            context = self.context if truth is None else replace(self.context, auxiliary={})
        link: Link = "sigmoid" if self.sigmoid else "softmax"
        other = Pair(self.logits if logits is None else logits, truth or self.truth, context, link=link, losses=losses)

        other._auxiliary, other.whole = dict(kept), self.whole
        other.origins, other.unmerged = self.origins, self.unmerged
        return other

    def weighted(self, weight: Tensor, losses: Sequence[Asker] = (), *, truth: Truth | None = None) -> Pair:
        """Return a pair in which voxels count `weight` (N, 1 or C, V) times their weight here.

        Auxiliary values are kept unless there is another `truth`: they follow from the labels, not from the weights.
        """
        labels = truth or self.truth
        both = weight if labels.weight is None else labels.weight * weight
        context = self.context if truth is None else None
        other = self.view(losses, truth=replace(labels, weight=both), context=context)
        if truth is None:
            other._auxiliary = dict(self._auxiliary)
        return other

    def with_truth(self, g: Tensor, losses: Sequence[Asker] = ()) -> Pair:
        """Return the pair with the truth g (N, C, V), in 0..1 per class or channel; the same voxels count."""
        truth = replace(self.truth, labels=None, regions=g, weight=self.weight, ignore=None, soft=True)
        return self.view(losses, truth=truth)

    def as_part(self, losses: Sequence[Asker] = ()) -> Pair:
        """Return the same pair as a part of a batch, whose sums are pooled in this process only."""
        other = self.view(losses)
        other.whole = False
        return other

    @lazy
    def _samples(self) -> tuple[Tensor, ...]:
        """The logits (C, *S) of each sample. Their gradients are put together once, where indices would each fill a
        tensor of the size of all."""
        return self.logits.unbind(0)

    def of_samples(self, samples: Sequence[int], losses: Sequence[Asker] = ()) -> Pair:
        """Return the pair of some of the samples, by their numbers.

        It is a part of a batch, so losses pool its sums in this process only: another process of a distributed
        training may have another number of parts.
        """
        first, last = samples[0], samples[-1] + 1
        # A slice copies nothing.
        neighbours = list(samples) == list(range(first, last))
        index = slice(first, last) if neighbours else torch.tensor(samples, device=self.z.device)
        other = self.view(
            losses,
            logits=merging.stacked([self._samples[k] for k in samples]),
            truth=merging.truth_of_samples(self.truth, index),
            context=Context(**{name: merging.chosen(getattr(self, name), index) for name in SAMPLED}),
        )
        other._auxiliary = {key: value[index] for key, value in self._auxiliary.items()}
        other.whole = False
        return other

    def merged(self, groups: merging.Groups, losses: Sequence[Asker] = ()) -> Pair:
        """Return the pair whose class k is the union of the classes `groups[k]`.

        A union's probability is the sum of its classes' probabilities, and its truth the sum of their truths. Under
        sigmoid a region has no background to be merged with: groups are single channels there.

        Raises:
            ValueError: a group of several regions.
        """
        if self.sigmoid:
            merging.check_regions(groups)
        other = self.view(
            losses,
            # In the dtype of arithmetic, because a log-sum-exp in half precision loses digits.
            logits=merging.merged_logits(self.known_z.reshape(self.logits.shape), groups),
            truth=merging.merged_truth(self.truth, groups, self.classes),
            context=replace(self.context, auxiliary={}, annotated=merging.merged_annotated(self.annotated, groups)),
        )
        other.origins = tuple(self.origins[min(group)] for group in groups)
        return other

    def against_rest(self, losses: Sequence[Asker] = ()) -> Pair:
        """Return the pair whose regions are the foreground classes, each against all others: its logits are log-odds.

        Under sigmoid it is this pair.
        """
        if self.sigmoid:
            return self.view(losses)
        z = merging.log_odds(self.known_z.reshape(self.logits.shape))
        regions = torch.stack([self.g_of(label) for label in range(1, self.classes)], 1)
        truth = Truth(None, regions, self.weight, None, sigmoid=True, soft=self.truth.soft)
        context = replace(self.context, auxiliary={}, annotated=None)
        other = Pair(z, truth, context, link="sigmoid", losses=losses)
        other.whole = self.whole
        return other

    def in_cells(self, number: Tensor, losses: Sequence[Asker] = (), *, common: bool = False) -> Pair:
        """Return the pair of regions in which losses are means over cells, given the cell's number (N, C, V) from 0 on.

        Overlap losses make a ratio of the sums of every cell; voxel losses a mean over its voxels, by their weights.
        Each channel's cells weigh the same, and so do the channels. With `common`, cell 0 makes no unit of its own: it
        is a part of all others of its channel, which then weigh the same in their sample. Other kinds of loss do not
        see cells.
        """
        regions = self.truth.regions
        assert regions is not None
        inside = None if self.truth.soft else regions if regions.dtype == torch.bool else regions > 0.5
        cells = Cells.of(number, inside, self.weight, common=common)
        other = self.weighted(cells.share_of_voxels(self.dtype), losses)
        if self.weight is None:
            vars(other)["known_z"] = self.known_z  # all voxels count, whatever their shares
        other.cells = cells
        return other

    def class_weights(self, weights: Sequence[float]) -> Sequence[float]:
        """Return the weights of this pair's classes, out of weights of its own or of the classes before a merger."""
        if len(weights) == self.classes or len(weights) != self.unmerged:
            return weights
        return [weights[origin] for origin in self.origins]

"""The one thing handed to a training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from lossodyssey.core import entries, words
from lossodyssey.core.arrays import outputs, plain
from lossodyssey.core.context import ENTRIES, Auxiliaries, Context, Link, Spacing, nearest_voxels, scales_of
from lossodyssey.core.heads import split
from lossodyssey.core.ignored import Ignore, canonical
from lossodyssey.core.loss import Loss
from lossodyssey.core.target import check_shape
from lossodyssey.core.text import parse
from lossodyssey.core.voxel_weights import read_weight

OWN = ("link", "ignore", "scales", "classes")
CALL = ("context", *(entry for entry in ENTRIES if entry != "ignore"), "maps")
"""The keywords of a call; the label to ignore is said once, to the criterion."""


class Criterion(nn.Module):
    """A loss with everything that a training loop says once: link, ignore label, scales of deep supervision.

    Args:
        loss: a loss, or its text (`"Dice() + CrossEntropy()"`).
        link: "softmax" for exclusive classes, "sigmoid" for one region per channel.
        ignore: label of voxels that do not count, or several.
        scales: weight of each scale where the network returns a list of logits, finest first; default 1, 1/2, 1/4 ...
            The weights are divided by their sum; a scale of weight 0 is not computed.
        classes: the number of classes, or of regions, to hold the network to. A loss with heads (`Loss.heads`) needs
            it, or `heads` in the call: the logits are then the first `classes` channels of each scale, and the maps of
            each head the next ones. Segment with `output[:, :classes]`.

    Called with logits (N, C, *S) and a target, or a list of logits and either one target of the finest scale (brought
    to the others by its nearest voxels) or a list of targets. The entries of the `Context` (`weight`, `spacing`,
    `image`, `annotated`, `auxiliary`) are those of the finest scale; see `Context.at_scale` for the other scales.

    A dictionary of outputs, {"out": ..., "aux": ...} as torchvision's, is taken as such a list, "out" (or "logits")
    first: by default "aux" weighs half of "out". To train on one of several, hand that one over.
    """

    def __init__(
        self,
        loss: Loss | str,
        *,
        link: Link = "softmax",
        ignore: Ignore = None,
        scales: Sequence[float] | None = None,
        classes: int | None = None,
        **foreign: Any,
    ) -> None:
        super().__init__()
        if foreign:
            words.refuse("Criterion", foreign, (), OWN)
        self.loss = parse(loss) if isinstance(loss, str) else loss
        self.link: Link = link
        self.ignore = canonical(ignore)
        self.scales = None if scales is None else _normalised(scales)
        if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 1):
            raise ValueError(f"classes is {classes!r}, expected the number of classes or regions")
        self.classes = classes

    def forward(
        self,
        logits: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
        target: Tensor | Sequence[Tensor],
        context: Context | None = None,
        *,
        weight: Tensor | None = None,
        spacing: Spacing = None,
        image: Tensor | None = None,
        annotated: Tensor | None = None,
        auxiliary: Auxiliaries | None = None,
        heads: Auxiliaries | None = None,
        maps: Auxiliaries | None = None,
        **foreign: Any,
    ) -> Tensor:
        """Return the scalar loss; for a list of logits the weighted mean over the scales."""
        given = {"weight": weight, "spacing": spacing, "image": image, "annotated": annotated}
        calls = self._calls(logits, target, context, **given, auxiliary=auxiliary, heads=heads, maps=maps, **foreign)
        values = [share * self.loss(z, truth, own, link=self.link) for share, z, truth, own in calls]
        total: Tensor = sum(values[1:], values[0])
        return total

    def summands(self, logits: Any, target: Any, context: Context | None = None, **given: Any) -> dict[str, Tensor]:
        """Return the weighted value of each term of the loss by its text, over all scales; together they are the loss.

        To be called instead of the criterion where every term is logged: the loss is `sum(summands.values())`.
        `context` and `given` are the inputs of a call beside logits and target.
        """
        total: dict[str, Tensor] = {}
        for share, z, truth, own in self._calls(logits, target, context, **given):
            for text, value in self.loss.summands(z, truth, own, link=self.link).items():
                total[text] = total[text] + share * value if text in total else share * value
        return total

    def _calls(
        self, logits: Any, target: Any, context: Context | None, **given: Any
    ) -> Iterator[tuple[float, Tensor, Any, Context]]:
        """Yield for every scale that counts its share, and the arguments of the loss."""
        foreign = [name for name in given if name not in CALL]
        if foreign:
            words.refuse("Criterion", foreign, OWN, CALL)
        whole = Context.of(context, **given)
        if self.ignore is not None:
            whole = replace(whole, ignore=self.ignore)

        scales = outputs(logits)
        shares = self._shares(len(scales))
        if len(scales) > 1:
            check_scales(scales)
        scales, heads = self._parted(scales, whole)

        truths, finest = _truths(target, scales), scales[0].shape[2:]
        # Read at the finest scale first: a wrong entry is refused before it is brought to the others.
        if len(scales) > 1:
            check_context(scales[0], whole, self.link)
        for share, z, truth, own in zip(shares, scales, truths, heads, strict=True):
            if share:
                yield share, z, truth, replace(whole, heads=own).at_scale(finest, z.shape[2:])

    def _parted(self, scales: list[Tensor], context: Context) -> tuple[list[Tensor], list[Mapping[str, Tensor]]]:
        """Return the logits and the heads of every scale.

        Raises:
            ValueError: outputs with other channels than expected, or heads for another number of scales.
        """
        given = scales_of(context.heads) if context.heads else []
        if given and len(given) != len(scales):
            raise ValueError(f"logits come in {len(scales)} scales, heads in {len(given)}; expected heads per scale")
        if self.classes is None:
            return scales, given or [{}] * len(scales)
        names = () if given else tuple(dict.fromkeys(self.loss.heads().values()))
        parts = [split(scale, self.classes, names) for scale in scales]
        return [logits for logits, _ in parts], given or [heads for _, heads in parts]

    def _shares(self, outputs: int) -> Sequence[float]:
        if outputs == 0:
            raise ValueError("logits hold no output, expected a tensor (N, C, *S), or several")
        # Each scale weighs half of the next finer one, as in nnU-Net.
        shares = _normalised([0.5**k for k in range(outputs)]) if self.scales is None else self.scales
        if len(shares) != outputs:
            raise ValueError(f"scales has {len(shares)} weights, but logits come in {outputs} scales")
        return shares

    def __repr__(self) -> str:
        extras = [f"link={self.link!r}"] if self.link != "softmax" else []
        extras += [f"ignore={self.ignore}"] if self.ignore is not None else []
        extras += [f"scales={tuple(self.scales)}"] if self.scales is not None else []
        extras += [f"classes={self.classes}"] if self.classes is not None else []
        return f"Criterion({', '.join([repr(self.loss), *extras])})"


def _normalised(scales: Sequence[float]) -> list[float]:
    total = sum(scales)
    if not total > 0 or min(scales) < 0:
        raise ValueError(f"scales is {tuple(scales)}, expected weights of 0 or more, at least one above 0")
    return [weight / total for weight in scales]


def _truths(target: Any, scales: Sequence[Tensor]) -> list[Any]:
    """Return one target per scale: those of a list, or one of the finest scale brought to the others.

    Raises:
        ValueError: another number of targets than scales, or a target that is not of the finest scale.
    """
    if isinstance(target, list | tuple) and any(isinstance(truth, Tensor | np.ndarray) for truth in target):
        if len(target) != len(scales):
            raise ValueError(
                f"logits come in {len(scales)} scales, target in {len(target)}; expected one target per scale"
            )
        return list(target)
    if len(scales) == 1:
        return [target]
    whole = plain("target", target, like=scales[0])
    check_shape(scales[0], whole)
    return [nearest_voxels(whole, logits.shape[2:]) for logits in scales]


def check_context(finest: Tensor, context: Context, link: Link) -> None:
    """Raise ValueError for entries that do not fit the finest scale; brought to another scale they would fit it."""
    if context.weight is not None:
        read_weight(finest, context.weight, sigmoid=link == "sigmoid" or finest.shape[1] == 1)
    entries.read_spacing(context.spacing, finest)
    entries.read_image(context.image, finest, finest.dtype)


def check_scales(scales: Sequence[Tensor]) -> None:
    """Raise ValueError unless the logits of all scales have the samples and classes of the first, which is finest."""
    finest = scales[0]
    for k, logits in enumerate(scales[1:], 1):
        alike = logits.ndim == finest.ndim and logits.shape[:2] == finest.shape[:2]
        if not alike or any(own > most for own, most in zip(logits.shape[2:], finest.shape[2:], strict=True)):
            raise ValueError(
                f"logits[{k}] has shape {tuple(logits.shape)}, logits[0] {tuple(finest.shape)}; expected the same "
                "samples and classes at every scale, the finest scale first"
            )

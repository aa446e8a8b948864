"""Keywords that users bring from other libraries, each with the way to the same thing here.

Expressions are Python with the names `lo` (this library), `loss`, `logits`, `target` (labels), `regions` (a channel per
region), `probabilities` (N, C, *S) and the keyword itself; a test runs every one of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Word:
    """The meaning here of another library's keyword: a sentence, and an expression that gives it.

    Where losses have it as the hyper-parameter `field`, the `{loss}` of the expression is the user's loss if it has
    that field, else `named`.
    """

    says: str
    expression: str
    field: str = ""
    named: str = "Dice"

    def shown(self, owner: str, known: Collection[str]) -> str:
        """Return the sentence and the expression, for the user's loss."""
        has = self.field in known and owner.isidentifier()
        return f"{self.says}: {self.expression.replace('{loss}', owner if has else self.named)}"


_SAMPLES = "torch.stack([loss(z[None], y[None]) for z, y in zip(logits, target)])"
_SMOOTHED = (
    "loss(logits, (1 - label_smoothing) * torch.nn.functional.one_hot(target, logits.shape[1]).movedim(-1, 1) "
    "+ label_smoothing / logits.shape[1])"
)
_POSITIVE = (
    "(w := 1 + (pos_weight - 1) * regions).mean() "
    '* lo.CrossEntropy()(logits, regions, link="sigmoid", weight=w.expand_as(regions))'
)

_REDUCTION = Word("a loss is one number, the mean; one number per sample", _SAMPLES)
_LOGITS = Word("losses take logits and apply the softmax themselves", "loss(logits, target)")
_PROBABILITIES = Word(
    "losses take logits; probabilities of exclusive classes are given as their logarithms (those of regions as "
    'torch.logit(probabilities, eps=1e-7) with link="sigmoid")',
    "loss(probabilities.clamp(min=1e-7).log(), target)",
)
_REGIONS = Word("one region per channel, or a single channel, is the link", 'loss(logits, regions, link="sigmoid")')
_IGNORE = Word(
    "the label of voxels that do not count (or several) is `ignore`, of a call or of a Criterion",
    "loss(logits, target, ignore=255)",
)
_ONE_HOT = Word("labels and one-hot targets are both taken as they are", "loss(logits, target)")
_AXES = Word("images and volumes are told apart by the logits' shape (N, C, *S)", "loss(logits, target)")
_SMOOTH = Word("one number is added to both sides of the ratio", "lo.{loss}(smooth=1e-5)", "smooth")
_BACKGROUND = Word("class 0 counts or not", "lo.{loss}(background=True)", "background")
_BATCH = Word("the batch is pooled before dividing", "lo.{loss}(batch=True)", "batch")
_CLASS_WEIGHTS = Word(
    "one number per class, background first, is class_weights (with normalization='weights' cross entropy divides by "
    "their sum over the voxels, as PyTorch); one per voxel is the `weight` of the call",
    "lo.{loss}(class_weights=(1, 2, 3))",
    "class_weights",
    "CrossEntropy",
)
_SUBSET = Word("classes are left out by a weight of 0", "lo.{loss}(class_weights=(0, 1, 1))", "class_weights")
_MASK = Word("how much each voxel counts is given in the call", "loss(logits, target, weight=target != 0)")
_SCALES = Word("the weights of deep supervision are the criterion's", "lo.Criterion(loss, scales=(1, 0.5, 0.25))")
_TERMS = Word("the parts of a sum are weighed by numbers", "0.7 * lo.Dice() + 0.3 * lo.CrossEntropy()")

WORDS = {
    "pos_weight": Word("a region's true voxels weigh more by the voxels' weights, a class by class_weights", _POSITIVE),
    "label_smoothing": Word("smoothed labels are given as a soft target", _SMOOTHED),
    "smooth_factor": Word(
        "smoothed labels are given as a soft target", _SMOOTHED.replace("label_smoothing", "smooth_factor")
    ),
    "per_image": Word("each sample's loss, then their mean", f"{_SAMPLES}.mean()"),
    "squared_pred": Word("the predicted size may be squared", "lo.{loss}(square=True)", "square"),
    "log_loss": Word("the logarithm of the Dice score is a loss of its own", "lo.LogarithmicDice(exponent=1)"),
    "jaccard": Word("the Jaccard loss is a loss of its own", "lo.Jaccard()"),
    "average": Word("one ratio over all classes ('micro')", 'lo.GeneralizedDice(weight_type="uniform")'),
    "w_type": Word("it is weight_type", 'lo.GeneralizedDice(weight_type="square")'),
    "k": Word("the share of voxels that is kept", "lo.TopK(percent=10)"),
    "alpha": Word(
        "a factor per class is class_weights (weights of errors are those of Tversky)",
        "lo.Focal(class_weights=(1, 2, 3))",
    ),
    "ddp": Word("pooling the batch pools the processes too", "lo.{loss}(batch=True)", "batch"),
    "mode": Word(
        "'binary' and 'multilabel' are the link \"sigmoid\", 'multiclass' is the default", _REGIONS.expression
    ),
    "link": Word("it belongs to the call", _REGIONS.expression),
    "ignore": Word("it belongs to the call", _IGNORE.expression),
    "spacing": Word("it belongs to the call", "loss(logits, target, spacing=(1.0,) * (logits.ndim - 2))"),
    "maps": Word("they belong to the call", "loss(logits, target, maps=lo.maps_for(loss, target, logits.shape[1]))"),
    **dict.fromkeys(("reduction", "reduce", "size_average"), _REDUCTION),
    **dict.fromkeys(("from_logits", "softmax", "use_softmax", "activation", "apply_nonlin", "other_act"), _LOGITS),
    **dict.fromkeys(("from_probabilities", "from_probs", "normalized", "probabilities"), _PROBABILITIES),
    **dict.fromkeys(("sigmoid", "use_sigmoid", "multilabel"), _REGIONS),
    **dict.fromkeys(("ignore_index", "ignore_label", "ignore_value", "ignored_index"), _IGNORE),
    **dict.fromkeys(("to_onehot_y", "to_onehot", "one_hot", "sparse", "num_classes", "n_classes"), _ONE_HOT),
    **dict.fromkeys(("dims", "dim", "axis", "ndim", "spatial_dims"), _AXES),
    **dict.fromkeys(("smooth_nr", "smooth_dr", "eps", "epsilon"), _SMOOTH),
    **dict.fromkeys(("include_background", "do_bg", "use_background", "exclude_background"), _BACKGROUND),
    **dict.fromkeys(("batch_dice", "batchwise", "pool_batch"), _BATCH),
    **dict.fromkeys(("weight", "weights", "class_weight", "ce_weight", "loss_weights"), _CLASS_WEIGHTS),
    **dict.fromkeys(("classes", "class_ids", "labels_to_use"), _SUBSET),
    **dict.fromkeys(("mask", "loss_mask", "valid_mask", "sample_weight", "pixel_weight"), _MASK),
    **dict.fromkeys(("scales", "weight_factors", "ds_weights", "deep_supervision"), _SCALES),
    **dict.fromkeys(("weight_dice", "weight_ce", "lambda_dice", "lambda_ce", "lambda_focal", "dice_weight"), _TERMS),
}


def advice(name: str, owner: str, known: Collection[str]) -> str:
    """Return the advice for a keyword of another library, or nothing for an unknown one."""
    word = WORDS.get(name)
    return "" if word is None else word.shown(owner, known)


def refuse(
    owner: str, given: Collection[str], known: Collection[str], takes: Collection[str], setter: str = ""
) -> NoReturn:
    """Raise ValueError for a keyword where others are taken; `known` are hyper-parameters that `setter` sets."""
    name = next(iter(given))
    if name in known:
        answer = f"it is a hyper-parameter, not of the call: {setter or owner}({name}=...)"
    else:
        answer = advice(name, owner, known) or f"it takes {', '.join(takes)}"
    raise ValueError(f"{owner} takes no {name!r} here; {answer}")

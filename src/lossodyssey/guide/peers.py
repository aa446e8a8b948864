"""Which call of other libraries, and of the original repositories, gives the same number as a loss of this one.

Every row holds for value and gradient. Rows of libraries were found with PyTorch 2.13, MONAI 1.6.1, nnU-Net 2.8.1,
segmentation-models-pytorch 0.6.0, kornia 0.9.0 and Keras 3.15.1; rows of repositories by the values that their code
gives. Where a library has several ways to the same number, one is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from lossodyssey.core.context import Link

LABELS = "logits (N, C, *S), labels (N, *S)"
CHANNEL = "logits (N, C, *S), labels (N, 1, *S)"
REGIONS = "logits (N, C, *S), regions (N, C, *S)"
PLANE = "logits (N, C, H, W), labels (N, H, W)"
TWO_CLASSES = "probabilities (N, 2, *S), labels (N, 1, *S)"
CHANNELS_LAST = "one-hot (N, *S, C), probabilities (N, *S, C)"

Relation = Literal[
    "same",
    "ours - 1",
    "ours - 0.5",
    "ours / C",
    "C * ours",
    "P / C * ours",
    "(P / C) ** 0.75 * ours",
    "the mean of ours over the samples one by one",
]


@dataclass(frozen=True)
class Peer:
    """A call of another library and the loss of this one that gives its number.

    `loss` is the name in the atlas under which users look, `call` the peer's constructor or function, `ours` the text
    of our loss, `takes` what the peer is called with, in its order. `relation` is the peer's number in terms of ours,
    with C the number of classes that count and P how many of them have a true voxel in the batch: "same", or for
    example "ours - 1". `note` says which defaults give other numbers.
    """

    loss: str
    call: str
    ours: str
    relation: Relation = "same"
    note: str = ""
    library: str = ""
    takes: str = CHANNEL

    @property
    def link(self) -> Link:
        """How our loss reads the logits: "sigmoid" where the peer takes regions, else "softmax"."""
        return "sigmoid" if "regions" in self.takes else "softmax"


_torch = partial(Peer, library="PyTorch", takes=LABELS)
_monai = partial(Peer, library="MONAI")
_nnunet = partial(Peer, library="nnU-Net")
_smp = partial(Peer, library="segmentation-models-pytorch", takes=LABELS)
_kornia = partial(Peer, library="kornia", takes=PLANE)
_keras = partial(Peer, library="Keras", takes="one-hot (N, H, W, C), probabilities (N, H, W, C)")
_segloss = partial(Peer, library="JunMa11/SegLoss")
_mlyg = partial(Peer, library="mlyg/unified-focal-loss", takes=CHANNELS_LAST)
_region_wise = partial(Peer, library="jmlipman/RegionWiseLoss")
_liviaets = partial(Peer, library="LIVIAETS/boundary-loss")
_niftynet = partial(Peer, library="NifTK/NiftyNet", takes="probabilities (V, C), labels (V, 1)")
_berman = partial(Peer, library="bermanmaxim/LovaszSoftmax", takes="probabilities (N, C, H, W), labels (N, H, W)")

_SOFTMAX = "softmax=True, to_onehot_y=True"
_FOREGROUND = f"include_background=False, {_SOFTMAX}"
_NNUNET_DICE = '{"batch_dice": True, "do_bg": False, "smooth": 1e-5, "ddp": False}'
_SEGLOSS_DICE = "apply_nonlin=softmax_helper, batch_dice=True, do_bg=False, smooth=1e-5"
_SEGLOSS_KEYWORDS = '{"batch_dice": True, "do_bg": False, "smooth": 1e-5}'

_MONAI_DEFAULT = "By default MONAI takes its input as probabilities and counts the background."
_FOCAL_PART = "It takes probabilities, although its documentation says logits; `weight` multiplies the focal part."
_ABSENT = "A class that is absent from the batch costs 0 there and stays in the mean; `absent='skip'` leaves it out."
_POOLED = "The default is one ratio over all voxels and classes."
_PLANES = "The focal part is right for two classes in 2D only."

_smp_of_present = partial(_smp, relation="P / C * ours", note=_ABSENT)
_kornia_of_samples = partial(_kornia, relation="the mean of ours over the samples one by one")

PEERS = (
    _torch("CrossEntropy", "torch.nn.CrossEntropyLoss()", "CrossEntropy()"),
    _torch(
        "CrossEntropy",
        "torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))",
        "CrossEntropy(class_weights=(1, 2, 3), normalization='weights')",
        note="PyTorch divides by the sum of the voxels' weights, the paper and our default by the number of voxels.",
    ),
    _torch("CrossEntropy", "torch.nn.BCEWithLogitsLoss()", "CrossEntropy()", takes=REGIONS),
    # MONAI
    _monai("Dice", f"DiceLoss({_FOREGROUND})", "Dice()", note=_MONAI_DEFAULT),
    _monai("Dice", f"DiceLoss({_FOREGROUND}, batch=True)", "Dice(batch=True)"),
    _monai("Dice", f"DiceLoss({_FOREGROUND}, squared_pred=True)", "Dice(square=True)"),
    _monai(
        "Dice",
        f"DiceLoss({_FOREGROUND}, weight=(0.8, 1.2))",
        "Dice(class_weights=(1, 2, 3))",
        note="MONAI takes one weight per class that counts and does not divide by their sum: give weights of mean 1.",
    ),
    _monai("Dice", "DiceLoss(sigmoid=True)", "Dice()", takes=REGIONS),
    _monai("Jaccard", f"DiceLoss({_FOREGROUND}, jaccard=True)", "Jaccard(smooth=5e-6)"),
    _monai(
        "GeneralizedDice",
        f"GeneralizedDiceLoss({_SOFTMAX}, smooth_nr=0, smooth_dr=0)",
        "GeneralizedDice()",
        note="Its default smoothing is added to sums of about 1 / (number of true voxels), where it is not small.",
    ),
    _monai("Tversky", f"TverskyLoss({_FOREGROUND}, alpha=0.3, beta=0.7)", "Tversky()", note="Default: 0.5 and 0.5."),
    _monai("AsymmetricSimilarity", f"TverskyLoss({_FOREGROUND}, alpha=4 / 13, beta=9 / 13)", "AsymmetricSimilarity()"),
    _monai(
        "Focal",
        "FocalLoss(use_softmax=True, to_onehot_y=True)",
        "Focal()",
        "ours / C",
        "MONAI's mean is over voxels and classes.",
    ),
    _monai(
        "Focal",
        "FocalLoss(use_softmax=True, to_onehot_y=True, alpha=(1, 2, 3))",
        "Focal(class_weights=(1, 2, 3))",
        "ours / C",
    ),
    _monai("Focal", "FocalLoss()", "Focal()", note="The default is the sigmoid of every channel.", takes=REGIONS),
    _monai("DiceCE", f"DiceCELoss({_FOREGROUND})", "DiceCE()", note=_MONAI_DEFAULT),
    _monai(
        "DiceFocal",
        "DiceFocalLoss(sigmoid=True)",
        "DiceFocal()",
        note="Its focal part takes the sigmoid even under `softmax=True`; for softmax, add DiceLoss and C * FocalLoss.",
        takes=REGIONS,
    ),
    _monai("Boundary", f"BoundaryLoss({_FOREGROUND})", "Boundary(zero='voxel-shift')", note="It has no spacing."),
    _monai(
        "HausdorffDT",
        f"HausdorffDTLoss({_SOFTMAX})",
        "HausdorffDT(prediction='threshold')",
        note="It has no spacing.",
    ),
    _monai("HausdorffDT", f"LogHausdorffDTLoss({_SOFTMAX})", "HausdorffDT(prediction='threshold', log=True)"),
    _monai(
        "AsymmetricFocalTversky",
        "unified_focal_loss.AsymmetricFocalTverskyLoss(to_onehot_y=True)",
        "AsymmetricFocalTversky()",
        takes=TWO_CLASSES,
    ),
    _monai(
        "AsymmetricFocal",
        "unified_focal_loss.AsymmetricFocalLoss(to_onehot_y=True)",
        "AsymmetricFocal()",
        "ours / C",
        takes=TWO_CLASSES,
    ),
    _monai(
        "AsymmetricUnifiedFocal",
        "AsymmetricUnifiedFocalLoss(to_onehot_y=True)",
        "0.5 * AsymmetricFocalTversky(delta=0.7, gamma=0.5) + 0.25 * AsymmetricFocal(delta=0.7, gamma=0.5)",
        note=_FOCAL_PART,
        takes=TWO_CLASSES,
    ),
    # nnU-Net
    _nnunet("CrossEntropy", "RobustCrossEntropyLoss()", "CrossEntropy()"),
    _nnunet("TopK", "TopKLoss(k=10)", "TopK()", note="It counts ignored voxels in the percentage."),
    _nnunet(
        "Dice",
        "MemoryEfficientSoftDiceLoss(softmax_helper_dim1, batch_dice=True, do_bg=False, smooth=1e-5, ddp=False)",
        "Dice(batch=True)",
        "ours - 1",
        "By default `smooth` is 1, the background counts and the input is taken as probabilities.",
    ),
    _nnunet(
        "Dice",
        "SoftDiceLoss(softmax_helper_dim1, batch_dice=False, do_bg=False, smooth=1e-5)",
        "Dice()",
        "ours - 1",
    ),
    _nnunet(
        "DiceCE",
        f"DC_and_CE_loss({_NNUNET_DICE}, {{}}, dice_class=MemoryEfficientSoftDiceLoss)",
        "Dice(batch=True) + CrossEntropy()",
        "ours - 1",
        "The default trainer; whether `batch_dice` is True is written in the plans.",
    ),
    _nnunet(
        "DiceCE",
        'DC_and_BCE_loss({}, {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False})',
        "Dice(batch=True) + CrossEntropy()",
        "ours - 1",
        "The default trainer for regions.",
        takes=REGIONS,
    ),
    _nnunet("DiceTopK", f'DC_and_topk_loss({_NNUNET_DICE}, {{"k": 10}})', "Dice(batch=True) + TopK()", "ours - 1"),
    # segmentation-models-pytorch
    _smp("CrossEntropy", "SoftCrossEntropyLoss(smooth_factor=0)", "CrossEntropy()"),
    _smp_of_present("Dice", 'DiceLoss("multiclass")', "Dice(batch=True, background=True, smooth=0, absent='skip')"),
    _smp_of_present(
        "Dice", 'DiceLoss("multiclass", classes=[1, 2], smooth=0.5)', "Dice(batch=True, smooth=1, absent='skip')"
    ),
    _smp_of_present(
        "Jaccard", 'JaccardLoss("multiclass")', "Jaccard(batch=True, background=True, smooth=0, absent='skip')"
    ),
    _smp_of_present(
        "Tversky",
        'TverskyLoss("multiclass", alpha=0.3, beta=0.7)',
        "Tversky(batch=True, background=True, smooth=0, absent='skip')",
    ),
    _smp(
        "FocalTversky",
        'TverskyLoss("multiclass", alpha=0.3, beta=0.7, gamma=0.75)',
        "ReleasedFocalTversky(batch=True, background=True, smooth=0, absent='skip')",
        "(P / C) ** 0.75 * ours",
        note=f"It takes the power of the mean over classes, not of each class. {_ABSENT}",
    ),
    _smp_of_present(
        "LogarithmicDice",
        'DiceLoss("multiclass", log_loss=True, smooth=0.5)',
        "LogarithmicDice(exponent=1, batch=True, absent='skip')",
    ),
    _smp(
        "Focal",
        'FocalLoss("multilabel")',
        "Focal()",
        note="With 'multiclass', too, it is the sigmoid of every channel, not the softmax.",
        takes=REGIONS,
    ),
    _smp("Lovasz", 'LovaszLoss("multiclass")', "Lovasz()", takes=PLANE),
    # kornia
    _kornia_of_samples(
        "Dice", 'DiceLoss(average="macro")', "Dice(background=True, smooth=0, absent='skip')", note=_POOLED
    ),
    _kornia(
        "Dice",
        "DiceLoss(weight=torch.tensor([0.3, 0.7, 0.5]).double())",
        "Dice(background=True, smooth=0, pooled=True, class_weights=(0.3, 0.7, 0.5))",
        note="Before 0.9.0 the overlap has the squared weights: equal for weights of 0 and 1 alone.",
    ),
    _kornia("GeneralizedDice", "DiceLoss()", "GeneralizedDice(weight_type='uniform')"),
    _kornia_of_samples(
        "Tversky", "TverskyLoss(alpha=0.3, beta=0.7)", "Tversky(background=True, smooth=0, absent='skip')"
    ),
    _kornia(
        "Focal",
        'FocalLoss(alpha=None, reduction="mean")',
        "Focal()",
        "ours / C",
        "By default it returns a map; its mean is over voxels and classes.",
    ),
    _kornia(
        "Focal",
        'FocalLoss(alpha=0.75, reduction="mean")',
        "Focal(class_weights=(0.25, 0.75, 0.75))",
        "ours / C",
    ),
    _kornia("Lovasz", "LovaszSoftmaxLoss()", "Lovasz(batch=False, classes='all')"),
    # Keras
    _keras("CrossEntropy", "CategoricalCrossentropy()", "CrossEntropy()"),
    _keras("Dice", "Dice(axis=(1, 2))", "Dice(background=True, smooth=0)", note=_POOLED),
    _keras("Dice", "Dice(axis=(0, 1, 2))", "Dice(batch=True, background=True, smooth=0)"),
    _keras("GeneralizedDice", "Dice()", "GeneralizedDice(weight_type='uniform', batch=True)"),
    _keras(
        "Tversky",
        "Tversky(alpha=0.7, beta=0.3, axis=(1, 2))",
        "Tversky(background=True, smooth=0)",
        note=f"{_POOLED} Its alpha is the price of false negatives, its beta that of false positives.",
    ),
    _keras(
        "Focal", "CategoricalFocalCrossentropy(alpha=1)", "Focal()", note="The default alpha is 0.25 for all classes."
    ),
    # SegLoss, which the published tables were made with
    _segloss("CrossEntropy", "CrossentropyND()", "CrossEntropy()"),
    _segloss(
        "CrossEntropy",
        "WeightedCrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 20.0]))",
        "CrossEntropy(class_weights=(1, 5, 20), normalization='weights')",
    ),
    _segloss(
        "DistancePenalisedCE",
        "DistPenalizedCE()",
        "ReleasedDistancePenalisedCE()",
        note="It computes the penalised values and returns the mean of the others.",
    ),
    _segloss("TopK", "TopKLoss(k=10)", "TopK()"),
    _segloss("TopKThreshold", "TopKThreshold(threshold=0.3)", "ReleasedTopKThreshold()"),
    _segloss(
        "Focal",
        "FocalLoss(apply_nonlin=softmax_helper)",
        "ReleasedFocal()",
        note="Its trainers halve it by alpha=0.5; a number is the weight of class 0, one minus it that of all others.",
    ),
    _segloss("Dice", f"SoftDiceLoss({_SEGLOSS_DICE})", "Dice(batch=True)", "ours - 1"),
    _segloss("Dice", f"SoftDiceLoss({_SEGLOSS_DICE}, square=True)", "ReleasedDice(batch=True)", "ours - 1"),
    _segloss("Dice", f"SoftDiceLossV2({_SEGLOSS_DICE})", "ReleasedDiceV2(batch=True)", "ours - 1"),
    _segloss("Jaccard", f"IoULoss({_SEGLOSS_DICE})", "Jaccard(batch=True)", "ours - 1"),
    _segloss("Tversky", f"TverskyLoss({_SEGLOSS_DICE})", "Tversky(batch=True)", "ours - 1"),
    _segloss("AsymmetricSimilarity", f"AsymLoss({_SEGLOSS_DICE})", "AsymmetricSimilarity(batch=True)", "ours - 1"),
    _segloss("FocalTversky", f"FocalTversky_loss({_SEGLOSS_KEYWORDS}, gamma=0.75)", "ReleasedFocalTversky(batch=True)"),
    _segloss("SensitivitySpecificity", f"SSLoss({_SEGLOSS_DICE})", "SensitivitySpecificity(r=0.1, batch=True)"),
    _segloss("GeneralizedDice", "GDiceLossV2(apply_nonlin=softmax_helper)", "ReleasedGeneralizedDice()"),
    _segloss("GeneralizedDice", "GDiceLoss(apply_nonlin=softmax_helper)", "ReleasedGeneralizedDiceV1()"),
    _segloss(
        "PenaltyGeneralizedDice",
        'PenaltyGDiceLoss({"apply_nonlin": softmax_helper})',
        "ReleasedPenaltyGeneralizedDice()",
    ),
    _segloss("Lovasz", "LovaszSoftmax()", "ReleasedLovasz()", note="Its trainer calls it without a softmax."),
    _segloss(
        "ExponentialLogarithmic",
        'ExpLog_loss({"batch_dice": False, "do_bg": False, "smooth": 1e-5}, '
        '{"weight": torch.tensor([1.0, 5.0, 20.0])})',
        "ReleasedExponentialLogarithmic(class_weights=(1, 5, 20))",
    ),
    _segloss("DiceCE", f"DC_and_CE_loss({_SEGLOSS_KEYWORDS}, {{}})", "Dice(batch=True) + CrossEntropy()", "ours - 1"),
    _segloss(
        "DiceTopK", f'DC_and_topk_loss({_SEGLOSS_KEYWORDS}, {{"k": 10}})', "Dice(batch=True) + TopK()", "ours - 1"
    ),
    _segloss(
        "DiceFocal", f"DC_and_Focal_loss({_SEGLOSS_KEYWORDS}, {{}})", "Dice(batch=True) + ReleasedFocal()", "ours - 1"
    ),
    _segloss("Boundary", "BDLoss()", "ReleasedBoundary()"),
    _segloss("HausdorffDT", "HDLoss()", "ReleasedHausdorffDT()"),
    _segloss(
        "DiceBoundary",
        f"DC_and_BD_loss({_SEGLOSS_KEYWORDS}, {{}})",
        "0.01 * Dice(batch=True) + 0.99 * ReleasedBoundary()",
    ),
    _segloss(
        "DiceHausdorff",
        f"DC_and_HD_loss({_SEGLOSS_KEYWORDS}, {{}})",
        "Ratio('batch') * Dice(batch=True) + ReleasedHausdorffDT()",
    ),
    # The authors' own code
    _berman("Lovasz", "lovasz_softmax(probas, labels)", "Lovasz()"),
    _berman("Lovasz", "lovasz_softmax(probas, labels, classes='all')", "Lovasz(classes='all')"),
    _niftynet(
        "GeneralizedDice",
        "generalised_dice_loss(prediction, ground_truth)",
        "GeneralizedDice()",
        note="The mean over samples; it counts at least one voxel per class.",
    ),
    _niftynet(
        "SensitivitySpecificity",
        "sensitivity_specificity_loss(prediction, ground_truth)",
        "SensitivitySpecificity(background=True)",
        "C * ours",
        "The mean over samples.",
    ),
    _liviaets(
        "Boundary",
        "SurfaceLoss(idc=[1, 2])",
        "Boundary(zero='voxel-shift')",
        note="With a spacing it subtracts 1 mm inside, not one voxel.",
        takes="probabilities (N, C, *S), maps of one_hot2dist (N, C, *S)",
    ),
    _region_wise("RegionWise", "RWLoss()", "RegionWise()"),
    _region_wise(
        "RegionWise", "RWEqualDiceLoss()", "Dice(background=True, smooth=0) + RegionWise()", takes=f"{CHANNEL}, epoch"
    ),
    _region_wise(
        "RegionWise",
        "RWGradualCELoss()",
        "0.01 * CrossEntropy() + 0.99 * RegionWise()",
        note="From epoch 99 on; in epoch e before, the weights are 1 - e / 100 and e / 100.",
        takes=f"{CHANNEL}, epoch",
    ),
    _region_wise("Boundary", "BoundaryLoss()", "Boundary(zero='none', background=True)"),
    _mlyg("FocalTversky", "focal_tversky_loss()", "FocalTversky(background=True, smooth=1e-6)"),
    _mlyg(
        "Combo",
        "combo_loss(alpha=0.5, beta=0.7)",
        "0.5 * CrossEntropy(class_weights=(0.7, 0.3)) + 0.5 * Dice(background=True, smooth=2e-6)",
        "ours - 0.5",
        "For two classes; beta is the weight of class 0, which is the background elsewhere.",
    ),
    _mlyg("SymmetricFocal", "symmetric_focal_loss()", "SymmetricFocal()", note=_PLANES),
    _mlyg("AsymmetricFocal", "asymmetric_focal_loss()", "AsymmetricFocal()", note=_PLANES),
    _mlyg("SymmetricFocalTversky", "symmetric_focal_tversky_loss()", "SymmetricFocalTversky()"),
    _mlyg("AsymmetricFocalTversky", "asymmetric_focal_tversky_loss()", "AsymmetricFocalTversky()"),
    _mlyg("SymmetricUnifiedFocal", "sym_unified_focal_loss()", "SymmetricUnifiedFocal()", note=_PLANES),
    _mlyg("AsymmetricUnifiedFocal", "asym_unified_focal_loss()", "AsymmetricUnifiedFocal()", note=_PLANES),
)


def peers(name: str) -> tuple[Peer, ...]:
    """The calls of other libraries that give the number of a loss of the atlas."""
    return tuple(peer for peer in PEERS if peer.loss == name)

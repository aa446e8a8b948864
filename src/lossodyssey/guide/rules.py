"""The rules that lead from traits of a data set to losses and measures: one table, each row with its source.

A trait is seen in the fingerprint, or is said by the user where no label map shows it. Rules propose; what speaks for a
loss, measured or published, is looked up by `guide.proof`, and what settles it is a comparison on the data themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from lossodyssey.fingerprint.record import ClassFacts, Fingerprint
from lossodyssey.fingerprint.words import FAINT, MANY, STRETCHED, THIN, number, voxels

RARE = 100.0
"""Voxels of all else for one of a class; the published comparison has one such organ and one such tumour."""
BRANCHING = 0.2
"""Compactness of vessels and nets; the wall of a heart, which is not a tube, has 0.22."""
COARSE = 2.0
"""Largest over smallest spacing."""

FEWEST, MOST = 3, 6
"""How many losses are proposed."""
BASELINE = "DiceCE(batch=True)"

See = Callable[[Fingerprint], str]


@dataclass(frozen=True)
class Rule:
    """A trait of data, the losses to try on it, best guess first, and the measures that see what it is about.

    `see` returns what was seen in a fingerprint, "" where the trait is not there; None where the user must say it.
    `papers` are keys of the bibliography that claim it, the claim being theirs. `measures` say what each is for.
    """

    trait: str
    when: str
    see: See | None
    losses: tuple[str, ...]
    reason: str
    papers: tuple[str, ...] = ()
    measures: Mapping[str, str] = field(default_factory=dict)


def of_classes(test: Callable[[ClassFacts], float | None], text: str) -> See:
    """Return a function that finds a trait of single classes.

    `test` returns the number that shows it, None where a class lacks the trait.
    """

    def see(found: Fingerprint) -> str:
        shown = [(own.name, value) for own in found.classes if own.cases and (value := test(own)) is not None]
        return ", ".join(f"{name}: {text.format(number(value))}" for name, value in shown)

    return see


def _rare(own: ClassFacts) -> float | None:
    return own.imbalance if own.imbalance and own.imbalance >= RARE else None


def _many(own: ClassFacts) -> float | None:
    return own.components.median if own.components and own.components.median >= MANY else None


def _branching(own: ClassFacts) -> float | None:
    return own.compactness.median if own.compactness and own.compactness.median < BRANCHING else None


def _tiny(own: ClassFacts) -> float | None:
    compact = own.compactness and own.compactness.median >= STRETCHED
    return 100 * own.rim2.median if compact and own.rim2 and own.rim2.median >= THIN else None


def _faint(own: ClassFacts) -> float | None:
    # An object that is thin throughout would become soft throughout.
    thin = _branching(own) is not None or (own.rim2 and own.rim2.median >= THIN)
    return own.contrast.median if own.contrast and own.contrast.median < FAINT and not thin else None


def _partly(found: Fingerprint) -> str:
    return f"in {found.partly} of {found.cases} cases some classes are not annotated" if found.partly else ""


def _empty(found: Fingerprint) -> str:
    return f"{found.empty} of {found.cases} cases have no object" if found.empty else ""


def _coarse(found: Fingerprint) -> str:
    ratio = found.anisotropy.median
    return f"{voxels(found)} are {number(ratio)} times coarser along one axis" if ratio >= COARSE else ""


def _apart(found: Fingerprint) -> str:
    """Return the pairs of classes that touch in no case, where others do."""
    names = [own.name for own in found.classes if own.cases and len(own.labels) == 1]
    touching = {frozenset(pair[:2]) for pair in found.touching}
    never = [f"{one} and {two}" for one, two in combinations(names, 2) if {one, two} not in touching]
    return f"never touch: {', '.join(never)}" if touching and never else ""


REFERENCE = Rule(
    "reference",
    "every data set",
    lambda _: "",
    (BASELINE,),
    "the default of nnU-Net, and what the others are held against",
    ("isensee2018",),
    {"DSC": "overlap", "NSD": "the outline, within a tolerance (`NSD@2` is 2 mm); it fails where DSC does not"},
)
COMPANIONS = Rule(
    "companions",
    f"fewer than {FEWEST} losses so far",
    lambda _: "",
    ("DiceTopK(batch=True)", "DiceFocal(batch=True)"),
    "sums of Dice and a voxel loss are seldom far behind, and two that the paper names among its best four",
    ("ma2021",),
)
RULES = (
    Rule(
        "partly",
        "some classes are not annotated in some cases",
        _partly,
        (f"Marginal(loss={BASELINE})", f"Exclusion(loss={BASELINE})"),
        "all other losses take what is not annotated for background, and teach the network to miss it",
        ("shi2021",),
    ),
    Rule(
        "branching",
        f"compactness below {BRANCHING:g}: long and branching, or a net",
        of_classes(_branching, "compactness {}"),
        (f"{BASELINE} + CenterlineDice(iterations='auto')", f"{BASELINE} + CenterlineBoundaryDice()"),
        "a gap in a thin object hardly changes its overlap, so the centre line is asked for by itself",
        ("shit2021", "shi2024"),
        {"clDice": "whether centre lines are followed", "betti_error": "pieces and holes too many or too few"},
    ),
    Rule(
        "rare",
        f"{RARE:g} or more voxels of all else for each of a class",
        of_classes(_rare, "{} voxels of all else for each of it"),
        ("DiceFocal(batch=True)", "DiceTopK(batch=True)", "AsymmetricUnifiedFocal()"),
        "easy background drowns a rare class in a mean over voxels; these look at overlap and at hard voxels",
        ("ma2021", "yeung2021"),
        {"recall": "what is missed, which the overlap of a rare class mixes with false alarms"},
    ),
    Rule(
        "many",
        f"{MANY} or more pieces in a typical case",
        of_classes(_many, "{} pieces in a typical case"),
        ("ConnectedComponents()", f"{BASELINE} + Blobs()", "InverseWeighting()"),
        "a sum over voxels is a sum over the large objects; these let every object count alike",
        ("bouteille2025", "kofler2022", "shirokikh2020"),
        {"lesion_F1": "objects found, one by one", "PQ": "the same, with how well each was outlined"},
    ),
    Rule(
        "apart",
        "some pairs of classes touch in no case, though others do",
        _apart,
        (f"{BASELINE} + TopologicalInteraction(per='voxel')",),
        "contacts that anatomy excludes can be forbidden",
        ("gupta2022",),
        {"betti_error": "pieces and holes too many or too few"},
    ),
    Rule(
        "faint",
        f"contrast at the border below {FAINT:g}, of objects that are not all border: labels are uncertain there",
        of_classes(_faint, "contrast {} at the border"),
        (f"SpatialLabelSmoothing(loss={BASELINE})",),
        "where two annotators would draw two borders, soft labels at the border say so",
        ("islam2021",),
        {"NSD": "with the tolerance by which annotators differ"},
    ),
    Rule(
        "empty",
        "some cases have no object",
        _empty,
        ("CrossEntropy()",),
        "where nothing is true the Dice of one case says little; cross entropy sees every false voxel there",
        (),
        {"absolute_volume_error": "false objects where there are none: DSC is 0 there, or undefined"},
    ),
    Rule(
        "tiny",
        f"compact, with {THIN:.0%} of it within two voxels of its border",
        of_classes(_tiny, "{} % of it within two voxels of its border"),
        (),
        "no loss shows what the grid does not; one voxel moves the overlap of such an object much",
        (),
        {"NSD": "overlap of objects of few voxels is mostly their size"},
    ),
    Rule(
        "anisotropic",
        f"voxels {COARSE:g} or more times coarser along one axis",
        _coarse,
        (),
        "losses of distances and shapes are given the spacing here, but centre lines are thinned in voxels",
        (),
        {"NSD": "in mm along every axis"},
    ),
    Rule(
        "noisy",
        "many labels are wrong",
        None,
        ("NoiseRobustDice(batch=True)", "Dice(batch=True)"),
        "the hardest voxels are the wrong ones, so what stresses hard voxels learns the mistakes",
        ("wang2020",),
        {"NSD": "within a tolerance; single wrong voxels lead HD95"},
    ),
    Rule(
        "misses",
        "a miss is worse than a false alarm",
        None,
        ("Tversky(batch=True)", "AsymmetricSimilarity(batch=True)"),
        "false negatives count more than false positives, at a price in overlap",
        ("salehi2017", "hashemi2019"),
        {"recall": "what is missed", "precision": "what it costs in false alarms"},
    ),
    Rule(
        "borders",
        "the outline matters more than the volume",
        None,
        ("DiceBoundary(batch=True)", "DiceHausdorff(batch=True)"),
        "an error costs the more the farther it lies from the border",
        ("kervadec2019", "karimi2019"),
        {"NSD": "the typical distance of the outlines", "HD95": "their large distances"},
    ),
    Rule(
        "probabilities",
        "probabilities are read, not labels alone",
        None,
        (f"MarginLogits(loss={BASELINE})", f"{BASELINE} + AverageCalibrationError()"),
        "overlap losses make networks too sure",
        ("liu2022", "barfoot2024"),
        {"ECE": "probabilities beside frequencies"},
    ),
)
"""In order of precedence: first what forbids plain losses, then what is seen, then what the user says."""
SAID = tuple(rule.trait for rule in RULES if rule.see is None)

"""`check_loss`: losses of the atlas have every property, and a loss that lacks one is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossodyssey as lo
from lossodyssey.core.checks import PROPERTIES

pytestmark = pytest.mark.usefixtures("own_atlas")

WHOLE = [
    "Dice()",
    "CrossEntropy(class_weights=(1.0, 2.0))",
    "Focal(class_weights='inverse_frequency') + 0.5 * GeneralizedDice()",
    "Dice(batch=True, smooth=1.0)",
    "Ramp(1, 0.5) * Jaccard() + TopK()",
]
FORMULAS = {
    "nan": ("OverlapLoss", "def formula(self, s, g, tp):\n        return 1 - tp / (g * s)", {"finite", "range"}),
    "range": ("OverlapLoss, range=(0, 0.1)", "def formula(self, fp):\n        return fp", {"range"}),
    "sign": ("VoxelLoss", "def formula(self, log_p, labels):\n        return log_p.exp()", {"least"}),
    "detached": (
        "VoxelLoss",
        "def formula(self, log_p, labels):\n        return -log_p - log_p.detach().exp()",
        {"gradient"},
    ),
    "ignored": (
        "Loss",
        "def of(self, pair):\n        return (pair.s - pair.g).square().mean()",
        {"ignored"},
    ),
    "batch": (
        "Loss",
        "def of(self, pair):\n        return (pair.s[:, :, :1] - pair.g[:, :, :1]).square().sum()",
        {"batch", "ignored"},
    ),
    "half": (
        "Loss",
        "def of(self, pair):\n        return pair.logits.exp().square().mean() + 0 * pair.s.sum()",
        {"half", "finite", "least", "ignored"},
    ),
}


def failing(findings: list[lo.Finding]) -> set[str]:
    return {finding.name for finding in findings if not finding.holds}


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_loss_has_every_property(text: str) -> None:
    findings = lo.check_loss(text)
    assert [finding.name for finding in findings] == list(PROPERTIES)
    assert not failing(findings), findings
    assert findings == lo.check_loss(lo.parse(text)), "the batches are the same in every call"


@pytest.mark.parametrize("kind", sorted(FORMULAS))
def test_what_a_loss_lacks_is_found(tmp_path: Path, kind: str) -> None:
    base, formula, missing = FORMULAS[kind]
    path = tmp_path / "mine.py"
    path.write_text(f"import lossodyssey as lo\n\n\nclass Broken(lo.{base}):\n    {formula}\n")
    lo.load_losses(path)
    found = failing(lo.check_loss("Broken()"))
    assert missing <= found, found
    assert ("text" not in found and "regions" not in found - {"regions"}) or kind == "nan"


def test_a_loss_that_looks_at_the_image_is_given_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import lossodyssey as lo\n\n\nclass Edges(lo.GridLoss, range=(0, float('inf'))):\n"
        "    def formula(self, s, g, image):\n        return ((s - g).square() * image.abs()).flatten(2).mean(2)\n"
    )
    lo.load_losses(path)
    assert not failing(lo.check_loss("Edges()"))


def test_an_error_in_the_formula_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import lossodyssey as lo\n\n\nclass Broken(lo.VoxelLoss):\n"
        "    def formula(self, log_p, labels):\n        raise KeyError('power')\n"
    )
    lo.load_losses(path)
    findings = lo.check_loss("Broken()")
    assert len(failing(findings)) == len(PROPERTIES)
    assert findings[1].said == "KeyError: 'power'"


def test_a_text_that_states_no_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown loss 'Dise'"):
        lo.check_loss("Dise()")

"""ACDC 2017, the Automated Cardiac Diagnosis Challenge: two frames of each patient, with `Info.cfg`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lossodyssey.data.prepare.recipe import Finding, Found, Recipe, paired
from lossodyssey.data.prepare.sources import Tree

LAST_TRAINING = 100  # patients 101 to 150 are the test set


def find(tree: Tree) -> Finding:
    """Find both frames of every patient; the patient is their group."""
    images = tree.paths(r"patient\d{3}/(patient\d{3}_frame\d\d)\.nii(?:\.gz)?")
    labels = tree.paths(r"patient\d{3}/(patient\d{3}_frame\d\d)_gt\.nii(?:\.gz)?")
    facts = {patient: _facts(path) for patient, path in tree.paths(r"(patient\d{3})/Info\.cfg").items()}
    names, notes = paired(images, labels, "frame")
    silent = sorted({name[:10] for name in names} - set(facts))
    if silent:
        notes += (f"no Info.cfg of {len(silent)} patients, so the phase of their frames is unknown: {silent[0]}, ...",)
    return Finding([_case(name, images[name], labels[name], facts.get(name[:10], {})) for name in names], notes)


def _facts(file: Path) -> dict[str, str]:
    """Read the lines `ED: 1`, `ES: 12`, `Group: DCM`, ..."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _case(name: str, image: Path, label: Path, facts: dict[str, str]) -> Found:
    frame = str(int(name[-2:]))
    phase = next((phase for phase in ("ED", "ES") if facts.get(phase) == frame), "")
    part = "training" if int(name[7:10]) <= LAST_TRAINING else "test"
    more = {"phase": phase, "pathology": facts.get("Group", "")}
    return Found(name, (image,), (label,), group=name[:10], source="ACDC", part=part, facts=more)


def alternate(cases: Sequence[Found]) -> dict[str, str]:
    """Return the parts in the experiments of the region-wise loss: of the first 100 patients, even train, odd test."""
    patients = {found.name: int(found.name[7:10]) for found in cases}
    return {
        name: "test" if patient % 2 else "training" for name, patient in patients.items() if patient <= LAST_TRAINING
    }


RECIPES = (
    Recipe(
        name="ACDC2017",
        number=27,
        description="Short-axis cine cardiac MR at end of diastole and of systole",
        origin="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
        layout="patient001/patient001_frame01.nii.gz, patient001/patient001_frame01_gt.nii.gz and patient001/Info.cfg",
        needs=(r"patient\d{3}/patient\d{3}_frame\d\d(?:_gt)?\.nii(?:\.gz)?", r"patient\d{3}/Info\.cfg"),
        find=find,
        classes=("RV", "MYO", "LV"),
        channels=("MRI",),
        cases=300,
        flip_axes=(0, 1),
        licence="CC BY-NC-SA 4.0 as stated by re-publications; not checked at the source",
        reference="Bernard et al. 2018, IEEE TMI 37(11):2514-2525",
        divisions={"region-wise": alternate},
        aliases=("ACDC",),
    ),
)

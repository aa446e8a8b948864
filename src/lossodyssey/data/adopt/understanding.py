"""A folder of images and masks as it was understood: everything that is written, shown or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.adopt.cases import case_names
from lossodyssey.data.adopt.choices import Choices
from lossodyssey.data.adopt.classes import read_naming
from lossodyssey.data.adopt.decision import Decision
from lossodyssey.data.adopt.faults import check_spacing, exchanged, misfits_of, reader_notes, turned
from lossodyssey.data.adopt.folders import find_files, passed_over
from lossodyssey.data.adopt.groups import grouped, proposed
from lossodyssey.data.adopt.images import Harmony, channel_names, harmonise
from lossodyssey.data.adopt.layered import claimed_twice, decide, layer_order
from lossodyssey.data.adopt.layers import sort_masks
from lossodyssey.data.adopt.patterns import Paired, pair_all
from lossodyssey.data.adopt.reading import OnProgress, Read, read_all


@dataclass(frozen=True, kw_only=True)
class Understanding:
    """A data set as it will be written.

    `layers` are the classes whose masks are files of their own. `unpaired` are files that are left out, with the
    reason. `refused` names, with the fix, what a yes cannot decide; `doubts` are guesses that a yes accepts; `notes`
    are only shown.
    """

    choices: Choices
    cases: Mapping[str, Read]
    channels: tuple[str, ...]
    harmony: Harmony
    decision: Decision
    layers: tuple[str, ...]
    groups: Mapping[str, str]
    unpaired: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def dims(self) -> int:
        """The number of axes of space."""
        return next(iter(self.cases.values())).dims


def understand(choices: Choices, on_progress: OnProgress = lambda done, total: None) -> Understanding:
    """Find out what a folder of images and masks holds; nothing is written.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: a choice or a file is not valid, or nothing can be paired.
    """
    choices.check()
    naming = read_naming(choices.classes)
    paired = pair_all(find_files(choices), choices)
    masks = sort_masks(paired.pairing)
    names = case_names([image for image, _ in masks.cases])
    groups = grouped(names, choices.group)
    layers = layer_order(masks.classes, naming)

    reads = read_all(masks, on_progress)
    check_spacing(reads, choices)
    harmony = harmonise([image for read in reads for image in read.images])
    faults = [*masks.refused, *harmony.refused, *misfits_of(reads)]
    # If images and masks are exchanged, that explains any odd values.
    swapped = exchanged(reads)
    decision = Decision.none(swapped) if swapped else decide(reads, masks, naming, choices)
    if not (faults or decision.refused) and layers:
        decision = claimed_twice(decision, reads, layers, naming)
    return Understanding(
        choices=choices,
        cases=dict(zip(names, reads, strict=True)),
        channels=channel_names(paired.images.channels, harmony.channels),
        harmony=harmony,
        decision=decision,
        layers=layers,
        groups=groups,
        unpaired=(*paired.told, *paired.unpaired),
        notes=(*masks.notes, *decision.notes, *harmony.notes, *_others(names, choices), *reader_notes(reads)),
        doubts=(*masks.doubts, *decision.doubts, *_missing(paired), *turned(reads)),
        refused=(*decision.refused, *faults) if swapped else (*faults, *decision.refused),
    )


def _others(names: list[str], choices: Choices) -> list[str]:
    patients = proposed(names) if not choices.group else ""
    return [*filter(None, [patients]), *passed_over(choices)]


def _missing(paired: Paired) -> list[str]:
    count = len(paired.unpaired)
    return [f"{count} file{'s' if count > 1 else ''} with no partner would be left out"] if count else []
